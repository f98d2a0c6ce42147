// The xDS client: from a bootstrap to a stream of complete snapshots. Static resources and discovered ones take the same
// way. Joins sources.ts (where resources come from), intake.ts (good or refused), resource-store.ts (what there is) and
// snapshot.ts (what can serve); README.md tells the story. Runs on the main thread.
//
//   sources ─► intake ─► store ─(end of turn)─► assemble ─► snapshot to the program
//      ▲                                          │
//      └───────────── what is wanted ◄────────────┘

import { systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { Issue, Warning } from "./decode/issues.ts";
import { decodeResource, type Resource } from "./decode/resource.ts";
import { loadResourcesFile } from "./decode/resources-file.ts";
import type { LoadedResources } from "./decode/resources-file.ts";
import type { DiscoveryResponse } from "./discovery-messages.ts";
import type { ServerStatus } from "./grpc-source.ts";
import { Intake } from "./intake.ts";
import type { Decode, Prepare } from "./intake.ts";
import type { ClusterCounts } from "./load-reporter.ts";
import type { XdsLog } from "./log.ts";
import { Collections, type Collection } from "./collections.ts";
import { HostConflicts } from "./host-conflicts.ts";
import { Demands } from "./demands.ts";
import type { Demand } from "./model/demand.ts";
import type { Bootstrap, Runtime } from "./model/bootstrap.ts";
import type { ApiConfigSource, ConfigSource } from "./model/config-source.ts";
import type { Snapshot } from "./model/snapshot.ts";
import { buildNode } from "./node-identity.ts";
import type { PathStatus } from "./path-source.ts";
import { ResourceStore } from "./resource-store.ts";
import type { ResourceView } from "./resource-store.ts";
import { mergeRuntime, wantedRuntime } from "./runtime-layers.ts";
import type { ContextCertificates } from "./secrets/certificate-views.ts";
import { Secrets } from "./secrets/secrets.ts";
import { snapshotChanges } from "./snapshot-changes.ts";
import type { SnapshotChanges } from "./snapshot-changes.ts";
import { assemble } from "./snapshot.ts";
import { EMPTY_ASSEMBLY, type Assembly, type Wait, type Wanted, type Warming } from "./assembly.ts";
import { Sources } from "./sources.ts";
import { interestIn, sameWanted } from "./interests.ts";
import type { Interest, Outcome } from "./subscriptions.ts";
import { CLUSTER_TYPE, LISTENER_TYPE, RUNTIME_TYPE, SECRET_TYPE, typeLabel, VIRTUAL_HOST_TYPE } from "./type-urls.ts";
import { sourceStats, UpdateStats } from "./update-stats.ts";
import type { StatValues } from "./update-stats.ts";
import { hostSourceIssues } from "./virtual-hosts.ts";
import { TtlTimers } from "./ttl-timers.ts";
import { WaitTimers } from "./wait-timers.ts";

export type XdsClientOptions = Readonly<{
  bootstrap: Bootstrap;
  /** The product's version, for the node's user agent. */
  version: string;
  /** Default decodeResource(). */
  decode?: Decode;
  /** Validates beyond the bytes before a resource is accepted; issues refuse it. */
  prepare?: Prepare;
  /** Default 10,000. */
  prepareTimeoutMs?: number;
  /** Of the process, for secrets that name a variable. Default empty. */
  environment?: Readonly<Record<string, string>>;
  /** Reads the resources of a path_config_source. Default loadResourcesFile(). */
  loadFile?(path: string): LoadedResources;
  clock?: Clock;
  random?: () => number;
  log: XdsLog;
  /** At most once for each turn of the event loop; only the newest matters. The first comes from `start()` itself. */
  onSnapshot(snapshot: Snapshot, changes: SnapshotChanges): void;
  /** Something that `status()` shows has changed; also at most once a turn. */
  onStatus?(): void;
  /** What clusters have counted, all or those named, for load reports; without it none are made. */
  loads?(clusters: "all" | readonly string[]): readonly ClusterCounts[];
}>;

export type XdsStatus = Readonly<{
  resources: readonly ResourceView[];
  servers: readonly ServerStatus[];
  files: readonly PathStatus[];
  warming: readonly Warming[];
  /** True once LDS and CDS were answered (or waited for long enough) and every first version was warm. It stays true. */
  isInitialized: boolean;
  /** What `isInitialized` still waits for, for people. */
  waitsFor: readonly string[];
}>;

export interface XdsClient {
  start(): void;
  /** Ends all streams and timers. Nothing is called after it. */
  close(): void;
  readonly snapshot: Snapshot;
  status(): XdsStatus;
  /** Since when new connections use a secret, ms since the epoch; undefined while it has no good value. */
  secretUsedSince(name: string): number | undefined;
  /** As `status()` says it. */
  readonly isInitialized: boolean;
  /** A request needs this, and waits until a snapshot has its key among `settled`. */
  demand(demand: Demand): void;
  /** Envoy's names → values. */
  stats(): StatValues;
  /** The certificates in use, one entry for each TLS context that has what it needs. */
  certificates(): readonly ContextCertificates[];
}

const PREPARE_TIMEOUT_MS = 10_000;
/** Fields that were remarked on are remembered up to this many; after that remarks are left out. */
const MAX_WARNED = 1_000;

const NOTHING: Interest = { isWildcard: false, names: new Set() };
const EVERYTHING: Interest = { isWildcard: true, names: new Set() };

export function createXdsClient(options: XdsClientOptions): XdsClient {
  return new Client(options);
}

class Client implements XdsClient {
  readonly #options: XdsClientOptions;
  readonly #clock: Clock;
  readonly #store = new ResourceStore();
  readonly #stats = new UpdateStats();
  readonly #intake: Intake;
  readonly #sources: Sources;
  readonly #timers: WaitTimers;
  readonly #secrets: Secrets;
  readonly #hostConflicts: HostConflicts;
  readonly #demands: Demands;
  readonly #collections: Collections;
  readonly #overdue = new WeakSet<object>();
  readonly #ttls: TtlTimers;
  readonly #warned = new Set<string>();
  /** What each (source, type) was last asked for: to ask it for nothing when nothing is left. */
  #asked = new Map<string, Wanted>();
  /** The same as names, by "source type". */
  #interests: ReadonlyMap<string, Interest> = new Map();
  #wanted: readonly Wanted[] = [];
  /** What it begins with. */
  #wantedPart: readonly Wanted[] = [];
  /** The same by "type name". */
  #wantedKeys = new Map<string, Wanted>();
  #assembly: Assembly = EMPTY_ASSEMBLY;
  #runtime: Runtime = EMPTY_ASSEMBLY.snapshot.runtime;
  isInitialized = false;
  #isClosed = false;
  #cancelUpdate: (() => void) | undefined;

  constructor(options: XdsClientOptions) {
    this.#options = options;
    const { bootstrap, log } = options;
    this.#clock = options.clock ?? systemClock;
    this.#ttls = new TtlTimers(this.#clock, (typeUrl, name) => this.#onExpired(typeUrl, name));
    this.#timers = new WaitTimers(this.#clock, (wait) => this.#onOver(wait));
    this.#secrets = new Secrets({
      staticSecrets: bootstrap.secrets,
      environment: options.environment ?? {},
      clock: this.#clock,
      log,
      onChange: () => {
        this.#sources.onSecrets();
        this.#scheduleUpdate();
      },
    });
    this.#hostConflicts = new HostConflicts(this.#clock, log);
    this.#demands = new Demands({
      clock: this.#clock,
      onChange: () => this.#scheduleUpdate(),
      onOrphan: (name) => this.#forget(VIRTUAL_HOST_TYPE, [name]),
    });
    this.#intake = new Intake({
      store: this.#store,
      decode: options.decode ?? ((typeUrl, bytes, previous) => decodeResource(typeUrl, bytes, { previous })),
      prepare: (resource) => this.#prepare(resource),
      prepareTimeoutMs: options.prepareTimeoutMs ?? PREPARE_TIMEOUT_MS,
      clock: this.#clock,
      onWarnings: (typeUrl, name, warnings) => this.#onWarnings(typeUrl, name, warnings),
      onTtl: (typeUrl, name, ttlMs) => this.#ttls.set(typeUrl, name, ttlMs),
    });
    this.#sources = new Sources({
      ads: bootstrap.ads,
      clusters: new Map(bootstrap.clusters.map((cluster) => [cluster.name, cluster])),
      node: buildNode(bootstrap.nodeBytes, options.version),
      environment: options.environment ?? {},
      material: (tls) => this.#secrets.material(tls),
      take: (source, response) => this.#take(source, response),
      loadFile: options.loadFile ?? loadResourcesFile,
      onChange: () => this.#scheduleUpdate(),
      onFailure: (source) => this.#onFailure(source),
      clock: this.#clock,
      random: options.random ?? Math.random,
      log,
    });
    // CDS before LDS: also the order in which a new stream asks for them.
    const collections = [
      [CLUSTER_TYPE, bootstrap.cds],
      [LISTENER_TYPE, bootstrap.lds],
    ] as const;
    this.#collections = new Collections(collections, this.#clock, () => this.#scheduleUpdate());
  }

  get snapshot(): Snapshot {
    return this.#assembly.snapshot;
  }

  start(): void {
    const { clusters, listeners, secrets, rawResources, loadStats } = this.#options.bootstrap;
    const raw = new Map(rawResources.map((each) => [`${each.typeUrl} ${each.name}`, each.value]));
    const now = this.#clock.now();
    for (const [typeUrl, resources] of [
      [CLUSTER_TYPE, clusters],
      [LISTENER_TYPE, listeners],
      [SECRET_TYPE, secrets],
    ] as const) {
      for (const model of resources) {
        this.#store.addStatic(typeUrl, model.name, model, raw.get(`${typeUrl} ${model.name}`), now);
      }
    }
    for (const { typeUrl, source } of this.#collections.list) this.#sources.setInterest(source, typeUrl, EVERYTHING);
    const { loads } = this.#options;
    if (loadStats !== undefined && loads !== undefined) this.#sources.reportLoad(loadStats, loads);
    this.#update();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelUpdate?.();
    this.#timers.close();
    this.#demands.close();
    this.#hostConflicts.close();
    this.#ttls.close();
    this.#collections.close();
    this.#sources.close();
    this.#secrets.close();
  }

  demand(demand: Demand): void {
    this.#demands.add(demand);
  }

  status(): XdsStatus {
    return {
      resources: this.#store.view(),
      servers: this.#sources.servers,
      files: this.#sources.files,
      warming: this.#assembly.warming,
      isInitialized: this.isInitialized,
      waitsFor: this.isInitialized ? [] : this.#unfinished(),
    };
  }

  stats(): StatValues {
    const connected = this.#sources.servers.some((server) => server.name === "ads" && server.isConnected);
    const values = this.#stats.values(this.#store.tables);
    const sources = sourceStats(this.#sources.servers.map(({ counts }) => counts));
    return {
      ...values,
      ...sources,
      ...this.#secrets.stats(this.#store.tables.secrets),
      outrigger_xds_resources_expired_total: this.#ttls.expired,
      outrigger_xds_demands_dropped_total: this.#demands.dropped,
      "control_plane.connected_state": connected ? 1 : 0,
    };
  }

  secretUsedSince(name: string): number | undefined {
    return this.#secrets.usedSince(name);
  }

  certificates(): readonly ContextCertificates[] {
    const { clusters, listeners } = this.#store.tables;
    return this.#secrets.certificates(clusters.values(), listeners.values());
  }

  #prepare(resource: Resource): readonly Issue[] | Promise<readonly Issue[]> {
    const issues = [...this.#secrets.issues(resource), ...hostSourceIssues(resource, this.#options.bootstrap.ads)];
    return issues.length > 0 ? issues : (this.#options.prepare?.(resource) ?? []);
  }

  #take(source: string, response: DiscoveryResponse): Outcome | Promise<Outcome> {
    const { typeUrl } = response;
    const outcome = this.#intake.take(response, { source, interest: () => this.#interestOf(source, typeUrl) });
    if (!(outcome instanceof Promise)) return this.#taken(source, response, outcome);
    return outcome.then((settled) => this.#taken(source, response, settled));
  }

  #taken(source: string, response: DiscoveryResponse, outcome: Outcome): Outcome {
    if (this.#isClosed) return outcome;
    const { typeUrl } = response;
    const collection = this.#collectionOf(source, typeUrl);
    if (collection !== undefined) this.#collections.onAnswer(collection, outcome.error !== undefined);
    this.#store.markAnswered(typeUrl, "*");
    if (typeUrl === VIRTUAL_HOST_TYPE) this.#demands.onHosts(response);
    this.#count(source, response, outcome);
    this.#scheduleUpdate();
    return outcome;
  }

  #count(source: string, response: DiscoveryResponse, outcome: Outcome): void {
    const { typeUrl } = response;
    const now = this.#clock.now();
    if (typeUrl !== CLUSTER_TYPE || this.#collectionOf(source, typeUrl) !== undefined) {
      this.#stats.count(response, outcome, now);
    }
    if (typeUrl !== CLUSTER_TYPE || !this.#asked.has(`${source} ${typeUrl}`)) return;
    const names = [...outcome.accepted.keys(), ...outcome.removed, ...outcome.refused];
    if (names.some((name) => this.#wantedKeys.has(`${typeUrl} ${name}`))) {
      this.#stats.countOnDemand(response, outcome, now);
    }
  }

  #interestOf(source: string, typeUrl: string): Interest {
    const asked = this.#interests.get(`${source} ${typeUrl}`) ?? NOTHING;
    const isCollection = this.#collectionOf(source, typeUrl) !== undefined;
    return isCollection && !asked.isWildcard ? { ...asked, isWildcard: true } : asked;
  }

  /** LDS or CDS, when this source brings it. */
  #collectionOf(source: string, typeUrl: string): Collection | undefined {
    const collection = this.#collections.of(typeUrl);
    return collection !== undefined && this.#sources.nameOf(collection.source, typeUrl) === source
      ? collection
      : undefined;
  }

  #scheduleUpdate(): void {
    if (this.#isClosed || this.#cancelUpdate !== undefined) return;
    this.#cancelUpdate = this.#clock.endOfTurn(() => this.#update());
  }

  /** Everything that follows from a change of the store, once for all changes of a turn. */
  #update(): void {
    this.#cancelUpdate = undefined;
    if (this.#isClosed) return;
    const previous = this.#assembly.snapshot;
    const cds = this.#collections.of(CLUSTER_TYPE);
    const layers = this.#options.bootstrap.runtimeLayers;
    if (this.#secrets.use(this.#store.tables.secrets)) this.#sources.onSecrets();
    this.#runtime = mergeRuntime(layers, (name) => this.#store.model(RUNTIME_TYPE, name), this.#runtime);
    this.#assembly = assemble({
      tables: this.#store.tables,
      isClusterSetComplete: cds?.isAnswered ?? true,
      isClusterSetRefused: cds?.isRefused ?? false,
      runtime: this.#runtime,
      previous,
      clusterPart: this.#assembly.clusterPart,
      overdue: this.#overdue,
      demands: this.#demands.list,
    });
    this.#ask(this.#assembly.wanted.concat(wantedRuntime(layers)), this.#assembly.clusterPart?.wanted ?? []);
    this.#timers.sync([...this.#assembly.waits, ...this.#collections.waits()], (wait) => this.#canRun(wait));
    this.#demands.review(
      this.#assembly.snapshot.settled,
      ({ kind, name }) =>
        kind !== "scope" && this.#store.isAbsent(kind === "host" ? VIRTUAL_HOST_TYPE : CLUSTER_TYPE, name),
    );
    this.isInitialized ||= this.#unfinished().length === 0;
    const { snapshot } = this.#assembly;
    const isNews = snapshot !== previous || snapshot.version === 0;
    if (isNews) this.#options.onSnapshot(snapshot, snapshotChanges(previous, snapshot));
    if (snapshot.routes !== previous.routes) this.#hostConflicts.review(snapshot.routes);
    this.#options.onStatus?.();
  }

  /** Tells the store and the sources what is wanted now, each source once for each type. It begins with `part`. */
  #ask(wanted: readonly Wanted[], part: readonly Wanted[]): void {
    const isSamePart = part === this.#wantedPart;
    this.#wantedPart = part;
    if (sameWanted(wanted, this.#wanted, isSamePart ? part.length : 0)) return;
    this.#wanted = wanted;
    const keys = new Map(wanted.map((each) => [`${each.typeUrl} ${each.name}`, each]));
    for (const [key, each] of this.#wantedKeys) {
      const { typeUrl, name } = each;
      if (keys.has(key)) continue;
      // Part of what is asked for as a whole, unless the server says otherwise.
      if (this.#store.model(typeUrl, name) !== undefined && this.#isOfCollection(each)) continue;
      this.#forget(typeUrl, name === "*" ? ["*", ...this.#store.names(typeUrl)] : [name]);
    }
    this.#wantedKeys = keys;
    const groups = new Map<string, { first: Wanted; names: Set<string> }>();
    for (const each of keys.values()) {
      const source = this.#sources.nameOf(each.source, each.typeUrl);
      this.#store.request(each.typeUrl, each.name, source);
      const key = `${source} ${each.typeUrl}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { first: each, names: new Set([each.name]) });
      else group.names.add(each.name);
    }
    const before = this.#asked;
    this.#asked = new Map([...groups].map(([key, group]) => [key, group.first]));
    this.#interests = new Map([...groups].map(([key, { names }]) => [key, interestIn(names)]));
    for (const first of this.#asked.values()) {
      // Clusters on demand are asked for beside all others. Not in state of the world: go-control-plane answers nothing more until it
      // has a resource of each name, and names come from clients.
      const isNamed = !this.#isOfCollection(first) || this.#protocolOf(first.source) === "delta";
      const interest = isNamed
        ? this.#interestOf(this.#sources.nameOf(first.source, first.typeUrl), first.typeUrl)
        : EVERYTHING;
      this.#sources.setInterest(first.source, first.typeUrl, interest);
    }
    for (const [key, first] of before) {
      if (groups.has(key)) continue;
      this.#sources.setInterest(first.source, first.typeUrl, this.#isOfCollection(first) ? EVERYTHING : NOTHING);
    }
  }

  #protocolOf(source: ConfigSource): ApiConfigSource["protocol"] | undefined {
    return source.kind === "api" ? source.protocol : this.#options.bootstrap.ads?.protocol;
  }

  #isOfCollection({ source, typeUrl }: Wanted): boolean {
    return this.#collectionOf(this.#sources.nameOf(source, typeUrl), typeUrl) !== undefined;
  }

  #forget(typeUrl: string, names: readonly string[]): void {
    for (const name of names) {
      this.#store.remove(typeUrl, name);
      this.#stats.remove(typeUrl, name);
      this.#ttls.set(typeUrl, name, undefined);
    }
  }

  #canRun(wait: Wait): boolean {
    if (wait.resource === undefined) return this.#sources.areAllReachable;
    // A secret's server is often another than that of the rest, which need not wait for it: connections fail, as in Envoy.
    if (wait.resource.typeUrl === SECRET_TYPE && wait.isFirst === true) return true;
    return this.#sources.isReachable(this.#sources.nameOf(wait.resource.source, wait.resource.typeUrl));
  }

  #onOver(wait: Wait): void {
    const { resource, key } = wait;
    if (typeof key === "object") this.#overdue.add(key);
    if (resource !== undefined) {
      const { typeUrl, name } = resource;
      const counts = this.#stats.of(typeUrl, name);
      counts.init_fetch_timeout += 1;
      const collection = name === "" ? this.#collections.of(typeUrl) : undefined;
      if (collection === undefined) this.#store.markTimeout(typeUrl, name);
      else collection.isAnswered = true;
      this.#options.log.warn("no answer within initial_fetch_timeout", { type: typeLabel(typeUrl), name });
    }
    this.#scheduleUpdate();
  }

  #onFailure(source: string): void {
    const demanded = this.#asked.get(`${source} ${CLUSTER_TYPE}`);
    // Those of clusters are counted together.
    const named = [...this.#wantedKeys.values()].filter((each) => each.typeUrl !== CLUSTER_TYPE || each === demanded);
    for (const { typeUrl, name, source: from } of [
      ...named,
      ...this.#collections.list.map((each) => ({ ...each, name: "" })),
    ]) {
      if (this.#sources.nameOf(from, typeUrl) === source) this.#stats.countFailure(typeUrl, name);
    }
  }

  #onExpired(typeUrl: string, name: string): void {
    this.#store.expire(typeUrl, name);
    this.#sources.forget(typeUrl, name);
    this.#scheduleUpdate();
  }

  #onWarnings(typeUrl: string, name: string, warnings: readonly Warning[]): void {
    for (const { field, path, problem } of warnings) {
      // Each field once: a field without effect is in every resource of a real control plane.
      if (this.#warned.has(field) || this.#warned.size >= MAX_WARNED) continue;
      this.#warned.add(field);
      this.#options.log.warn("configuration accepted with a remark", { type: typeLabel(typeUrl), name, path, problem });
    }
  }

  #unfinished(): string[] {
    const cold = this.#assembly.warming
      .filter((each) => each.isFirst)
      .map((each) => `${typeLabel(each.typeUrl)} ${each.name}: ${each.waitsFor.join(", ")}`);
    return [...this.#collections.unanswered, ...cold];
  }
}
