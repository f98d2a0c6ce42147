// Tells the registrant of a shared queue that a message is there: on this thread by a task, on another worker through
// a process-wide BroadcastChannel. The messages themselves are in the shared store; only the token travels.

import { BroadcastChannel } from "node:worker_threads";
import type { RootContext } from "./contexts.ts";
import type { SharedStore } from "./shared-store.ts";

const CHANNEL = "proxy-wasm.shared-queue";

interface Ring {
  readonly runtime: number;
  readonly root: number;
  readonly token: number;
}

export class QueueBell {
  readonly #shared: SharedStore;
  readonly #roots = new Map<number, RootContext>();
  readonly #numbers = new Map<RootContext, number>();
  #lastNumber = 0;
  #channel: BroadcastChannel | undefined = undefined;
  #closed = false;

  constructor(shared: SharedStore) {
    this.#shared = shared;
  }

  /** Numbers a root context for SharedStore.registerQueue, and opens the channel. */
  listen(root: RootContext): number {
    this.#open();
    const known = this.#numbers.get(root);
    if (known !== undefined) return known;
    // Contexts of dead VMs would pile up over many restarts.
    for (const [number, old] of this.#roots) {
      if (old.vm.fault !== undefined) this.#forget(number, old);
    }
    const number = ++this.#lastNumber;
    this.#roots.set(number, root);
    this.#numbers.set(root, number);
    return number;
  }

  /** Announces one message of a queue. Delivered on a later turn. */
  ring(token: number): void {
    const listener = this.#shared.listenerOf(token);
    if (listener === undefined || this.#closed) return;
    if (listener.runtime === this.#shared.runtime) {
      setImmediate(() => this.#deliver(listener.root, token));
      return;
    }
    const ring: Ring = { ...listener, token };
    this.#open().postMessage(ring);
  }

  close(): void {
    this.#closed = true;
    this.#channel?.close();
    this.#roots.clear();
    this.#numbers.clear();
  }

  #forget(number: number, root: RootContext): void {
    this.#roots.delete(number);
    this.#numbers.delete(root);
  }

  #open(): BroadcastChannel {
    if (this.#channel !== undefined) return this.#channel;
    const channel = new BroadcastChannel(`${CHANNEL}.${this.#shared.identity}`);
    channel.unref();
    channel.onmessage = (event: unknown): void => {
      const { runtime, root, token } = (event as { data: Ring }).data;
      if (runtime === this.#shared.runtime) this.#deliver(root, token);
    };
    this.#channel = channel;
    return channel;
  }

  #deliver(root: number, token: number): void {
    if (!this.#closed) this.#roots.get(root)?.onQueueReady(token);
  }
}
