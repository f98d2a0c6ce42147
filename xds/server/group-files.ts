// Files of resource groups: what a person writes for a control plane, as groups, or every problem with its place. Each
// file has one or more YAML documents (or is JSON); each document is a group:
//
//   selector: { node_id: "shop-*", cluster: shop, locality: { region: eu }, labels: { app: shop }, metadata: { … } }
//   spiffe_ids: ["spiffe://example.org/ns/shop/sa/*"]
//   on_demand: true          virtual hosts (VHDS) and clusters that are sent to sidecars that ask for a domain or name
//   resources: [ … ]         or static_resources, or, without the words above, the list of resources alone
//
// The same reader serves the files of the verb `control-plane` and what is pushed. Pure.

import { createHash } from "node:crypto";
import type { FormatProblem } from "../decode/issues.ts";
import { nearestName } from "../decode/nearest-name.ts";
import { readResources } from "../decode/resources-file.ts";
import { describe, formatLocated, parseYamlDocuments, plainJson } from "../decode/yaml-document.ts";
import type { LocatedIssue, YamlFile, YamlValue } from "../decode/yaml-document.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, VIRTUAL_HOST_TYPE } from "../type-urls.ts";
import type { ResourceGroup } from "./resource-groups.ts";
import type { ServedResource } from "./resource-set.ts";
import type { Metadata, Selector } from "./selector.ts";

/** A file by its name, for problems, and its text. */
export type GroupFile = Readonly<{ name: string; text: string }>;

export type ReadGroups =
  | Readonly<{ ok: true; groups: readonly ResourceGroup[] }>
  /** Each as `file:line:column: path: what is wrong`. */
  | Readonly<{ ok: false; problems: readonly string[] }>;

/** Longest list of problems; who has more mends these first. */
const MAX_PROBLEMS = 100;

/** Reads and validates all files together; never throws. */
export function readGroups(files: readonly GroupFile[], formatProblem?: FormatProblem): ReadGroups {
  return new GroupReader(formatProblem).read(files);
}

type ReadFile = Readonly<{
  digest: string;
  issues: readonly LocatedIssue[];
  groups: readonly ResourceGroup[];
  /** Each resource by selector, type and name, and where it stands. */
  claims: readonly (readonly [key: string, place: LocatedIssue])[];
}>;

/** Reads files again and again: those whose text is as before are not parsed again. */
export class GroupReader {
  readonly #formatProblem: FormatProblem | undefined;
  #known: ReadonlyMap<string, ReadFile> = new Map();

  constructor(formatProblem?: FormatProblem) {
    this.#formatProblem = formatProblem;
  }

  read(files: readonly GroupFile[]): ReadGroups {
    const read = new Map<string, ReadFile>();
    for (const { name, text } of files) {
      const digest = createHash("sha256").update(text).digest("hex");
      const known = this.#known.get(name);
      const isSame = known?.digest === digest;
      read.set(name, isSame ? known : { digest, ...readFile({ name, text }, this.#formatProblem) });
    }
    this.#known = read;
    const all = [...read.values()];
    const issues = all.flatMap((each) => each.issues);
    if (issues.length === 0) issues.push(...clashes(all));
    if (issues.length === 0) return { ok: true, groups: all.flatMap(({ groups }) => groups) };
    const problems = issues.slice(0, MAX_PROBLEMS).map(formatLocated);
    const more = issues.length - problems.length;
    return { ok: false, problems: more > 0 ? [...problems, `… and ${more} more problems`] : problems };
  }
}

/** Two groups with one selector are for the same sidecars: of two resources neither could be said to count. */
function clashes(files: readonly ReadFile[]): LocatedIssue[] {
  const places = new Map<string, LocatedIssue>();
  const issues: LocatedIssue[] = [];
  for (const [key, place] of files.flatMap(({ claims }) => claims)) {
    const other = places.get(key);
    if (other === undefined) places.set(key, place);
    else {
      const there = `${other.file}:${other.line}:${other.column}`;
      issues.push({ ...place, problem: `a resource with this name is already at ${there}, for the same sidecars` });
    }
  }
  return issues;
}

function readFile({ name: file, text }: GroupFile, formatProblem: FormatProblem | undefined): Omit<ReadFile, "digest"> {
  const issues: LocatedIssue[] = [];
  const groups: ResourceGroup[] = [];
  const claims: [string, LocatedIssue][] = [];
  // A file that is being written is empty for a moment; `[]` says on purpose that there is nothing.
  if (text.trim() === "") issues.push({ file, line: 1, column: 1, path: "", problem: "the file is empty" });
  const parsed = text.trim() === "" ? { ok: true as const, values: [] } : parseYamlDocuments(text, file);
  if (!parsed.ok) return { issues: parsed.issues, groups, claims };
  for (const document of parsed.values) {
    const { root } = document;
    if (root === undefined) continue;
    const { selector, spiffeIds, onDemand, rest } = new WordsReader(document, issues).group(root);
    const loaded = readResources({ ...document, root: rest }, formatProblem);
    if (!loaded.ok) {
      issues.push(...loaded.issues);
      continue;
    }
    const { line } = document.position(root.offset);
    const key = JSON.stringify(selector ?? null);
    for (const resource of loaded.resources) {
      const place = loaded.locate?.(resource, { path: "", problem: "" });
      if (place === undefined) continue;
      claims.push([`${key} ${resource.typeUrl} ${resource.name}`, place]);
      const problem = servingProblem(resource, onDemand);
      if (problem !== undefined) issues.push({ ...place, problem });
    }
    groups.push({
      name: `${file}:${line}`,
      resources: onDemand ? loaded.resources.map((each) => ({ ...each, onDemand })) : loaded.resources,
      ...(selector === undefined ? {} : { selector }),
      ...(spiffeIds === undefined ? {} : { spiffeIds }),
    });
  }
  return { issues, groups, claims };
}

/** What may be on demand; endpoints are asked for by name anyway, and may stand beside their cluster. */
const ON_DEMAND_TYPES: ReadonlySet<string> = new Set([VIRTUAL_HOST_TYPE, CLUSTER_TYPE, ENDPOINTS_TYPE]);

/** What only a control plane minds. */
function servingProblem({ typeUrl, name }: ServedResource, onDemand: boolean): string | undefined {
  if (onDemand && !ON_DEMAND_TYPES.has(typeUrl)) return "on_demand is for virtual hosts, clusters and their endpoints";
  if (typeUrl !== VIRTUAL_HOST_TYPE) return undefined;
  if (/^.+\/[^/]+$/.test(name)) return undefined;
  return "the name must be that of the route configuration, a slash, and the host's, such as routes/shop";
}

const GROUP_KEYS = ["selector", "spiffe_ids", "on_demand"];
const SELECTOR_KEYS = ["node_id", "cluster", "locality", "labels", "metadata"];
const LOCALITY_KEYS = ["region", "zone", "sub_zone"];

/** The group's own words; problems go to `issues`. */
class WordsReader {
  readonly #file: YamlFile;
  readonly #issues: LocatedIssue[];

  constructor(file: YamlFile, issues: LocatedIssue[]) {
    this.#file = file;
    this.#issues = issues;
  }

  /** The words of a document, and the document without them: what is left are resources. */
  group(root: YamlValue): {
    selector: Selector | undefined;
    spiffeIds: readonly string[] | undefined;
    onDemand: boolean;
    rest: YamlValue;
  } {
    if (root.kind !== "map") return { selector: undefined, spiffeIds: undefined, onDemand: false, rest: root };
    const own = new Map(root.entries.map(({ key, value }) => [key, value]));
    const selector = own.get("selector");
    const spiffeIds = own.get("spiffe_ids");
    const onDemand = own.get("on_demand");
    return {
      selector: selector === undefined ? undefined : this.selector(selector),
      spiffeIds: spiffeIds === undefined ? undefined : this.texts(spiffeIds, "spiffe_ids"),
      onDemand: onDemand !== undefined && this.#isTrue(onDemand, "on_demand"),
      rest: { ...root, entries: root.entries.filter(({ key }) => !GROUP_KEYS.includes(key)) },
    };
  }

  selector(value: YamlValue): Selector {
    const entries = this.#map(value, "selector", SELECTOR_KEYS);
    const nodeId = entries.get("node_id");
    const cluster = entries.get("cluster");
    const locality = entries.get("locality");
    const labels = entries.get("labels");
    const metadata = entries.get("metadata");
    return {
      ...(nodeId === undefined ? {} : { nodeId: this.texts(nodeId, "selector.node_id") }),
      ...(cluster === undefined ? {} : { cluster: this.texts(cluster, "selector.cluster") }),
      ...(locality === undefined ? {} : { locality: this.#locality(locality) }),
      ...(labels === undefined ? {} : { labels: this.#labels(labels) }),
      ...(metadata === undefined ? {} : { metadata: this.#metadata(metadata) }),
    };
  }

  /** One text, or a list of them. */
  texts(value: YamlValue, path: string): readonly string[] {
    if (value.kind === "list" && value.items.length > 0) return value.items.map((each) => this.#text(each, path));
    if (value.kind === "scalar") return [this.#text(value, path)];
    this.#say(
      value,
      path,
      `must be a text or a list of texts, not ${value.kind === "list" ? "an empty list" : "a map"}`,
    );
    return [];
  }

  #isTrue(value: YamlValue, path: string): boolean {
    if (value.kind === "scalar" && typeof value.value === "boolean") return value.value;
    this.#say(value, path, `must be true or false, not ${describe(value)}`);
    return false;
  }

  #text(value: YamlValue, path: string): string {
    if (value.kind === "scalar" && typeof value.value === "string" && value.value !== "") return value.value;
    // Labels such as "1.30" lose a digit as numbers.
    const hint = value.kind === "scalar" && value.value !== null && value.value !== "" ? "; write it in quotes" : "";
    this.#say(value, path, `must be a text that is not empty, not ${describe(value)}${hint}`);
    return "";
  }

  #locality(value: YamlValue): NonNullable<Selector["locality"]> {
    const entries = this.#map(value, "selector.locality", LOCALITY_KEYS);
    const text = (key: string) => {
      const entry = entries.get(key);
      return entry === undefined ? undefined : this.#text(entry, `selector.locality.${key}`);
    };
    const region = text("region");
    const zone = text("zone");
    const subZone = text("sub_zone");
    return {
      ...(region === undefined ? {} : { region }),
      ...(zone === undefined ? {} : { zone }),
      ...(subZone === undefined ? {} : { subZone }),
    };
  }

  #labels(value: YamlValue): Readonly<Record<string, string>> {
    const labels = this.#map(value, "selector.labels");
    return Object.fromEntries([...labels].map(([key, each]) => [key, this.#text(each, `selector.labels.${key}`)]));
  }

  #metadata(value: YamlValue): Metadata {
    const entries = this.#map(value, "selector.metadata");
    return Object.fromEntries([...entries].map(([key, each]) => [key, plainJson(each)]));
  }

  #map(value: YamlValue, path: string, known?: readonly string[]): Map<string, YamlValue> {
    if (value.kind !== "map") {
      this.#say(value, path, `must be a map, not ${describe(value)}`);
      return new Map();
    }
    for (const { key, offset } of value.entries) {
      if (known === undefined || known.includes(key)) continue;
      const near = nearestName(key, known);
      const hint = near === undefined ? `; known are ${known.join(", ")}` : `; did you mean ${near}?`;
      this.#say({ offset }, `${path}.${key}`, `is not known${hint}`);
    }
    return new Map(value.entries.map((entry) => [entry.key, entry.value]));
  }

  #say({ offset }: Readonly<{ offset: number }>, path: string, problem: string): void {
    this.#issues.push({ file: this.#file.file, ...this.#file.position(offset), path, problem });
  }
}
