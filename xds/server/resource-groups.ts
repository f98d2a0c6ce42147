// All that a control plane serves: groups of resources, each for some sidecars. A value, replaced as a whole. Sidecars
// that the same groups are for share one ResourceSet, so that a thousand of them cost what one does. Pure.

import { createHash } from "node:crypto";
import { isSameContent, ResourceSet } from "./resource-set.ts";
import type { ServedResource } from "./resource-set.ts";
import { isAllowed, selects } from "./selector.ts";
import type { ClientIdentity, Selector } from "./selector.ts";

export type ResourceGroup = Readonly<{
  /** For people: such as `shop.yaml:12`. */
  name?: string;
  /** Absent: every sidecar. */
  selector?: Selector;
  /** A sidecar that the selector selects must have one of these SPIFFE ids, else it is refused. */
  spiffeIds?: readonly string[];
  resources: readonly ServedResource[];
}>;

export type Admission = Readonly<{ ok: true; resources: ResourceSet }> | Readonly<{ ok: false; problem: string }>;

/** Combinations of groups that are kept; more are made anew for each sidecar. */
const MAX_SETS = 4_096;

export class ResourceGroups {
  readonly groups: readonly ResourceGroup[];
  readonly #sets = new Map<string, ResourceSet>();
  #digest: string | undefined;

  private constructor(groups: readonly ResourceGroup[]) {
    this.groups = groups;
  }

  /** Resources whose content `before` has too become the same objects: a history of sets costs what differs. */
  static of(groups: readonly ResourceGroup[], before?: ResourceGroups): ResourceGroups {
    if (before === undefined) return new ResourceGroups(groups);
    const known = new Map<string, ServedResource[]>();
    for (const resource of before.groups.flatMap(({ resources }) => resources)) {
      const key = keyOf(resource);
      known.set(key, [...(known.get(key) ?? []), resource]);
    }
    const shared = (resource: ServedResource) =>
      known.get(keyOf(resource))?.find((other) => isSameContent(other, resource)) ?? resource;
    return new ResourceGroups(groups.map((group) => ({ ...group, resources: group.resources.map(shared) })));
  }

  /** What a client gets: of two resources with one type and name, that of the later group. */
  admit(client: ClientIdentity): Admission {
    const chosen: number[] = [];
    for (const [index, { selector, spiffeIds, name }] of this.groups.entries()) {
      if (selector !== undefined && !selects(selector, client.node)) continue;
      if (spiffeIds !== undefined && !isAllowed(spiffeIds, client.spiffeIds)) {
        const who = client.spiffeIds.length === 0 ? "it has none" : `it is ${client.spiffeIds.join(", ")}`;
        return {
          ok: false,
          problem: `the SPIFFE id of this client is not allowed for ${name ?? "its resources"}: ${who}`,
        };
      }
      chosen.push(index);
    }
    return { ok: true, resources: this.#setOf(chosen) };
  }

  /** The resources of all groups, with the name of the group. */
  *all(): Generator<readonly [group: ResourceGroup, resource: ServedResource]> {
    for (const group of this.groups) for (const resource of group.resources) yield [group, resource];
  }

  get size(): number {
    return this.groups.reduce((sum, { resources }) => sum + resources.length, 0);
  }

  /** Of all content, for whom it is included: 16 hexadecimal digits. */
  get digest(): string {
    if (this.#digest === undefined) {
      const hash = createHash("sha256");
      for (const { selector, spiffeIds, resources } of this.groups) {
        hash.update(JSON.stringify([selector, spiffeIds, resources.length]));
        const set = ResourceSet.of(resources);
        for (const typeUrl of set.types()) hash.update(`${typeUrl} ${set.versionOf(typeUrl)}`);
      }
      this.#digest = hash.digest("hex").slice(0, 16);
    }
    return this.#digest;
  }

  #setOf(chosen: readonly number[]): ResourceSet {
    const key = chosen.join(",");
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = ResourceSet.of(chosen.flatMap((index) => this.groups[index]?.resources ?? []));
      if (this.#sets.size < MAX_SETS) this.#sets.set(key, set);
    }
    return set;
  }
}

function keyOf({ typeUrl, name }: ServedResource): string {
  return `${typeUrl} ${name}`;
}
