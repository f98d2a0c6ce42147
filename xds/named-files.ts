// The files and variables that a bootstrap names, and those that they name in turn: resources are decoded, data must be readable. For the
// verb validate; a running sidecar reads them through path-source.ts and when it needs them. Reads each file once.

import { accessSync, constants, statSync } from "node:fs";
import type { Bootstrap } from "./model/bootstrap.ts";
import type { DiscoveredFilter, Listener } from "./model/listener.ts";
import { listenerReferences, routeClusters } from "./references.ts";
import { quoted } from "./decode/constraint.ts";
import { readProblem } from "./decode/file-problem.ts";
import type { FormatProblem, Issue } from "./decode/issues.ts";
import { decodeResource, type Resource } from "./decode/resource.ts";
import { loadResourcesFile, type FileResource, type LoadedResources } from "./decode/resources-file.ts";
import type { LocatedFile, LocatedIssue } from "./decode/yaml-document.ts";
import type { Environment } from "./secrets/read-data.ts";
import { SecretCheck } from "./secrets/secret-check.ts";

export interface CheckedFiles {
  readonly issues: readonly LocatedIssue[];
  /** What the files hold beside the bootstrap's own resources. */
  readonly listeners: readonly Listener[];
  /** Of ECDS. */
  readonly filters: readonly DiscoveredFilter[];
  /** Every file named, with the first place that names it. */
  readonly files: readonly LocatedFile[];
}

/** More files than this are not followed: they may name each other without end, each by another spelling. */
const MAX_FILES = 1_000;

/** Never throws. `named` is what loadBootstrap() found. */
export function checkNamedFiles(
  bootstrap: Bootstrap,
  named: readonly LocatedFile[],
  environment: Environment,
  formatProblem?: FormatProblem,
): CheckedFiles {
  const reader = new FilesReader(new SecretCheck(bootstrap.secrets, environment), environment, formatProblem);
  for (const file of named) reader.add(file);
  reader.read();
  reader.checkSecrets();
  reader.checkClusters(bootstrap);
  return reader;
}

type Loaded = LoadedResources & { ok: true };
type Found = Readonly<{ from: Loaded; raw: FileResource; resource: Resource }>;

class FilesReader implements CheckedFiles {
  readonly issues: LocatedIssue[] = [];
  readonly listeners: Listener[] = [];
  readonly filters: DiscoveredFilter[] = [];
  readonly files: LocatedFile[] = [];
  readonly #seen = new Set<string>();
  readonly #found: Found[] = [];
  readonly #unreadable: string[] = [];
  readonly #formatProblem: FormatProblem | undefined;
  readonly #secrets: SecretCheck;
  readonly #environment: Environment;

  constructor(secrets: SecretCheck, environment: Environment, formatProblem: FormatProblem | undefined) {
    this.#secrets = secrets;
    this.#environment = environment;
    this.#formatProblem = formatProblem;
  }

  add(file: LocatedFile): void {
    const key = `${file.kind} ${file.name}`;
    if (this.#seen.has(key) || this.#seen.size >= MAX_FILES) return;
    this.#seen.add(key);
    this.files.push(file);
  }

  /** `files` grows while it is walked. */
  read(): void {
    for (const file of this.files) {
      const problem = file.kind === "environment" ? this.#variableProblem(file.name) : openProblem(file.name);
      if (problem !== undefined) {
        this.#unreadable.push(file.name);
        this.issues.push(problemAt(file, problem));
      } else if (file.kind === "resources") this.#readResources(file.name);
    }
  }

  #variableProblem(name: string): string | undefined {
    return this.#environment[name] === undefined ? "is not in the environment" : undefined;
  }

  /** Certificates of secrets, clusters and listeners; files that cannot be read are issues already. */
  checkSecrets(): void {
    for (const { from, raw, resource } of this.#found) {
      for (const issue of this.#secrets.issues(resource)) {
        if (this.#unreadable.some((name) => issue.problem.includes(name))) continue;
        this.issues.push(placed(from, raw, issue));
      }
    }
  }

  #readResources(path: string): void {
    const loaded = loadResourcesFile(path, this.#formatProblem);
    if (!loaded.ok) {
      this.issues.push(...loaded.issues);
      return;
    }
    for (const file of loaded.files ?? []) this.add(file);
    for (const raw of loaded.resources) {
      const decoded = decodeResource(raw.typeUrl, raw.value);
      if (!decoded.ok) continue;
      this.#found.push({ from: loaded, raw, resource: decoded.value });
      if (decoded.value.kind === "listener") this.listeners.push(decoded.value.value);
      if (decoded.value.kind === "plugin") this.filters.push(decoded.value.value);
    }
  }

  /**
   * Clusters that inline routes of these listeners name must be there, as Envoy demands, unless a control plane may still
   * send them. Routes of their own (RDS) may name any.
   */
  checkClusters(bootstrap: Bootstrap): void {
    if (bootstrap.cds !== undefined && bootstrap.cds.kind !== "path") return;
    const known = new Set(bootstrap.clusters.map(({ name }) => name));
    for (const { resource } of this.#found) if (resource.kind === "cluster") known.add(resource.name);
    for (const { from, raw, resource } of this.#found) {
      if (resource.kind !== "listener") continue;
      const { inlineRoutes } = listenerReferences(resource.value);
      const names = inlineRoutes
        .filter((table) => table.validateClusters !== false)
        .flatMap((routes) => routeClusters(routes));
      for (const name of new Set(names)) {
        if (known.has(name)) continue;
        const problem = `its routes name the unknown cluster ${quoted(name)}`;
        const place = placed(from, raw, { path: "", problem });
        this.issues.push(place);
      }
    }
  }
}

/** In its file, where that is known. */
function placed(from: Loaded, raw: FileResource, issue: Issue): LocatedIssue {
  return from.locate?.(raw, issue) ?? { file: "", line: 0, column: 0, ...issue };
}

/** Why a file cannot be read; undefined when it can. */
function openProblem(path: string): string | undefined {
  try {
    // Not opened: to open a pipe is to wait for its writer.
    accessSync(path, constants.R_OK);
    return statSync(path).isDirectory() ? "cannot be read: is a directory" : undefined;
  } catch (error) {
    return readProblem(error);
  }
}

/** At the field that names the file, or at the file itself when nobody knows where that is. */
function problemAt(file: LocatedFile, problem: string): LocatedIssue {
  const { kind: _kind, name, ...place } = file;
  return { ...place, problem: `${quoted(name)} ${problem}` };
}
