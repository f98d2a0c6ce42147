// The control plane's own admin port: HTTP around the routes of rest-routes.ts. On loopback unless told otherwise, and
// then it only shows: what it changes is what every sidecar runs. Made by the verb `control-plane`.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { foreignRefusal, isLoopbackHost } from "../admin/foreign-request.ts";
import { textReply } from "../admin/reply.ts";
import type { AdminReply } from "../admin/reply.ts";
import { createServer } from "../node-http.ts";
import { bindProblem } from "../port-check.ts";

export interface RestRequest {
  readonly query: URLSearchParams;
  readonly contentType: string;
  /** Empty for a route that takes none. */
  readonly body: string;
}

export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly help: string;
  readonly params?: readonly (readonly [name: string, help: string])[];
  /** Changes what sidecars get: not for strangers. */
  readonly changesConfiguration?: boolean;
  readonly answer: (request: RestRequest) => AdminReply | Promise<AdminReply>;
}

export type RestServerOptions = Readonly<{
  routes: readonly Route[];
  /** On an address that is not loopback, POST that changes configuration is refused unless this is true. */
  allowRemoteChanges: boolean;
  onError: (problem: string) => void;
  /** Of a pushed configuration. Default 64 MiB. */
  maxBodyBytes?: number;
}>;

const MAX_CONNECTIONS = 128;
/** Longest wait for a request's head and body, in ms. */
const REQUEST_TIMEOUT_MS = 60_000;
const MAX_BODY_BYTES = 64 * 1024 * 1024;

export class RestServer {
  readonly #options: RestServerOptions;
  readonly #server: Server;
  #isLoopback = true;

  constructor(options: RestServerOptions) {
    this.#options = options;
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: 10_000 });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on("request", (request, response) => {
      this.#onRequest(request, response).catch((error: unknown) => {
        options.onError(`${request.method} ${request.url} failed: ${String(error)}`);
        response.destroy();
      });
    });
  }

  /** Resolves to the port, or to a text that says why it cannot be bound. */
  async listen(host: string, port: number): Promise<number | string> {
    this.#isLoopback = isLoopbackHost(host);
    return new Promise((resolve) => {
      const onError = (error: NodeJS.ErrnoException) => resolve(bindProblem(error));
      this.#server.once("error", onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", onError);
        this.#server.on("error", (error) => this.#options.onError(String(error)));
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = foreignRefusal(request, this.#isLoopback) ?? (await this.#answer(request));
    const isTooLarge = reply.status === 413;
    // What is left of a body that is too large is not read: it may have no end.
    if (isTooLarge) response.once("finish", () => request.destroy());
    else request.resume();
    const body = Buffer.from(reply.body);
    response.writeHead(reply.status, {
      "content-type": reply.contentType,
      "content-length": body.length,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      server: "outrigger",
      ...(isTooLarge ? { connection: "close" } : {}),
      ...reply.headers,
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  async #answer(request: IncomingMessage): Promise<AdminReply> {
    const url = request.url ?? "/";
    const question = url.indexOf("?");
    const pathname = question < 0 ? url : url.slice(0, question);
    const query = new URLSearchParams(question < 0 ? "" : url.slice(question + 1));
    const { maxBodyBytes = MAX_BODY_BYTES } = this.#options;
    const method = request.method === "HEAD" ? "GET" : request.method;
    const ofPath = this.#options.routes.filter(({ path }) => path === pathname);
    const route = ofPath.find((each) => each.method === method);
    if (route === undefined) {
      if (ofPath.length === 0) return textReply(`There is no ${pathname}.\n${helpText(this.#options.routes)}`, 404);
      return textReply(`${pathname} needs ${ofPath.map((each) => each.method).join(" or ")}.\n`, 405);
    }
    if (route.changesConfiguration === true && !this.#isLoopback && !this.#options.allowRemoteChanges) {
      const flag = "--admin-allow-changes";
      return textReply(`Configuration is not changed through an address that is not loopback without ${flag}.\n`, 403);
    }
    const body = method === "POST" ? await readBody(request, maxBodyBytes) : "";
    if (body === undefined) return textReply(`The body is larger than ${maxBodyBytes} bytes.\n`, 413);
    try {
      return await route.answer({ query, contentType: request.headers["content-type"] ?? "", body });
    } catch (error) {
      this.#options.onError(`${pathname} failed: ${String(error)}`);
      return textReply(`${pathname} failed: ${error instanceof Error ? error.message : String(error)}\n`, 500);
    }
  }
}

/** Undefined when it is too large. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > maxBytes) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export function helpText(routes: readonly Route[]): string {
  let text = "The control plane answers:\n";
  for (const { method, path, help, params = [] } of routes) {
    text += `  ${method} ${path}: ${help}\n`;
    for (const [name, meaning] of params) text += `      ${name}: ${meaning}\n`;
  }
  return text;
}
