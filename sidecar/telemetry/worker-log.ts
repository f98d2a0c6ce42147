// A worker's log: lines below the level end here, the others go to the main thread, which writes them (log.ts).
// So a worker carries no logging library, and a slow disk or pipe never holds a request up.

import { type Log, type LogFields, type LogLevel, MAIN_COMPONENT } from "./log-level.ts";

/** One line on its way to the main thread; survives structured cloning. */
export interface LogLine {
  readonly component: string;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: LogFields;
  readonly message: string;
}

const RANK: Readonly<Record<LogLevel, number>> = {
  trace: 0,
  debug: 1,
  info: 2,
  warning: 3,
  error: 4,
  critical: 5,
  off: 6,
};

/** The root of a worker's logs; `post` hands a line over. */
export class WorkerLog implements Log {
  readonly #post: (line: LogLine) => void;
  readonly #children = new Map<string, Log>();
  readonly #levels = new Map<string, number>();
  #level: number;

  constructor(level: LogLevel, components: ReadonlyMap<string, LogLevel>, post: (line: LogLine) => void) {
    this.#level = RANK[level];
    this.#post = post;
    components.forEach((own, component) => this.setLevel(component, own));
  }

  /** All components when `component` is empty. */
  setLevel(component: string, level: LogLevel): void {
    if (component === "") {
      this.#level = RANK[level];
      this.#levels.clear();
    } else {
      this.#levels.set(component === MAIN_COMPONENT ? "" : component, RANK[level]);
    }
  }

  debug(fields: LogFields, message: string): void {
    this.#write("", "debug", 1, fields, message);
  }
  info(fields: LogFields, message: string): void {
    this.#write("", "info", 2, fields, message);
  }
  warn(fields: LogFields, message: string): void {
    this.#write("", "warn", 3, fields, message);
  }
  error(fields: LogFields, message: string): void {
    this.#write("", "error", 4, fields, message);
  }

  child(component: string): Log {
    let log = this.#children.get(component);
    if (log === undefined) {
      log = {
        debug: (fields, message) => this.#write(component, "debug", 1, fields, message),
        info: (fields, message) => this.#write(component, "info", 2, fields, message),
        warn: (fields, message) => this.#write(component, "warn", 3, fields, message),
        error: (fields, message) => this.#write(component, "error", 4, fields, message),
        child: (name) => this.child(name),
      };
      this.#children.set(component, log);
    }
    return log;
  }

  #write(component: string, level: LogLine["level"], rank: number, fields: LogFields, message: string): void {
    if (rank >= (this.#levels.get(component) ?? this.#level)) {
      this.#post({ component, level, fields, message });
    }
  }
}
