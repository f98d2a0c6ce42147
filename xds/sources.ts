// The sources that resources come from, one for each distinct config source: the ADS stream, a stream for each (server,
// type) that is not aggregated, a file. Made when something first wants them, fed with what is wanted, and listed for
// status. Owned by client.ts.

import { createHash } from "node:crypto";
import type { BackoffSettings } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { FileResource, LoadedResources } from "./decode/resources-file.ts";
import type { DiscoveryResponse } from "./discovery-messages.ts";
import type { Node } from "./gen/envoy/config/core/v3/base_pb.ts";
import { GrpcSource } from "./grpc-source.ts";
import type { ServerStatus } from "./grpc-source.ts";
import { grpcTargets } from "./grpc-targets.ts";
import { decodeLoadReportWish, encodeLoadReport, LOAD_STATS_METHOD } from "./load-report-wire.ts";
import { LoadReporter } from "./load-reporter.ts";
import type { ClusterCounts } from "./load-reporter.ts";
import type { XdsLog } from "./log.ts";
import type { Cluster } from "./model/cluster.ts";
import type { ApiConfigSource, ConfigSource } from "./model/config-source.ts";
import type { TlsContext } from "./model/tls.ts";
import { PathSource } from "./path-source.ts";
import type { PathStatus } from "./path-source.ts";
import type { Loaded } from "./secrets/material.ts";
import type { Environment } from "./secrets/read-data.ts";
import type { TlsMaterial } from "./secrets/tls-material.ts";
import { ServerConnections } from "./server-connections.ts";
import type { Interest, Outcome } from "./subscriptions.ts";
import { ADS_METHODS, TYPE_METHODS, typeLabel, VIRTUAL_HOST_TYPE } from "./type-urls.ts";

export type SourcesDeps = Readonly<{
  ads: ApiConfigSource | undefined;
  /** Static clusters, which name the servers. */
  clusters: ReadonlyMap<string, Cluster>;
  node: Node;
  environment: Environment;
  /** What a TLS context comes to now. */
  material(tls: TlsContext): Loaded<TlsMaterial>;
  take(source: string, response: DiscoveryResponse): Outcome | Promise<Outcome>;
  loadFile(path: string): LoadedResources;
  onChange(): void;
  /** A stream of the named source ended. */
  onFailure(source: string): void;
  clock: Clock;
  random: () => number;
  log: XdsLog;
}>;

type Source = { grpc: GrpcSource; connections: ServerConnections } | { path: PathSource } | { problem: string };

/** A connection that a firewall swallows is given up after this. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Far above any real configuration (a mesh of 10,000 clusters is some 20 MiB), far below what would end the process. */
const MAX_MESSAGE_BYTES = 128 * 1024 * 1024;

/** Envoy's default bound of the reconnection pause, and ours: a server that returns is in use again within 15 s. */
const ENVOY_BACKOFF_MAX_MS = 30_000;
const BACKOFF_MAX_MS = 10_000;

export class Sources {
  readonly #deps: SourcesDeps;
  readonly #sources = new Map<string, Source>();
  #loads: Readonly<{ reporter: LoadReporter; connections: ServerConnections }> | undefined;

  constructor(deps: SourcesDeps) {
    this.#deps = deps;
  }

  /** The name of the source that delivers a type for this config source. Equal names are one source. */
  nameOf(config: ConfigSource, typeUrl: string): string {
    if (config.kind === "ads" || config.kind === "self") return "ads";
    if (config.kind === "path") return `path:${config.path} ${typeUrl}`;
    const { initialFetchTimeoutMs: _timeout, ...api } = config;
    return config.aggregated ? `ads:${JSON.stringify(api)}` : `grpc:${JSON.stringify(api)} ${typeUrl}`;
  }

  /** Makes `interest` what is wanted of a type from a source. */
  setInterest(config: ConfigSource, typeUrl: string, interest: Interest): void {
    const name = this.nameOf(config, typeUrl);
    let source = this.#sources.get(name);
    if (source === undefined) {
      source = this.#make(name, config, typeUrl);
      this.#sources.set(name, source);
      if ("path" in source) source.path.start();
      if ("problem" in source) this.#deps.log.warn("config source cannot be used", { name, reason: source.problem });
    }
    if ("grpc" in source) source.grpc.setInterest(typeUrl, interest);
  }

  /** Reports load to these servers, until `close`. `counts`: of all clusters, or of those named. */
  reportLoad(api: ApiConfigSource, counts: (clusters: "all" | readonly string[]) => readonly ClusterCounts[]): void {
    const { node, clock, random, log } = this.#deps;
    const connections = this.#connections(api, LOAD_STATS_METHOD, () => {});
    if (typeof connections === "string") {
      log.warn("load cannot be reported", { reason: connections });
      return;
    }
    const reporter = new LoadReporter({
      open: (failures, sink) =>
        connections.openMessages(failures, sink, {
          encode: ({ clusters, intervalMs, isFirst }) =>
            encodeLoadReport(clusters, intervalMs, isFirst ? node : undefined),
          decode: decodeLoadReportWish,
        }),
      counts,
      backoff: backoffOf(api),
      clock,
      random,
      log,
    });
    this.#loads = { reporter, connections };
    reporter.start();
  }

  /** A resource is no longer held, whoever sent it (its TTL ran out). */
  forget(typeUrl: string, resource: string): void {
    for (const source of this.#sources.values()) if ("grpc" in source) source.grpc.forget(typeUrl, resource);
  }

  /** False while the source's server is away. A file is never away, and nothing waits for a source that cannot be used. */
  isReachable(name: string): boolean {
    const source = this.#sources.get(name);
    return source === undefined || !("grpc" in source) || source.grpc.status.isConnected;
  }

  get areAllReachable(): boolean {
    return [...this.#sources.keys()].every((name) => this.isReachable(name));
  }

  get servers(): ServerStatus[] {
    return [...this.#sources.values()].flatMap((source) => ("grpc" in source ? [source.grpc.status] : []));
  }

  get files(): PathStatus[] {
    return [...this.#sources.values()].flatMap((source) => ("path" in source ? [source.path.status] : []));
  }

  /** Other secrets are in use: streams that wait for one are opened now. Those that are open stay. */
  onSecrets(): void {
    for (const source of this.#sources.values()) {
      if ("grpc" in source && source.connections.needsSecret) source.grpc.reconnect();
    }
  }

  close(): void {
    this.#loads?.reporter.close();
    this.#loads?.connections.onEnd();
    for (const source of this.#sources.values()) {
      if ("grpc" in source) {
        source.connections.onEnd();
        source.grpc.close();
      }
      if ("path" in source) source.path.close();
    }
  }

  #make(name: string, config: ConfigSource, typeUrl: string): Source {
    if (config.kind === "path") return { path: this.#makePath(name, config.path, config.watchedDirectory, typeUrl) };
    const api = config.kind === "api" ? config : this.#deps.ads;
    if (api === undefined) return { problem: "the bootstrap has no ads_config" };
    const isAggregated = api.aggregated || config.kind !== "api";
    const methods = isAggregated ? ADS_METHODS : TYPE_METHODS.get(typeUrl);
    if (typeUrl === VIRTUAL_HOST_TYPE && api.protocol !== "delta") {
      return { problem: "virtual hosts come in the delta protocol only" };
    }
    if (methods === undefined) return { problem: `${typeUrl} has no service of its own` };
    return this.#makeGrpc(name, api, methods[api.protocol]);
  }

  #makePath(name: string, path: string, watchedDirectory: string, typeUrl: string): PathSource {
    const { clock, log, loadFile, take, onChange } = this.#deps;
    const onLoaded = (given: string, all: readonly FileResource[]) => {
      const own = all.filter((resource) => resource.typeUrl === typeUrl);
      const version = given === "" ? contentVersion(own) : given;
      const resources = own.map((each) => ({ name: "", version, typeUrl, bytes: each.value, ttlMs: undefined }));
      const outcome = take(name, { kind: "sotw", typeUrl, version, nonce: "", resources, controlPlane: "" });
      void Promise.resolve(outcome).then(({ error }) => {
        if (error === undefined) return;
        log.warn("xds update refused", { source: path, type: typeLabel(typeUrl), version, reason: error.message });
      });
    };
    return new PathSource({ path, watchedDirectory, load: loadFile, onLoaded, onChange, clock, log });
  }

  #makeGrpc(name: string, api: ApiConfigSource, method: string): Source {
    const { take, onChange, clock, random, log } = this.#deps;
    const connections = this.#connections(api, method, () => {
      log.info("a better control plane is back", { source: grpc.status.name });
      grpc.reconnect();
    });
    if (typeof connections === "string") return { problem: connections };
    const grpc = new GrpcSource({
      name: name === "ads" ? "ads" : connections.name + method,
      variant: api.protocol,
      nodeOnEveryRequest: !api.setNodeOnFirstMessageOnly,
      backoff: backoffOf(api),
      requestRate: api.requestRate,
      open: (failures, sink) => connections.open(failures, sink),
      take: (response) => take(name, response),
      onWorking: () => connections.onWorking(),
      onChange,
      onFailure: () => {
        connections.onEnd();
        this.#deps.onFailure(name);
      },
      clock,
      random,
      log,
    });
    return { grpc, connections };
  }

  /** Or why there are none. */
  #connections(api: ApiConfigSource, method: string, onBack: () => void): ServerConnections | string {
    const tiers = grpcTargets(api.servers, this.#deps.clusters);
    if (typeof tiers === "string") return tiers;
    const { node, clock, random, environment, material } = this.#deps;
    const limits = { connectTimeoutMs: CONNECT_TIMEOUT_MS, maxMessageBytes: MAX_MESSAGE_BYTES };
    const stream = { method, variant: api.protocol, node, ...limits };
    return new ServerConnections({ tiers, stream, environment, material, onBack, clock, random });
  }
}

function backoffOf({ backoffBaseMs: baseMs, backoffMaxMs }: ApiConfigSource): BackoffSettings {
  return { baseMs, maxMs: backoffMaxMs === ENVOY_BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoffMaxMs, jitter: "full" };
}

/** A file without version_info: the same content is the same version. */
function contentVersion(resources: readonly FileResource[]): string {
  const hash = createHash("sha256");
  for (const { value } of resources) hash.update(value);
  return hash.digest("hex").slice(0, 16);
}
