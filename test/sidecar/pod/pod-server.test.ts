// The pod's two ports against applications of every kind: probes as the kubelet's, metrics of both, orders of the pod itself.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { networkInterfaces } from "node:os";
import { after, suite, test } from "node:test";
import { rewriteProbes } from "../../../sidecar/inject/probes.ts";
import { readPod } from "../../../sidecar/inject/pod.ts";
import { parseAppProbes } from "../../../sidecar/pod/app-probes.ts";
import {
  joinMetrics,
  MAX_METRICS_BYTES,
  parseApplicationMetrics,
  scrapeLimitMs,
} from "../../../sidecar/pod/merged-metrics.ts";
import { PodServer } from "../../../sidecar/pod/pod-server.ts";
import { issueServing, makeAuthority } from "../../../sidecar/webhook/certificate.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { freePort } from "../../support/sidecar-story.ts";

type Closable = Pick<Server, "close" | "listen" | "address"> & { closeAllConnections?: () => void };

const servers: Closable[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections?.();
    server.close();
  }
});

async function listen(server: Closable): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const seen: { url: string; headers: Record<string, unknown>; from: string | undefined }[] = [];
const http = createServer((request, response) => {
  seen.push({ url: request.url ?? "", headers: request.headers, from: request.socket.remoteAddress });
  const status = /^\/status\/(\d+)/.exec(request.url ?? "")?.[1];
  switch (String(request.url)) {
    case "/endless":
      response.writeHead(200).write("x");
      return;
    case "/silent":
      return;
    case "/to-ok":
      response.writeHead(302, { location: "/status/204" }).end();
      return;
    case "/to-bad":
      response.writeHead(301, { location: "/status/500" }).end();
      return;
    case "/to-elsewhere":
      response.writeHead(302, { location: "http://elsewhere.example/" }).end();
      return;
    case "/loop":
      response.writeHead(302, { location: "/loop" }).end();
      return;
    default:
      response.writeHead(Number(status ?? 200)).end();
  }
});

interface Fixture {
  readonly status: string;
  readonly health: string;
  readonly notReady: string[];
  readonly orders: string[];
  readonly stats: StatsTable;
}

async function start(probers: object, metrics?: object): Promise<Fixture> {
  const probes = parseAppProbes(JSON.stringify(probers));
  const applicationMetrics = parseApplicationMetrics(metrics === undefined ? undefined : JSON.stringify(metrics));
  assert.ok(typeof probes !== "string" && typeof applicationMetrics !== "string");
  const [statusPort, healthPort] = [await freePort(), await freePort()];
  const notReady: string[] = [];
  const orders: string[] = [];
  const stats = new StatsTable({ onDefine: () => undefined });
  const server = new PodServer(
    { statusPort, healthPort, probes, applicationMetrics, applicationHost: "127.0.0.1" },
    {
      notReady: () => notReady,
      metricsText: () => "envoy_server_live 1\n",
      drain: () => void orders.push("drain"),
      quit: () => void orders.push("quit"),
      stats,
      log: {
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: () => undefined,
        child: () => assert.fail(),
      },
    },
  );
  assert.equal(await server.listen(), undefined);
  servers.push({ close: () => void server.close() } as unknown as Closable);
  return {
    status: `http://127.0.0.1:${statusPort}`,
    health: `http://127.0.0.1:${healthPort}`,
    notReady,
    orders,
    stats,
  };
}

suite("probes of the application", async () => {
  const port = await listen(http);
  const authority = makeAuthority("unknown to everybody", Date.now());
  const serving = issueServing(authority, ["elsewhere"], Date.now());
  const https = await listen(
    createHttpsServer({ cert: serving.certificate, key: serving.key }, (request, response) => {
      seen.push({ url: "/tls", headers: {}, from: request.socket.remoteAddress });
      response.end("ok");
    }),
  );
  const tcp = await listen(createTcpServer((socket) => socket.destroy()) as unknown as Closable);
  const closed = await freePort();
  const health = createHttp2Server();
  health.on("stream", (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const service = Buffer.concat(chunks).subarray(7).toString();
      const isKnown = headers[":path"] === "/grpc.health.v1.Health/Check" && service !== "unknown";
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": isKnown ? "0" : "5" }));
      stream.end(isKnown ? Buffer.from([0, 0, 0, 0, 2, 8, service === "down" ? 2 : 1]) : undefined);
    });
  });
  const grpc = await listen(health as unknown as Closable);

  const cases: readonly { name: string; probe: object; status: number; says: RegExp }[] = [
    { name: "HTTP 200", probe: { httpGet: { path: "/", port } }, status: 200, says: /answered 200/ },
    { name: "HTTP without a path", probe: { httpGet: { port } }, status: 200, says: /answered 200/ },
    { name: "HTTP 503", probe: { httpGet: { path: "/status/503", port } }, status: 500, says: /answered 503/ },
    { name: "an endless body", probe: { httpGet: { path: "/endless", port } }, status: 200, says: /answered 200/ },
    {
      name: "no answer in time",
      probe: { httpGet: { path: "/silent", port }, timeoutSeconds: 0.2 },
      status: 500,
      says: /no answer within 200 ms/,
    },
    {
      name: "a redirect on the same host",
      probe: { httpGet: { path: "/to-ok", port } },
      status: 200,
      says: /answered 204/,
    },
    {
      name: "a redirect to what is unwell",
      probe: { httpGet: { path: "/to-bad", port } },
      status: 500,
      says: /answered 500/,
    },
    {
      name: "a redirect elsewhere",
      probe: { httpGet: { path: "/to-elsewhere", port } },
      status: 200,
      says: /answered 302/,
    },
    {
      name: "redirects for ever",
      probe: { httpGet: { path: "/loop", port } },
      status: 500,
      says: /redirected 10 times/,
    },
    {
      name: "HTTPS of a certificate that nobody knows",
      probe: { httpGet: { path: "/", port: https, scheme: "HTTPS" } },
      status: 200,
      says: /answered 200/,
    },
    {
      name: "HTTPS where there is none",
      probe: { httpGet: { path: "/", port, scheme: "HTTPS" } },
      status: 500,
      says: /application at/,
    },
    { name: "TCP", probe: { tcpSocket: { port: tcp } }, status: 200, says: /accepts connections/ },
    { name: "TCP to nobody", probe: { tcpSocket: { port: closed } }, status: 500, says: /ECONNREFUSED/ },
    { name: "gRPC", probe: { grpc: { port: grpc } }, status: 200, says: /SERVING/ },
    {
      name: "gRPC of a service that is down",
      probe: { grpc: { port: grpc, service: "down" } },
      status: 500,
      says: /NOT_SERVING/,
    },
    {
      name: "gRPC of a service that is not known",
      probe: { grpc: { port: grpc, service: "unknown" } },
      status: 500,
      says: /status 5/,
    },
    { name: "gRPC to nobody", probe: { grpc: { port: closed } }, status: 500, says: /ECONNREFUSED/ },
    { name: "gRPC to HTTP/1.1", probe: { grpc: { port }, timeoutSeconds: 1 }, status: 500, says: /application/ },
  ];
  const probers = Object.fromEntries(cases.map(({ probe }, index) => [`/app-health/c${index}/readyz`, probe]));
  const running = await start(probers);
  for (const [index, { name, status, says }] of cases.entries()) {
    test(name, async () => {
      const answer = await fetch(`${running.status}/app-health/c${index}/readyz`);
      assert.match(await answer.text(), says);
      assert.equal(answer.status, status);
    });
  }

  test("come from 127.0.0.6, which is not captured, with the probe's own headers", async () => {
    const own = await start({
      "/app-lifecycle/a/prestopz": {
        httpGet: {
          path: "/x",
          port,
          httpHeaders: [
            { name: "Host", value: "shop" },
            { name: "X-A", value: "b" },
          ],
        },
      },
    });
    assert.equal((await fetch(`${own.status}/app-lifecycle/a/prestopz`)).status, 200);
    assert.deepEqual(seen.find(({ url }) => url === "/tls")?.from, "127.0.0.6");
    const last = seen.findLast(({ url }) => url === "/x");
    assert.equal(last?.from, "127.0.0.6");
    assert.deepEqual([last?.headers["host"], last?.headers["x-a"]], ["shop", "b"]);
  });

  test("are those that injection wrote: every path of it is answered", async () => {
    const probe = { httpGet: { path: "/", port: "http" } };
    const container = {
      name: "a",
      image: "b",
      ports: [{ name: "http", containerPort: port }],
      readinessProbe: probe,
      livenessProbe: { tcpSocket: { port } },
      startupProbe: { grpc: { port: grpc } },
      lifecycle: { preStop: probe, postStart: probe },
    };
    const { edits, probers: written } = rewriteProbes(readPod({ spec: { containers: [container] } }).containers, 15020);
    assert.equal(edits.length, 5);
    const own = await start(written);
    for (const { url } of edits) {
      assert.equal((await fetch(`${own.status}${url}`)).status, 200, url);
    }
    assert.equal((await fetch(`${own.status}/app-health/other/readyz`)).status, 404);
  });

  test("are counted, and bounded", async () => {
    assert.ok(running.stats.counter("outrigger_pod_probes_passed_total").value > 5);
    assert.ok(running.stats.counter("outrigger_pod_probes_failed_total").value > 5);
    const own = await start({ "/app-health/a/livez": { httpGet: { path: "/silent", port }, timeoutSeconds: 1 } });
    const answers = await Promise.all(Array.from({ length: 70 }, () => fetch(`${own.status}/app-health/a/livez`)));
    assert.equal(answers.filter(({ status }) => status === 503).length, 6);
    assert.equal(own.stats.counter("outrigger_pod_probes_refused_total").value, 6);
  });

  const bad = [
    "{",
    '{"/other": {"tcpSocket": {"port": 1}}}',
    '{"/app-health/a/readyz": {}}',
    '{"/app-health/a/readyz": {"tcpSocket": {"port": "x"}}}',
  ];
  test("that make no sense are refused at the start", () => {
    for (const text of bad) {
      assert.equal(typeof parseAppProbes(text), "string", text);
    }
  });
});

suite("readiness and orders", async () => {
  const running = await start({});

  test("/healthz/ready says why not, on both ports", async () => {
    for (const base of [running.status, running.health]) {
      assert.equal((await fetch(`${base}/healthz/ready`)).status, 200);
    }
    running.notReady.push("waiting for listeners", "control plane xds is away");
    const answer = await fetch(`${running.health}/healthz/ready`);
    assert.equal(answer.status, 503);
    assert.equal(await answer.text(), "not ready\nwaiting for listeners\ncontrol plane xds is away\n");
  });

  test("the health port knows nothing else", async () => {
    for (const path of ["/", "/stats/prometheus", "/quitquitquit"]) {
      assert.equal((await fetch(running.health + path, { method: "POST" })).status, 404);
    }
  });

  test("orders need POST, and come from inside the pod", async () => {
    assert.equal((await fetch(`${running.status}/quitquitquit`)).status, 405);
    assert.deepEqual(running.orders, []);
    for (const path of ["/drain", "/quitquitquit"]) {
      assert.equal(await (await fetch(running.status + path, { method: "POST" })).text(), "OK\n");
    }
    assert.deepEqual(running.orders, ["drain", "quit"]);
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.internal === false && each.family === "IPv4");
    if (outside !== undefined) {
      const url = running.status.replace("127.0.0.1", outside.address);
      assert.equal((await fetch(`${url}/quitquitquit`, { method: "POST" })).status, 403);
    }
    assert.deepEqual(running.orders, ["drain", "quit"]);
  });

  test("a port that is taken is a problem that names the flag", async () => {
    const port = Number(new URL(running.health).port);
    const server = new PodServer(
      {
        statusPort: 0,
        healthPort: port,
        probes: new Map(),
        applicationMetrics: undefined,
        applicationHost: "127.0.0.1",
      },
      assert.fail as never,
    );
    assert.match((await server.listen()) ?? "", /port \d+: the port is taken; choose another with --health-port/);
  });
});

suite("metrics", async () => {
  let answer: { status?: number; text?: string; bytes?: number } = {};
  const accepted: unknown[] = [];
  const port = await listen(
    createServer((request, response) => {
      accepted.push(request.headers.accept);
      if (answer.status === undefined) {
        return;
      }
      response.writeHead(answer.status);
      const rest = Buffer.alloc(answer.bytes ?? 0, "a 1\n");
      response.end(Buffer.concat([Buffer.from(answer.text ?? ""), rest]));
    }),
  );
  const running = await start({}, { scrape: "true", path: "/m", port: String(port) });
  const scrape = async (headers = {}): Promise<string> => {
    const response = await fetch(`${running.status}/stats/prometheus`, { headers });
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    return response.text();
  };

  test("are the sidecar's and the application's", async () => {
    answer = { status: 200, text: "app_requests 5" };
    assert.equal(await scrape(), "envoy_server_live 1\napp_requests 5\n");
    assert.doesNotMatch(String(accepted[0]), /openmetrics/);
  });

  test("are the sidecar's alone where the application's cannot be had", async () => {
    for (const broken of [{ status: 500 }, { status: 200, bytes: MAX_METRICS_BYTES + 1 }, {}]) {
      answer = broken;
      const before = running.stats.counter("outrigger_pod_application_scrapes_failed_total").value;
      assert.equal(await scrape({ "x-prometheus-scrape-timeout-seconds": "2" }), "envoy_server_live 1\n");
      assert.equal(running.stats.counter("outrigger_pod_application_scrapes_failed_total").value, before + 1);
    }
  });

  test("joinMetrics() takes the end mark of OpenMetrics out", () => {
    assert.equal(joinMetrics("a 1", "b 2\n# EOF\n"), "a 1\nb 2\n");
  });

  test("scrapeLimitMs() keeps below the scraper's own limit, and in bounds", () => {
    assert.deepEqual(["10", "0.01", "1000", "x", undefined].map(scrapeLimitMs), [9_000, 100, 30_000, 9_000, 9_000]);
  });

  test("parseApplicationMetrics() wants a port and a path, and that they are wanted", () => {
    assert.equal(parseApplicationMetrics('{"scrape":"false","port":"1"}'), undefined);
    assert.deepEqual(parseApplicationMetrics('{"scrape":"true"}'), { port: 80, path: "/metrics" });
    const problem = parseApplicationMetrics('{"scrape":"true","port":"http"}');
    assert.match(typeof problem === "string" ? problem : "", /no place to scrape/);
  });
});
