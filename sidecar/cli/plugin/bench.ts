// The verb `plugin bench`: what a plugin costs, by stream and by callback, in time, fuel and memory, and how that compares with a
// plugin that does nothing. Exit 1 when the plugin does not load, fails or holds a stream for ever; 2 for wrong usage.

import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import type { CliIo, Verb } from "../verb.ts";
import { type BenchResult, benchPlugin, type CallbackCost } from "./bench-plugin.ts";
import { PLUGIN_FLAGS, pluginSettings, UsageProblem, withProblems } from "./plugin-flags.ts";
import { SCENE_FLAGS, sceneOf } from "./scene-flags.ts";

const DEFAULT_ROUNDS = 20;
const DEFAULT_ROUND_MS = 25;
const MAX_ROUND_MS = 60_000;

const FLAGS: readonly Flag[] = [
  ...PLUGIN_FLAGS,
  ...SCENE_FLAGS,
  { name: "rounds", kind: "number", value: "N", help: "rounds, of which the best is shown", defaultText: "20" },
  {
    name: "round-ms",
    kind: "number",
    value: "MS",
    help: "processor time that each of three variants gets in a round",
    defaultText: "25",
  },
  { name: "json", kind: "boolean", help: "the figures as one JSON object" },
];

const HELP = `outrigger plugin bench FILE.wasm

Sends the same stream through the sidecar's filter chain again and again, in turn without a plugin, with one that does
nothing, and with this one, and shows what it costs: the processor time of a stream, the time, fuel and host calls of each callback, and
the memory after all of them. The stream is what plugin run sends: its flags say which.

  outrigger plugin bench plugin.wasm --config @config.json --request 'GET /orders' -H 'cookie: a=b' --response '200 hello'

Figures move with the machine; the ratio to the empty plugin and the fuel do not.

Flags:
`;

export const pluginBenchVerb: Verb = {
  name: "bench",
  usage: "plugin bench FILE.wasm",
  summary: "what a plugin costs by stream and callback: time, fuel, memory",
  words: () => ({ flags: FLAGS, operands: "files" }),
  help: () => `${HELP}${describeFlags(FLAGS)}`,
  run: (argv, io) => withProblems("plugin bench", io, () => bench(argv, io)),
};

async function bench(argv: readonly string[], io: CliIo): Promise<number> {
  const flags = parseFlags(FLAGS, argv);
  if (!flags.ok) {
    throw new UsageProblem(flags.problem);
  }
  const { values } = flags;
  const rounds = (values["rounds"] as number | undefined) ?? DEFAULT_ROUNDS;
  const roundMs = (values["round-ms"] as number | undefined) ?? DEFAULT_ROUND_MS;
  if (rounds < 1 || roundMs < 1 || rounds * roundMs > MAX_ROUND_MS) {
    throw new UsageProblem(
      `--rounds ${rounds} of --round-ms ${roundMs}: must be 1 each at least, ${MAX_ROUND_MS} ms together`,
    );
  }
  const plugin = pluginSettings(flags);
  const result = await benchPlugin({ plugin, scene: sceneOf(flags), rounds, roundMs }, io);
  io.out(values["json"] === true ? benchJson(plugin.file, result) : benchText(plugin.file, result));
  return 0;
}

/** What the plugin adds to a stream, in units of what the empty one adds. */
function ratioOf({ stream }: BenchResult): number {
  return (stream.plugin - stream.without) / Math.max(stream.empty - stream.without, 0.001);
}

function benchText(file: string, result: BenchResult): string {
  const { module, stream, callbacks, memoryAtStart, memoryAfter, streams } = result;
  const row = (name: string, us: number, more: string): string =>
    `  ${name.padEnd(24)}${us.toFixed(2).padStart(9)}${more}`;
  const adds = (us: number): string => `   adds ${(us - stream.without).toFixed(2)}`;
  const width = Math.max(...callbacks.map(({ name }) => name.length), 8);
  return `${[
    `${file}: ABI ${module.abi}, ${module.language}, ${module.sizeBytes} bytes`,
    `loads in ${result.loadMs.toFixed(1)} ms, starts in ${result.startMs.toFixed(1)} ms`,
    "",
    "one stream:              µs of CPU",
    row("without a plugin", stream.without, ""),
    row("with an empty plugin", stream.empty, adds(stream.empty)),
    row(
      "with this plugin",
      stream.plugin,
      `${adds(stream.plugin)}, ${ratioOf(result).toFixed(1)} times the empty one; fuel ${result.fuel.toFixed(0)}`,
    ),
    "",
    `${"one callback:".padEnd(width + 2)}  a stream  median µs     p99 µs        fuel  host calls`,
    ...callbacks.map((callback) => callbackRow(callback, width)),
    "",
    `memory: ${mib(memoryAtStart)} after the start, ${mib(memoryAfter)} after ${streams} streams`,
  ].join("\n")}\n`;
}

function callbackRow({ name, perStream, medianUs, p99Us, fuel, hostCalls }: CallbackCost, width: number): string {
  const cells = [perStream.toFixed(2), medianUs.toFixed(2), p99Us.toFixed(2), fuel.toFixed(0), hostCalls.toFixed(1)];
  const widths = [10, 11, 11, 12, 12];
  return `  ${name.padEnd(width)}${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("")}`;
}

function benchJson(file: string, result: BenchResult): string {
  const { module, stream, callbacks } = result;
  const report = {
    file,
    module: { abi: module.abi, language: module.language, size_bytes: module.sizeBytes, sha256: module.digest },
    load_ms: rounded(result.loadMs),
    start_ms: rounded(result.startMs),
    stream_us: {
      without_plugin: rounded(stream.without),
      empty_plugin: rounded(stream.empty),
      plugin: rounded(stream.plugin),
      ratio_to_empty: rounded(ratioOf(result)),
    },
    stream_fuel: Math.round(result.fuel),
    callbacks: callbacks.map((callback) => ({
      name: callback.name,
      per_stream: rounded(callback.perStream),
      median_us: rounded(callback.medianUs),
      p99_us: rounded(callback.p99Us),
      fuel: Math.round(callback.fuel),
      host_calls: rounded(callback.hostCalls),
    })),
    memory_bytes: { start: result.memoryAtStart, end: result.memoryAfter },
    streams: result.streams,
  };
  return `${JSON.stringify(report, null, 1)}\n`;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
}
