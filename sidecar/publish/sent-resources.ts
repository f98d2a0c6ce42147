// Resources of one kind as workers have them, with the version before each until the new one is known to be in use: a worker
// that starts anew must not be given what the others could not bring into use. publisher.ts keeps one for listeners, one for
// plugins.

export interface Sent<T> {
  /** The resource as it came, and as workers have it. */
  readonly source: T;
  readonly sent: T;
  /** Some plugin in it has no code: it is tried again. */
  readonly isStandIn: boolean;
}

interface Entry<T> extends Sent<T> {
  /** Generation that it was sent in. */
  readonly version: number;
  /** The last that came into use before it, as long as it may be needed. */
  good: T | undefined;
  state: "sent" | "in-use" | "rejected";
}

export class SentResources<T> {
  readonly #entries = new Map<string, Entry<T>>();

  get(name: string): Sent<T> | undefined {
    return this.#entries.get(name);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  names(): string[] {
    return [...this.#entries.keys()];
  }

  values(): Sent<T>[] {
    return [...this.#entries.values()];
  }

  put(name: string, sent: Sent<T>, version: number): void {
    const previous = this.#entries.get(name);
    const good = previous?.state === "in-use" ? previous.sent : previous?.good;
    this.#entries.set(name, { ...sent, version, good, state: "sent" });
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }

  /** What a worker that starts gets. */
  current(): [name: string, value: T][] {
    return [...this.#entries].map(([name, { sent, good, state }]) => [
      name,
      state === "rejected" ? (good ?? sent) : sent,
    ]);
  }

  /** Everything that a worker has or may be given. */
  all(): T[] {
    return [...this.#entries.values()].flatMap(({ sent, good }) => (good === undefined ? [sent] : [sent, good]));
  }

  /** A worker could not bring it into use. */
  onRejected(name: string): void {
    const entry = this.#entries.get(name);
    if (entry?.state === "sent") {
      entry.state = "rejected";
    }
  }

  /** Every worker has that generation, or a later one, and what it did not bring into use has been told. */
  onInUse(version: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.state === "sent" && entry.version <= version) {
        entry.state = "in-use";
        entry.good = undefined;
      }
    }
  }
}
