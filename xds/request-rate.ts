// How often requests may be sent to a control plane: a token bucket. Used by grpc-source.ts.
// Source: envoy.config.core.v3.RateLimitSettings.

import type { Clock } from "./clock.ts";
import type { RequestRate } from "./model/config-source.ts";

export class RequestLimiter {
  readonly #rate: RequestRate;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  constructor(rate: RequestRate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#tokens = rate.maxTokens;
    this.#filledAt = clock.now();
  }

  /** 0: a request may go now, and is counted. Else ms until one may. */
  take(): number {
    const { maxTokens, fillPerSecond } = this.#rate;
    const now = this.#clock.now();
    const elapsedMs = Math.max(0, now - this.#filledAt);
    this.#tokens = Math.min(maxTokens, this.#tokens + (elapsedMs / 1000) * fillPerSecond);
    this.#filledAt = now;
    if (this.#tokens < 1) return Math.max(1, Math.ceil(((1 - this.#tokens) / fillPerSecond) * 1000));
    this.#tokens -= 1;
    return 0;
  }
}
