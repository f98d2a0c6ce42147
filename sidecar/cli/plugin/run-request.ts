// Runs the requests of `plugin run` through a plugin in the sidecar's filter chain, and gives what came of each. Nothing real is
// waited for: when the stream stands still, the clock jumps to the next timer (a tick, a call's answer, its timeout).

import type { PluginFault } from "../../../plugins/errors.ts";
import type { Plugin } from "../../../plugins/plugin.ts";
import type { PluginModule } from "../../../plugins/plugin-module.ts";
import { PluginRuntime } from "../../../plugins/plugin-runtime.ts";
import type { PropertyValue } from "../../../plugins/property-value.ts";
import { type TestCall, TestCalls } from "../../../plugins/testing/test-calls.ts";
import { TestClock } from "../../../plugins/testing/test-clock.ts";
import { propertyTable } from "../../../plugins/testing/test-properties.ts";
import { type LogLine, type Metric, TestLog, TestMetrics } from "../../../plugins/testing/test-sinks.ts";
import { Transcript } from "../../../plugins/testing/transcript.ts";
import { WasmFilterFactory } from "../../filter/wasm-filter.ts";
import type { ConnectionInfo } from "../../http/stream.ts";
import type { CliIo } from "../verb.ts";
import { moduleOf, specOf } from "./plugin-host.ts";
import { RunProblem } from "./plugin-flags.ts";
import type { CallAnswer, RunOptions } from "./run-options.ts";
import { RunStream } from "./run-stream.ts";

/** How a stream ended. "paused": the plugin held it until the time was up. */
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
  readonly logs: readonly LogLine[];
  readonly metrics: readonly Metric[];
  readonly fault: PluginFault | undefined;
  readonly memoryBytes: number;
}

/** How long the answer of a call, and the upstream's, take. */
const ANSWER_MS = 1;

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
  const metrics = new TestMetrics();
  const calls = new TestCalls(
    clock,
    (cluster) => {
      const isKnown = options.callouts.has(cluster);
      if (!isKnown) {
        transcript.note(`no cluster "${cluster}" is known: --callout ${cluster}=200 makes one`);
      }
      return isKnown;
    },
    (call) => answerLater(call, calls, options, clock, transcript),
  );
  const properties = propertyTable(options.properties);
  const runtime = new PluginRuntime({
    ports: { clock, log, http: calls, metrics, properties: { property: (_plugin, path) => properties.get(path) } },
    observer: transcript,
    onHostCall: transcript.onHostCall,
  });
  const loaded = runtime.load(specOf(options.plugin, module));
  if (!loaded.ok) {
    transcript.flush();
    onStartFailed(transcript, log.lines);
    throw new RunProblem(loaded.problem);
  }
  const { plugin } = loaded;
  const streams: StreamResult[] = [];
  for (let i = 0; i < options.times; i++) {
    streams.push(await runOne(options, plugin, properties, clock, transcript));
  }
  const { lastFault, memoryBytes } = plugin.view();
  runtime.dispose();
  return {
    module,
    streams,
    transcript,
    calls: calls.all,
    logs: log.lines,
    metrics: metrics.all,
    fault: lastFault,
    memoryBytes,
  };
}

async function runOne(
  options: RunOptions,
  plugin: Plugin,
  properties: ReadonlyMap<string, PropertyValue | null>,
  clock: TestClock,
  transcript: Transcript,
): Promise<StreamResult> {
  const factory = new WasmFilterFactory({
    name: plugin.identity.name,
    plugin,
    property: (path) => properties.get(path),
  });
  const request = options.request();
  const stream = new RunStream({
    factory,
    request,
    response: options.response(),
    connection: connectionOf(properties),
    bufferLimitBytes: options.bufferLimitBytes,
    later: (run) => void clock.startTimer(ANSWER_MS, run),
    note: (text) => transcript.note(text),
  });
  transcript.note(`${request.head.method} ${request.head.path} comes in`);
  const faultsBefore = plugin.view().faults;
  stream.start();
  const end = clock.monotonicMs() + options.timeoutMs;
  while (!stream.isOver) {
    // Messages in queues are announced on a turn of their own.
    await new Promise((resolve) => setImmediate(resolve));
    const next = clock.nextTimerMs;
    if (stream.isOver || next === undefined || next > end) {
      break;
    }
    clock.advanceToNextTimer();
  }
  const pausedIn = stream.waitsIn;
  if (pausedIn !== undefined) {
    transcript.note(`the plugin holds the ${pausedIn}: given up after ${options.timeoutMs} ms`);
    stream.giveUp();
  }
  const hasFailed = plugin.view().faults > faultsBefore;
  const outcome = hasFailed ? "failed" : pausedIn !== undefined ? "paused" : stream.isReset ? "reset" : "completed";
  return { outcome, pausedIn, stream };
}

function answerLater(
  call: TestCall,
  calls: TestCalls,
  options: RunOptions,
  clock: TestClock,
  transcript: Transcript,
): void {
  const answers = options.callouts.get(call.cluster) ?? [];
  const before = calls.all.filter(({ cluster }) => cluster === call.cluster).length - 1;
  const answer: CallAnswer = answers[Math.min(before, answers.length - 1)] ?? { kind: "timeout" };
  clock.startTimer(ANSWER_MS, () => {
    if (call.state !== "waiting" || answer.kind === "timeout") {
      return;
    }
    if (answer.kind === "failure") {
      transcript.note(`call ${call.id} to "${call.cluster}" fails: ${answer.message}`);
      call.fail(answer.message);
      return;
    }
    transcript.note(`call ${call.id} to "${call.cluster}" is answered ${answer.response.status ?? 200}`);
    call.respond(answer.response);
  });
}

/** source.address and destination.address, where they are given. */
function connectionOf(properties: ReadonlyMap<string, PropertyValue | null>): ConnectionInfo {
  const [remoteAddress, remotePort] = addressOf(properties.get("source\0address"), ["127.0.0.1", 50_000]);
  const [localAddress, localPort] = addressOf(properties.get("destination\0address"), ["127.0.0.1", 8080]);
  return { id: 1, remoteAddress, remotePort, localAddress, localPort };
}

function addressOf(
  value: PropertyValue | null | undefined,
  fallback: readonly [string, number],
): readonly [string, number] {
  const parts = typeof value === "string" ? /^\[?([^\]]*)\]?:(\d+)$/.exec(value) : null;
  return parts === null ? fallback : [parts[1] as string, Number(parts[2])];
}
