// The verb `import`: files of other gateways → an Envoy bootstrap. There is `import apisix`.
// Exit codes: 0 written, 1 files that cannot be read, or (without --partial) something that is not translated, 2 wrong usage.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { loadBootstrap } from "../../../xds/decode/bootstrap-file.ts";
import { readProblem } from "../../../xds/decode/file-problem.ts";
import { type ApisixFile, translateApisix } from "../../apisix/apisix-bootstrap.ts";
import { writeYaml } from "../../apisix/yaml-writer.ts";
import { printable } from "../../control/text-table.ts";
import { formatProblem } from "../../telemetry/format.ts";
import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import { describeLocated } from "../usable-bootstrap.ts";
import { writeOutput } from "../output-file.ts";
import { type CliIo, type VerbAction, wrongUsage } from "../verb.ts";

const VERB = "import apisix";
const SUMMARY = "APISIX's standalone apisix.yaml → an Envoy bootstrap, which runs here and on Envoy";

const FLAGS: readonly Flag[] = [
  {
    name: "config",
    kind: "string",
    value: "FILE",
    defaultText: "config.yaml beside FILE, when it is there",
    help: "APISIX's config.yaml: ports (apisix.node_listen) and WebAssembly plugins (wasm.plugins)",
  },
  {
    name: "output",
    short: "o",
    kind: "string",
    value: "FILE",
    defaultText: "standard output",
    help: "where the bootstrap goes",
  },
  {
    name: "partial",
    kind: "boolean",
    defaultText: "false",
    help: "write what can be translated, although something is lost",
  },
];

export const IMPORT: VerbAction = {
  words: { verbs: [{ name: "apisix", summary: SUMMARY, words: () => ({ flags: FLAGS, operands: "files" }) }] },
  help: () => `outrigger import apisix FILE

Translates routes, services, upstreams, plugin_configs and global_rules of APISIX's standalone file: paths, hosts, methods, vars,
priorities, nodes with weights, balancers, timeouts, websockets; the plugins proxy-rewrite, response-rewrite (headers), redirect, cors
and fault-injection; WebAssembly plugins of config.yaml, each at its priority, with every route's own configuration.

Everything that is lost, or means something else in Envoy, is named with its place on stderr: FILE:LINE:COLUMN: path: why.
When something is lost nothing is written, unless --partial asks for it. Then a route with a condition that cannot be said is left out,
and one whose plugin may protect it (authentication, limits …) answers 501 in its place.

Flags:
${describeFlags(FLAGS)}`,
  run: async (argv, io) => {
    const [word, ...rest] = argv;
    if (word !== "apisix") {
      const problem = word === undefined || word.startsWith("-") ? "needs the kind of file" : `unknown kind "${word}"`;
      return wrongUsage(io, "import", `${problem}: apisix`);
    }
    return importApisix(rest, io);
  },
};

async function importApisix(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) {
    return wrongUsage(io, VERB, parsed.problem);
  }
  const { values, positionals } = parsed;
  const [name, extra] = positionals;
  if (name === undefined || extra !== undefined) {
    return wrongUsage(io, VERB, name === undefined ? "needs a file: apisix.yaml" : `unexpected argument "${extra}"`);
  }
  const beside = join(dirname(name), "config.yaml");
  const configName =
    values["config"] === undefined ? (existsSync(beside) ? beside : undefined) : String(values["config"]);
  const rules = await read(name, io);
  const config = configName === undefined ? undefined : await read(configName, io);
  if (rules === undefined || (configName !== undefined && config === undefined)) {
    return 1;
  }
  const translation = translateApisix(rules, config);
  if (!translation.ok) {
    translation.issues.forEach((issue) => io.err(`${describeLocated(issue)}\n`));
    return 1;
  }
  const { findings, bootstrap } = translation;
  for (const { kind, text, ...place } of findings) {
    const problem = printable(kind === "lost" ? text : `${text} (differs)`);
    io.err(`${describeLocated({ ...place, path: printable(place.path), problem })}\n`);
  }
  const lost = findings.filter(({ kind }) => kind === "lost").length;
  if (lost > 0 && values["partial"] !== true) {
    io.err(
      `outrigger ${VERB}: ${lost} ${lost === 1 ? "thing" : "things"} cannot be translated; --partial writes the rest\n`,
    );
    return 1;
  }
  const text = writeYaml(bootstrap);
  return isUsable(text, io) ? writeOutput(VERB, text, values["output"], io) : 1;
}

/** Says what this sidecar would say of the result. */
function isUsable(text: string, io: CliIo): boolean {
  const loaded = loadBootstrap({ text, formatProblem });
  if (!loaded.ok) {
    for (const { path, problem } of loaded.issues) {
      io.err(`outrigger ${VERB}: the result would be refused: ${path}: ${printable(problem)}\n`);
    }
    return false;
  }
  const said = new Set<string>();
  for (const { path, problem, field } of loaded.warnings) {
    if (!said.has(field)) {
      io.err(`outrigger ${VERB}: in the result: ${path}: ${printable(problem)} (warning)\n`);
      said.add(field);
    }
  }
  return true;
}

async function read(name: string, io: CliIo): Promise<ApisixFile | undefined> {
  try {
    return { name, text: await readFile(name, "utf8") };
  } catch (error) {
    io.err(`outrigger ${VERB}: ${name}: ${readProblem(error)}\n`);
    return undefined;
  }
}
