// One source of configuration over gRPC: keeps a discovery stream up, follows what is wanted, and answers every
// response once it was taken in. client.ts makes one for ADS, and one for each other (server, type). Joins
// ads-stream.ts (the wire), subscriptions.ts (the rules) and backoff.ts (the pauses); decides nothing about resources.
//
//   start ─► connecting ─► connected ─► ended ─► (random pause, longer each time) ─► connecting
//                              └ the first message resets the pauses

import { backoffDelayMs } from "./backoff.ts";
import type { BackoffSettings } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { DiscoveryStream, StreamSink } from "./ads-stream.ts";
import type { DiscoveryRequest, DiscoveryResponse, Variant } from "./discovery-messages.ts";
import type { XdsLog } from "./log.ts";
import type { RequestRate } from "./model/config-source.ts";
import { RequestLimiter } from "./request-rate.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { Interest, Outcome, Receipt } from "./subscriptions.ts";
import { typeLabel } from "./type-urls.ts";

export type GrpcSourceDeps = Readonly<{
  /** For logs and status: "ads", or the server and type. */
  name: string;
  variant: Variant;
  nodeOnEveryRequest: boolean;
  backoff: BackoffSettings;
  /** Undefined: requests are not limited. */
  requestRate?: RequestRate | undefined;
  /** Opens a stream; `failures`, those in a row before it, choose among several servers. Calls nothing before it returned. */
  open(failures: number, sink: StreamSink): Readonly<{ target: string; stream: DiscoveryStream }>;
  /** Takes a response in. Must not reject. */
  take(response: DiscoveryResponse): Outcome | Promise<Outcome>;
  clock: Clock;
  random: () => number;
  log: XdsLog;
  /** The connection came or went, or a request was answered. */
  onChange(): void;
  /** A stream has brought its first message. */
  onWorking?(): void;
  /** A stream ended; called before `onChange`. */
  onFailure(): void;
}>;

/** The latest response of one type and what became of it. Times are ms since the epoch. */
export type LatestResponse = Readonly<{
  typeUrl: string;
  version: string;
  nonce: string;
  receivedAt: number;
  /** When it was acknowledged or refused; undefined while it is being prepared. */
  answeredAt: number | undefined;
  /** Why it was refused; empty when it was not. */
  error: string;
}>;

/** What a source went through, counted from its start. */
export type SourceCounts = {
  responses: number;
  /** Responses that answer nothing that was asked. */
  ignored: number;
  /** Refusals whose answer waits, because the same content was refused before. */
  held: number;
  /** Times that the stream was not read, because responses are prepared more slowly than they come. */
  paused: number;
  /** Streams that ended, or were never made. */
  failures: number;
  /** Requests that waited because of rate_limit_settings. */
  rateLimited: number;
};

export type ServerStatus = Readonly<{
  name: string;
  /** The target of the present or last attempt. */
  target: string;
  isConnected: boolean;
  /** When `isConnected` last changed, ms since the epoch; undefined before the first connection. */
  since: number | undefined;
  /** Why the last stream ended; empty while it never did. */
  lastError: string;
  /** Streams opened since the start. */
  attempts: number;
  /** control_plane.identifier of the latest response. */
  controlPlane: string;
  /** By type, in the order of the first response of each. */
  latest: readonly LatestResponse[];
  counts: Readonly<SourceCounts>;
}>;

/** NACKs of content that was refused before: at least half a second, at most 10 s, so that a repaired push is not kept waiting. */
const REFUSAL_PAUSE: BackoffSettings = { baseMs: 1_000, maxMs: 10_000, jitter: "half" };

/**
 * A held NACK goes out this soon after the server has sent a new version of another type: it has moved on, and holds the
 * repair back until the NACK. Not at once, so that a server that changes something at each NACK makes no tight loop.
 */
const MOVED_ON_MS = 50;

type Pause = { cancel: () => void; isShort: boolean };

/** Responses of one type that wait for an earlier one to be prepared; beyond this the stream is not read. */
const MAX_WAITING = 8;

export class GrpcSource {
  readonly #deps: GrpcSourceDeps;
  readonly #subscriptions: Subscriptions;
  /** By type, while one of its responses is being prepared: those that came after it. */
  readonly #queues = new Map<string, Receipt[]>();
  /** By type, while its NACK is held. */
  readonly #pauses = new Map<string, Pause>();
  /** By type, the last version that was acknowledged. */
  readonly #accepted = new Map<string, string>();
  readonly #latest = new Map<string, LatestResponse>();
  #stream: DiscoveryStream | undefined;
  #cancelRetry: (() => void) | undefined;
  #isStarted = false;
  #isClosed = false;
  #isBlocked = false;
  #failures = 0;
  #isPaused = false;
  #isWorking = false;
  readonly #limiter: RequestLimiter | undefined;
  /** Taken from the subscriptions, but there are too many requests already. */
  #unsent: DiscoveryRequest | undefined;
  #cancelUnsent: (() => void) | undefined;
  #status: Omit<ServerStatus, "latest" | "counts">;
  readonly #counts: SourceCounts = { responses: 0, ignored: 0, held: 0, paused: 0, failures: 0, rateLimited: 0 };

  constructor(deps: GrpcSourceDeps) {
    this.#deps = deps;
    this.#subscriptions = new Subscriptions(deps.variant, deps.nodeOnEveryRequest);
    this.#limiter = deps.requestRate === undefined ? undefined : new RequestLimiter(deps.requestRate, deps.clock);
    this.#status = {
      name: deps.name,
      target: "",
      isConnected: false,
      since: undefined,
      lastError: "",
      attempts: 0,
      controlPlane: "",
    };
  }

  get status(): ServerStatus {
    return { ...this.#status, latest: [...this.#latest.values()], counts: { ...this.#counts } };
  }

  /** Connects at the first interest: a source without one is not bothered. */
  setInterest(typeUrl: string, interest: Interest): void {
    if (this.#isClosed) return;
    this.#subscriptions.setInterest(typeUrl, interest);
    if (!this.#isStarted && (interest.isWildcard || interest.names.size > 0)) {
      this.#isStarted = true;
      this.#connect();
    }
    this.#flush();
  }

  /** A resource is no longer held although the server did not take it away (its TTL ran out). */
  forget(typeUrl: string, name: string): void {
    this.#subscriptions.forget(typeUrl, name);
  }

  /** Ends the stream for good. Responses that are still being prepared are applied by nobody. */
  close(): void {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#dropUnsent();
    for (const { cancel } of this.#pauses.values()) cancel();
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
  }

  /** Opens the next stream now: a better server is there, or what the last attempt lacked. */
  reconnect(): void {
    if (this.#isClosed || !this.#isStarted) return;
    this.#cancelRetry?.();
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
    if (this.#status.isConnected) this.#status = { ...this.#status, isConnected: false, since: this.#deps.clock.now() };
    this.#failures = 0;
    this.#connect();
    this.#deps.onChange();
  }

  #connect(): void {
    const attempt = this.#status.attempts;
    const sink: StreamSink = {
      onConnected: () => isCurrent() && this.#onConnected(),
      onResponse: (response) => isCurrent() && this.#onResponse(response),
      onDrain: () => isCurrent() && this.#onDrain(),
      onEnd: (reason) => isCurrent() && this.#onEnd(reason),
    };
    const { target, stream } = this.#deps.open(this.#failures, sink);
    const isCurrent = () => this.#stream === stream;
    this.#stream = stream;
    this.#isBlocked = false;
    this.#isPaused = false;
    this.#isWorking = false;
    this.#dropUnsent();
    this.#status = { ...this.#status, target, attempts: attempt + 1 };
    this.#deps.log.debug("xds stream opened", { source: this.#deps.name, target, attempt });
    this.#subscriptions.onStreamOpen();
    this.#flush();
  }

  #onConnected(): void {
    if (this.#status.isConnected) return;
    this.#status = { ...this.#status, isConnected: true, since: this.#deps.clock.now() };
    this.#deps.log.info("connected to the control plane", { source: this.#deps.name, target: this.#status.target });
    this.#deps.onChange();
  }

  #onEnd(reason: string): void {
    this.#stream = undefined;
    const { clock, random, backoff, log, name } = this.#deps;
    const wasConnected = this.#status.isConnected;
    const since = wasConnected ? clock.now() : this.#status.since;
    this.#status = { ...this.#status, isConnected: false, since, lastError: reason };
    const delayMs = Math.round(backoffDelayMs(backoff, this.#failures, random));
    this.#failures += 1;
    this.#counts.failures += 1;
    // The first failure of a row is news, the others are not.
    const say = wasConnected || this.#failures === 1 ? log.warn.bind(log) : log.debug.bind(log);
    say("the control plane is away", { source: name, target: this.#status.target, reason, retryInMs: delayMs });
    this.#cancelRetry = clock.after(delayMs, () => this.#connect());
    this.#deps.onFailure();
    this.#deps.onChange();
  }

  #onDrain(): void {
    this.#isBlocked = false;
    this.#flush();
  }

  #onResponse(response: DiscoveryResponse): void {
    this.#failures = 0;
    if (!this.#isWorking) {
      this.#isWorking = true;
      this.#deps.onWorking?.();
    }
    this.#counts.responses += 1;
    if (response.controlPlane !== "") this.#status = { ...this.#status, controlPlane: response.controlPlane };
    this.#onConnected();
    const receipt = this.#subscriptions.onResponse(response);
    if (receipt === undefined) {
      this.#counts.ignored += 1;
      this.#deps.log.debug("xds response that nobody asked for", { source: this.#deps.name, type: response.typeUrl });
      this.#flush();
      return;
    }
    const { typeUrl, version, nonce } = response;
    const receivedAt = this.#deps.clock.now();
    this.#latest.set(typeUrl, { typeUrl, version, nonce, receivedAt, answeredAt: undefined, error: "" });
    const queue = this.#queues.get(response.typeUrl);
    if (queue === undefined) {
      this.#takeAll(response.typeUrl, [receipt]);
      return;
    }
    queue.push(receipt);
    if (queue.length < MAX_WAITING || this.#isPaused) return;
    this.#isPaused = true;
    this.#counts.paused += 1;
    this.#stream?.pause();
  }

  /** Takes the responses of one type in their order; those that come while one is prepared join the queue. */
  #takeAll(typeUrl: string, queue: Receipt[]): void {
    for (let receipt = queue.shift(); receipt !== undefined; receipt = queue.shift()) {
      const current = receipt;
      const outcome = this.#deps.take(current.response);
      if (outcome instanceof Promise) {
        this.#queues.set(typeUrl, queue);
        void outcome.then((settled) => {
          if (this.#isClosed) return;
          this.#settle(current, settled);
          this.#takeAll(typeUrl, queue);
        });
        return;
      }
      this.#settle(current, outcome);
    }
    this.#queues.delete(typeUrl);
    if (!this.#isPaused || [...this.#queues.values()].some(({ length }) => length >= MAX_WAITING)) return;
    this.#isPaused = false;
    this.#stream?.resume();
  }

  #settle(receipt: Receipt, outcome: Outcome): void {
    const { typeUrl, version, nonce } = receipt.response;
    const { log, name, clock, random } = this.#deps;
    const wait = this.#subscriptions.settle(receipt, outcome);
    const latest = this.#latest.get(typeUrl);
    if (latest?.nonce === nonce) {
      this.#latest.set(typeUrl, { ...latest, answeredAt: clock.now(), error: outcome.error?.message ?? "" });
    }
    if (outcome.error !== undefined) {
      const fields = { source: name, type: typeLabel(typeUrl), version, nonce, reason: outcome.error.message };
      log.warn("xds update refused", fields);
    }
    this.#pauses.get(typeUrl)?.cancel();
    this.#pauses.delete(typeUrl);
    if (wait > 0) {
      this.#counts.held += 1;
      this.#hold(typeUrl, backoffDelayMs(REFUSAL_PAUSE, wait - 1, random), false);
    }
    if (outcome.error === undefined && version !== this.#accepted.get(typeUrl)) {
      this.#accepted.set(typeUrl, version);
      this.#hasten(version);
    }
    this.#deps.onChange();
    this.#flush();
  }

  /** The server has sent `news`: what it holds back for a NACK of another version shall come soon. */
  #hasten(news: string): void {
    for (const [typeUrl, { isShort }] of this.#pauses) {
      if (!isShort && this.#latest.get(typeUrl)?.version !== news) this.#hold(typeUrl, MOVED_ON_MS, true);
    }
  }

  /** Sends the NACK of a type after a pause, which takes the place of the one before. */
  #hold(typeUrl: string, delayMs: number, isShort: boolean): void {
    this.#pauses.get(typeUrl)?.cancel();
    const cancel = this.#deps.clock.after(delayMs, () => {
      this.#pauses.delete(typeUrl);
      this.#subscriptions.release(typeUrl);
      this.#flush();
    });
    this.#pauses.set(typeUrl, { cancel, isShort });
  }

  #flush(): void {
    while (this.#stream !== undefined && !this.#isBlocked) {
      const request = this.#unsent ?? this.#subscriptions.next();
      if (request === undefined) return;
      const waitMs = this.#limiter?.take() ?? 0;
      if (waitMs > 0) {
        this.#keepUnsent(request, waitMs);
        return;
      }
      this.#dropUnsent();
      this.#isBlocked = !this.#stream.send(request);
    }
  }

  #keepUnsent(request: DiscoveryRequest, waitMs: number): void {
    if (this.#unsent === undefined) this.#counts.rateLimited += 1;
    this.#unsent = request;
    this.#cancelUnsent?.();
    this.#cancelUnsent = this.#deps.clock.after(waitMs, () => this.#flush());
  }

  #dropUnsent(): void {
    this.#cancelUnsent?.();
    this.#cancelUnsent = undefined;
    this.#unsent = undefined;
  }
}
