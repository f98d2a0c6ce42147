// The verb `validate` (and `run --mode validate`): checks a bootstrap and every file that it names, and prints every problem as
// `file:line:column: path.to.field: what is wrong and what is allowed`. Exit 0 or 1.

import { type CheckedFiles, checkNamedFiles } from "../../xds/named-files.ts";
import type { LocatedFile, LocatedIssue } from "../../xds/decode/yaml-document.ts";
import type { Bootstrap } from "../../xds/model/bootstrap.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import { PluginCodeLoader } from "../code/code-loader.ts";
import { isAdminFailure } from "../admin/admin.ts";
import { isBindFailure } from "../port-check.ts";
import { pluginsOfFilter } from "../publish/filter-plugins.ts";
import { pluginsOf } from "../publish/listener-plugins.ts";
import { StatsTable } from "../stats/table.ts";
import { formatProblem } from "../telemetry/format.ts";
import {
  certificateProblems,
  describeLocated,
  environmentOf,
  type GoodBootstrap,
  loadFor,
} from "./usable-bootstrap.ts";
import { parseRunOptions, type RunOptions, RUN_FLAGS, RUN_FLAGS_HELP } from "./run-flags.ts";
import { type CliIo, type VerbAction, wrongUsage } from "./verb.ts";

export const validateVerb: VerbAction = {
  words: { flags: RUN_FLAGS },
  help: () =>
    `outrigger validate -c FILE\n\nChecks a bootstrap and every file it names; prints every problem with its place.\n\nFlags (those of run):\n${RUN_FLAGS_HELP}`,
  run: async (argv, io) => {
    const parsed = parseRunOptions(argv);
    if (!parsed.ok) {
      return wrongUsage(io, "validate", parsed.problem);
    }
    return validate(parsed.options, io);
  },
};

/** Checks and prints; the exit code. */
export async function validate(options: RunOptions, io: CliIo): Promise<number> {
  const loaded = await loadFor(options, io);
  if (loaded === undefined) {
    return 1;
  }
  for (const warning of loaded.warnings) {
    io.err(`${describeLocated(warning)} (warning)\n`);
  }
  if (!loaded.ok) {
    for (const issue of loaded.issues) {
      io.err(`${describeLocated(issue)}\n`);
    }
    return 1;
  }
  const environment = environmentOf(io);
  const checked = checkNamedFiles(loaded.value, loaded.files, environment, formatProblem);
  const problems = [
    ...checked.issues,
    ...certificateProblems(loaded, checked.issues, environment),
    ...(await codeProblems(loaded.value, checked, environment)),
  ].toSorted(byPlace);
  for (const line of new Set(problems.map(describeLocated))) {
    io.err(`${line}\n`);
  }
  if (problems.length > 0) {
    return 1;
  }
  io.out(`configuration '${options.configPath ?? "--config-yaml"}' OK\n`);
  return 0;
}

/** Problems of a start, with the place in the file where it is known: code that is no module. */
export async function placed(problems: readonly string[], loaded: GoodBootstrap, io: CliIo): Promise<string[]> {
  const named = { issues: [], listeners: [], filters: [], files: loaded.files };
  const code = await codeProblems(loaded.value, named, environmentOf(io));
  return problems.map((text) => {
    const known = code.find(({ problem, file }) => problem === text && file !== "") ?? placeOfAddress(text, loaded);
    return known === undefined ? `outrigger: ${text}` : describeLocated(known);
  });
}

/** A listener or the admin port that cannot be bound: the address in the file. */
function placeOfAddress(text: string, loaded: GoodBootstrap): LocatedIssue | undefined {
  const index = loaded.value.listeners.findIndex(({ name }) => isBindFailure(text, name));
  const holder = index >= 0 ? `static_resources.listeners[${index}]` : isAdminFailure(text) ? "admin" : undefined;
  const place = holder === undefined ? undefined : loaded.locate(`${holder}.address.socket_address.port_value`, text);
  return place === undefined || place.line === 0 ? undefined : place;
}

/** Plugins' code that is there but is no module. Files that cannot be read are `checked`'s issues already. */
async function codeProblems(
  { listeners, services }: Pick<Bootstrap, "listeners" | "services">,
  checked: CheckedFiles,
  environment: Record<string, string>,
): Promise<LocatedIssue[]> {
  const stats = new StatsTable({ onDefine: () => undefined });
  const code = new PluginCodeLoader({ environment, settings: () => ({}), stats, endpointsOf: () => undefined });
  const problems: LocatedIssue[] = [];
  const inline = [...listeners, ...checked.listeners].flatMap(pluginsOf);
  const named = checked.filters.flatMap(pluginsOfFilter);
  for (const plugin of [...inline, ...services.map((service) => service.plugin), ...named]) {
    // What the network has cannot be checked here.
    if (plugin.code.kind === "remote") {
      continue;
    }
    const place = placeOf(plugin, checked.files);
    if (checked.issues.some((issue) => place !== undefined && isSamePlace(issue, place))) {
      continue;
    }
    const result = await code.load(plugin);
    if (!result.ok) {
      problems.push({ ...(place ?? NOWHERE), problem: result.problem });
    }
  }
  return problems;
}

const NOWHERE = { file: "", line: 0, column: 0, path: "" };

/** File by file, from top to bottom. */
function byPlace(a: LocatedIssue, b: LocatedIssue): number {
  return a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
}

/** Where the file of a plugin's code is named. */
function placeOf({ code }: PluginConfig, files: readonly LocatedFile[]): LocatedFile | undefined {
  return code.kind === "file" ? files.find(({ kind, name }) => kind === "data" && name === code.path) : undefined;
}

function isSamePlace(a: LocatedIssue, b: LocatedIssue): boolean {
  return a.file === b.file && a.path === b.path;
}
