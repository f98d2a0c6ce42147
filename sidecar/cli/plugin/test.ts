// The verb `plugin test`: runs a plugin project's tests with node:test, in which "outrigger/plugins/testing" is this outrigger's test
// API. Exit 0 when all pass, 1 when one fails or there is none, 2 for wrong usage.

import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { run } from "node:test";
import { dot, spec, tap } from "node:test/reporters";
import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import type { CliIo, Verb } from "../verb.ts";
import { RunProblem, UsageProblem, withProblems } from "./plugin-flags.ts";

const FLAGS: readonly Flag[] = [
  {
    name: "name",
    short: "t",
    kind: "string",
    value: "PATTERN",
    help: "only tests whose name matches; may be /a regular expression/",
  },
  {
    name: "reporter",
    kind: "string",
    value: "REPORTER",
    help: "how results are printed: spec, tap, dot",
    defaultText: "spec",
    allowed: ["spec", "tap", "dot"],
  },
  {
    name: "timeout-ms",
    kind: "number",
    value: "MS",
    help: "a file that takes longer fails",
    defaultText: "60000",
  },
];

const HELP = `outrigger plugin test [DIR or FILES]

Runs the tests of a plugin, with Node's own test runner (node:test), each file in a process of its own. In a folder (default: here) it
finds *.test.js, *.test.mjs, *.test.ts and what is in folders named test. Tests import the test API wherever they are:

  import { loadPlugin } from "outrigger/plugins/testing";

plugins/testing/README.md in the outrigger repository shows what it can do.
Exit codes: 0 all passed; 1 one failed, or there is none; 2 wrong usage.

Flags:
`;

const DEFAULT_TIMEOUT_MS = 60_000;
const RESOLVER = new URL("./resolve-test-api.ts", import.meta.url).href;
export const pluginTestVerb: Verb = {
  name: "test",
  usage: "plugin test [DIR]",
  summary: "runs a plugin's tests (node:test) with outrigger's test API",
  words: () => ({ flags: FLAGS, operands: "files" }),
  help: () => `${HELP}${describeFlags(FLAGS)}`,
  run: (argv, io) => withProblems("plugin test", io, () => test(argv, io)),
};

async function test(argv: readonly string[], io: CliIo): Promise<number> {
  const flags = parseFlags(FLAGS, argv);
  if (!flags.ok) {
    throw new UsageProblem(flags.problem);
  }
  const { values, positionals } = flags;
  const { cwd, files } = await placeOf(positionals);
  const name = values["name"] as string | undefined;
  const events = run({
    cwd,
    ...(files.length > 0 ? { files: [...files] } : {}),
    ...(name === undefined ? {} : { testNamePatterns: [name] }),
    timeout: (values["timeout-ms"] as number | undefined) ?? DEFAULT_TIMEOUT_MS,
    execArgv: ["--import", RESOLVER],
    signal: io.stop,
  });
  let passed = 0;
  let failed = 0;
  events.on("test:pass", ({ details }) => (passed += details.type === "suite" ? 0 : 1));
  events.on("test:fail", () => failed++);
  const reporter = values["reporter"] as string | undefined;
  const printed =
    reporter === "tap" ? events.compose(tap) : reporter === "dot" ? events.compose(dot) : events.compose(new spec());
  for await (const text of printed) {
    io.out(String(text));
  }
  if (passed + failed === 0) {
    throw new RunProblem(`no tests in ${positionals.join(" ") || "this folder"}`);
  }
  return failed > 0 ? 1 : 0;
}

/** One folder, or files. */
async function placeOf(
  positionals: readonly string[],
): Promise<{ readonly cwd: string; readonly files: readonly string[] }> {
  const [first = "."] = positionals;
  const kinds = await Promise.all([first, ...positionals.slice(1)].map(kindOf));
  if (kinds.every((kind) => kind === "file")) {
    return { cwd: resolve("."), files: positionals.map((file) => resolve(file)) };
  }
  if (kinds.length > 1) {
    throw new UsageProblem("give one folder, or files");
  }
  return { cwd: resolve(first), files: [] };
}

async function kindOf(path: string): Promise<"file" | "folder"> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch {
    throw new RunProblem(`there is no ${path}`);
  }
}
