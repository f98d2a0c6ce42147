// Which sidecars a group of resources is for, by what they say about themselves (their node) and by what their
// certificate says (their SPIFFE id). Pure. What a client says is only text: whoever must not have a group's resources
// is kept away by `spiffeIds`, never by the selector alone.

import type { NodeInfo } from "../discovery-wire.ts";

/** A value of node metadata, or of a metadata selector. */
export type Metadata = Readonly<{ [key: string]: unknown }>;

/**
 * All that is given must hold; nothing given holds for every node. Texts are patterns: `*` stands for any characters.
 * In a list, one must hold.
 */
export type Selector = Readonly<{
  nodeId?: readonly string[];
  cluster?: readonly string[];
  locality?: Readonly<{ region?: string; zone?: string; subZone?: string }>;
  /** Labels of the workload: what Istio's agent puts into the node metadata under `LABELS`. */
  labels?: Readonly<Record<string, string>>;
  /** Node metadata; a map must hold in each of its keys, other values must be equal, texts are patterns. */
  metadata?: Metadata;
}>;

/** What is known of a client. `spiffeIds` come from its certificate, all else from itself. */
export type ClientIdentity = Readonly<{ node: NodeInfo; spiffeIds: readonly string[] }>;

export function selects(selector: Selector, node: NodeInfo): boolean {
  const { nodeId, cluster, locality, labels, metadata } = selector;
  return (
    (nodeId === undefined || nodeId.some((pattern) => matchesPattern(pattern, node.id))) &&
    (cluster === undefined || cluster.some((pattern) => matchesPattern(pattern, node.cluster))) &&
    (locality === undefined || isIn(locality, node.locality)) &&
    (labels === undefined || holds(labels, node.metadata["LABELS"])) &&
    (metadata === undefined || holds(metadata, node.metadata))
  );
}

/** Whether one of the client's SPIFFE ids is allowed. `*` stands for any characters but `/`. */
export function isAllowed(patterns: readonly string[], spiffeIds: readonly string[]): boolean {
  return spiffeIds.some((id) => patterns.some((pattern) => matchesPath(pattern, id)));
}

function isIn(wanted: NonNullable<Selector["locality"]>, locality: NodeInfo["locality"]): boolean {
  const { region = "*", zone = "*", subZone = "*" } = wanted;
  return (
    matchesPattern(region, locality.region) &&
    matchesPattern(zone, locality.zone) &&
    matchesPattern(subZone, locality.subZone)
  );
}

function holds(wanted: unknown, actual: unknown): boolean {
  if (typeof wanted === "string") return typeof actual === "string" && matchesPattern(wanted, actual);
  if (typeof wanted !== "object" || wanted === null) return wanted === actual;
  if (typeof actual !== "object" || actual === null) return false;
  return Object.entries(wanted).every(
    ([key, value]) => Object.hasOwn(actual, key) && holds(value, Reflect.get(actual, key)),
  );
}

/** `*` stands for any characters. Time is at most the product of both lengths: `text` is a stranger's. */
export function matchesPattern(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let retry = 0;
  let i = 0;
  while (i < text.length) {
    if (pattern[at] === "*") {
      star = at++;
      retry = i;
    } else if (pattern[at] === text[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++retry;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}

function matchesPath(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const actual = path.split("/");
  return wanted.length === actual.length && wanted.every((part, index) => matchesPattern(part, actual[index] ?? ""));
}
