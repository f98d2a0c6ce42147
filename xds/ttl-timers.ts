// Times to live of resources: one that its server does not tell of again in time is gone. Owned by client.ts.

import type { Clock } from "./clock.ts";

export class TtlTimers {
  readonly #clock: Clock;
  readonly #onExpired: (typeUrl: string, name: string) => void;
  readonly #timers = new Map<string, () => void>();
  /** Resources whose time was over. */
  expired = 0;

  constructor(clock: Clock, onExpired: (typeUrl: string, name: string) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** Begins a resource's time anew; `ttlMs` undefined: it has none. */
  set(typeUrl: string, name: string, ttlMs: number | undefined): void {
    const key = `${typeUrl} ${name}`;
    this.#timers.get(key)?.();
    this.#timers.delete(key);
    if (ttlMs === undefined) return;
    const expire = () => {
      this.#timers.delete(key);
      this.expired += 1;
      this.#onExpired(typeUrl, name);
    };
    this.#timers.set(key, this.#clock.after(ttlMs, expire));
  }

  close(): void {
    for (const cancel of this.#timers.values()) cancel();
  }
}
