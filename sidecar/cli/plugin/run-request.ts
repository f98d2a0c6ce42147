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
import type { RunStream } from "./run-stream.ts";

/** How a stream ended. "paused": the plugin held it until the time was up. "failed": the plugin did, or made what cannot be sent. */
export type Outcome = "completed" | "reset" | "paused" | "failed";

export interface StreamResult {
  readonly outcome: Outcome;
  /** What it waited in when it was given up. */
  readonly pausedIn: "request" | "response" | undefined;
  readonly stream: RunStream;
}

export interface RunResult {
  readonly module: PluginModule;
  readonly streams: readonly StreamResult[];
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
  for (let i = 0; i < options.times; i++) {
    if (io.stop.aborted) {
      break;
    }
    streams.push(await runOne(host, clock, transcript, options.timeoutMs, io.stop));
  }
  const { lastFault: fault, memoryBytes } = host.plugin.view();
  host.runtime.dispose();
  return {
    module,
    streams,
    transcript,
    calls: host.calls.all,
    grpcCalls: host.grpcCalls.all,
    logs: log.lines,
    metrics: host.metrics.all,
    fault,
    memoryBytes,
  };
}

async function runOne(
  host: PluginHost,
  clock: TestClock,
  transcript: Transcript,
  timeoutMs: number,
  stop: AbortSignal,
): Promise<StreamResult> {
  const stream = host.stream();
  const { method, path } = stream.facts.requestHead;
  transcript.note(`${method} ${path} comes in`);
  const faultsBefore = host.plugin.view().faults;
  stream.start();
  const end = clock.monotonicMs() + timeoutMs;
  while (!stream.isOver) {
    // Messages in queues are announced on a turn of their own.
    await new Promise((resolve) => setImmediate(resolve));
    const next = clock.nextTimerMs;
    if (stream.isOver || next === undefined || next > end || stop.aborted) {
      break;
    }
    clock.advanceToNextTimer();
  }
  const pausedIn = stream.waitsIn;
  if (pausedIn !== undefined) {
    transcript.note(`the plugin holds the ${pausedIn}: given up after ${timeoutMs} ms`);
    stream.giveUp();
  }
  const hasFailed = host.plugin.view().faults > faultsBefore || stream.problem !== undefined;
  const outcome = hasFailed ? "failed" : pausedIn !== undefined ? "paused" : stream.isReset ? "reset" : "completed";
  return { outcome, pausedIn, stream };
}
