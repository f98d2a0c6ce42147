// Which virtual host of a set answers a name that a sidecar asks for: `routes/authority`, of whatever hosts the route
// configuration `routes` has over VHDS. By domain as a sidecar chooses: exact, the longest suffix, the longest prefix, `*`.
// Pure; made once for a set, which many sidecars share. Used by virtual-hosts-type.ts.
// Source: Envoy's "Virtual Host Discovery Service", and VirtualHost.domains.

import { domainsOfHost, routesIgnorePort } from "../decode/host-words.ts";
import { ROUTE_TYPE, VIRTUAL_HOST_TYPE } from "../type-urls.ts";
import type { ResourceSet, VersionedResource } from "./resource-set.ts";

const directories = new WeakMap<ResourceSet, VirtualHostDirectory>();
/** By a resource's bytes: sets mostly repeat the resources of the one before. */
const domainsOf = new WeakMap<Uint8Array, readonly string[]>();
const portIgnorance = new WeakMap<Uint8Array, boolean>();

export class VirtualHostDirectory {
  readonly #resources: ResourceSet;
  /** By the name of the route configuration. */
  readonly #domains = new Map<string, Domains>();

  private constructor(resources: ResourceSet) {
    this.#resources = resources;
    for (const host of resources.type(VIRTUAL_HOST_TYPE).values()) {
      const { routes } = split(host.name);
      let domains = this.#domains.get(routes);
      if (domains === undefined) this.#domains.set(routes, (domains = new Domains()));
      for (const domain of read(domainsOf, host, domainsOfHost, [])) domains.add(domain.toLowerCase(), host);
    }
  }

  static of(resources: ResourceSet): VirtualHostDirectory {
    let directory = directories.get(resources);
    if (directory === undefined) directories.set(resources, (directory = new VirtualHostDirectory(resources)));
    return directory;
  }

  /** The host that `name` stands for, an authority or a host's own name; undefined when there is none. */
  find(name: string): VersionedResource | undefined {
    const { routes, rest } = split(name);
    const authority = rest.toLowerCase();
    const host = this.#ignoresPort(routes) ? authority.replace(/:\d+$/, "") : authority;
    return this.#domains.get(routes)?.find(host) ?? this.#resources.type(VIRTUAL_HOST_TYPE).get(name);
  }

  #ignoresPort(routes: string): boolean {
    const resource = this.#resources.type(ROUTE_TYPE).get(routes);
    return resource !== undefined && read(portIgnorance, resource, routesIgnorePort, false);
  }
}

/** A host has no slash, a route configuration may. */
function split(name: string): { routes: string; rest: string } {
  const slash = name.lastIndexOf("/");
  return { routes: name.slice(0, Math.max(0, slash)), rest: name.slice(slash + 1) };
}

/** The first host of a domain keeps it. */
class Domains {
  readonly #exact = new Map<string, VersionedResource>();
  readonly #suffixes = new Map<string, VersionedResource>();
  readonly #prefixes = new Map<string, VersionedResource>();
  /** Lengths: what is asked for may be long, and is looked at as far only. */
  #longestSuffix = 0;
  #longestPrefix = 0;
  #any: VersionedResource | undefined;

  add(domain: string, host: VersionedResource): void {
    if (domain === "*") this.#any ??= host;
    else if (domain.startsWith("*")) {
      this.#longestSuffix = Math.max(this.#longestSuffix, domain.length - 1);
      addFirst(this.#suffixes, domain.slice(1), host);
    } else if (domain.endsWith("*")) {
      this.#longestPrefix = Math.max(this.#longestPrefix, domain.length - 1);
      addFirst(this.#prefixes, domain.slice(0, -1), host);
    } else addFirst(this.#exact, domain, host);
  }

  find(host: string): VersionedResource | undefined {
    return this.#exact.get(host) ?? this.#ofSuffix(host) ?? this.#ofPrefix(host) ?? this.#any;
  }

  /** A wildcard stands for one character at least. */
  #ofSuffix(host: string): VersionedResource | undefined {
    for (let at = Math.max(1, host.length - this.#longestSuffix); at < host.length; at++) {
      const found = this.#suffixes.get(host.slice(at));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #ofPrefix(host: string): VersionedResource | undefined {
    for (let length = Math.min(host.length - 1, this.#longestPrefix); length > 0; length--) {
      const found = this.#prefixes.get(host.slice(0, length));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function addFirst(map: Map<string, VersionedResource>, key: string, host: VersionedResource): void {
  if (!map.has(key)) map.set(key, host);
}

/** Bytes of a library's user that do not parse are the sidecar's to refuse: `otherwise` here. */
function read<T>(
  known: WeakMap<Uint8Array, T>,
  { wire }: VersionedResource,
  parse: (bytes: Uint8Array) => T,
  otherwise: T,
): T {
  const { bytes } = wire;
  if (bytes === undefined) return otherwise;
  let value = known.get(bytes);
  if (value === undefined) {
    try {
      value = parse(bytes);
    } catch {
      value = otherwise;
    }
    known.set(bytes, value);
  }
  return value;
}
