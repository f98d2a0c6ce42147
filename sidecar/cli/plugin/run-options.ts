// The flags of `plugin run` and what they mean.

import { LOG_LEVELS, type LogLevelName } from "../../../plugins/testing/test-sinks.ts";
import { type Flag, parseFlags } from "../flags.ts";
import { bytesOf, PLUGIN_FLAGS, type PluginSettings, pluginSettings, UsageProblem } from "./plugin-flags.ts";
import type { RunConnectionOptions } from "./run-connection.ts";
import { type Scene, SCENE_FLAGS, sceneOf } from "./scene-flags.ts";

export interface RunOptions {
  readonly plugin: PluginSettings;
  readonly scene: Scene;
  readonly logLevel: LogLevelName;
  readonly bufferLimitBytes: number;
  readonly timeoutMs: number;
  readonly times: number;
  /** A TCP connection in place of the request: what the client and the upstream send over it, part by part. */
  readonly tcp: Pick<RunConnectionOptions, "sent" | "answered"> | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

const DEFAULT_BUFFER_LIMIT = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 15_000;
const MAX_TIMES = 1000;

export const RUN_FLAGS: readonly Flag[] = [
  ...PLUGIN_FLAGS,
  ...SCENE_FLAGS,
  {
    name: "log-level",
    short: "l",
    kind: "string",
    value: "LEVEL",
    help: `lines of the plugin below it are dropped: ${LOG_LEVELS.join(", ")}`,
    defaultText: "info",
    allowed: LOG_LEVELS,
  },
  {
    name: "buffer-limit",
    kind: "number",
    value: "BYTES",
    help: "largest body that may be held, then 413 or 500",
    defaultText: "1048576",
  },
  {
    name: "timeout-ms",
    kind: "number",
    value: "MS",
    help: "when a stream that waits is given up; waiting takes no time, the clock jumps",
    defaultText: "15000",
  },
  { name: "tcp", kind: "boolean", help: "a TCP connection in place of the request, for a network plugin" },
  { name: "send", kind: "string", value: "TEXT", help: "what the client sends over it, or @FILE", repeats: true },
  { name: "receive", kind: "string", value: "TEXT", help: "what the upstream then answers, or @FILE", repeats: true },
  {
    name: "times",
    short: "n",
    kind: "number",
    value: "N",
    help: "how many such requests, one by one",
    defaultText: "1",
  },
  { name: "quiet", short: "q", kind: "boolean", help: "only what came of it, without the transcript" },
  { name: "json", kind: "boolean", help: "all of it as one JSON object" },
];

/** Throws UsageProblem or RunProblem. */
export function runOptions(argv: readonly string[]): RunOptions {
  const flags = parseFlags(RUN_FLAGS, argv);
  if (!flags.ok) {
    throw new UsageProblem(flags.problem);
  }
  const { values, lists } = flags;
  const plugin = pluginSettings(flags);
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const number = (name: string, fallback: number): number => (values[name] as number | undefined) ?? fallback;
  const times = number("times", 1);
  if (times < 1 || times > MAX_TIMES) {
    throw new UsageProblem(`flag --times got "${times}": must be 1 to ${MAX_TIMES}`);
  }
  const isTcp = values["tcp"] === true;
  const stray = isTcp ? undefined : ["send", "receive"].find((name) => lists[name]?.[0] !== undefined);
  if (stray !== undefined) {
    throw new UsageProblem(`flag --${stray} is for --tcp`);
  }
  return {
    plugin,
    scene: sceneOf(flags),
    logLevel: (text("log-level") ?? "info") as LogLevelName,
    bufferLimitBytes: number("buffer-limit", DEFAULT_BUFFER_LIMIT),
    timeoutMs: number("timeout-ms", DEFAULT_TIMEOUT_MS),
    times,
    tcp: isTcp
      ? { sent: (lists["send"] ?? []).map(bytesOf), answered: (lists["receive"] ?? []).map(bytesOf) }
      : undefined,
    json: values["json"] === true,
    quiet: values["quiet"] === true,
  };
}
