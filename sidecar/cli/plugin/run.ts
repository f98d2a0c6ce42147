// The verb `plugin run`: loads a plugin into the host that the sidecar uses, and says whether it starts.

import { readFileSync } from "node:fs";
import { loadPluginModule } from "../../../plugins/plugin-module.ts";
import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import { type CliIo, type Verb, wrongUsage } from "../verb.ts";

const FLAGS: readonly Flag[] = [
  {
    name: "memory-mib",
    kind: "number",
    value: "MIB",
    defaultText: "128",
    help: "largest memory that the plugin may have",
  },
];

export const pluginRunVerb: Verb = {
  name: "run",
  usage: "plugin run FILE.wasm",
  summary: "loads a plugin as the sidecar does",
  help: () =>
    `outrigger plugin run FILE.wasm\n\nLoads a plugin as the sidecar does.\n\nFlags:\n${describeFlags(FLAGS)}`,
  run: async (argv, io) => {
    const parsed = parseFlags(FLAGS, argv);
    if (!parsed.ok) {
      return wrongUsage(io, "plugin run", parsed.problem);
    }
    const [file, extra] = parsed.positionals;
    if (file === undefined || extra !== undefined) {
      return wrongUsage(
        io,
        "plugin run",
        file === undefined ? "needs a module: FILE.wasm" : `unexpected argument "${extra}"`,
      );
    }
    return run(file, parsed.values["memory-mib"] as number | undefined, io);
  },
};

function run(file: string, memoryMib: number | undefined, io: CliIo): number {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    io.err(`outrigger plugin run: cannot read ${file}: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  const result = loadPluginModule(bytes, memoryMib === undefined ? {} : { memoryMib });
  if (!result.ok) {
    io.err(`outrigger plugin run: ${file}: ${result.problem}\n`);
    return 1;
  }
  io.out(`${file}: ABI ${result.module.abi}, ${result.module.language}, ${result.module.sizeBytes} bytes\n`);
  return 0;
}
