// The webhook's two ports: TLS for the API server (`POST /inject`), plain HTTP for scrapes and probes. Whoever connects may be slow, huge or
// mad, so everything has a limit, and each limit a counter (webhook-metrics.ts).

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server, ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { KeyedCertificate } from "./certificate.ts";
import type { InjectSettings } from "../inject/settings.ts";
import { createHttpsServer, createServer } from "../node-http.ts";
import { review } from "./admission.ts";
import type { RejectReason, WebhookMetrics } from "./webhook-metrics.ts";

export interface WebhookLimits {
  /** An object has at most 1.5 MiB in etcd, and a review of a new one holds it once. */
  readonly maxBodyBytes: number;
  /** Of all bodies that are being read. */
  readonly maxTotalBytes: number;
  readonly maxConnections: number;
  /** For the TLS handshake, and for the head of a request. */
  readonly headTimeoutMs: number;
  /** For a whole request. The API server gives up after ten seconds by default. */
  readonly requestTimeoutMs: number;
}

export const DEFAULT_LIMITS: WebhookLimits = {
  maxBodyBytes: 3 * 1_048_576,
  maxTotalBytes: 64 * 1_048_576,
  maxConnections: 512,
  headTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
};

export interface WebhookPorts {
  readonly metrics: WebhookMetrics;
  readonly certificateExpiresMs: () => number | undefined;
  readonly limits?: Partial<WebhookLimits>;
}

export interface Listening {
  readonly address: string;
  readonly port: number;
}

export class WebhookServer {
  #settings: InjectSettings;
  readonly #ports: WebhookPorts;
  readonly #limits: WebhookLimits;
  readonly #plain = createServer((request, response) => this.#answerPlain(request, response));
  #secure: Server | undefined;
  #bodyBytes = 0;
  #connections = 0;
  #isEnding = false;

  constructor(settings: InjectSettings, ports: WebhookPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#limits = { ...DEFAULT_LIMITS, ...ports.limits };
    this.#plain.headersTimeout = this.#limits.headTimeoutMs;
    this.#plain.requestTimeout = this.#limits.requestTimeoutMs;
    this.#plain.maxConnections = this.#limits.maxConnections;
  }

  /** New certificates for connections from now on. The TLS port opens with `listen`. */
  serve({ certificate, key }: KeyedCertificate): void {
    if (this.#secure === undefined) {
      this.#secure = this.#makeServer({ cert: certificate, key });
    } else {
      this.#secure.setSecureContext({ cert: certificate, key });
    }
  }

  /** Other settings for reviews from now on. */
  useSettings(settings: InjectSettings): void {
    this.#settings = settings;
  }

  get isReady(): boolean {
    return this.#secure?.listening === true && !this.#isEnding;
  }

  /** Opens the TLS port; `serve` comes first. */
  listen(at: Listening): Promise<number> {
    if (this.#secure === undefined) {
      throw new Error("listen() comes after serve()");
    }
    return listening(this.#secure, at);
  }

  /** Opens the port for scrapes and probes. */
  listenPlain(at: Listening): Promise<number> {
    return listening(this.#plain, at);
  }

  /** Not ready any more, while requests are still answered, each on a connection that closes: endpoints take a while to change. */
  drain(): void {
    this.#isEnding = true;
  }

  close(): void {
    this.#plain.close();
    this.#plain.closeAllConnections();
    this.#secure?.close();
    this.#secure?.closeAllConnections();
  }

  #makeServer(options: ServerOptions): Server {
    const { headTimeoutMs, requestTimeoutMs, maxConnections } = this.#limits;
    const server = createHttpsServer(
      {
        ...options,
        minVersion: "TLSv1.2",
        handshakeTimeout: headTimeoutMs,
        headersTimeout: headTimeoutMs,
        requestTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(1_000, headTimeoutMs),
        keepAliveTimeout: 120_000,
        maxHeaderSize: 16_384,
      },
      (request, response) => this.#answer(request, response),
    );
    server.maxConnections = maxConnections;
    // A client that does not read its answer.
    server.timeout = 120_000;
    server.on("connection", (socket: Socket) => {
      this.#connections++;
      socket.once("close", () => this.#connections--);
    });
    const handshaken = new WeakSet<Socket>();
    server.on("secureConnection", (socket) => handshaken.add(socket));
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      const isSlow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
      // The last one: the connection ended inside a body.
      const isReset = ["ECONNRESET", "EPIPE", "HPE_INVALID_EOF_STATE"].includes(error.code ?? "");
      if (!handshaken.has(socket)) {
        // Nothing can be said: there is no TLS yet.
        this.#ports.metrics.rejected("tls");
        socket.destroy();
        return;
      }
      this.#ports.metrics.rejected(isSlow ? "slow" : isReset ? "cut" : "malformed");
      if (socket.writable && !isReset) {
        const status = isSlow ? "408 Request Timeout" : "400 Bad Request";
        socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`, () => socket.destroy());
      } else {
        socket.destroy();
      }
    });
    return server;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    if (path === "/healthz" || path === "/ready") {
      this.#answerPlain(request, response);
    } else if (path !== "/inject" && !path.startsWith("/inject/")) {
      this.#reject(response, 404, "path", "POST /inject\n");
    } else if (request.method !== "POST") {
      this.#reject(response, 405, "method", "POST /inject\n");
    } else if (!/^application\/json\s*(?:;|$)/i.test(request.headers["content-type"] ?? "")) {
      this.#reject(response, 415, "content-type", "the body must be application/json\n");
    } else if (Number(request.headers["content-length"] ?? 0) > this.#limits.maxBodyBytes) {
      this.#reject(response, 413, "body-too-large", this.#tooLarge());
    } else {
      this.#read(request, response, path);
    }
  }

  #read(request: IncomingMessage, response: ServerResponse, path: string): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isOver = false;
    const release = (): void => {
      if (!isOver) {
        isOver = true;
        this.#bodyBytes -= bytes;
      }
    };
    const refuse = (status: number, reason: RejectReason, text: string): void => {
      release();
      chunks.length = 0;
      this.#reject(response, status, reason, text);
    };
    request.on("data", (chunk: Buffer) => {
      if (isOver) {
        return;
      }
      bytes += chunk.length;
      this.#bodyBytes += chunk.length;
      if (bytes > this.#limits.maxBodyBytes) {
        refuse(413, "body-too-large", this.#tooLarge());
      } else if (this.#bodyBytes > this.#limits.maxTotalBytes) {
        refuse(503, "memory", "too many bodies at once\n");
      } else {
        chunks.push(chunk);
      }
    });
    request.on("error", release);
    request.on("close", release);
    request.on("end", () => {
      if (isOver) {
        return;
      }
      release();
      this.#review(Buffer.concat(chunks), path, response);
    });
  }

  #review(body: Buffer, path: string, response: ServerResponse): void {
    const began = performance.now();
    const { outcome, status, body: text } = review(body, settingsFor(path, this.#settings));
    this.#ports.metrics.reviewed(outcome, (performance.now() - began) / 1_000);
    this.#send(response, status, status === 200 ? "application/json" : "text/plain", text);
  }

  /** The rest of the request is not kept: the connection closes after the answer. */
  #reject(response: ServerResponse, status: number, reason: RejectReason, text: string): void {
    this.#ports.metrics.rejected(reason);
    response.setHeader("connection", "close");
    this.#send(response, status, "text/plain", text);
  }

  #answerPlain(request: IncomingMessage, response: ServerResponse): void {
    switch (pathOf(request)) {
      case "/healthz":
        return this.#send(response, 200, "text/plain", "ok\n");
      case "/ready":
        return this.#send(response, this.isReady ? 200 : 503, "text/plain", this.isReady ? "ready\n" : "not ready\n");
      case "/metrics":
        return this.#send(response, 200, "text/plain; version=0.0.4", this.#metricsText());
      default:
        return this.#send(response, 404, "text/plain", "/healthz, /ready, /metrics\n");
    }
  }

  #send(response: ServerResponse, status: number, type: string, text: string): void {
    if (response.destroyed) {
      return;
    }
    if (this.#isEnding) {
      response.setHeader("connection", "close");
    }
    response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
    response.end(text);
  }

  #metricsText(): string {
    return this.#ports.metrics.exposition({
      certificateExpiresMs: this.#ports.certificateExpiresMs(),
      bodyBytes: this.#bodyBytes,
      connections: this.#connections,
    });
  }

  #tooLarge(): string {
    return `the body has more than ${this.#limits.maxBodyBytes} bytes\n`;
  }
}

/** As in Istio the path may say where the pod is: `/inject/cluster/c1/net/n1`. */
function settingsFor(path: string, settings: InjectSettings): InjectSettings {
  const parts = path.split("/").slice(2);
  let { clusterId, network } = settings;
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const value = /^[\w.-]{1,253}$/.test(parts[i + 1] ?? "") ? (parts[i + 1] ?? "") : "";
    if (parts[i] === "cluster" && value !== "") {
      clusterId = value;
    } else if (parts[i] === "net" && value !== "") {
      network = value;
    }
  }
  return clusterId === settings.clusterId && network === settings.network
    ? settings
    : { ...settings, clusterId, network };
}

function pathOf({ url = "" }: IncomingMessage): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

function listening(server: Server | ReturnType<typeof createServer>, { address, port }: Listening): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", reject);
  server.listen(port, address, () => {
    server.off("error", reject);
    resolve((server.address() as AddressInfo).port);
  });
  return promise;
}
