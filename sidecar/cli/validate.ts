// The verb `validate` (and `run --mode validate`): checks a bootstrap and every file that it names, and prints every problem as
// `file:line:column: path.to.field: what is wrong and what is allowed`. Exit 0 or 1.

import { loadBootstrap, type LoadedBootstrap } from "../../xds/decode/bootstrap-file.ts";
import type { LocatedIssue } from "../../xds/decode/yaml-document.ts";
import { PluginCodeLoader } from "../plugin-code.ts";
import { pluginsOf } from "../publisher.ts";
import { parseRunOptions, type RunOptions, RUN_FLAGS_HELP } from "./run-flags.ts";
import { type CliIo, type Verb, wrongUsage } from "./verb.ts";

export const validateVerb: Verb = {
  name: "validate",
  usage: "validate -c FILE",
  summary: "checks a bootstrap and every file it names",
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
  const loaded = loadFor(options);
  for (const warning of loaded.warnings) {
    io.err(`${describeLocated(warning)} (warning)\n`);
  }
  if (!loaded.ok) {
    for (const issue of loaded.issues) {
      io.err(`${describeLocated(issue)}\n`);
    }
    return 1;
  }
  const problems = await codeProblems(loaded, environmentOf(io));
  for (const problem of problems) {
    io.err(`${problem}\n`);
  }
  if (problems.length > 0) {
    return 1;
  }
  io.out(`configuration '${options.configPath ?? "--config-yaml"}' OK\n`);
  return 0;
}

/** The bootstrap as the flags say, its node overridden by --service-*. */
export function loadFor(options: RunOptions): LoadedBootstrap {
  return loadBootstrap({
    path: options.configPath,
    yamlOverlay: options.configYaml,
    allowUnknownFields: options.allowUnknownStaticFields,
    serviceNode: options.serviceNode,
    serviceCluster: options.serviceCluster,
    serviceZone: options.serviceZone,
  });
}

/** `file:line:column: path: problem`, without the parts that are not known. */
export function describeLocated({ file, line, column, path, problem }: LocatedIssue): string {
  const place = line > 0 ? `${file}:${line}:${column}` : file;
  return [place, path, problem].filter((part) => part !== "").join(": ");
}

/** The environment without variables that are not set. */
export function environmentOf(io: CliIo): Record<string, string> {
  const set = Object.entries(io.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(set);
}

async function codeProblems(
  loaded: LoadedBootstrap & { ok: true },
  environment: Record<string, string>,
): Promise<string[]> {
  const code = new PluginCodeLoader(environment, () => 128);
  const problems: string[] = [];
  for (const plugin of loaded.value.listeners.flatMap(pluginsOf)) {
    const result = await code.load(plugin);
    if (!result.ok) {
      problems.push(result.problem);
    }
  }
  return [...new Set(problems)];
}
