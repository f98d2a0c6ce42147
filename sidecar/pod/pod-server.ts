// What a pod asks of its sidecar, on two ports that everybody may reach: the status port (15020) with the application's probes, merged metrics and
// the orders of the pod itself, and the health port (15021) with the sidecar's readiness. Made by cli/serving.ts where the flags say so. The
// paths are Istio's, so that manifests, jobs and scrape configurations work as they are.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "../node-http.ts";
import type { StatsScope } from "../stats/scope.ts";
import type { Log } from "../telemetry/log-level.ts";
import type { AppProbe, AppProbes } from "./app-probes.ts";
import { type ApplicationMetrics, joinMetrics, scrapeApplication, scrapeLimitMs } from "./merged-metrics.ts";
import { callProbe } from "./probe-call.ts";

export interface PodPorts {
  /** Why it is not ready, a line each; empty: configuration, certificates and plugins are in use. */
  readonly notReady: () => readonly string[];
  readonly metricsText: () => string;
  /** POST /drain: inbound connections end with their next response, and nothing stops. */
  readonly drain: () => void;
  /** POST /quitquitquit: the process drains and ends. */
  readonly quit: () => void;
  readonly stats: StatsScope;
  readonly log: Log;
}

export interface PodSettings {
  /** 0: none. */
  readonly statusPort: number;
  readonly healthPort: number;
  readonly probes: AppProbes;
  readonly applicationMetrics: ApplicationMetrics | undefined;
  /** Where the application is probed: the pod's address. */
  readonly applicationHost: string;
}

/** At once; a kubelet asks one at a time for each container. */
const MAX_PROBES = 64;
/** Each holds two texts of metrics. */
const MAX_SCRAPES = 4;
const MAX_CONNECTIONS = 256;
const HEAD_TIMEOUT_MS = 10_000;

export class PodServer {
  readonly #ports: PodPorts;
  readonly #settings: PodSettings;
  readonly #servers: Server[] = [];
  #probes = 0;
  #scrapes = 0;
  #lastScrapeProblem = "";

  constructor(settings: PodSettings, ports: PodPorts) {
    this.#settings = settings;
    this.#ports = ports;
  }

  /** Opens both ports on every address of the pod; a text says why it cannot. */
  async listen(): Promise<string | undefined> {
    const { statusPort, healthPort } = this.#settings;
    const wanted = [
      ...(statusPort === 0 ? [] : [{ port: statusPort, flag: "--status-port", answer: this.#answerStatus }]),
      ...(healthPort === 0 ? [] : [{ port: healthPort, flag: "--health-port", answer: this.#answerHealth }]),
    ];
    for (const { port, flag, answer } of wanted) {
      const server = createServer({
        headersTimeout: HEAD_TIMEOUT_MS,
        requestTimeout: HEAD_TIMEOUT_MS,
        keepAliveTimeout: 60_000,
      });
      server.maxConnections = MAX_CONNECTIONS;
      server.on("request", answer);
      const problem = await bind(server, port);
      if (problem !== undefined) {
        await this.close();
        return `Cannot listen on port ${port}: ${problem}; choose another with ${flag}`;
      }
      this.#servers.push(server);
    }
    return undefined;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.splice(0).map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  }

  readonly #answerHealth = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    if (pathOf(request) === "/healthz/ready") {
      this.#answerReady(response);
    } else {
      send(response, 404, "/healthz/ready\n");
    }
  };

  readonly #answerStatus = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    const path = pathOf(request);
    switch (path) {
      case "/healthz/ready":
        return this.#answerReady(response);
      case "/stats/prometheus":
      case "/metrics":
        return void this.#answerMetrics(request, response);
      case "/quitquitquit":
        return this.#answerOrder(request, response, this.#ports.quit);
      case "/drain":
        return this.#answerOrder(request, response, this.#ports.drain);
    }
    const probe = this.#settings.probes.get(path);
    if (probe === undefined) {
      return send(response, 404, "no such probe\n");
    }
    return void this.#answerProbe(probe, path, response);
  };

  #answerReady(response: ServerResponse): void {
    const reasons = this.#ports.notReady();
    send(
      response,
      reasons.length === 0 ? 200 : 503,
      reasons.length === 0 ? "ready\n" : `not ready\n${reasons.join("\n")}\n`,
    );
  }

  /** Orders come from inside the pod only, and not by a link that somebody follows. */
  #answerOrder(request: IncomingMessage, response: ServerResponse, order: () => void): void {
    if (!isLoopback(request.socket.remoteAddress)) {
      send(response, 403, "only from inside the pod\n");
    } else if (request.method !== "POST") {
      send(response, 405, "POST required\n");
    } else {
      send(response, 200, "OK\n");
      response.once("finish", order);
    }
  }

  async #answerProbe(probe: AppProbe, path: string, response: ServerResponse): Promise<void> {
    const { stats, log } = this.#ports;
    if (this.#probes >= MAX_PROBES) {
      stats.counter("outrigger_pod_probes_refused_total").inc();
      send(response, 503, "too many probes at once\n");
      return;
    }
    this.#probes++;
    const { isWell, text } = await callProbe(probe, this.#settings.applicationHost);
    this.#probes--;
    stats.counter(isWell ? "outrigger_pod_probes_passed_total" : "outrigger_pod_probes_failed_total").inc();
    if (!isWell) {
      log.debug({ path, text }, "a probe of the application failed");
    }
    send(response, isWell ? 200 : 500, `${text}\n`);
  }

  async #answerMetrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { stats, log, metricsText } = this.#ports;
    if (this.#scrapes >= MAX_SCRAPES) {
      stats.counter("outrigger_pod_scrapes_refused_total").inc();
      send(response, 503, "too many scrapes at once\n");
      return;
    }
    this.#scrapes++;
    let application = "";
    const { applicationMetrics } = this.#settings;
    if (applicationMetrics !== undefined) {
      const header = request.headers["x-prometheus-scrape-timeout-seconds"];
      try {
        application = await scrapeApplication(
          applicationMetrics,
          scrapeLimitMs(typeof header === "string" ? header : undefined),
        );
        this.#lastScrapeProblem = "";
      } catch (error) {
        // The sidecar's own come all the same: they are needed most when the application is unwell.
        stats.counter("outrigger_pod_application_scrapes_failed_total").inc();
        const problem = error instanceof Error ? error.message : String(error);
        if (problem !== this.#lastScrapeProblem) {
          log.warn({ ...applicationMetrics, problem }, "the application's metrics cannot be fetched");
        }
        this.#lastScrapeProblem = problem;
      }
    }
    this.#scrapes--;
    send(response, 200, joinMetrics(metricsText(), application), "text/plain; version=0.0.4; charset=utf-8");
  }
}

function send(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  if (response.destroyed || response.headersSent) {
    return;
  }
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

function pathOf({ url = "" }: IncomingMessage): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

function isLoopback(address = ""): boolean {
  return address === "::1" || /^(?:::ffff:)?127\./.test(address);
}

/** On IPv6 and IPv4; on IPv4 alone where the machine has no IPv6. */
async function bind(server: Server, port: number): Promise<string | undefined> {
  for (const host of ["::", "0.0.0.0"]) {
    const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once("error", resolve);
      server.listen({ host, port }, () => {
        server.off("error", resolve);
        resolve(undefined);
      });
    });
    if (error === undefined) {
      return undefined;
    }
    if (error.code !== "EAFNOSUPPORT" && error.code !== "EADDRNOTAVAIL") {
      return error.code === "EADDRINUSE" ? "the port is taken" : error.message;
    }
  }
  return "the machine has no address";
}
