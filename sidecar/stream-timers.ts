// The timeouts of one stream: of its route, of its request, of its whole life, and of silence. proxy.ts says when each
// begins and what happens when one runs out. A timeout of 0 is off. Hot path: armed for every request, fires almost never.

import type { ErrorCode } from "./errors.ts";
import type { HttpConnectionManager } from "../xds/model/listener.ts";
import { Deadline, type DeadlineOwner, type TimerWheel } from "./http/timer-wheel.ts";

/** Kinds, as `onDeadline` gets them. */
export const StreamTimeout = { Route: 1, Idle: 2, Duration: 3, Request: 4, Log: 5 } as const;

/** What a stream fails with, by kind of timeout. */
export const TIMEOUT_ERRORS: Readonly<Record<number, ErrorCode>> = {
  [StreamTimeout.Route]: "upstream_timeout",
  [StreamTimeout.Idle]: "stream_idle_timeout",
  [StreamTimeout.Duration]: "max_stream_duration",
  [StreamTimeout.Request]: "request_timeout",
};

export class StreamTimers {
  readonly #owner: DeadlineOwner;
  readonly #wheel: TimerWheel;
  #startedAt = 0;
  #routeMs = 0;
  #idleMs = 0;
  #route: Deadline | undefined = undefined;
  #idle: Deadline | undefined = undefined;
  #duration: Deadline | undefined = undefined;
  #request: Deadline | undefined = undefined;
  #log: Deadline | undefined = undefined;

  constructor(owner: DeadlineOwner, wheel: TimerWheel) {
    this.#owner = owner;
    this.#wheel = wheel;
  }

  /** `startedAt`: of performance.now(). Of the request until its end in `requestPassed`, of silence between two `touch`. */
  start(
    startedAt: number,
    limits: Pick<
      HttpConnectionManager,
      "requestTimeoutMs" | "streamIdleTimeoutMs" | "maxStreamDurationMs" | "accessLogFlushIntervalMs"
    >,
  ): void {
    this.#startedAt = startedAt;
    this.#request = this.#arm(undefined, StreamTimeout.Request, limits.requestTimeoutMs);
    if (limits.accessLogFlushIntervalMs > 0) {
      this.armLog(limits.accessLogFlushIntervalMs);
    }
    this.limitStream(limits.streamIdleTimeoutMs, limits.maxStreamDurationMs);
  }

  /** Of the next line of an access log. */
  armLog(intervalMs: number): void {
    this.#log = this.#arm(this.#log, StreamTimeout.Log, intervalMs);
  }

  /** Runs from the end in `requestPassed` to that in `responseReceived`. */
  set routeMs(delayMs: number) {
    this.#routeMs = delayMs;
  }

  /** Part of the request has passed its filters. Its end counts: a plugin that holds it is on the request's time, as in Envoy. */
  requestPassed(end: boolean): void {
    if (!end) {
      return;
    }
    this.#disarm(this.#request);
    if (this.#route === undefined && this.#routeMs > 0) {
      this.#route = this.#arm(undefined, StreamTimeout.Route, this.#routeMs);
    }
  }

  /** Part of the response has come. What holds it after its end is no fault of the upstream's. */
  responseReceived(end: boolean): void {
    if (end) {
      this.#routeMs = 0;
      this.#disarm(this.#route);
    }
  }

  /** What a route says of silence, from now on, and of the stream's whole life; undefined leaves what is in force. */
  limitStream(idleMs: number | undefined, durationMs: number | undefined): void {
    if (idleMs !== undefined) {
      this.#idleMs = idleMs;
      this.#idle = this.#arm(this.#idle, StreamTimeout.Idle, idleMs);
    }
    if (durationMs !== undefined) {
      const leftMs = durationMs > 0 ? Math.max(1, durationMs - (performance.now() - this.#startedAt)) : 0;
      this.#duration = this.#arm(this.#duration, StreamTimeout.Duration, leftMs);
    }
  }

  touch(): void {
    if (this.#idleMs > 0) {
      this.#idle = this.#arm(this.#idle, StreamTimeout.Idle, this.#idleMs);
    }
  }

  clear(): void {
    this.#idleMs = 0;
    this.#disarm(this.#route);
    this.#disarm(this.#idle);
    this.#disarm(this.#duration);
    this.#disarm(this.#request);
    this.#disarm(this.#log);
  }

  #arm(deadline: Deadline | undefined, kind: number, delayMs: number): Deadline | undefined {
    if (delayMs <= 0) {
      this.#disarm(deadline);
      return deadline;
    }
    const armed = deadline ?? new Deadline(this.#owner, kind);
    this.#wheel.arm(armed, delayMs);
    return armed;
  }

  #disarm(deadline: Deadline | undefined): void {
    if (deadline !== undefined) {
      this.#wheel.cancel(deadline);
    }
  }
}
