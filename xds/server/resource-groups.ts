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
  /** Sets of the same groups as they were before. */
  readonly #before: ReadonlyMap<string, ResourceSet>;
  #byName: ReadonlyMap<string, ReadonlyMap<string, readonly ServedResource[]>> | undefined;
  #digest: string | undefined;

  private constructor(groups: readonly ResourceGroup[], before?: ResourceGroups) {
    this.groups = groups;
    this.#before = before === undefined ? new Map() : before.#sets;
  }

  /** Resources whose content `before` has too become the same objects: a history of sets costs what differs. */
  static of(groups: readonly ResourceGroup[], before?: ResourceGroups): ResourceGroups {
    if (before === undefined) return new ResourceGroups(groups);
    const shared = (resource: ServedResource, there: ServedResource | undefined): ServedResource => {
      // Most stand where they stood.
      if (there === resource) return resource;
      if (there?.name === resource.name && there.typeUrl === resource.typeUrl) {
        return isSameContent(there, resource) ? there : resource;
      }
      const others = before.#named(resource);
      return others.find((other) => isSameContent(other, resource)) ?? resource;
    };
    const next = groups.map((group, at) => {
      const resources = before.groups[at]?.resources;
      return { ...group, resources: group.resources.map((resource, place) => shared(resource, resources?.[place])) };
    });
    return new ResourceGroups(next, before);
  }

  #named({ typeUrl, name }: ServedResource): readonly ServedResource[] {
    this.#byName ??= byName(this.groups);
    return this.#byName.get(typeUrl)?.get(name) ?? [];
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
      for (const [index, { selector, spiffeIds, resources }] of this.groups.entries()) {
        hash.update(JSON.stringify([selector, spiffeIds, resources.length]));
        const set = this.#setOf([index]);
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
      const resources = chosen.flatMap((index) => this.groups[index]?.resources ?? []);
      set = ResourceSet.of(resources, this.#before.get(key));
      if (this.#sets.size < MAX_SETS) this.#sets.set(key, set);
    }
    return set;
  }
}

function byName(groups: readonly ResourceGroup[]): ReadonlyMap<string, ReadonlyMap<string, readonly ServedResource[]>> {
  const types = new Map<string, Map<string, ServedResource[]>>();
  for (const resource of groups.flatMap(({ resources }) => resources)) {
    let names = types.get(resource.typeUrl);
    if (names === undefined) types.set(resource.typeUrl, (names = new Map()));
    const others = names.get(resource.name);
    if (others === undefined) names.set(resource.name, [resource]);
    else others.push(resource);
  }
  return types;
}
