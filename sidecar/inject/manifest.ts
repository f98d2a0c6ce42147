// A file of Kubernetes objects with sidecars in it: finds what makes pods, injects each, and gives the text back with everything else as it
// was. Documents that do not change are not even printed again. `inject` prints the text; `inject --explain` prints the outcomes.

import type { Document } from "yaml";
import { type Injection, injectPod } from "./inject-pod.ts";
import { applyOperation, isObject, type Json, type JsonObject, type Operation } from "./json-patch.ts";
import type { InjectSettings } from "./settings.ts";
import { editDocument } from "./yaml-edit.ts";
import { printDocument, readYamlFile, valueOf } from "./yaml-text.ts";

export interface Outcome {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** undefined: an object of this kind makes no pods. */
  readonly injection: Injection | undefined;
}

export interface InjectedManifest {
  readonly text: string;
  readonly outcomes: readonly Outcome[];
  /** `file:line:column: what is wrong`. With problems the text is the one that was given. */
  readonly problems: readonly string[];
}

/** Where the pod (or the pod template) stands in an object of a kind. */
const POD_PATHS: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  PodTemplate: ["template"],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  ReplicationController: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
  DeploymentConfig: ["spec", "template"],
  Rollout: ["spec", "template"],
};

export interface ManifestSource {
  /** For problems: the file's name, or `stdin`. */
  readonly name: string;
  readonly text: string;
  /** Of objects that do not say their own. */
  readonly namespace: string;
}

export function injectManifest(source: ManifestSource, settings: InjectSettings): InjectedManifest {
  const json = jsonOf(source.text);
  return json === undefined ? injectYaml(source, settings) : injectJson(source, json, settings);
}

interface Found {
  readonly outcome: Outcome;
  /** Where the pod stands in the document. */
  readonly path: readonly (string | number)[];
}

function injectYaml(source: ManifestSource, settings: InjectSettings): InjectedManifest {
  const { documents, place, sourceOf } = readYamlFile(source.text);
  const outcomes: Outcome[] = [];
  const problems: string[] = [];
  const texts: string[] = [];
  for (const [index, document] of documents.entries()) {
    const at = (offset: number): string => {
      const { line, column } = place(offset);
      return `${source.name}:${line}:${column}`;
    };
    const value = document.errors.length > 0 ? undefined : valueOf(document);
    if (value === undefined || !value.ok) {
      problems.push(...document.errors.map(({ pos, message }) => `${at(pos[0])}: ${message}`));
      problems.push(...(value === undefined ? [] : [`${at(document.range?.[0] ?? 0)}: ${value.problem}`]));
      continue;
    }
    // An empty document is nothing; a text or a list was meant to be something else.
    if (value.value !== null && value.value !== undefined && !isObject(value.value)) {
      problems.push(
        `${at(document.range?.[0] ?? 0)}: this is no Kubernetes object, which has apiVersion, kind and metadata`,
      );
    }
    const found = walk(value.value, [], source.namespace, settings);
    outcomes.push(...found.map(({ outcome }) => outcome));
    problems.push(...found.flatMap((each) => problemsOf(each, () => at(offsetOf(document, each.path)))));
    const patched = found.filter(({ outcome }) => outcome.injection?.kind === "patched");
    for (const { outcome, path } of patched) {
      editDocument(document, path, operationsOf(outcome));
    }
    texts.push(patched.length === 0 ? sourceOf(index) : printed(document, sourceOf(index), index));
  }
  return { text: problems.length > 0 || documents.length === 0 ? source.text : texts.join(""), outcomes, problems };
}

/** A document that is not the first must begin with its marker. */
function printed(document: Document, source: string, index: number): string {
  const text = printDocument(document, source);
  return index === 0 || /^(?:---|%)/.test(text) ? text : `---\n${text}`;
}

function injectJson(source: ManifestSource, json: JsonObject, settings: InjectSettings): InjectedManifest {
  const found = walk(json, [], source.namespace, settings);
  const problems = found.flatMap((each) => problemsOf(each, () => `${source.name}:1:1`));
  const outcomes = found.map(({ outcome }) => outcome);
  const patched = found.filter(({ outcome }) => outcome.injection?.kind === "patched");
  if (problems.length > 0 || patched.length === 0) {
    return { text: source.text, outcomes, problems };
  }
  for (const { outcome, path } of patched) {
    for (const operation of operationsOf(outcome)) {
      applyOperation(json, { ...operation, path: [...path, ...operation.path] });
    }
  }
  const indent = /\n([ \t]+)"/.exec(source.text)?.[1] ?? "";
  return { text: `${JSON.stringify(json, null, indent)}\n`, outcomes, problems };
}

/** The text as a JSON object, when it is one. */
function jsonOf(text: string): JsonObject | undefined {
  if (!/^\s*\{/.test(text)) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The objects of a value, in order: itself, or its items where it is a list. */
function walk(value: unknown, path: Found["path"], namespace: string, settings: InjectSettings): Found[] {
  if (!isObject(value)) {
    return [];
  }
  const kind = typeof value["kind"] === "string" ? value["kind"] : "";
  const { items } = value;
  if (kind.endsWith("List") && Array.isArray(items)) {
    // Items of a DeploymentList need not say their kind.
    const itemKind = kind.slice(0, -"List".length);
    return items.flatMap((item, index) =>
      walk(
        isObject(item) && itemKind !== "" ? { kind: itemKind, ...item } : item,
        [...path, "items", index],
        namespace,
        settings,
      ),
    );
  }
  const metadata = isObject(value["metadata"]) ? value["metadata"] : {};
  const text = (field: Json | undefined): string => (typeof field === "string" ? field : "");
  const name = text(metadata["name"]) || text(metadata["generateName"]).replace(/-$/, "");
  const own = text(metadata["namespace"]) || namespace;
  const podPath = Object.hasOwn(POD_PATHS, kind) ? POD_PATHS[kind] : undefined;
  if (podPath === undefined) {
    return [{ outcome: { kind, namespace: own, name, injection: undefined }, path }];
  }
  const pod = podPath.reduce<Json | undefined>((at, key) => (isObject(at) ? at[key] : undefined), value);
  const owner = podPath.length === 0 ? undefined : { apiVersion: text(value["apiVersion"]), kind, name };
  const injection: Injection = isObject(pod)
    ? injectPod(pod, settings, { namespace: own, owner })
    : { kind: "refused", problems: [`${podPath.join(".")}: is missing`] };
  return [{ outcome: { kind, namespace: own, name, injection }, path: [...path, ...podPath] }];
}

function operationsOf({ injection }: Outcome): readonly Operation[] {
  return injection?.kind === "patched" ? injection.operations : [];
}

function problemsOf({ outcome: { kind, name, injection } }: Found, place: () => string): string[] {
  return injection?.kind === "refused"
    ? injection.problems.map((problem) => `${place()}: ${kind} ${name}: ${problem}`)
    : [];
}

/** Where the nearest thing to `path` begins in the text. */
function offsetOf(document: Document, path: Found["path"]): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range)) {
      return Number(node.range[0]);
    }
  }
  return 0;
}
