// gRPC calls and streams that a plugin makes, with the test as their server. Made by loadPlugin(); TestPlugin lists them in
// `grpcCalls`. What the test sends arrives before its method returns. A unary call that nobody answers ends when its timeout has
// passed on the test's clock, with the Unavailable that the sidecar gives.

import type { GrpcCall, GrpcCaller, GrpcReceiver, PendingGrpcCall } from "../grpc-port.ts";
import { HeaderList } from "../header-list.ts";
import type { ConnectionAccess, Clock, StreamAccess, Timer } from "../ports.ts";
import { type HeadersInput, headerPairs, TestHeaders } from "./test-headers.ts";

export interface GrpcEnd {
  /** Default 0, Ok. */
  readonly status?: number;
  readonly message?: string;
  readonly trailers?: HeadersInput;
}

const UNAVAILABLE = 14;

export class TestGrpcCall implements PendingGrpcCall {
  /** The number that the plugin got for it. */
  readonly id: number;
  readonly cluster: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The target's own and the plugin's. */
  readonly metadata: TestHeaders;
  /** 0: none, and always for a stream. */
  readonly timeoutMs: number;
  /** Opened by proxy_grpc_stream. */
  readonly isStream: boolean;
  /** The HTTP stream that it was made for; undefined for a call of the root context. */
  readonly stream: StreamAccess | ConnectionAccess | undefined;
  /** What the plugin has sent: of a unary call the one message. */
  readonly messages: Buffer[] = [];
  /** The plugin will send no more. */
  isClosed: boolean;
  /** "cancelled": the plugin gave it up, or its root context ended first. */
  state: "waiting" | "ended" | "cancelled" = "waiting";
  readonly #receiver: GrpcReceiver;
  readonly #timer: Timer | undefined;
  #hasBegun = false;

  constructor(call: GrpcCall, clock: Clock, receiver: GrpcReceiver) {
    this.id = call.token;
    this.cluster = call.cluster;
    this.path = call.path;
    this.metadata = new TestHeaders(new HeaderList([...call.metadata]));
    this.timeoutMs = call.timeoutMs;
    this.isStream = call.message === undefined;
    this.isClosed = !this.isStream;
    this.stream = call.stream;
    if (call.message !== undefined) this.messages.push(Buffer.from(call.message));
    this.#receiver = receiver;
    this.#timer = call.timeoutMs === 0 ? undefined : clock.startTimer(call.timeoutMs, () => this.timeOut());
  }

  /** Sends the response's head, with these initial metadata. Messages send it by themselves when it has not been. */
  begin(metadata: HeadersInput = {}): this {
    this.#check();
    if (this.#hasBegun) throw new Error(`gRPC call ${this.id}: its initial metadata have been sent`);
    this.#hasBegun = true;
    const own: [string, string][] = [
      [":status", "200"],
      ["content-type", "application/grpc"],
    ];
    this.#receiver.onInitialMetadata(lowerNames(headerPairs(metadata, own)));
    return this;
  }

  /** Sends a message. */
  message(message: string | Uint8Array): this {
    this.#check();
    if (!this.#hasBegun) this.begin();
    // The plugin may have given the call up when it heard of the head.
    if (this.#isWaiting()) this.#receiver.onMessage(Buffer.from(message));
    return this;
  }

  /** Ends it from the server's side. */
  end({ status = 0, message = "", trailers }: GrpcEnd = {}): void {
    this.#check();
    const own: [string, string][] = [["grpc-status", String(status)]];
    if (message !== "") own.push(["grpc-message", message]);
    this.#timer?.cancel();
    if (!this.#hasBegun) this.#receiver.onInitialMetadata([]);
    if (this.#isWaiting()) this.#receiver.onTrailingMetadata(lowerNames(headerPairs(trailers, own)));
    if (!this.#isWaiting()) return;
    this.state = "ended";
    this.#receiver.onClose(status, Buffer.from(message).toString("latin1"));
  }

  /** Answers a unary call that goes well. */
  respond(message: string | Uint8Array = ""): void {
    this.message(message);
    if (this.#isWaiting()) this.end();
  }

  /** Fails it. */
  fail(status: number, message = ""): void {
    this.end({ status, message });
  }

  /** Ends it as the sidecar does when its time is up. */
  timeOut(): void {
    this.fail(UNAVAILABLE, "upstream request timeout");
  }

  // For the plugin host

  send(message: Uint8Array, endStream: boolean): void {
    this.messages.push(Buffer.from(message));
    this.isClosed ||= endStream;
  }

  closeSend(): void {
    this.isClosed = true;
  }

  cancel(): void {
    if (this.#isWaiting()) this.state = "cancelled";
    this.#timer?.cancel();
  }

  #isWaiting(): boolean {
    return this.state === "waiting";
  }

  #check(): void {
    if (!this.#isWaiting()) throw new Error(`gRPC call ${this.id} to "${this.cluster}" is ${this.state} already`);
  }
}

export class TestGrpcCalls implements GrpcCaller {
  /** In the order in which they were made. */
  readonly all: TestGrpcCall[] = [];
  readonly #clock: Clock;
  readonly #isCluster: (name: string) => boolean;
  readonly #onCall: (call: TestGrpcCall) => void;

  /** `onCall` hears of a call while the plugin still runs: it must not answer before a later turn or timer. */
  constructor(clock: Clock, isCluster: (name: string) => boolean, onCall: (call: TestGrpcCall) => void = () => {}) {
    this.#clock = clock;
    this.#isCluster = isCluster;
    this.#onCall = onCall;
  }

  knows(cluster: string): boolean {
    return this.#isCluster(cluster);
  }

  call(call: GrpcCall, receiver: GrpcReceiver): PendingGrpcCall | "unavailable" {
    if (!this.#isCluster(call.cluster)) return "unavailable";
    const made = new TestGrpcCall(call, this.#clock, receiver);
    this.all.push(made);
    this.#onCall(made);
    return made;
  }
}

function lowerNames(pairs: readonly string[]): string[] {
  return pairs.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}
