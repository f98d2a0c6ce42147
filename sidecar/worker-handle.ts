// The main thread's end of one data worker: starts it, talks to it, starts it again when it dies.
// supervisor.ts owns one for each place (`--concurrency` of them). Restarts back off, so a worker that dies at once
// does not burn the CPU; the other workers serve meanwhile, as each has its own listening sockets.

import type { Worker } from "node:worker_threads";
import { ConfigOutbox } from "./publish/config-outbox.ts";
import { type Pulse, readPulse } from "./worker-pulse.ts";
import type { WorkerThreads } from "./worker-threads.ts";
import type { ConfigDelta, FromWorker, Question, ToWorker, WorkerSettings } from "./worker-link.ts";

export interface WorkerEvents {
  onMessage(handle: WorkerHandle, message: FromWorker): void;
  /** A worker thread runs from its start: send it the whole configuration. */
  onStarted(handle: WorkerHandle): void;
  /** It is so slow that configuration for it was joined to what waits already. */
  onJoined(handle: WorkerHandle): void;
  /** It ended without being asked to; another one is started. */
  onDied(handle: WorkerHandle, reason: string): void;
}

/** How long the main thread waits for a worker's answer to a question: admin must answer while workers are busy. */
const ANSWER_DEADLINE_MS = 1_000;
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 10_000;
/** A worker that lived this long restarts at once. */
const HEALTHY_AFTER_MS = 10_000;
/** A closing worker that does not end by itself is ended. */
const CLOSE_DEADLINE_MS = 2_000;

export class WorkerHandle {
  readonly index: number;
  readonly #threads: Pick<WorkerThreads, "take">;
  readonly #events: WorkerEvents;
  readonly #settings: (incarnation: number) => WorkerSettings;
  readonly #answers = new Map<number, (value: unknown) => void>();
  readonly #configs = new ConfigOutbox({
    post: (delta) => this.send({ kind: "config", delta }),
    onJoined: () => this.#events.onJoined(this),
  });
  #worker: Worker | undefined = undefined;
  #incarnation = 0;
  #nextQuestion = 1;
  #restartMs = FIRST_RESTART_MS;
  #restartTimer: NodeJS.Timeout | undefined = undefined;
  #startedAt = 0;
  #isClosing = false;
  #pulse: SharedArrayBuffer | undefined = undefined;
  /** Why it was ended from outside, if it was. */
  #endReason = "";

  constructor(
    index: number,
    threads: Pick<WorkerThreads, "take">,
    events: WorkerEvents,
    settings: (incarnation: number) => WorkerSettings,
  ) {
    this.index = index;
    this.#threads = threads;
    this.#events = events;
    this.#settings = settings;
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** Names the thread's life in statistics: a replacement is another owner. */
  get owner(): string {
    return `worker ${this.index}.${this.#incarnation}`;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  start(): void {
    const settings = this.#settings(this.#incarnation);
    const worker = this.#threads.take(this.index);
    this.#worker = worker;
    this.#pulse = settings.pulse;
    this.#endReason = "";
    this.#startedAt = performance.now();
    this.#configs.reset();
    let reason = "";
    worker.on("message", (message: FromWorker) => this.#onMessage(message));
    worker.on("error", (error: unknown) => {
      reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    worker.on("exit", (code) => this.#onExit(worker, this.#endReason || reason || `exit code ${code}`));
    this.send({ kind: "start", settings });
    this.#events.onStarted(this);
  }

  send(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  /** Configuration, at the worker's pace. A worker that does not run gets everything at its start. */
  configure(delta: ConfigDelta): void {
    if (this.#worker !== undefined) {
      this.#configs.send(delta);
    }
  }

  /** undefined when the worker does not answer in time. */
  ask<Answer>(question: Question): Promise<Answer | undefined> {
    if (this.#worker === undefined) {
      return Promise.resolve(undefined);
    }
    const id = this.#nextQuestion++;
    return new Promise((resolve) => {
      const done = (value: unknown): void => {
        clearTimeout(timer);
        this.#answers.delete(id);
        resolve(value as Answer | undefined);
      };
      const timer = setTimeout(done, ANSWER_DEADLINE_MS, undefined);
      this.#answers.set(id, done);
      this.send({ kind: "ask", id, question });
    });
  }

  /** What it says of guest code; undefined while it does not run. */
  pulse(): Pulse | undefined {
    return this.#worker === undefined || this.#pulse === undefined ? undefined : readPulse(this.#pulse);
  }

  /** Milliseconds of a processor that the thread has used, also while it is inside guest code. */
  async cpuMs(): Promise<number | undefined> {
    const usage = await this.#worker?.cpuUsage().catch(() => undefined);
    return usage === undefined ? undefined : (usage.user + usage.system) / 1_000;
  }

  /** Ends the thread now, wherever it is: the watchdog's last resort. It is started again. */
  terminate(reason: string): void {
    this.#endReason = reason;
    void this.#worker?.terminate();
  }

  /** Lets it flush and end; it is not started again. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#restartTimer);
    const worker = this.#worker;
    if (worker === undefined) {
      return;
    }
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    this.send({ kind: "close" });
    const timer = setTimeout(() => void worker.terminate(), CLOSE_DEADLINE_MS);
    await ended;
    clearTimeout(timer);
  }

  #onMessage(message: FromWorker): void {
    if (message.kind === "answer") {
      this.#answers.get(message.id)?.(message.value);
      return;
    }
    if (message.kind === "in-use") {
      this.#configs.onAnswered();
    }
    this.#events.onMessage(this, message);
  }

  #onExit(worker: Worker, reason: string): void {
    if (this.#worker !== worker) {
      return;
    }
    this.#worker = undefined;
    // Each one takes itself out of the map, which a Map's iteration allows.
    for (const done of this.#answers.values()) {
      done(undefined);
    }
    if (this.#isClosing) {
      return;
    }
    this.#events.onDied(this, reason);
    this.#incarnation++;
    const lived = performance.now() - this.#startedAt;
    this.#restartMs = lived >= HEALTHY_AFTER_MS ? FIRST_RESTART_MS : Math.min(this.#restartMs * 2, LAST_RESTART_MS);
    this.#restartTimer = setTimeout(() => this.start(), lived >= HEALTHY_AFTER_MS ? 0 : this.#restartMs);
  }
}
