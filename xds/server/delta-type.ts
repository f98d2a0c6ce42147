// Delta, one type on one stream, seen by the server: what the client wants, what it has, and what it said to the last
// response. Pure. A refused resource counts as sent: it is sent again when its content changes.

import type { DeltaRequest, DiscoveryResponse, WireResource } from "../discovery-messages.ts";
import { COLLECTION_TYPES } from "../type-urls.ts";
import type { Answer, ClientType } from "./client-type.ts";
import type { ResourceSet, VersionedResource } from "./resource-set.ts";

/** The version under which a client knows that a resource does not exist. */
const ABSENT = "";

export class DeltaType implements ClientType {
  readonly typeUrl: string;
  readonly #names = new Set<string>();
  #isWildcard = false;
  #hasRequested = false;
  /** What the client has, name to version; ABSENT for a name that it was told does not exist. */
  readonly #known = new Map<string, string>();
  #mustRespond = false;
  #nonce = "";
  #sentVersion = "";
  #isAwaited = false;
  #mustRefresh = false;
  /** What the client is known to be up to date with, while it asks for the same: a push is many questions and few answers. */
  #upToDate: ReadonlyMap<string, VersionedResource> | undefined;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get isAwaited(): boolean {
    return this.#isAwaited;
  }

  get names(): ReadonlySet<string> {
    return this.#isWildcard ? new Set(["*", ...this.#names]) : this.#names;
  }

  /** Takes a request in. Returns what it says about the last response, if it answers that. */
  onRequest(request: DeltaRequest): Answer | undefined {
    const isFirst = !this.#hasRequested;
    this.#hasRequested = true;
    if (isFirst) for (const [name, version] of request.initialVersions) this.#known.set(name, version);
    if (isFirst || request.subscribe.length > 0 || request.unsubscribe.length > 0) this.#upToDate = undefined;
    this.#unsubscribe(request.unsubscribe);
    this.#subscribe(request.subscribe, isFirst);
    if (isFirst && request.subscribe.length === 0 && COLLECTION_TYPES.has(this.typeUrl)) this.#wildcard();
    if (request.nonce === "" || request.nonce !== this.#nonce || !this.#isAwaited) return undefined;
    this.#isAwaited = false;
    if (request.error === undefined) return { kind: "ack", version: this.#sentVersion };
    return { kind: "nack", version: this.#sentVersion, message: request.error.message };
  }

  refresh(): void {
    this.#mustRefresh = true;
  }

  respond(resources: ResourceSet, nonce: string, controlPlane: string): DiscoveryResponse | undefined {
    if (!this.#hasRequested || this.#isAwaited) return undefined;
    const all = resources.type(this.typeUrl);
    if (all === this.#upToDate && !this.#mustRefresh) return undefined;
    this.#upToDate = all;
    const changed = this.#changed(resources);
    const removed = this.#removed(resources);
    if (this.#mustRefresh) changed.push(...this.#heartbeats(all));
    this.#mustRefresh = false;
    if (changed.length === 0 && removed.length === 0 && !this.#mustRespond) return undefined;
    this.#mustRespond = false;
    // A heartbeat changes nothing here: its version is known.
    for (const { name, version } of changed) this.#known.set(name, version);
    for (const name of removed) {
      if (this.#names.has(name)) this.#known.set(name, ABSENT);
      else this.#known.delete(name);
    }
    this.#nonce = nonce;
    this.#sentVersion = resources.versionOf(this.typeUrl);
    this.#isAwaited = true;
    const { typeUrl } = this;
    return { kind: "delta", typeUrl, version: this.#sentVersion, nonce, resources: changed, removed, controlPlane };
  }

  #subscribe(names: readonly string[], isFirst: boolean): void {
    for (const name of names) {
      if (name === "*") this.#wildcard();
      else {
        // A subscription is always answered, also of a resource that the client has; only the first request of a
        // stream may say that it has it.
        if (!isFirst) this.#known.delete(name);
        this.#names.add(name);
      }
    }
  }

  #unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      this.#names.delete(name);
      if (name === "*") this.#isWildcard = false;
      else if (!this.#isWildcard) this.#known.delete(name);
    }
    if (!names.includes("*")) return;
    for (const name of this.#known.keys()) if (!this.#names.has(name)) this.#known.delete(name);
  }

  #wildcard(): void {
    this.#isWildcard = true;
    // Answered even when there is nothing, so that the client need not wait for its timeout.
    this.#mustRespond = true;
  }

  #changed(resources: ResourceSet): WireResource[] {
    const changed: WireResource[] = [];
    for (const { name, version, wire } of this.#wanted(resources.type(this.typeUrl))) {
      if (this.#known.get(name) !== version) changed.push(wire);
    }
    return changed;
  }

  /** What the client has and would drop: name, version and time, without content. */
  #heartbeats(all: ReadonlyMap<string, VersionedResource>): WireResource[] {
    const heartbeats: WireResource[] = [];
    for (const { name, version, wire } of this.#wanted(all)) {
      if (wire.ttlMs === undefined || this.#known.get(name) !== version) continue;
      heartbeats.push({ name, version, typeUrl: "", bytes: undefined, ttlMs: wire.ttlMs });
    }
    return heartbeats;
  }

  #wanted(all: ReadonlyMap<string, VersionedResource>): Iterable<VersionedResource> {
    // Those on demand are for who names them.
    if (this.#isWildcard) return all.values().filter(({ name, onDemand }) => !onDemand || this.#names.has(name));
    const wanted: VersionedResource[] = [];
    for (const name of this.#names) {
      const resource = all.get(name);
      if (resource !== undefined) wanted.push(resource);
    }
    return wanted;
  }

  #removed(resources: ResourceSet): string[] {
    const present = resources.type(this.typeUrl);
    const isGone = (name: string) => {
      const resource = present.get(name);
      return resource === undefined || (resource.onDemand && !this.#names.has(name));
    };
    const removed = [...this.#known].filter(([name, version]) => version !== ABSENT && isGone(name));
    const absent = [...this.#names].filter((name) => !this.#known.has(name) && !present.has(name));
    return [...removed.map(([name]) => name), ...absent];
  }
}
