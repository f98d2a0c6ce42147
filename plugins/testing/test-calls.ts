// HTTP calls that a plugin makes (proxy_http_call), answered by the test. Made by TestPlugin, which lists them in `calls`.
// A call that nobody answers ends when its timeout has passed on the test's clock, with the 504 that the sidecar gives.

import type {
  ConnectionAccess,
  Clock,
  HttpCall,
  HttpCaller,
  HttpCallResult,
  PendingHttpCall,
  StreamAccess,
  Timer,
} from "../ports.ts";
import { HeaderList } from "../header-list.ts";
import { type HeadersInput, headerPairs, TestHeaders } from "./test-headers.ts";

export interface CallResponse {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: HeadersInput;
  readonly body?: string | Uint8Array;
  readonly trailers?: HeadersInput;
}

export class TestCall {
  /** The number that the plugin got for it. */
  readonly id: number;
  readonly cluster: string;
  readonly headers: TestHeaders;
  readonly body: Buffer;
  readonly trailers: TestHeaders;
  /** 0: the plugin asked for none. */
  readonly timeoutMs: number;
  /** The stream that it was made for; undefined for a call of the root context. */
  readonly stream: StreamAccess | ConnectionAccess | undefined;
  /** "cancelled": the plugin's root context ended first. */
  state: "waiting" | "answered" | "cancelled" = "waiting";
  readonly #onResult: (result: HttpCallResult) => void;
  readonly #timer: Timer | undefined;

  constructor(call: HttpCall, clock: Clock, onResult: (result: HttpCallResult) => void) {
    this.id = call.token;
    this.cluster = call.cluster;
    this.headers = new TestHeaders(new HeaderList([...call.headers]));
    this.body = Buffer.from(call.body);
    this.trailers = new TestHeaders(new HeaderList([...call.trailers]));
    this.timeoutMs = call.timeoutMs;
    this.stream = call.stream;
    this.#onResult = onResult;
    this.#timer = call.timeoutMs === 0 ? undefined : clock.startTimer(call.timeoutMs, () => this.timeOut());
  }

  get method(): string {
    return this.headers.get(":method") ?? "";
  }

  get path(): string {
    return this.headers.get(":path") ?? "";
  }

  /** Answers: the plugin's callback runs before this returns, and what it resumes goes on. */
  respond(response: CallResponse = {}): void {
    const { status = 200, headers, body = "", trailers } = response;
    this.#finish({
      kind: "response",
      headers: lowerNames(headerPairs(headers, [[":status", String(status)]])),
      body: Buffer.from(body),
      trailers: lowerNames(headerPairs(trailers)),
    });
  }

  /** Breaks the call off: the plugin gets an answer without headers, and proxy_get_status has the message. */
  fail(message = "the connection was closed"): void {
    this.#finish({ kind: "failure", message });
  }

  /** Ends it as the sidecar does when its time is up. */
  timeOut(): void {
    this.respond({ status: 504, body: "upstream request timeout" });
  }

  /** For TestCalls: the plugin host gave it up. */
  cancel(): void {
    if (this.state === "waiting") this.state = "cancelled";
    this.#timer?.cancel();
  }

  #finish(result: HttpCallResult): void {
    if (this.state !== "waiting") throw new Error(`call ${this.id} to "${this.cluster}" is ${this.state} already`);
    this.state = "answered";
    this.#timer?.cancel();
    this.#onResult(result);
  }
}

export class TestCalls implements HttpCaller {
  /** In the order in which they were made. */
  readonly all: TestCall[] = [];
  readonly #clock: Clock;
  readonly #isCluster: (name: string) => boolean;
  readonly #onCall: (call: TestCall) => void;

  /** `onCall` hears of a call while the plugin still runs: it must not answer before a later turn or timer. */
  constructor(clock: Clock, isCluster: (name: string) => boolean, onCall: (call: TestCall) => void = () => {}) {
    this.#clock = clock;
    this.#isCluster = isCluster;
    this.#onCall = onCall;
  }

  call(call: HttpCall, onResult: (result: HttpCallResult) => void): PendingHttpCall | "unknown-cluster" {
    if (!this.#isCluster(call.cluster)) return "unknown-cluster";
    const made = new TestCall(call, this.#clock, onResult);
    this.all.push(made);
    this.#onCall(made);
    return made;
  }
}

function lowerNames(pairs: readonly string[]): string[] {
  return pairs.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}
