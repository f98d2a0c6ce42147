// What the webhook counts, as Prometheus reads it. Outcomes are a closed list (admission.ts), so the number of series is bounded.

/** Upper bounds of the duration histogram, in seconds. The API server waits ten by default. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10];

export type RejectReason =
  | "method"
  | "path"
  | "content-type"
  | "body-too-large"
  | "memory"
  | "slow"
  | "malformed"
  | "tls"
  | "cut";

export class WebhookMetrics {
  readonly #reviews = new Map<string, number>();
  readonly #rejected = new Map<RejectReason, number>();
  readonly #events = new Map<string, number>();
  readonly #settings = new Map<"taken" | "refused", number>();
  #isStale = false;
  readonly #buckets = BUCKETS.map(() => 0);
  #count = 0;
  #sum = 0;

  /** One review that was answered. */
  reviewed(outcome: string, seconds: number): void {
    add(this.#reviews, outcome);
    this.#count++;
    this.#sum += seconds;
    BUCKETS.forEach((bound, index) => {
      if (seconds <= bound) {
        this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
      }
    });
  }

  /** One request or connection that never became a review. */
  rejected(reason: RejectReason): void {
    add(this.#rejected, reason);
  }

  /** `issued`, `loaded`, `failed-certificates`, `failed-trust`. */
  certificateEvent(kind: string): void {
    add(this.#events, kind);
  }

  /** A change of the settings file: in use, or not. */
  settingsEvent(kind: "taken" | "refused"): void {
    add(this.#settings, kind);
    this.#isStale = kind === "refused";
  }

  exposition(gauges: {
    readonly certificateExpiresMs: number | undefined;
    readonly bodyBytes: number;
    readonly connections: number;
  }): string {
    const name = "outrigger_webhook";
    const lines = [
      ...family(`${name}_reviews_total`, "counter", "AdmissionReviews that were answered", "outcome", this.#reviews),
      ...family(
        `${name}_rejected_total`,
        "counter",
        "Requests and connections that were turned away",
        "reason",
        this.#rejected,
      ),
      ...family(
        `${name}_certificate_events_total`,
        "counter",
        "Certificates issued, loaded, failed",
        "kind",
        this.#events,
      ),
      ...family(`${name}_settings_changes_total`, "counter", "Changes of the settings file", "result", this.#settings),
      ...gauge(
        `${name}_settings_stale`,
        "1: the settings file cannot be used, and those before are in use",
        Number(this.#isStale),
      ),
      `# HELP ${name}_review_duration_seconds From a whole review to its answer`,
      `# TYPE ${name}_review_duration_seconds histogram`,
      ...BUCKETS.map(
        (bound, index) => `${name}_review_duration_seconds_bucket{le="${bound}"} ${this.#buckets[index] ?? 0}`,
      ),
      `${name}_review_duration_seconds_bucket{le="+Inf"} ${this.#count}`,
      `${name}_review_duration_seconds_sum ${this.#sum}`,
      `${name}_review_duration_seconds_count ${this.#count}`,
      ...gauge(`${name}_body_bytes`, "Bytes of bodies that are being read", gauges.bodyBytes),
      ...gauge(`${name}_connections`, "Open connections", gauges.connections),
      ...(gauges.certificateExpiresMs === undefined
        ? []
        : gauge(
            `${name}_certificate_expiry_seconds`,
            "When the serving certificate ends, Unix time",
            gauges.certificateExpiresMs / 1_000,
          )),
    ];
    return `${lines.join("\n")}\n`;
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function family(
  name: string,
  type: string,
  help: string,
  label: string,
  counts: ReadonlyMap<string, number>,
): string[] {
  const rows = [...counts].map(([value, count]) => `${name}{${label}="${value}"} ${count}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...rows];
}

function gauge(name: string, help: string, value: number): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value}`];
}
