// Levels, the Log interface and the limit on repeated lines: what every thread needs of logging, without the library.
// log.ts writes on the main thread, worker-log.ts hands lines over to it.

/** Envoy's words for levels. */
export type LogLevel = "trace" | "debug" | "info" | "warning" | "error" | "critical" | "off";

export const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warning", "error", "critical", "off"];

/** The component of lines that name none, as Envoy calls it. */
export const MAIN_COMPONENT = "main";

export type LogFields = Readonly<Record<string, unknown>>;

/** What code that logs needs. Messages are constant texts; what varies goes into fields. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** The log of a component: `upstream`, `xds`, `wasm` … The same name gives the same log. */
  child(component: string): Log;
}

/** The level for a word of Envoy's or ours (`warn`, `fatal`); undefined when it is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const level = text === "warn" ? "warning" : text === "fatal" ? "critical" : text;
  return LOG_LEVELS.find((known) => known === level);
}

/** `component:level,component:level`; problems are returned as texts, good pairs are kept. */
export function parseComponentLevels(text: string): {
  readonly levels: ReadonlyMap<string, LogLevel>;
  readonly problems: readonly string[];
} {
  const levels = new Map<string, LogLevel>();
  const problems: string[] = [];
  for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
    const colon = pair.lastIndexOf(":");
    const component = pair.slice(0, colon).trim();
    const level = parseLogLevel(pair.slice(colon + 1).trim());
    if (colon <= 0 || component === "" || level === undefined) {
      problems.push(`"${pair}" is not component:level; levels are ${LOG_LEVELS.join(", ")}`);
    } else {
      levels.set(component, level);
    }
  }
  return { levels, problems };
}

/** Decides whether a message that repeats may be written: at most `burst` in each `intervalMs`. */
export class LogLimit {
  readonly #intervalMs: number;
  readonly #burst: number;
  readonly #now: () => number;
  #startedAt = Number.NEGATIVE_INFINITY;
  #used = 0;
  #held = 0;

  constructor(options: { readonly intervalMs: number; readonly burst: number; readonly now?: () => number }) {
    this.#intervalMs = options.intervalMs;
    this.#burst = options.burst;
    this.#now = options.now ?? (() => performance.now());
  }

  /** -1: hold it back. Otherwise write it, with the number that was held back since the last one that was written. */
  take(): number {
    const now = this.#now();
    if (now - this.#startedAt >= this.#intervalMs) {
      this.#startedAt = now;
      this.#used = 0;
    }
    if (this.#used >= this.#burst) {
      this.#held++;
      return -1;
    }
    this.#used++;
    const held = this.#held;
    this.#held = 0;
    return held;
  }
}
