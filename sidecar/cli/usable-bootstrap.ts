// The bootstrap of a start: read, judged with the files that it names, every problem printed. It is all that is loaded before the workers'
// threads are started, so what only `validate` needs is not here. Called by the verbs run and validate.

import { loadBootstrap, type LoadedBootstrap } from "../../xds/decode/bootstrap-file.ts";
import type { LocatedIssue } from "../../xds/decode/yaml-document.ts";
import { checkNamedFiles } from "../../xds/named-files.ts";
import { SecretCheck } from "../../xds/secrets/secret-check.ts";
import { formatProblem } from "../telemetry/format.ts";
import { isPipe, readPipe } from "./read-pipe.ts";
import type { RunOptions } from "./run-flags.ts";
import type { CliIo } from "./verb.ts";

export type GoodBootstrap = LoadedBootstrap & { readonly ok: true };

/** A number: the exit code of a start that is none. */
export async function usableBootstrap(options: RunOptions, io: CliIo): Promise<GoodBootstrap | number> {
  const loaded = await loadFor(options, io);
  if (loaded === undefined) {
    return 0;
  }
  const issues = loaded.ok ? unusableFiles(loaded, environmentOf(io)) : loaded.issues;
  for (const issue of issues) {
    io.err(`${describeLocated(issue)}\n`);
  }
  return loaded.ok && issues.length === 0 ? loaded : 1;
}

/** The bootstrap as the flags say, its node overridden by --service-*. Undefined: a signal came before a pipe had all of it. */
export async function loadFor(options: RunOptions, io: CliIo): Promise<LoadedBootstrap | undefined> {
  const path = options.configPath;
  const bytes = path !== undefined && isPipe(path) ? await readPipe(path, io.stop) : undefined;
  if (bytes === null) {
    io.err(`outrigger: ${io.stop.reason} came while ${path} was waited for\n`);
    return undefined;
  }
  return loadBootstrap({
    path,
    bytes,
    yamlOverlay: options.configYaml,
    allowUnknownFields: options.allowUnknownStaticFields,
    formatProblem,
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

/**
 * Files of a bootstrap that cannot be read (plugins' code, bodies), variables that are not there, and certificates that cannot be used. Files that hold
 * resources may come later.
 */
function unusableFiles(loaded: GoodBootstrap, environment: Record<string, string>): readonly LocatedIssue[] {
  const data = loaded.files.filter(({ kind }) => kind !== "resources");
  const { issues } = checkNamedFiles(loaded.value, data, environment);
  return [...issues, ...certificateProblems(loaded, issues, environment)];
}

/** Certificates, keys and authorities of static clusters and listeners; not those whose file is `known` to be missing. */
export function certificateProblems(
  loaded: GoodBootstrap,
  known: readonly LocatedIssue[],
  environment: Record<string, string>,
): readonly LocatedIssue[] {
  return new SecretCheck(loaded.value.secrets, environment)
    .bootstrapIssues(loaded.value)
    .filter((issue) => !known.some(({ path }) => path.startsWith(issue.path)))
    .map(({ path, problem }) => loaded.locate(path, problem));
}
