// The HTTP calls that plugins make (proxy_http_call): from a worker to a host of a named cluster, over undici.
// plugin host → HttpCaller.call → undici → the plugin's answer, on a later turn. The only importer of undici here.
// As on Envoy, a call that fails before an answer looks like one: 504 for a timeout, 503 for a host that is not there;
// only an answer that is cut short, or one over the limit, is reported as broken off.

import type { Agent, Dispatcher } from "undici";
import type { HttpCall, HttpCaller, HttpCallResult, PendingHttpCall } from "../../plugins/ports.ts";
import type { LiveCluster } from "../cluster/cluster.ts";
import { type TraceRecorder, traceparentOf } from "../telemetry/trace-recorder.ts";
import type { Callout } from "../telemetry/stream-trace.ts";
import { addressText } from "../upstream/address-text.ts";

/** Longest time of a call that asks for no timeout, or for a longer one. */
const MAX_TIMEOUT_MS = 60_000;
/** Largest answer's body. Envoy's buffer limit for its asynchronous client is the same. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Calls under way on one worker; more are refused as unavailable. */
const MAX_CALLS = 1024;

export interface PluginCallDeps {
  readonly clusters: () => ReadonlyMap<string, LiveCluster>;
  readonly recorder: TraceRecorder;
}

export class PluginCalls implements HttpCaller {
  readonly #deps: PluginCallDeps;
  /** Loaded with the first call: most plugins make none. */
  #agent: Promise<Agent> | undefined = undefined;
  #underWay = 0;

  constructor(deps: PluginCallDeps) {
    this.#deps = deps;
  }

  call(
    call: HttpCall,
    onResult: (result: HttpCallResult) => void,
  ): PendingHttpCall | "unknown-cluster" | "unavailable" {
    const cluster = this.#deps.clusters().get(call.cluster);
    if (cluster === undefined) {
      return "unknown-cluster";
    }
    if (this.#underWay >= MAX_CALLS) {
      return "unavailable";
    }
    const host = cluster.choose();
    if (host === undefined || host.address.kind !== "tcp") {
      return "unavailable";
    }
    const request = new PluginCall(call, this.#deps.recorder, onResult);
    this.#underWay++;
    this.#agent ??= openAgent();
    void request.run(this.#agent, addressText(host.address)).finally(() => this.#underWay--);
    return request;
  }

  async close(): Promise<void> {
    await (await this.#agent)?.destroy();
  }
}

async function openAgent(): Promise<Agent> {
  // In the packed program, whose modules are joined, a package in CommonJS has its default export only.
  const { default: undici } = await import("undici");
  return new undici.Agent({ connections: 64, pipelining: 1, allowH2: false, keepAliveTimeout: 10_000 });
}

class PluginCall implements PendingHttpCall {
  readonly #call: HttpCall;
  readonly #recorder: TraceRecorder;
  readonly #onResult: (result: HttpCallResult) => void;
  readonly #abort = new AbortController();
  readonly #callout: Callout | undefined;
  #isOver = false;

  constructor(call: HttpCall, recorder: TraceRecorder, onResult: (result: HttpCallResult) => void) {
    this.#call = call;
    this.#recorder = recorder;
    this.#onResult = onResult;
    this.#callout = recorder.callStarted(call.stream, {
      token: call.token,
      rpc: "http",
      cluster: call.cluster,
      method: pseudo(call.headers, ":method"),
      path: pseudo(call.headers, ":path"),
      authority: pseudo(call.headers, ":authority"),
      startedAt: performance.now(),
    });
  }

  /** `address`: `host:port`. The answer never comes from inside: the plugin has to get its token first. */
  async run(agent: Promise<Agent>, address: string): Promise<void> {
    const timeoutMs = this.#call.timeoutMs === 0 ? MAX_TIMEOUT_MS : Math.min(this.#call.timeoutMs, MAX_TIMEOUT_MS);
    const timer = setTimeout(() => this.#abort.abort("timeout"), timeoutMs);
    timer.unref();
    const startedAt = performance.now();
    let response: Dispatcher.ResponseData | undefined;
    try {
      response = await (await agent).request({ ...this.#options(), origin: `http://${address}` });
      const body = await readBody(response.body);
      const headers = [":status", String(response.statusCode), ...flatten(response.headers)];
      headers.push("x-envoy-upstream-service-time", String(Math.round(performance.now() - startedAt)));
      this.#finish(
        body === undefined
          ? { kind: "failure", message: "the response is larger than the buffer limit" }
          : { kind: "response", headers, body, trailers: flatten(response.trailers) },
      );
    } catch (error) {
      this.#finish(this.#failure(error, response !== undefined));
    } finally {
      clearTimeout(timer);
    }
  }

  cancel(): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    this.#abort.abort("cancelled");
    if (this.#callout !== undefined) {
      this.#recorder.callCancelled(this.#callout, performance.now());
    }
  }

  #options(): Omit<Dispatcher.RequestOptions, "origin"> {
    const { headers, body } = this.#call;
    const fields: string[] = ["host", pseudo(headers, ":authority"), "x-envoy-internal", "true"];
    if (this.#call.timeoutMs > 0) {
      fields.push("x-envoy-expected-rq-timeout-ms", String(this.#call.timeoutMs));
    }
    const traceparent = this.#callout === undefined ? "" : traceparentOf(this.#callout);
    if (traceparent !== "") {
      fields.push("traceparent", traceparent);
    }
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      // Without a trace of ours the plugin's own context passes.
      if (!name.startsWith(":") && !FRAMING.has(name) && (name !== "traceparent" || traceparent === "")) {
        fields.push(name, headers[i + 1] as string);
      }
    }
    return {
      method: pseudo(headers, ":method") as Dispatcher.HttpMethod,
      path: pseudo(headers, ":path"),
      headers: fields,
      body: body.length === 0 ? null : body,
      signal: this.#abort.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    };
  }

  #failure(error: unknown, hasHead: boolean): HttpCallResult {
    if (this.#abort.signal.reason === "timeout") {
      return synthetic(504, "upstream request timeout");
    }
    if (hasHead) {
      return { kind: "failure", message: "reset" };
    }
    const reason = RESET_REASONS[(error as NodeJS.ErrnoException).code ?? ""] ?? "remote connection failure";
    return synthetic(503, `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`);
  }

  #finish(result: HttpCallResult): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    if (this.#callout !== undefined) {
      const status = result.kind === "response" ? Number(result.headers[1]) : 0;
      const error = result.kind === "failure" ? result.message : "";
      this.#recorder.callEnded(this.#callout, status, error, performance.now());
    }
    this.#onResult(result);
    if (this.#callout !== undefined) {
      this.#recorder.callSettled(this.#callout);
    }
  }
}

/** Envoy's words for why there is no answer, by undici's codes. */
const RESET_REASONS: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: "connection timeout",
  UND_ERR_SOCKET: "connection termination",
  ECONNRESET: "connection termination",
};

/** What undici frames by itself. */
const FRAMING = new Set(["host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"]);

function pseudo(headers: readonly string[], name: string): string {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) {
      return headers[i + 1] as string;
    }
  }
  return "";
}

function synthetic(status: number, text: string): HttpCallResult {
  const body = Buffer.from(text, "latin1");
  const headers = [":status", String(status), "content-length", String(body.length), "content-type", "text/plain"];
  return { kind: "response", headers, body, trailers: [] };
}

function flatten(headers: Record<string, string | string[] | undefined>): string[] {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const each of Array.isArray(value) ? value : value === undefined ? [] : [value]) {
      pairs.push(name, each);
    }
  }
  return pairs;
}

/** The whole body, or undefined when it is over the limit. */
async function readBody(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
