// Measures a plugin for `plugin bench`: whole streams through the sidecar's filter chain, with the plugin, with the one that does
// nothing, and with none, in interleaved rounds; then callbacks one by one with their fuel; and the memory before and after.

import { CALLBACK_NAMES } from "../../../plugins/abi/callbacks.ts";
import type { HookObserver, HookRecord } from "../../../plugins/observer.ts";
import { loadPluginModule, type PluginModule } from "../../../plugins/plugin-module.ts";
import type { PluginLog } from "../../../plugins/ports.ts";
import { TestClock } from "../../../plugins/testing/test-clock.ts";
import type { CliIo } from "../verb.ts";
import { EMPTY_PLUGIN } from "./empty-plugin.ts";
import { moduleOf, PluginHost } from "./plugin-host.ts";
import { type PluginSettings, RunProblem } from "./plugin-flags.ts";
import type { RunStream } from "./run-stream.ts";
import type { Scene } from "./scene-flags.ts";

export interface BenchOptions {
  readonly plugin: PluginSettings;
  readonly scene: Scene;
  readonly rounds: number;
  /** How long each of the three runs in each round, milliseconds. */
  readonly roundMs: number;
}

/** Of the best round, microseconds of the processor a stream. */
export interface StreamCost {
  readonly without: number;
  readonly empty: number;
  readonly plugin: number;
}

export interface CallbackCost {
  readonly name: string;
  /** How often it ran for each stream. */
  readonly perStream: number;
  readonly medianUs: number;
  readonly p99Us: number;
  /** Means of one callback; fuel is -1 when the module is not metered. */
  readonly fuel: number;
  readonly hostCalls: number;
}

export interface BenchResult {
  readonly module: PluginModule;
  /** Compiling and instrumenting, then start and configuration, milliseconds. */
  readonly loadMs: number;
  readonly startMs: number;
  readonly stream: StreamCost;
  readonly callbacks: readonly CallbackCost[];
  /** Of one stream, mean. */
  readonly fuel: number;
  readonly memoryAtStart: number;
  readonly memoryAfter: number;
  readonly streams: number;
}

const NOTHING = new Uint8Array(0);
const BUFFER_LIMIT = 1024 * 1024;
/** A stream that waits longer is held for ever; its clock jumps. */
const MAX_WAIT_MS = 60_000;
/** Until V8 has compiled what runs often. */
const WARM_UP_MS = 300;
const MAX_SAMPLES = 50_000;
/** As the sidecar's default: lines below info are not even decoded. What is written goes nowhere. */
const LOG: PluginLog = { level: () => 2, write: () => {} };

/** Throws RunProblem when the plugin does not load, fails, or holds a stream for ever. */
export async function benchPlugin(options: BenchOptions, io: CliIo): Promise<BenchResult> {
  const { plugin: settings, scene } = options;
  const beforeLoad = performance.now();
  const module = await moduleOf(settings, io);
  const loadMs = performance.now() - beforeLoad;
  const beforeStart = performance.now();
  const tested = new Subject(settings, module, scene);
  const startMs = performance.now() - beforeStart;
  const memoryAtStart = tested.memoryBytes;
  const empty = loadPluginModule(EMPTY_PLUGIN);
  if (!empty.ok) {
    throw new Error(empty.problem);
  }
  const nothing = { ...settings, configuration: NOTHING, vmConfiguration: NOTHING, capabilities: [] };
  const idle = new Subject(nothing, empty.module, scene);
  for (const run of [() => tested.runPlugin(), () => idle.runPlugin(), () => idle.runBare()]) {
    timed(Math.min(WARM_UP_MS, options.roundMs * options.rounds), run);
  }
  const rounds: StreamCost[] = [];
  const best = (of: (round: StreamCost) => number): number => Math.min(...rounds.map(of));
  for (let i = 0; i < options.rounds; i++) {
    rounds.push({
      without: timed(options.roundMs, () => idle.runBare()),
      empty: timed(options.roundMs, () => idle.runPlugin()),
      plugin: timed(options.roundMs, () => tested.runPlugin()),
    });
    // Messages in shared queues are announced between rounds.
    await new Promise((resolve) => setImmediate(resolve));
    if (io.stop.aborted) {
      throw new RunProblem("stopped");
    }
  }
  const stream = {
    without: best((round) => round.without),
    empty: best((round) => round.empty),
    plugin: best((round) => round.plugin),
  };
  const { callbacks, fuel } = tested.watch(options.roundMs * 10);
  const { streams, memoryBytes: memoryAfter } = tested;
  tested.host.runtime.dispose();
  idle.host.runtime.dispose();
  return { module, loadMs, startMs, stream, callbacks, fuel, memoryAtStart, memoryAfter, streams };
}

/** One plugin under test, and streams through it. */
class Subject {
  readonly host: PluginHost;
  streams = 0;
  readonly #clock = new TestClock({ wallMs: Date.now(), passing: () => performance.now() });

  constructor(settings: PluginSettings, module: PluginModule, scene: Scene) {
    this.host = new PluginHost({
      settings,
      module,
      scene,
      clock: this.#clock,
      log: LOG,
      bufferLimitBytes: BUFFER_LIMIT,
      note: () => {},
    });
  }

  get memoryBytes(): number {
    return this.host.plugin.view().memoryBytes;
  }

  runPlugin(): void {
    this.streams++;
    this.#run(this.host.stream());
    const { lastFault } = this.host.plugin.view();
    if (lastFault !== undefined) {
      throw new RunProblem(`the plugin failed in ${lastFault.callback}: ${lastFault.kind}: ${lastFault.message}`);
    }
    this.host.calls.all.length = 0;
    this.host.grpcCalls.all.length = 0;
  }

  /** The same stream without a plugin. */
  runBare(): void {
    this.#run(this.host.stream([]));
  }

  #run(stream: RunStream): void {
    const clock = this.#clock;
    const end = clock.monotonicMs() + MAX_WAIT_MS;
    stream.start();
    while (!stream.isOver) {
      const next = clock.nextTimerMs;
      if (next === undefined || next > end) {
        const where = stream.waitsIn ?? "response";
        stream.giveUp();
        throw new RunProblem(`the plugin holds the ${where} for ever; plugin run shows where`);
      }
      clock.advanceToNextTimer();
    }
  }

  /** Runs streams with every callback watched. */
  watch(ms: number): { readonly callbacks: CallbackCost[]; readonly fuel: number } {
    const watcher = new CallbackWatcher();
    const before = this.streams;
    this.host.runtime.observer = watcher;
    timed(ms, () => this.runPlugin());
    this.host.runtime.observer = undefined;
    return watcher.costs(this.streams - before);
  }
}

interface Samples {
  readonly us: number[];
  count: number;
  fuel: number;
  hostCalls: number;
}

class CallbackWatcher implements HookObserver {
  readonly #samples = new Map<number, Samples>();

  hook(record: HookRecord): void {
    let samples = this.#samples.get(record.callback);
    if (samples === undefined) {
      samples = { us: [], count: 0, fuel: 0, hostCalls: 0 };
      this.#samples.set(record.callback, samples);
    }
    samples.count++;
    samples.fuel += record.fuel;
    samples.hostCalls += record.hostCalls;
    if (samples.us.length < MAX_SAMPLES) {
      samples.us.push((record.endedAt - record.startedAt) * 1000);
    }
  }

  costs(streams: number): { readonly callbacks: CallbackCost[]; readonly fuel: number } {
    const callbacks = [...this.#samples].map(([id, { us, count, fuel, hostCalls }]) => {
      const sorted = us.toSorted((a, b) => a - b);
      return {
        name: CALLBACK_NAMES[id] as string,
        perStream: count / streams,
        medianUs: sorted[Math.floor(sorted.length / 2)] ?? 0,
        p99Us: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
        fuel: fuel / count,
        hostCalls: hostCalls / count,
      };
    });
    return { callbacks, fuel: callbacks.reduce((sum, { fuel, perStream }) => sum + fuel * perStream, 0) };
  }
}

/** Microseconds of the processor a call, over as many calls as fit in `ms` of it: what else the machine does is left out. */
function timed(ms: number, run: () => void): number {
  const start = process.threadCpuUsage();
  let calls = 0;
  let used = 0;
  while (used < ms * 1000) {
    for (let i = 0; i < 10; i++) {
      run();
    }
    calls += 10;
    const { user, system } = process.threadCpuUsage(start);
    used = user + system;
  }
  return used / calls;
}
