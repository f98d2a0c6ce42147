// The admin server on the main thread: HTTP around the endpoints, for people, probes and tools. Made by supervisor.ts.
// It sees the program only through AdminPorts. Loopback by default; a public address only when configuration says so.
// Requests that a browser makes for another site are refused: whoever reads a page must not stop the sidecar.

import { chmodSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "../node-http.ts";
import type { Log } from "../telemetry/log-level.ts";
import type { StatsScope } from "../stats/scope.ts";
import { AdminStats } from "./admin-stats.ts";
import { ENDPOINTS, helpText } from "./endpoints.ts";
import { byFirstBytes } from "./first-bytes.ts";
import { foreignRefusal, isLoopbackHost } from "./foreign-request.ts";
import type { AdminPorts } from "./ports.ts";
import { textReply } from "./reply.ts";
import type { AdminReply } from "./reply.ts";

/** Where to listen: a TCP address (port 0 lets the kernel choose) or a Unix socket. */
export type AdminAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "pipe"; readonly path: string; readonly mode: number };

/** What Envoy's `admin.address` has as its default in every document, and ours without configuration. */
export const DEFAULT_ADMIN_ADDRESS: AdminAddress = { kind: "tcp", host: "127.0.0.1", port: 15000 };

/** Connections at once; more are closed. Probes and scrapers keep a handful. */
const MAX_CONNECTIONS = 256;
/** Longest wait for a request's head and body, in ms. */
const REQUEST_TIMEOUT_MS = 10_000;

const BY_PATH = new Map(ENDPOINTS.map((endpoint) => [endpoint.path, endpoint]));

const ADMIN_FAILURE = "Cannot listen on admin address ";

/** Whether a problem of a start is that the admin port cannot be bound. */
export function isAdminFailure(problem: string): boolean {
  return problem.startsWith(ADMIN_FAILURE);
}

export class AdminServer {
  readonly #ports: AdminPorts;
  readonly #log: Log;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  readonly #stats: AdminStats | undefined;
  #isLoopback = true;

  /** `scope`: where it counts its own connections and requests. */
  constructor(ports: AdminPorts, log: Log, scope?: StatsScope) {
    this.#ports = ports;
    this.#log = log;
    const stats = scope === undefined ? undefined : new AdminStats(scope);
    this.#stats = stats;
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#shareConnections();
    this.#server.on("request", (request, response) => {
      this.#onRequest(request, response).catch((error: unknown) => {
        this.#log.error({ error, url: request.url }, "Admin request failed");
        response.destroy();
      });
    });
  }

  /** Resolves when it listens; undefined, or one line that says why it cannot. */
  async listen(address: AdminAddress): Promise<string | undefined> {
    this.#isLoopback = address.kind === "tcp" && isLoopbackHost(address.host);
    return new Promise((resolve) => {
      const onError = (error: NodeJS.ErrnoException): void => resolve(problemOf(address, error));
      this.#server.once("error", onError);
      const onListening = (): void => {
        this.#server.off("error", onError);
        this.#server.on("error", (error) => this.#log.error({ error }, "Admin server failed"));
        if (address.kind === "pipe" && address.mode !== 0) {
          chmodSync(address.path, address.mode);
        }
        resolve(undefined);
      };
      if (address.kind === "pipe") {
        this.#server.listen(address.path, onListening);
      } else {
        this.#server.listen({ host: address.host, port: address.port }, onListening);
      }
    });
  }

  /** As bound: `127.0.0.1:15000`, `[::1]:15000` or a path; empty when it does not listen. */
  get address(): string {
    const bound: AddressInfo | string | null = this.#server.address();
    if (bound === null || typeof bound === "string") {
      return bound ?? "";
    }
    return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  /** Stops listening; answers in progress get a second to finish. */
  async close(): Promise<void> {
    if (!this.#server.listening) {
      return;
    }
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#connections.forEach((socket) => socket.destroy()), 1000);
    await closed;
    clearTimeout(timer);
  }

  /** The port is gRPC's too: a connection is HTTP/1.1's when its first bytes have told. */
  #shareConnections(): void {
    const [toHttp] = this.#server.listeners("connection");
    this.#server.removeAllListeners("connection");
    this.#server.on("connection", (socket: Socket) => {
      const done = this.#stats?.connection();
      this.#connections.add(socket);
      socket.once("close", () => {
        this.#connections.delete(socket);
        done?.();
      });
      byFirstBytes(socket, REQUEST_TIMEOUT_MS, (isHttp2) => {
        if (!isHttp2) {
          toHttp?.call(this.#server, socket);
          socket.resume();
        } else if (this.#ports.acceptGrpc === undefined) {
          socket.destroy();
        } else {
          this.#ports.acceptGrpc(socket);
        }
      });
    });
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A body means nothing to any endpoint.
    request.resume();
    const done = this.#stats?.request();
    const method = request.method ?? "GET";
    const reply = foreignRefusal(request, this.#isLoopback) ?? (await this.#answer(method, request.url ?? "/"));
    const body = Buffer.from(reply.body);
    if (reply.afterwards !== undefined) {
      response.once("finish", reply.afterwards);
    }
    response.writeHead(reply.status, {
      "content-type": reply.contentType,
      "content-length": body.length,
      "cache-control": "no-cache, max-age=0",
      "x-content-type-options": "nosniff",
      server: "outrigger",
      ...reply.headers,
    });
    response.end(method === "HEAD" ? undefined : body);
    done?.(reply.status);
  }

  async #answer(method: string, url: string): Promise<AdminReply> {
    const question = url.indexOf("?");
    const path = question < 0 ? url : url.slice(0, question);
    const endpoint = BY_PATH.get(path);
    if (endpoint === undefined) {
      return textReply(`invalid path. ${helpText()}`, 404);
    }
    if (endpoint.changesState === true && method !== "POST") {
      this.#log.error({ path, method }, "Admin path changes state and needs POST");
      return textReply(`Method ${method} not allowed, POST required.`, 405);
    }
    try {
      const query = new URLSearchParams(question < 0 ? "" : url.slice(question + 1));
      return await endpoint.answer(this.#ports, { query });
    } catch (error) {
      this.#log.error({ error, path }, "Admin endpoint failed");
      return textReply(`${path} failed: ${error instanceof Error ? error.message : String(error)}\n`, 500);
    }
  }
}

/** Binds an admin server; a text says why it cannot be bound. */
export async function openAdminServer(
  address: AdminAddress,
  ports: AdminPorts,
  log: Log,
): Promise<AdminServer | string> {
  const server = new AdminServer(ports, log);
  return (await server.listen(address)) ?? server;
}

function problemOf(address: AdminAddress, error: NodeJS.ErrnoException): string {
  const where = address.kind === "pipe" ? address.path : `${address.host}:${address.port}`;
  const why =
    error.code === "EADDRINUSE"
      ? "the address is in use"
      : error.code === "EACCES"
        ? "no permission"
        : error.code === "EADDRNOTAVAIL"
          ? "the address is not one of this machine"
          : error.message;
  return `${ADMIN_FAILURE}${where}: ${why}; set admin.address in the bootstrap to another`;
}
