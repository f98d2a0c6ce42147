// Makes plugin modules on a thread of its own, and starts each plugin there once: rewriting and compiling a Go module takes 100 to
// 200 ms and its start 25, which neither the main thread nor a worker should stand still for. code/code-loader.ts gives the jobs.
// The thread is started for the first job and ends when there was none for a while. A job that never ends costs the thread.

import { Worker } from "node:worker_threads";
import type { ModuleOptions, PluginModule } from "../plugins/plugin-module.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import { pluginSettings } from "./plugin/plugin-settings.ts";
import type { WorkshopAnswer, WorkshopJob, WorkshopSettings } from "./plugin-workshop-thread.ts";
import type { RuntimeSettings } from "./runtime-settings.ts";
import type { Log } from "./telemetry/log-level.ts";

export interface WorkshopDeps extends WorkshopSettings {
  readonly environment: Readonly<Record<string, string>>;
  readonly settings: () => RuntimeSettings;
  readonly log: Log;
  /** Longest job in milliseconds; default 30,000. */
  readonly deadlineMs?: number;
}

/** `metered`: the code, when it was metered now (plugins/plugin-module.ts). */
export type Made = { readonly metered?: Uint8Array<ArrayBuffer> | undefined } & (
  | { readonly ok: true; readonly module: PluginModule }
  /** With the module when that is good, and the plugin does not start. */
  | { readonly ok: false; readonly problem: string; readonly module: PluginModule | undefined }
);

const DEADLINE_MS = 30_000;
const IDLE_MS = 10_000;

interface Waiting {
  readonly job: WorkshopJob;
  readonly done: (made: Made) => void;
}

export class PluginWorkshop {
  readonly #deps: WorkshopDeps;
  #thread: Worker | undefined = undefined;
  /** One job is with the thread at a time, so that a deadline is its own. */
  readonly #queue: Waiting[] = [];
  #current: Waiting | undefined = undefined;
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(deps: WorkshopDeps) {
    this.#deps = deps;
  }

  /** `plugin` as workers get it, but for its code: a module that was made before, or the bytes to make it from. Never rejects. */
  make(plugin: PluginConfig, code: PluginModule | Uint8Array, options: ModuleOptions): Promise<Made> {
    const spec = pluginSettings(plugin, this.#deps.settings(), this.#deps.environment);
    return new Promise((done) => {
      this.#queue.push({ job: { id: ++this.#lastId, code, options, spec }, done });
      this.#next();
    });
  }

  /** Ends the thread; jobs that wait are answered with a problem. */
  close(): void {
    this.#end("the process stops");
  }

  #next(): void {
    if (this.#current !== undefined) {
      return;
    }
    clearTimeout(this.#timer);
    const next = this.#queue.shift();
    if (next === undefined) {
      this.#timer = setTimeout(() => this.#end(""), IDLE_MS).unref();
      return;
    }
    this.#current = next;
    const deadlineMs = this.#deps.deadlineMs ?? DEADLINE_MS;
    this.#timer = setTimeout(() => this.#fail(`it did not start within ${deadlineMs / 1_000} s`), deadlineMs);
    this.#thread ??= this.#start();
    this.#thread.postMessage(next.job);
  }

  #start(): Worker {
    const { sharedData, node, nodeBytes, environment } = this.#deps;
    const workerData: WorkshopSettings = { sharedData, node, nodeBytes };
    const compileCache = environment["NODE_COMPILE_CACHE"];
    const thread = new Worker(new URL("./plugin-workshop-thread.ts", import.meta.url), {
      workerData,
      name: "plugin-workshop",
      env: compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache },
    });
    thread.on("message", (answer: WorkshopAnswer) => this.#onAnswer(thread, answer));
    thread.on("error", (error: unknown) => {
      if (this.#thread === thread) {
        this.#fail(`the thread that starts it failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    });
    return thread;
  }

  #onAnswer(thread: Worker, { id, module, metered, problem, lines }: WorkshopAnswer): void {
    const waiting = this.#current;
    if (thread !== this.#thread || waiting?.job.id !== id) {
      return;
    }
    this.#current = undefined;
    if (module !== undefined && problem === undefined) {
      waiting.done({ ok: true, module, metered });
    } else {
      for (const { level, message } of lines) {
        this.#deps.log[level >= 4 ? "error" : level === 3 ? "warn" : "info"](
          { plugin: waiting.job.spec.name },
          message,
        );
      }
      waiting.done({ ok: false, problem: problem ?? "it does not start", module, metered });
    }
    this.#next();
  }

  /** The job that runs has failed with its thread; the next one gets a new thread. */
  #fail(problem: string): void {
    const waiting = this.#current;
    this.#current = undefined;
    void this.#thread?.terminate();
    this.#thread = undefined;
    waiting?.done({ ok: false, problem, module: undefined });
    this.#next();
  }

  #end(problem: string): void {
    clearTimeout(this.#timer);
    void this.#thread?.terminate();
    this.#thread = undefined;
    const waiting = [...(this.#current === undefined ? [] : [this.#current]), ...this.#queue];
    this.#current = undefined;
    this.#queue.length = 0;
    for (const { done } of waiting) {
      done({ ok: false, problem, module: undefined });
    }
  }
}
