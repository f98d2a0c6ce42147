// The program's own log: one JSON object a line (pino), or short lines for people, to stderr or a file, written
// synchronously so that nothing is lost at a crash. Levels by component, as Envoy's --component-log-level and /logging.
// Made on the main thread; workers hand their lines over (worker-log.ts).
// The only importer of pino.

import { closeSync, openSync, writeSync } from "node:fs";
import { pino } from "pino";
import type { Logger } from "pino";
import {
  type Log,
  type LogFields,
  type LogLevel,
  MAIN_COMPONENT,
  parseComponentLevels,
  parseLogLevel,
} from "./log-level.ts";

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "json" | "text";
  /** A path instead of stderr. */
  readonly path?: string | undefined;
  /** Fields of every line, `{worker: 1}` for example. */
  readonly fields?: LogFields;
  /** Takes each line instead of a file; for tests. */
  readonly write?: (line: string) => void;
}

const PINO_LEVELS: Readonly<Record<LogLevel, string>> = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  critical: "fatal",
  off: "silent",
};

/** The root of all logs of a thread; `Log` for itself, with the levels. */
export class RootLog implements Log {
  readonly #pino: Logger;
  readonly #components = new Map<string, ComponentLog>();
  readonly #file: LogTarget | undefined;
  /** Levels set for a component, before or after its log exists. */
  readonly #levels = new Map<string, LogLevel>();
  #level: LogLevel;
  /** Of lines without a component. */
  #ownLevel: LogLevel;

  constructor(options: LogOptions) {
    this.#level = options.level;
    this.#ownLevel = options.level;
    this.#file = options.write === undefined ? new LogTarget(options.path) : undefined;
    const write = options.write ?? ((line: string) => this.#file?.write(line));
    this.#pino = pino(
      {
        level: PINO_LEVELS[options.level],
        base: options.fields === undefined ? null : { ...options.fields },
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: {
          level: (label) => ({ level: label === "warn" ? "warning" : label === "fatal" ? "critical" : label }),
        },
        serializers: { err: pino.stdSerializers.err, error: errorText },
        messageKey: "message",
      },
      { write: options.format === "text" ? textWriter(write) : write },
    );
  }

  debug(fields: LogFields, message: string): void {
    this.#pino.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#pino.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#pino.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#pino.error(fields, message);
  }

  child(component: string): Log {
    let log = this.#components.get(component);
    if (log === undefined) {
      log = new ComponentLog(this, this.#pino.child({ component }), this.#levels.get(component) ?? this.#level);
      this.#components.set(component, log);
    }
    return log;
  }

  /** After log rotation: the file of `path` is opened anew. False: it cannot be, and lines go on into the old one. */
  reopen(): boolean {
    return this.#file?.reopen() ?? true;
  }

  /** Every component and its level, by name; `main` is what has no component. */
  levels(): { readonly name: string; readonly level: LogLevel }[] {
    return [
      { name: MAIN_COMPONENT, level: this.#ownLevel },
      ...[...this.#components].map(([name, log]) => ({ name, level: log.level })),
    ].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** All components when `component` is undefined. False: no component of that name has a log yet; the level is kept. */
  setLevel(component: string | undefined, level: LogLevel): boolean {
    if (component === undefined) {
      this.#level = level;
      this.#ownLevel = level;
      this.#levels.clear();
      this.#pino.level = PINO_LEVELS[level];
      for (const log of this.#components.values()) {
        log.level = level;
      }
      return true;
    }
    if (component === MAIN_COMPONENT) {
      this.#ownLevel = level;
      this.#pino.level = PINO_LEVELS[level];
      return true;
    }
    this.#levels.set(component, level);
    const log = this.#components.get(component);
    if (log !== undefined) {
      log.level = level;
    }
    return log !== undefined;
  }
}

/**
 * The log of a thread from command-line texts: level and component levels are validated there, so what is unknown here
 * counts as `info`, or is left out.
 */
export function createLog(options: {
  readonly level: string;
  readonly componentLevels: string;
  readonly format: "json" | "text";
  readonly path: string | undefined;
  readonly fields?: LogFields;
}): RootLog {
  const { level, componentLevels, ...rest } = options;
  const log = new RootLog({ ...rest, level: parseLogLevel(level) ?? "info" });
  for (const [component, componentLevel] of parseComponentLevels(componentLevels).levels) {
    log.setLevel(component, componentLevel);
  }
  return log;
}

class ComponentLog implements Log {
  readonly #root: RootLog;
  readonly #pino: Logger;
  #level: LogLevel;

  constructor(root: RootLog, logger: Logger, level: LogLevel) {
    this.#root = root;
    this.#pino = logger;
    this.#level = level;
    this.#pino.level = PINO_LEVELS[level];
  }

  get level(): LogLevel {
    return this.#level;
  }

  set level(level: LogLevel) {
    this.#level = level;
    this.#pino.level = PINO_LEVELS[level];
  }

  debug(fields: LogFields, message: string): void {
    this.#pino.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#pino.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#pino.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#pino.error(fields, message);
  }

  child(component: string): Log {
    return this.#root.child(component);
  }
}

/** stderr, or a file. */
class LogTarget {
  readonly #path: string | undefined;
  #fd: number;

  constructor(path: string | undefined) {
    this.#path = path;
    this.#fd = path === undefined ? 2 : openSync(path, "a");
  }

  write(line: string): void {
    try {
      writeSync(this.#fd, line);
    } catch {
      // A full pipe or disk must not take the proxy down: the line is lost.
    }
  }

  reopen(): boolean {
    if (this.#path === undefined) {
      return true;
    }
    try {
      const fd = openSync(this.#path, "a");
      closeSync(this.#fd);
      this.#fd = fd;
      return true;
    } catch {
      return false;
    }
  }
}

/** `12:34:56.789 warning xds: message  name=value …`, one line, control characters escaped. */
function textWriter(write: (line: string) => void): (line: string) => void {
  return (line) => {
    const { time, level, component, message, ...rest } = JSON.parse(line) as Record<string, unknown>;
    const fields = Object.entries(rest).map(([name, value]) => ` ${name}=${fieldText(value)}`);
    const where = typeof component === "string" ? `${component}: ` : "";
    const text = typeof message === "string" ? printable(message) : "";
    write(`${String(time).slice(11, 23)} ${String(level).padEnd(8)} ${where}${text}${fields.join("")}\n`);
  };
}

function fieldText(value: unknown): string {
  return typeof value === "string" && /^[\w./:@%+-]+$/.test(value) ? value : printable(JSON.stringify(value) ?? "");
}

/** A plugin's or a peer's text must not move a terminal's cursor. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function errorText(error: unknown): unknown {
  return error instanceof Error ? error.message : error;
}
