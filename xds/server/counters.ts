// What a control plane counts since its start. Names are those of its statistics page, after the prefix.

export const COUNTER_NAMES = [
  "clients",
  "streams",
  "streams_refused",
  "streams_denied",
  "disconnections",
  "responses_sent",
  "responses_acknowledged",
  "responses_refused",
  "unknown_types_requested",
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];

/** The one value that goes down too. */
export const GAUGES: ReadonlySet<CounterName> = new Set(["clients"]);

const BY_EVENT: Readonly<Record<string, CounterName>> = {
  pushed: "responses_sent",
  acknowledged: "responses_acknowledged",
  refused: "responses_refused",
  "unknown type": "unknown_types_requested",
  disconnected: "disconnections",
};

export class Counters {
  readonly #values = new Map<CounterName, number>(COUNTER_NAMES.map((name) => [name, 0]));

  count(name: CounterName): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + 1);
  }

  /** `kind` of an event of the control plane. */
  onEvent(kind: string): void {
    const name = BY_EVENT[kind];
    if (name !== undefined) this.count(name);
  }

  values(clients: number): ReadonlyMap<CounterName, number> {
    return new Map([...this.#values, ["clients", clients]]);
  }
}
