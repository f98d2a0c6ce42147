// The verb `plugin inspect`: says what is in a plugin's module and whether it would load here, without running it. What is said is
// plugins/inspection's; the words are inspect-text.ts's.

import { inspectModule } from "../../../plugins/inspection/module-report.ts";
import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import { type CliIo, type Verb, wrongUsage } from "../verb.ts";
import { reportText } from "./inspect-text.ts";
import { readModuleAt } from "./module-source.ts";

const VERB = "plugin inspect";
const USAGE = `${VERB} MODULE [--json]`;

const FLAGS: readonly Flag[] = [
  { name: "json", kind: "boolean", help: "prints everything as one JSON object" },
  {
    name: "memory-mib",
    kind: "number",
    value: "MIB",
    defaultText: "128",
    help: "largest memory that the plugin may have (outrigger.wasm.memory_mib)",
  },
];

export const pluginInspectVerb: Verb = {
  name: "inspect",
  usage: USAGE,
  summary: "says what a plugin's module is and needs, and whether it would load, without running it",
  words: () => ({ flags: FLAGS, operands: "files" }),
  help: () => `outrigger ${USAGE}

MODULE is a file, oci://registry/repository:tag or http(s)://…; images are pulled with the pull secrets of
$DOCKER_CONFIG/config.json and $OUTRIGGER_PULL_SECRETS.

Exit codes: 0 it would load, 1 it would not (every problem is named), 2 wrong usage.

Flags:
${describeFlags(FLAGS)}`,
  run: async (argv, io) => {
    const parsed = parseFlags(FLAGS, argv);
    if (!parsed.ok) {
      return wrongUsage(io, VERB, parsed.problem);
    }
    const [place, extra] = parsed.positionals;
    if (place === undefined || extra !== undefined) {
      return wrongUsage(
        io,
        VERB,
        place === undefined ? "needs a module: a file, oci:// or https://" : `unexpected argument "${extra}"`,
      );
    }
    const memoryMib = parsed.values["memory-mib"] as number | undefined;
    return inspect({ place, isJson: parsed.values["json"] === true, memoryMib }, io);
  },
};

interface Wanted {
  readonly place: string;
  readonly isJson: boolean;
  readonly memoryMib: number | undefined;
}

async function inspect({ place, isJson, memoryMib }: Wanted, io: CliIo): Promise<number> {
  const read = await readModuleAt(place, io);
  if (!read.ok) {
    io.err(`outrigger ${VERB}: ${read.problem}\n`);
    return 1;
  }
  const report = inspectModule(read.bytes, memoryMib === undefined ? {} : { memoryMib });
  io.out(isJson ? `${JSON.stringify(reportJson(report), undefined, 1)}\n` : reportText(place, report));
  return report.loads ? 0 : 1;
}

/** The report with the admin port's spelling of names: snake_case; what is not known is null. */
function reportJson(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(reportJson);
  }
  if (typeof value !== "object" || value === null) {
    return value ?? null;
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [snakeCase(name), reportJson(each)]));
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
