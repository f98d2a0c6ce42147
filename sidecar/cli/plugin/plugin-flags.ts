// Flags that the verbs share which load a plugin: what Envoy's PluginConfig says about one. Used by `plugin run` and `bench`.

import { readFileSync } from "node:fs";
import type { FailurePolicy } from "../../../plugins/plugin-spec.ts";
import type { Flag, FlagsResult } from "../flags.ts";
import { type CliIo, wrongUsage } from "../verb.ts";

export interface PluginSettings {
  readonly file: string;
  readonly name: string;
  readonly rootId: string;
  readonly vmId: string;
  readonly configuration: Uint8Array;
  readonly vmConfiguration: Uint8Array;
  readonly environment: Readonly<Record<string, string>>;
  /** Absent or empty: all. */
  readonly capabilities?: readonly string[];
  readonly failurePolicy: FailurePolicy;
  readonly allowOnHeadersStopIteration: boolean;
  readonly memoryMib: number | undefined;
  /** Of one callback; undefined: the sidecar's default. 0: no limit. */
  readonly fuel: number | undefined;
}

/** `@FILE` in a flag's value stands for what is in the file. */
export const PLUGIN_FLAGS: readonly Flag[] = [
  { name: "config", kind: "string", value: "TEXT", help: "the plugin's configuration, or @FILE" },
  { name: "config-file", kind: "string", value: "FILE", help: "the same, from a file" },
  { name: "vm-config", kind: "string", value: "TEXT", help: "the VM's configuration, or @FILE" },
  { name: "root-id", kind: "string", value: "ID", help: "which of the module's plugins it is", defaultText: "empty" },
  { name: "vm-id", kind: "string", value: "ID", help: "whose shared data and queues it has", defaultText: "empty" },
  { name: "name", kind: "string", value: "NAME", help: "the plugin's name", defaultText: "the file's" },
  { name: "env", kind: "string", value: "NAME=VALUE", help: "a variable of its environment", repeats: true },
  {
    name: "capability",
    kind: "string",
    value: "NAME",
    help: "a host function or callback that it may use, such as proxy_log; none given: all",
    repeats: true,
  },
  {
    name: "failure-policy",
    kind: "string",
    value: "POLICY",
    help: "what a stream gets whose plugin fails: closed (503), open (it goes on), reload (as closed)",
    defaultText: "closed",
    allowed: ["closed", "open", "reload"],
  },
  {
    name: "allow-on-headers-stop-iteration",
    kind: "boolean",
    help: "a pause in headers still gets the body, as in Envoy",
  },
  { name: "memory-mib", kind: "number", value: "MIB", help: "largest memory that it may have", defaultText: "128" },
  {
    name: "fuel",
    kind: "number",
    value: "UNITS",
    help: "what one callback may use; 0: no limit",
    defaultText: "100000000",
  },
];

export type GoodFlags = Extract<FlagsResult, { readonly ok: true }>;

/** Thrown by what reads flags: `problem` is wrong usage, exit code 2. */
export class UsageProblem extends Error {}

/** Thrown for what is right usage and does not work out: a file that is not there. Exit code 1. */
export class RunProblem extends Error {}

/** Runs a verb's action and prints the problems that it throws, as every verb does; gives the exit code. */
export async function withProblems(verb: string, io: CliIo, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof UsageProblem) {
      return wrongUsage(io, verb, error.message);
    }
    if (error instanceof RunProblem) {
      io.err(`outrigger ${verb}: ${error.message}\n`);
      return 1;
    }
    throw error;
  }
}

/** The settings of a plugin; throws UsageProblem or RunProblem. */
export function pluginSettings(flags: GoodFlags): PluginSettings {
  const { values, lists, positionals } = flags;
  const [file, extra] = positionals;
  if (file === undefined || extra !== undefined) {
    throw new UsageProblem(file === undefined ? "needs a module: FILE.wasm" : `unexpected argument "${extra}"`);
  }
  const text = (name: string): string | undefined => values[name] as string | undefined;
  if (text("config") !== undefined && text("config-file") !== undefined) {
    throw new UsageProblem("--config and --config-file exclude each other");
  }
  const configFile = text("config-file");
  return {
    file,
    name: text("name") ?? (file.split("/").at(-1) ?? file).replace(/\.wasm$/, ""),
    rootId: text("root-id") ?? "",
    vmId: text("vm-id") ?? "",
    configuration: configFile === undefined ? bytesOf(text("config") ?? "") : readBytes(configFile),
    vmConfiguration: bytesOf(text("vm-config") ?? ""),
    environment: Object.fromEntries((lists["env"] ?? []).map((entry) => nameAndValue("env", entry))),
    capabilities: lists["capability"] ?? [],
    failurePolicy: (text("failure-policy") ?? "closed") as FailurePolicy,
    allowOnHeadersStopIteration: values["allow-on-headers-stop-iteration"] === true,
    memoryMib: values["memory-mib"] as number | undefined,
    fuel: values["fuel"] as number | undefined,
  };
}

/** A flag's value, or what is in the file that it names with @. */
export function bytesOf(value: string): Uint8Array {
  return value.startsWith("@") ? readBytes(value.slice(1)) : Buffer.from(value);
}

export function textOf(value: string): string {
  return Buffer.from(bytesOf(value)).toString();
}

export function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new RunProblem(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** "NAME=VALUE" at its first "=". */
export function nameAndValue(flag: string, text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals <= 0) {
    throw new UsageProblem(`flag --${flag} got "${text}": must be NAME=VALUE`);
  }
  return [text.slice(0, equals), text.slice(equals + 1)];
}
