// Files that access logs append to: one buffered writer for each path and worker, written in the background.
// access-log.ts hands over whole lines; nobody waits for the disk. What cannot be written is counted and dropped, as in
// Envoy: a full disk or a missing directory never fails a request. Statistics are Envoy's `filesystem.*`.
// Each write holds whole lines and is made with O_APPEND, so that workers share a file without mixing lines.

import fs from "node:fs";

import type { Counter, Gauge, StatsScope } from "../stats/scope.ts";

export interface LogFileSettings {
  /** Longest time that a line waits; Envoy's --file-flush-interval-msec, default 10,000. */
  readonly flushIntervalMs: number;
  /** A buffer of this many bytes is written at once; Envoy's 64 KiB. */
  readonly flushBytes: number;
  /** What may wait while a write is under way; lines beyond are dropped and counted. */
  readonly maxBufferedBytes: number;
}

export const LOG_FILE_DEFAULTS: LogFileSettings = {
  flushIntervalMs: 10_000,
  flushBytes: 64 * 1_024,
  maxBufferedBytes: 1_024 * 1_024,
};

/** Flushes without a line after which a file is closed; the next line opens it again. */
const IDLE_FLUSHES = 6;

/** How long a write waits for a full pipe: 5 s, so that a reader that has stopped cannot keep the process from ending. */
const RETRY_MS = 20;
const MAX_RETRIES = 250;

interface LogFileStats {
  readonly writeBuffered: Counter;
  readonly writeCompleted: Counter;
  readonly writeFailed: Counter;
  /** Ours: lines that found the buffer full. */
  readonly writeDropped: Counter;
  readonly reopenFailed: Counter;
  readonly flushedByTimer: Counter;
  readonly totalBuffered: Gauge;
}

/** Where text is appended. `write` never throws and never blocks. */
export interface LogSink {
  /** Whole lines as wire text (latin1 characters, one byte each). */
  write(lines: string): void;
}

/** All log files of a worker. Files are opened when the first line comes. */
export class LogFiles {
  readonly #settings: LogFileSettings;
  readonly #stats: LogFileStats;
  readonly #files = new Map<string, LogFile>();
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(scope: StatsScope, settings: Partial<LogFileSettings> = {}) {
    this.#settings = { ...LOG_FILE_DEFAULTS, ...settings };
    this.#stats = {
      writeBuffered: scope.counter("filesystem.write_buffered"),
      writeCompleted: scope.counter("filesystem.write_completed"),
      writeFailed: scope.counter("filesystem.write_failed"),
      writeDropped: scope.counter("filesystem.write_dropped"),
      reopenFailed: scope.counter("filesystem.reopen_failed"),
      flushedByTimer: scope.counter("filesystem.flushed_by_timer"),
      totalBuffered: scope.gauge("filesystem.write_total_buffered"),
    };
  }

  /** The writer for `path`, the same for the same path. */
  file(path: string): LogSink {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = new LogFile(path, this.#settings, this.#stats, () => this.#startTimer());
      this.#files.set(path, file);
    }
    return file;
  }

  /** After log rotation: the next write goes to a new file of the same name. */
  reopen(): void {
    for (const file of this.#files.values()) {
      file.reopen();
    }
  }

  /** Resolves when everything handed over so far is written or given up. */
  async flush(): Promise<void> {
    await Promise.all(Array.from(this.#files.values(), (file) => file.flush()));
  }

  /** Flushes and closes. Lines that come later open their file again. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.flush();
    for (const file of this.#files.values()) {
      file.reopen();
    }
  }

  /** Ticks only while a file is open or a line waits. */
  #startTimer(): void {
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#tick(), this.#settings.flushIntervalMs);
      this.#timer.unref();
    }
  }

  #tick(): void {
    this.#timer = undefined;
    let isBusy = false;
    for (const file of this.#files.values()) {
      isBusy = file.tick() || isBusy;
    }
    if (isBusy) {
      this.#startTimer();
    }
  }
}

type FileState =
  | { readonly kind: "closed" }
  | { readonly kind: "open"; readonly fd: number }
  /** A write is under way; `reopen` closes the file after it. */
  | { readonly kind: "writing"; reopen: boolean };

class LogFile implements LogSink {
  readonly #path: string;
  readonly #settings: LogFileSettings;
  readonly #stats: LogFileStats;
  readonly #onLine: () => void;
  #state: FileState = { kind: "closed" };
  #pending = "";
  #idleTicks = 0;
  #waiters: (() => void)[] = [];

  constructor(path: string, settings: LogFileSettings, stats: LogFileStats, onLine: () => void) {
    this.#path = path;
    this.#settings = settings;
    this.#stats = stats;
    this.#onLine = onLine;
  }

  write(lines: string): void {
    if (this.#pending.length + lines.length > this.#settings.maxBufferedBytes) {
      this.#stats.writeDropped.inc();
      return;
    }
    if (this.#pending === "") {
      this.#onLine();
    }
    this.#pending += lines;
    this.#stats.writeBuffered.inc();
    this.#stats.totalBuffered.add(lines.length);
    if (this.#pending.length >= this.#settings.flushBytes) {
      this.#start();
    }
  }

  /** True while there is something to come back for. */
  tick(): boolean {
    if (this.#pending !== "") {
      this.#idleTicks = 0;
      this.#stats.flushedByTimer.inc();
      this.#start();
    } else if (++this.#idleTicks >= IDLE_FLUSHES) {
      this.reopen();
    }
    return this.#state.kind !== "closed";
  }

  flush(): Promise<void> {
    this.#start();
    if (this.#state.kind !== "writing") {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  reopen(): void {
    if (this.#state.kind === "writing") {
      this.#state.reopen = true;
    } else if (this.#state.kind === "open") {
      closeFile(this.#state.fd);
      this.#state = { kind: "closed" };
    }
  }

  /** Begins to write what is pending, unless a write is under way: its end looks again. */
  #start(): void {
    if (this.#pending === "" || this.#state.kind === "writing") {
      return;
    }
    const before = this.#state;
    this.#state = { kind: "writing", reopen: false };
    if (before.kind === "open") {
      this.#writePending(before.fd);
      return;
    }
    const standard = standardDescriptor(this.#path);
    if (standard !== undefined) {
      this.#writePending(standard);
      return;
    }
    fs.open(this.#path, "a", 0o644, (error, fd) => {
      if (error === null) {
        this.#writePending(fd);
      } else {
        this.#stats.reopenFailed.inc();
        this.#giveUp();
        this.#finish({ kind: "closed" });
      }
    });
  }

  #writePending(fd: number): void {
    const bytes = Buffer.from(this.#pending, "latin1");
    this.#pending = "";
    this.#writeFrom(fd, bytes, 0);
  }

  #writeFrom(fd: number, bytes: Buffer, offset: number, retries = 0): void {
    fs.write(fd, bytes, offset, bytes.length - offset, null, (error, written) => {
      if (error !== null) {
        // A pipe whose reader is slow; standard output may be non-blocking.
        if (error.code === "EAGAIN" && retries < MAX_RETRIES) {
          setTimeout(() => this.#writeFrom(fd, bytes, offset, retries + 1), RETRY_MS);
          return;
        }
        this.#stats.totalBuffered.add(-(bytes.length - offset));
        this.#stats.writeFailed.inc();
        this.#afterWrite(fd);
        return;
      }
      this.#stats.totalBuffered.add(-written);
      if (offset + written < bytes.length) {
        this.#writeFrom(fd, bytes, offset + written);
        return;
      }
      this.#stats.writeCompleted.inc();
      this.#afterWrite(fd);
    });
  }

  #afterWrite(fd: number): void {
    if (this.#state.kind === "writing" && this.#state.reopen) {
      closeFile(fd);
      this.#finish({ kind: "closed" });
    } else {
      this.#finish({ kind: "open", fd });
    }
  }

  /** A big buffer goes on at once; waiting callers want everything out. */
  #finish(state: FileState): void {
    this.#state = state;
    if (this.#pending !== "" && (this.#waiters.length > 0 || this.#pending.length >= this.#settings.flushBytes)) {
      this.#start();
      return;
    }
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) {
      resolve();
    }
  }

  #giveUp(): void {
    this.#stats.writeFailed.inc();
    this.#stats.totalBuffered.add(-this.#pending.length);
    this.#pending = "";
  }
}

/** Envoy's names for the standard streams: opening them by path fails when they are sockets. */
function standardDescriptor(path: string): number | undefined {
  return path === "/dev/stdout" ? 1 : path === "/dev/stderr" ? 2 : undefined;
}

function closeFile(fd: number): void {
  if (fd > 2) {
    fs.close(fd, () => {
      // Nothing is left to do about a file that fails to close.
    });
  }
}
