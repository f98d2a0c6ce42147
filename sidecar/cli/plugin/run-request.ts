// Runs the requests of `plugin run` through a plugin in the sidecar's filter chain, and gives what came of each. Nothing real is
// waited for: when the stream stands still, the clock jumps to the next timer (a tick, a call's answer, its timeout).

import type { PluginFault } from "../../../plugins/errors.ts";
import type { PluginModule } from "../../../plugins/plugin-module.ts";
import type { TestCall } from "../../../plugins/testing/test-calls.ts";
import type { TestGrpcCall } from "../../../plugins/testing/test-grpc-calls.ts";
import { TestClock } from "../../../plugins/testing/test-clock.ts";
import { type LogLine, type Metric, TestLog } from "../../../plugins/testing/test-sinks.ts";
import { Transcript } from "../../../plugins/testing/transcript.ts";
import type { CliIo } from "../verb.ts";
import { moduleOf, PluginHost } from "./plugin-host.ts";
import type { RunOptions } from "./run-options.ts";
import type { RunConnection, RunConnectionOptions } from "./run-connection.ts";
import type { RunStream } from "./run-stream.ts";

/** How a stream ended. "paused": the plugin held it until the time was up. "failed": the plugin did, or made what cannot be sent. */
export type Outcome = "completed" | "reset" | "paused" | "failed";

export interface StreamResult {
  readonly outcome: Outcome;
  /** What it waited in when it was given up. */
  readonly pausedIn: "request" | "response" | undefined;
  readonly stream: RunStream;
}

export interface ConnectionResult {
  /** "reset": the plugin closed it. */
  readonly outcome: Outcome;
  readonly pausedIn: RunConnection["waitsIn"];
  readonly connection: RunConnection;
}

export interface RunResult {
  readonly module: PluginModule;
  readonly streams: readonly StreamResult[];
  /** With --tcp, in place of streams. */
  readonly connections: readonly ConnectionResult[];
  readonly transcript: Transcript;
  readonly calls: readonly TestCall[];
  readonly grpcCalls: readonly TestGrpcCall[];
  readonly logs: readonly LogLine[];
  readonly metrics: readonly Metric[];
  readonly fault: PluginFault | undefined;
  readonly memoryBytes: number;
}

/** Throws RunProblem when the plugin does not load; then `onStartFailed` has got what it did until then. */
export async function runRequests(
  options: RunOptions,
  io: CliIo,
  onStartFailed: (transcript: Transcript, logs: readonly LogLine[]) => void,
): Promise<RunResult> {
  const module = await moduleOf(options.plugin, io);
  const clock = new TestClock({ wallMs: Date.now(), passing: () => performance.now() });
  const transcript = new Transcript(clock);
  const log = new TestLog();
  log.minimum = options.logLevel;
  let host: PluginHost;
  try {
    host = new PluginHost({
      settings: options.plugin,
      module,
      scene: options.scene,
      clock,
      log,
      bufferLimitBytes: options.bufferLimitBytes,
      observer: transcript,
      onHostCall: transcript.onHostCall,
      note: (text) => transcript.note(text),
    });
  } catch (error) {
    transcript.flush();
    onStartFailed(transcript, log.lines);
    throw error;
  }
  const streams: StreamResult[] = [];
  const connections: ConnectionResult[] = [];
  const run = new Runner(host, clock, transcript, options.timeoutMs, io.stop);
  for (let i = 0; i < options.times; i++) {
    if (io.stop.aborted) {
      break;
    }
    if (options.tcp === undefined) {
      streams.push(await run.stream());
    } else {
      connections.push(await run.connection(options.tcp));
    }
  }
  const { lastFault: fault, memoryBytes } = host.plugin.view();
  host.runtime.dispose();
  return {
    module,
    streams,
    connections,
    transcript,
    calls: host.calls.all,
    grpcCalls: host.grpcCalls.all,
    logs: log.lines,
    metrics: host.metrics.all,
    fault,
    memoryBytes,
  };
}

/** What can be run: until it is over, or waits for something that never comes. */
interface Running {
  readonly isOver: boolean;
  start(): void;
  giveUp(): void;
}

class Runner {
  readonly #host: PluginHost;
  readonly #clock: TestClock;
  readonly #transcript: Transcript;
  readonly #timeoutMs: number;
  readonly #stop: AbortSignal;

  constructor(host: PluginHost, clock: TestClock, transcript: Transcript, timeoutMs: number, stop: AbortSignal) {
    this.#host = host;
    this.#clock = clock;
    this.#transcript = transcript;
    this.#timeoutMs = timeoutMs;
    this.#stop = stop;
  }

  async stream(): Promise<StreamResult> {
    const stream = this.#host.stream();
    const { method, path } = stream.facts.requestHead;
    this.#transcript.note(`${method} ${path} comes in`);
    const { faults } = this.#host.plugin.view();
    await this.#run(stream);
    const pausedIn = this.#givenUp(stream.waitsIn, stream);
    const hasFailed = this.#hasFailed(faults) || stream.problem !== undefined;
    return { outcome: outcomeOf(hasFailed, pausedIn !== undefined, stream.isReset), pausedIn, stream };
  }

  async connection(data: Pick<RunConnectionOptions, "sent" | "answered">): Promise<ConnectionResult> {
    const connection = this.#host.connection(data);
    this.#transcript.note("a connection comes in");
    const { faults } = this.#host.plugin.view();
    await this.#run(connection);
    const pausedIn = this.#givenUp(connection.waitsIn, connection);
    const outcome = outcomeOf(this.#hasFailed(faults), pausedIn !== undefined, connection.isCut);
    return { outcome, pausedIn, connection };
  }

  #hasFailed(faultsBefore: number): boolean {
    return this.#host.plugin.view().faults > faultsBefore;
  }

  async #run(running: Running): Promise<void> {
    const clock = this.#clock;
    running.start();
    const end = clock.monotonicMs() + this.#timeoutMs;
    while (!running.isOver) {
      // Messages in queues are announced on a turn of their own.
      await new Promise((resolve) => setImmediate(resolve));
      const next = clock.nextTimerMs;
      if (running.isOver || next === undefined || next > end || this.#stop.aborted) {
        return;
      }
      clock.advanceToNextTimer();
    }
  }

  /** Ends what waits; where it did. */
  #givenUp<Place extends string>(waitsIn: Place | undefined, running: Running): Place | undefined {
    if (waitsIn !== undefined) {
      this.#transcript.note(`the plugin holds the ${waitsIn}: given up after ${this.#timeoutMs} ms`);
      running.giveUp();
    }
    return waitsIn;
  }
}

function outcomeOf(hasFailed: boolean, isPaused: boolean, isReset: boolean): Outcome {
  return hasFailed ? "failed" : isPaused ? "paused" : isReset ? "reset" : "completed";
}
