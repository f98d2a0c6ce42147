// What a push would change: resources that come, change and go, with the lines that differ and how many of the connected
// sidecars see it. Secrets are named, never shown. Pure.

import { anyToJson } from "../decode/resource-json.ts";
import { SECRET_TYPE } from "../type-urls.ts";
import { diffLines } from "./line-diff.ts";
import type { ResourceGroup, ResourceGroups } from "./resource-groups.ts";
import { isSameContent, ResourceSet } from "./resource-set.ts";
import type { ServedResource } from "./resource-set.ts";
import type { ClientIdentity } from "./selector.ts";

export type ResourceChange = Readonly<{
  kind: "added" | "changed" | "removed";
  typeUrl: string;
  name: string;
  /** The group's selector as JSON; empty for every sidecar. */
  selector: string;
  /** Connected sidecars for which this resource becomes another. */
  sidecars: number;
  /** As of `diff -u`, of the resource as JSON; only of the first changes. */
  lines: readonly string[];
}>;

export type ConfigDiff = Readonly<{
  /** Without changes a push makes no new release. */
  changes: readonly ResourceChange[];
  /** Connected sidecars that get something else, or are sent away. */
  sidecars: number;
  /** Node ids of connected sidecars that would be refused, and why; the first ones. */
  denied: readonly string[];
}>;

/** Changes whose lines are computed. */
const MAX_SHOWN = 200;
const MAX_DENIED = 20;
const HIDDEN = "(hidden)";
/** Fields that hold what must not be shown. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "private_key",
  "password",
  "session_ticket_keys",
  "secret",
  "token",
]);

export function diffGroups(
  before: ResourceGroups,
  after: ResourceGroups,
  clients: readonly ClientIdentity[],
): ConfigDiff {
  const effect = new Effect(before, after, clients);
  const changes: ResourceChange[] = [];
  const left = new Map<string, readonly [ResourceGroup, ServedResource]>();
  for (const entry of before.all()) left.set(keyOf(...entry), entry);
  const add = (
    kind: ResourceChange["kind"],
    group: ResourceGroup,
    resource: ServedResource,
    lines: () => readonly string[],
  ) => {
    const { typeUrl, name } = resource;
    const selector = selectorText(group);
    const sidecars = effect.sidecarsOf(typeUrl, name);
    changes.push({ kind, typeUrl, name, selector, sidecars, lines: changes.length < MAX_SHOWN ? lines() : [] });
  };
  for (const [group, resource] of after.all()) {
    const key = keyOf(group, resource);
    const known = left.get(key)?.[1];
    left.delete(key);
    if (known === undefined) add("added", group, resource, () => []);
    else if (!isSameContent(known, resource)) {
      add("changed", group, resource, () => diffLines(textOf(known), textOf(resource)));
    }
  }
  for (const [group, resource] of left.values()) add("removed", group, resource, () => []);
  return { changes, sidecars: effect.sidecars, denied: effect.denied };
}

/** What connected sidecars get before and after: those that share both are looked at once. */
class Effect {
  readonly #pairs = new Map<ResourceSet, Map<ResourceSet, number>>();
  readonly denied: string[] = [];
  sidecars = 0;

  constructor(before: ResourceGroups, after: ResourceGroups, clients: readonly ClientIdentity[]) {
    for (const client of clients) {
      const one = before.admit(client);
      const other = after.admit(client);
      if (!other.ok) {
        this.sidecars += 1;
        if (this.denied.length < MAX_DENIED) this.denied.push(`${client.node.id}: ${other.problem}`);
      }
      if (!one.ok || !other.ok) continue;
      if (ResourceSet.differ(one.resources, other.resources)) this.sidecars += 1;
      const pairs = this.#pairs.get(one.resources) ?? new Map<ResourceSet, number>();
      pairs.set(other.resources, (pairs.get(other.resources) ?? 0) + 1);
      this.#pairs.set(one.resources, pairs);
    }
  }

  sidecarsOf(typeUrl: string, name: string): number {
    let sidecars = 0;
    for (const [before, pairs] of this.#pairs) {
      const version = before.type(typeUrl).get(name)?.version;
      for (const [after, count] of pairs) {
        if (after.type(typeUrl).get(name)?.version !== version) sidecars += count;
      }
    }
    return sidecars;
  }
}

function keyOf(group: ResourceGroup, { typeUrl, name }: ServedResource): string {
  return `${selectorText(group)} ${typeUrl} ${name}`;
}

function selectorText({ selector, spiffeIds }: ResourceGroup): string {
  const parts = [selector, spiffeIds].filter((part) => part !== undefined);
  return parts.map((part) => JSON.stringify(part)).join(" ");
}

function textOf(resource: ServedResource): string {
  return resource.onDemand === true ? `(on demand)\n${jsonOf(resource)}` : jsonOf(resource);
}

function jsonOf({ typeUrl, name, value }: ServedResource): string {
  if (typeUrl === SECRET_TYPE) return `${name} ${HIDDEN}`;
  return JSON.stringify(anyToJson(typeUrl, value), (key, each: unknown) => (SECRET_FIELDS.has(key) ? HIDDEN : each), 2);
}
