// Every resource this proxy has, or waits for, with where it came from and what became of it: the last good model, the
// bytes it was decoded from, versions, times, and the last refusal. intake.ts writes it, snapshot.ts reads the models,
// and /xds and /config_dump show `view()`. Source of the states: envoy.admin.v3.ClientResourceStatus.

import type { Cluster } from "./model/cluster.ts";
import type { ClusterLoadAssignment } from "./model/endpoints.ts";
import type { DiscoveredFilter, Listener } from "./model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "./model/route.ts";
import type { ScopedRoute } from "./model/scoped-routes.ts";
import type { Secret } from "./model/tls.ts";
import type { ResourceTables } from "./assembly.ts";
import {
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SCOPED_ROUTE_TYPE,
  SECRET_TYPE,
  VIRTUAL_HOST_TYPE,
} from "./type-urls.ts";

/** Types that say which clusters can be used. */
const OF_CLUSTERS: ReadonlySet<string> = new Set([CLUSTER_TYPE, ENDPOINTS_TYPE, SECRET_TYPE]);

/** Types whose resources go when the server says of a name that was asked for that there is none. */
const GOES_WHEN_ABSENT: ReadonlySet<string> = new Set([CLUSTER_TYPE, EXTENSION_CONFIG_TYPE, VIRTUAL_HOST_TYPE]);

export type ResourceState = "REQUESTED" | "DOES_NOT_EXIST" | "ACKED" | "NACKED" | "TIMEOUT";

/** The last refusal; gone once a later version is accepted. Times are ms since the epoch. */
export type ResourceError = Readonly<{ details: string; version: string; at: number; bytes: Uint8Array | undefined }>;

/** One resource as /xds and /config_dump show it. `value` is the serialised resource in use (its Any's value), until the next turn. */
export type ResourceView = Readonly<{
  typeUrl: string;
  name: string;
  /** "static", "ads", or what else delivers it. */
  source: string;
  isStatic: boolean;
  state: ResourceState;
  version: string;
  receivedAt: number | undefined;
  ackedAt: number | undefined;
  error: ResourceError | undefined;
  value: Uint8Array | undefined;
}>;

type Entry = { -readonly [Key in keyof ResourceView]: ResourceView[Key] } & { model: unknown; ownsBuffer: boolean };

export type Accepted = Readonly<{
  typeUrl: string;
  name: string;
  source: string;
  version: string;
  receivedAt: number;
  ackedAt: number;
  /** Kept: the caller gives them away. */
  value: Uint8Array;
  /** Nothing else points into the buffer of `value`: it is freed with the next version. */
  ownsBuffer: boolean;
  model: unknown;
}>;

export class ResourceStore {
  readonly #entries = new Map<string, Map<string, Entry>>();
  readonly #models = new Map<string, Map<string, unknown>>();
  #clusterRevision = 0;
  /** The last good version of everything, live: it changes with the store. */
  readonly tables: ResourceTables;

  constructor() {
    this.tables = {
      listeners: this.#modelsOf(LISTENER_TYPE) as ReadonlyMap<string, Listener>,
      routes: this.#modelsOf(ROUTE_TYPE) as ReadonlyMap<string, RouteConfiguration>,
      virtualHosts: this.#modelsOf(VIRTUAL_HOST_TYPE) as ReadonlyMap<string, VirtualHost>,
      scopes: this.#modelsOf(SCOPED_ROUTE_TYPE) as ReadonlyMap<string, ScopedRoute>,
      clusters: this.#modelsOf(CLUSTER_TYPE) as ReadonlyMap<string, Cluster>,
      endpoints: this.#modelsOf(ENDPOINTS_TYPE) as ReadonlyMap<string, ClusterLoadAssignment>,
      plugins: this.#modelsOf(EXTENSION_CONFIG_TYPE) as ReadonlyMap<string, DiscoveredFilter>,
      secrets: this.#modelsOf(SECRET_TYPE) as ReadonlyMap<string, Secret>,
      clusterRevision: () => this.#clusterRevision,
      standing: (typeUrl, name) => this.#standing(typeUrl, name),
    };
  }

  addStatic(typeUrl: string, name: string, model: unknown, value: Uint8Array | undefined, now: number): void {
    const entry = newEntry(typeUrl, name, "static");
    this.#entriesOf(typeUrl).set(name, {
      ...entry,
      isStatic: true,
      state: "ACKED",
      receivedAt: now,
      ackedAt: now,
      value,
      model,
    });
    this.#put(typeUrl, name, model);
  }

  /** True for a static resource: dynamic ones of that name are ignored, as in Envoy. */
  isStatic(typeUrl: string, name: string): boolean {
    return this.#entries.get(typeUrl)?.get(name)?.isStatic ?? false;
  }

  /** A subscription of this name exists. "*" stands for a collection, and is no resource. */
  request(typeUrl: string, name: string, source: string): void {
    const entries = this.#entriesOf(typeUrl);
    if (!entries.has(name)) entries.set(name, newEntry(typeUrl, name, source));
  }

  /** The accepted bytes are the same as these: the model in use is this resource. */
  isSame(typeUrl: string, name: string, value: Uint8Array): boolean {
    const known = this.#entries.get(typeUrl)?.get(name);
    return known?.value !== undefined && known.model !== undefined && Buffer.compare(known.value, value) === 0;
  }

  /** The last good version of a dynamic resource. */
  accepted(typeUrl: string, name: string): { readonly bytes: Uint8Array; readonly value: unknown } | undefined {
    const known = this.#entries.get(typeUrl)?.get(name);
    if (known?.value === undefined || known.model === undefined || known.isStatic) return undefined;
    return { bytes: known.value, value: known.model };
  }

  accept(resource: Accepted): void {
    const { typeUrl, name, source } = resource;
    const entry = this.#entryOf(typeUrl, name, source);
    // A large one would be found as garbage only when all of the heap is searched, for which a few of them are reason enough.
    if (entry.ownsBuffer) (entry.value?.buffer as ArrayBuffer | undefined)?.transfer(0);
    Object.assign(entry, { ...resource, state: "ACKED", error: undefined } satisfies Partial<Entry>);
    this.#put(typeUrl, name, resource.model);
  }

  /** The same content came again, perhaps as another version: nothing to apply. */
  confirm(typeUrl: string, name: string, version: string, now: number): void {
    const entry = this.#entries.get(typeUrl)?.get(name);
    if (entry === undefined) return;
    Object.assign(entry, { version, ackedAt: now, state: "ACKED", error: undefined } satisfies Partial<Entry>);
  }

  /** A version was refused: the last good one, if any, stays in use. */
  refuse(typeUrl: string, name: string, source: string, error: ResourceError): void {
    const entry = this.#entryOf(typeUrl, name, source);
    entry.state = "NACKED";
    entry.error = error;
  }

  /** The server says that a subscribed resource does not exist. Endpoints and routes in use stay, as in Envoy. */
  markAbsent(typeUrl: string, name: string): void {
    const entry = this.#entries.get(typeUrl)?.get(name);
    if (entry === undefined || entry.isStatic) return;
    entry.state = "DOES_NOT_EXIST";
    if (!GOES_WHEN_ABSENT.has(typeUrl)) return;
    entry.model = undefined;
    entry.value = undefined;
    this.#drop(typeUrl, name);
  }

  /** The server has answered this subscription; what it knows of it came under other names. */
  markAnswered(typeUrl: string, name: string): void {
    const entry = this.#entries.get(typeUrl)?.get(name);
    if (entry !== undefined && entry.model === undefined) entry.state = "ACKED";
  }

  /** It was asked for, and there is none: the server says so, or says nothing, or what it sent was refused. */
  isAbsent(typeUrl: string, name: string): boolean {
    const state = this.#entries.get(typeUrl)?.get(name)?.state;
    return state === "DOES_NOT_EXIST" || state === "TIMEOUT" || state === "NACKED";
  }

  /** initial_fetch_timeout is over without an answer. */
  markTimeout(typeUrl: string, name: string): void {
    const entry = this.#entries.get(typeUrl)?.get(name);
    if (entry !== undefined && entry.model === undefined) entry.state = "TIMEOUT";
  }

  /** Its time to live ran out: gone, whatever it was. A subscription of it stays. */
  expire(typeUrl: string, name: string): void {
    const entry = this.#entries.get(typeUrl)?.get(name);
    if (entry === undefined || entry.isStatic) return;
    Object.assign(entry, { state: "DOES_NOT_EXIST", model: undefined, value: undefined } satisfies Partial<Entry>);
    this.#drop(typeUrl, name);
  }

  /** The last good model of a resource of any type. */
  model(typeUrl: string, name: string): unknown {
    return this.#models.get(typeUrl)?.get(name);
  }

  /** Removed by its collection, or no longer subscribed. Static resources stay. */
  remove(typeUrl: string, name: string): void {
    if (this.isStatic(typeUrl, name)) return;
    this.#entries.get(typeUrl)?.delete(name);
    this.#drop(typeUrl, name);
  }

  /** Names of a type's dynamic resources, of all sources or of one; also of those that are only requested or refused. */
  names(typeUrl: string, source?: string): string[] {
    const entries = [...(this.#entries.get(typeUrl)?.values() ?? [])];
    return entries
      .filter((entry) => !entry.isStatic && entry.name !== "*" && (source === undefined || entry.source === source))
      .map((entry) => entry.name);
  }

  /** A copy of everything, in the order it became known. Its bytes are the store's: they are to be read at once. */
  view(): ResourceView[] {
    const all: ResourceView[] = [];
    for (const entries of this.#entries.values()) {
      for (const { model: _model, ownsBuffer: _ownsBuffer, ...view } of entries.values())
        if (view.name !== "*") all.push(view);
    }
    return all;
  }

  #standing(typeUrl: string, name: string): "waiting" | "refused" | "over" {
    const { state, model } = this.#entries.get(typeUrl)?.get(name) ?? {};
    if (state === "TIMEOUT" || state === "DOES_NOT_EXIST") return "over";
    if (state === "ACKED" && model === undefined) return "over";
    return state === "NACKED" ? "refused" : "waiting";
  }

  #entryOf(typeUrl: string, name: string, source: string): Entry {
    const entries = this.#entriesOf(typeUrl);
    let entry = entries.get(name);
    if (entry === undefined) {
      entry = newEntry(typeUrl, name, source);
      entries.set(name, entry);
    }
    return entry;
  }

  #entriesOf(typeUrl: string): Map<string, Entry> {
    let entries = this.#entries.get(typeUrl);
    if (entries === undefined) {
      entries = new Map();
      this.#entries.set(typeUrl, entries);
    }
    return entries;
  }

  #put(typeUrl: string, name: string, model: unknown): void {
    this.#modelsOf(typeUrl).set(name, model);
    if (OF_CLUSTERS.has(typeUrl)) this.#clusterRevision++;
  }

  #drop(typeUrl: string, name: string): void {
    if (this.#modelsOf(typeUrl).delete(name) && OF_CLUSTERS.has(typeUrl)) this.#clusterRevision++;
  }

  #modelsOf(typeUrl: string): Map<string, unknown> {
    let models = this.#models.get(typeUrl);
    if (models === undefined) {
      models = new Map();
      this.#models.set(typeUrl, models);
    }
    return models;
  }
}

function newEntry(typeUrl: string, name: string, source: string): Entry {
  return {
    typeUrl,
    name,
    source,
    isStatic: false,
    state: "REQUESTED",
    version: "",
    receivedAt: undefined,
    ackedAt: undefined,
    error: undefined,
    value: undefined,
    ownsBuffer: false,
    model: undefined,
  };
}
