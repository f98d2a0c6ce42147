// Files of resource groups: what a person writes for a control plane, as groups, or every problem with its place. Each
// file has one or more YAML documents (or is JSON); each document is a group:
//
//   selector: { node_id: "shop-*", cluster: shop, locality: { region: eu }, labels: { app: shop }, metadata: { … } }
//   spiffe_ids: ["spiffe://example.org/ns/shop/sa/*"]
//   resources: [ … ]         or static_resources, or, without selector and spiffe_ids, the list of resources alone
//
// The same reader serves the files of the verb `control-plane` and what is pushed. Pure.

import type { FormatProblem } from "../decode/issues.ts";
import { nearestName } from "../decode/nearest-name.ts";
import { readResources } from "../decode/resources-file.ts";
import { describe, formatLocated, parseYamlDocuments, plainJson } from "../decode/yaml-document.ts";
import type { LocatedIssue, YamlFile, YamlValue } from "../decode/yaml-document.ts";
import type { ResourceGroup } from "./resource-groups.ts";
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
  const reader = new GroupsReader(formatProblem);
  for (const file of files) reader.read(file);
  const { issues, groups } = reader;
  if (issues.length === 0) return { ok: true, groups };
  const problems = issues.slice(0, MAX_PROBLEMS).map(formatLocated);
  const more = issues.length - problems.length;
  return { ok: false, problems: more > 0 ? [...problems, `… and ${more} more problems`] : problems };
}

const GROUP_KEYS = ["selector", "spiffe_ids"];

class GroupsReader {
  readonly issues: LocatedIssue[] = [];
  readonly groups: ResourceGroup[] = [];
  readonly #formatProblem: FormatProblem | undefined;
  /** Where a resource of the same selector stands, by selector, type and name. */
  readonly #places = new Map<string, string>();

  constructor(formatProblem: FormatProblem | undefined) {
    this.#formatProblem = formatProblem;
  }

  read({ name, text }: GroupFile): void {
    // A file that is being written is empty for a moment; `[]` says on purpose that there is nothing.
    if (text.trim() === "") {
      this.issues.push({ file: name, line: 1, column: 1, path: "", problem: "the file is empty" });
      return;
    }
    const parsed = parseYamlDocuments(text, name);
    if (!parsed.ok) {
      this.issues.push(...parsed.issues);
      return;
    }
    for (const document of parsed.values) this.#document(document);
  }

  #document(document: YamlFile): void {
    const { root, file } = document;
    if (root === undefined) return;
    const words = new WordsReader(document, this.issues);
    const entries = root.kind === "map" ? root.entries : [];
    const own = entries.filter(({ key }) => GROUP_KEYS.includes(key));
    const selectorValue = own.find(({ key }) => key === "selector")?.value;
    const idsValue = own.find(({ key }) => key === "spiffe_ids")?.value;
    const selector = selectorValue === undefined ? undefined : words.selector(selectorValue);
    const spiffeIds = idsValue === undefined ? undefined : words.texts(idsValue, "spiffe_ids");
    const rest = root.kind === "map" ? { ...root, entries: entries.filter((entry) => !own.includes(entry)) } : root;
    const loaded = readResources({ ...document, root: rest }, this.#formatProblem);
    if (!loaded.ok) {
      this.issues.push(...loaded.issues);
      return;
    }
    const { line } = document.position(root.offset);
    const key = JSON.stringify(selector ?? null);
    for (const resource of loaded.resources) {
      const place = loaded.locate?.(resource, { path: "", problem: "" });
      this.#claim(
        `${key} ${resource.typeUrl} ${resource.name}`,
        place ?? { file, line, column: 1, path: "", problem: "" },
      );
    }
    this.groups.push({
      name: `${file}:${line}`,
      resources: loaded.resources,
      ...(selector === undefined ? {} : { selector }),
      ...(spiffeIds === undefined ? {} : { spiffeIds }),
    });
  }

  /** Two groups with one selector are for the same sidecars: neither could be said to count. */
  #claim(key: string, place: LocatedIssue): void {
    const other = this.#places.get(key);
    const here = `${place.file}:${place.line}:${place.column}`;
    if (other === undefined) this.#places.set(key, here);
    else
      this.issues.push({
        ...place,
        problem: `a resource with this name is already at ${other}, for the same sidecars`,
      });
  }
}

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
