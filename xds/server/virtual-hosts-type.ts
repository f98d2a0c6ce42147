// Virtual hosts (VHDS, delta only) on one stream, seen by the server. A client first asks for all, and gets those that are not
// on demand; then for `routes/authority`, when a request needs it, and gets the host that answers it, with that name among its
// aliases, or a resource without content: there is none. Pure. Source: Envoy's "Virtual Host Discovery Service".

import type { DeltaRequest, DiscoveryResponse, WireResource } from "../discovery-messages.ts";
import { VIRTUAL_HOST_TYPE } from "../type-urls.ts";
import type { Answer, ClientType } from "./client-type.ts";
import type { ResourceSet, VersionedResource } from "./resource-set.ts";
import { VirtualHostDirectory } from "./virtual-host-directory.ts";

/** Of one host in one response. A client waits for those that it asked for last, which come first; it knows the others. */
const MAX_ALIASES = 200;

/** What a client should have, and by which of its names. */
type Wanted = Readonly<{ hosts: ReadonlyMap<VersionedResource, string[]>; absent: readonly string[] }>;

export class VirtualHostsType implements ClientType {
  readonly typeUrl = VIRTUAL_HOST_TYPE;
  readonly #names = new Set<string>();
  /** Names that were asked for since the last response: answered also when the client has the host. */
  #asked = new Set<string>();
  #isWildcard = false;
  #hasRequested = false;
  /** Hosts that the client has, name to version. */
  readonly #known = new Map<string, string>();
  /** Names that it was told nobody answers. */
  #absent: ReadonlySet<string> = new Set();
  #mustRespond = false;
  #mustRefresh = false;
  #nonce = "";
  #sentVersion = "";
  #isAwaited = false;
  #upToDate: ResourceSet | undefined;

  get isAwaited(): boolean {
    return this.#isAwaited;
  }

  get names(): ReadonlySet<string> {
    return this.#isWildcard ? new Set(["*", ...this.#names]) : this.#names;
  }

  /** Takes a request in. Returns what it says about the last response, if it answers that. */
  onRequest({ subscribe, unsubscribe, initialVersions, nonce, error }: DeltaRequest): Answer | undefined {
    const isFirst = !this.#hasRequested;
    this.#hasRequested = true;
    if (isFirst) for (const [name, version] of initialVersions) this.#known.set(name, version);
    if (isFirst || subscribe.length > 0 || unsubscribe.length > 0) this.#upToDate = undefined;
    for (const name of unsubscribe) {
      if (name === "*") this.#isWildcard = false;
      this.#names.delete(name);
      this.#asked.delete(name);
    }
    for (const name of subscribe) {
      if (name === "*") this.#wildcard();
      else {
        this.#names.add(name);
        // A client that comes back has the hosts that its first request says; the others are sent anyway.
        if (!isFirst) this.#asked.add(name);
      }
    }
    if (isFirst && subscribe.length === 0) this.#wildcard();
    if (nonce === "" || nonce !== this.#nonce || !this.#isAwaited) return undefined;
    this.#isAwaited = false;
    if (error === undefined) return { kind: "ack", version: this.#sentVersion };
    return { kind: "nack", version: this.#sentVersion, message: error.message };
  }

  refresh(): void {
    this.#mustRefresh = true;
  }

  respond(resources: ResourceSet, nonce: string, controlPlane: string): DiscoveryResponse | undefined {
    if (!this.#hasRequested || this.#isAwaited) return undefined;
    if (resources === this.#upToDate && !this.#mustRefresh) return undefined;
    this.#upToDate = resources;
    const { hosts, absent } = this.#wanted(resources);
    const sent: WireResource[] = [];
    for (const [host, aliases] of hosts) if (this.#isNews(host, aliases)) sent.push(this.#wire(host, aliases));
    const wanted = new Set(Array.from(hosts.keys(), ({ name }) => name));
    const removed = [...this.#known.keys()].filter((name) => !wanted.has(name));
    for (const name of absent) if (!this.#absent.has(name) || this.#asked.has(name)) sent.push(nobody(name));
    const mustRespond = this.#mustRespond;
    this.#mustRespond = false;
    this.#mustRefresh = false;
    this.#asked = new Set();
    this.#absent = new Set(absent);
    if (sent.length === 0 && removed.length === 0 && !mustRespond) return undefined;
    for (const name of removed) this.#known.delete(name);
    for (const { name, version } of hosts.keys()) this.#known.set(name, version);
    this.#nonce = nonce;
    this.#sentVersion = resources.versionOf(VIRTUAL_HOST_TYPE);
    this.#isAwaited = true;
    const { typeUrl } = this;
    return { kind: "delta", typeUrl, version: this.#sentVersion, nonce, resources: sent, removed, controlPlane };
  }

  #wildcard(): void {
    this.#isWildcard = true;
    // Answered even when there is nothing: routes wait for it.
    this.#mustRespond = true;
  }

  #wanted(resources: ResourceSet): Wanted {
    const hosts = new Map<VersionedResource, string[]>();
    const absent: string[] = [];
    if (this.#isWildcard) {
      for (const host of resources.type(VIRTUAL_HOST_TYPE).values()) if (!host.onDemand) hosts.set(host, []);
    }
    if (this.#names.size === 0) return { hosts, absent };
    const directory = VirtualHostDirectory.of(resources);
    for (const name of this.#names) {
      const host = directory.find(name);
      if (host === undefined) absent.push(name);
      else {
        const aliases = hosts.get(host);
        if (aliases === undefined) hosts.set(host, [name]);
        else aliases.push(name);
      }
    }
    return { hosts, absent };
  }

  #isNews({ name, version, wire }: VersionedResource, aliases: readonly string[]): boolean {
    if (this.#known.get(name) !== version) return true;
    // A resource without content says that there is no such host, so it cannot be a heartbeat.
    if (this.#mustRefresh && wire.ttlMs !== undefined) return true;
    return aliases.some((alias) => this.#asked.has(alias));
  }

  #wire({ name, wire }: VersionedResource, all: readonly string[]): WireResource {
    const aliases = all.filter((alias) => alias !== name);
    if (aliases.length === 0) return wire;
    if (aliases.length <= MAX_ALIASES) return { ...wire, aliases };
    const asked = aliases.filter((alias) => this.#asked.has(alias));
    const others = aliases.filter((alias) => !this.#asked.has(alias));
    return { ...wire, aliases: [...asked, ...others.slice(0, Math.max(0, MAX_ALIASES - asked.length))] };
  }
}

/** There is no host of this name: a resource that has it, and no content. */
function nobody(name: string): WireResource {
  return { name, version: "absent", typeUrl: "", bytes: undefined, ttlMs: undefined, aliases: [name] };
}
