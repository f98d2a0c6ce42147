// The resources that a control plane serves: a value, replaced as a whole. Each resource's version is a digest of its
// bytes and each type's version a digest of its resources, so equal content is never sent twice, also after a restart.
// Pure.

import { createHash } from "node:crypto";
import type { WireResource } from "../discovery-messages.ts";

/**
 * One resource to serve. `value` is its Any's value; with `ttlMs` clients drop it when they hear nothing for so long. A virtual
 * host that is `onDemand` is sent to clients that ask for one of its domains, such a cluster to those that ask for its name.
 */
export type ServedResource = Readonly<{
  typeUrl: string;
  name: string;
  value: Uint8Array;
  ttlMs?: number;
  onDemand?: boolean;
}>;

/** `wire` is what is sent: one object for all clients, so that it is encoded once. */
export type VersionedResource = Readonly<{ name: string; version: string; onDemand: boolean; wire: WireResource }>;

/** What was made of a resource: a set mostly repeats those of the one before. */
const known = new WeakMap<ServedResource, VersionedResource>();
/** Versions by the bytes they stand for. */
const versions = new WeakMap<Uint8Array, string>();

const NONE: ReadonlyMap<string, VersionedResource> = new Map();

export class ResourceSet {
  readonly #types: Map<string, ReadonlyMap<string, VersionedResource>>;
  readonly #versions = new Map<string, string>();
  readonly #ttls = new Map<string, number | undefined>();
  readonly #kept = new WeakMap<ResourceSet, ResourceSet>();

  private constructor(types: Map<string, ReadonlyMap<string, VersionedResource>>) {
    this.#types = types;
  }

  /**
   * Of two resources with one type and name the later counts. A type that is the same in `before` shares its table: then neither its
   * version is computed again nor is it looked at for any client.
   */
  static of(resources: readonly ServedResource[], before?: ResourceSet): ResourceSet {
    const lists = new Map<string, VersionedResource[]>();
    for (const resource of resources) {
      const list = lists.get(resource.typeUrl);
      if (list === undefined) lists.set(resource.typeUrl, [versioned(resource)]);
      else list.push(versioned(resource));
    }
    const set = new ResourceSet(new Map());
    for (const [typeUrl, list] of lists) {
      if (before !== undefined && isSameTable(list, before.type(typeUrl))) set.#share(typeUrl, before);
      else set.#types.set(typeUrl, new Map(list.map((resource) => [resource.name, resource])));
    }
    return set;
  }

  #share(typeUrl: string, before: ResourceSet): void {
    this.#types.set(typeUrl, before.type(typeUrl));
    const version = before.#versions.get(typeUrl);
    if (version !== undefined) this.#versions.set(typeUrl, version);
    if (before.#ttls.has(typeUrl)) this.#ttls.set(typeUrl, before.#ttls.get(typeUrl));
  }

  /** These resources, and of `keptTypes` those that only `before` has; this set itself when there are none. */
  keeping(before: ResourceSet, keptTypes: ReadonlySet<string>): ResourceSet {
    // Sidecars that share both sets share this one too.
    let set = this.#kept.get(before);
    if (set === undefined) this.#kept.set(before, (set = this.#keep(before, keptTypes)));
    return set;
  }

  #keep(before: ResourceSet, keptTypes: ReadonlySet<string>): ResourceSet {
    const types = new Map(this.#types);
    let isMore = false;
    for (const typeUrl of keptTypes) {
      const own = this.type(typeUrl);
      if (own === before.type(typeUrl)) continue;
      const kept = [...before.type(typeUrl)].filter(([name]) => !own.has(name));
      if (kept.length === 0) continue;
      isMore = true;
      types.set(typeUrl, new Map([...own, ...kept]));
    }
    return isMore ? new ResourceSet(types) : this;
  }

  /** The types that there are resources of. */
  types(): Iterable<string> {
    return this.#types.keys();
  }

  type(typeUrl: string): ReadonlyMap<string, VersionedResource> {
    return this.#types.get(typeUrl) ?? NONE;
  }

  /** Whether a client that gets the one sees something else than with the other. */
  static differ(a: ResourceSet, b: ResourceSet): boolean {
    if (a === b) return false;
    return [...a.types(), ...b.types()].some((typeUrl) => a.versionOf(typeUrl) !== b.versionOf(typeUrl));
  }

  /** Number of resources. */
  get size(): number {
    let size = 0;
    for (const type of this.#types.values()) size += type.size;
    return size;
  }

  /** The shortest time to live of a type's resources, ms; undefined when none has one. */
  shortestTtl(typeUrl: string): number | undefined {
    if (!this.#ttls.has(typeUrl)) {
      let shortest: number | undefined;
      for (const { wire } of this.type(typeUrl).values()) {
        if (wire.ttlMs !== undefined) shortest = Math.min(shortest ?? wire.ttlMs, wire.ttlMs);
      }
      this.#ttls.set(typeUrl, shortest);
    }
    return this.#ttls.get(typeUrl);
  }

  /** The version of a type's whole content. */
  versionOf(typeUrl: string): string {
    let version = this.#versions.get(typeUrl);
    if (version === undefined) {
      const resources = [...this.type(typeUrl).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      version = digest((hash) => {
        for (const { name, version: each } of resources) hash.update(`${name.length}:${name}${each}`);
      });
      this.#versions.set(typeUrl, version);
    }
    return version;
  }
}

/** Whether two are the same in all that a client or a diff could tell. */
export function isSameContent(a: ServedResource, b: ServedResource): boolean {
  const isServedAlike = a.ttlMs === b.ttlMs && (a.onDemand ?? false) === (b.onDemand ?? false);
  return isServedAlike && Buffer.compare(a.value, b.value) === 0;
}

function versioned(resource: ServedResource): VersionedResource {
  let result = known.get(resource);
  if (result === undefined) {
    const { typeUrl, name, value, ttlMs, onDemand = false } = resource;
    // Another time to live is news, too, and so is who gets it.
    const more = `${ttlMs ?? ""}${onDemand ? "on demand" : ""}`;
    const version = more === "" ? versionOfBytes(value) : digest((hash) => hash.update(value).update(more));
    result = { name, version, onDemand, wire: { name, version, typeUrl, bytes: value, ttlMs } };
    known.set(resource, result);
  }
  return result;
}

/** Whether both have the same objects in the same order. */
function isSameTable<T>(list: readonly T[], table: ReadonlyMap<string, T>): boolean {
  if (list.length !== table.size) return false;
  let at = 0;
  for (const value of table.values()) if (value !== list[at++]) return false;
  return true;
}

function versionOfBytes(value: Uint8Array): string {
  let version = versions.get(value);
  if (version === undefined) {
    version = digest((hash) => hash.update(value));
    versions.set(value, version);
  }
  return version;
}

function digest(feed: (hash: ReturnType<typeof createHash>) => void): string {
  const hash = createHash("sha256");
  feed(hash);
  // 64 bits: enough to tell versions of one file apart, short enough to read in a log.
  return hash.digest("hex").slice(0, 16);
}
