// Everything the admin server needs from the process, as plain view objects: it reads the program's state and asks for
// changes only through here. Implemented by supervisor.ts; used by admin.ts and the views. Types only.
// Functions that return promises may ask the workers; the implementer gives them a deadline of its own, so that the admin
// port answers while the workers are saturated.

import type { Explanation, Question } from "../explain/explanation.ts";
import type { Socket } from "node:net";
import type { ContextCertificates } from "../../xds/secrets/certificate-views.ts";
import type { StatsReader } from "../stats/reader.ts";
import type { TracedRequest } from "../telemetry/trace-view.ts";

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

/** Envoy's envoy.admin.v3.ServerInfo.State. */
export type ServerState = "LIVE" | "DRAINING" | "PRE_INITIALIZING" | "INITIALIZING";

export interface Readiness {
  readonly state: ServerState;
  /** Why it is not LIVE, one line each: "waiting for the first LDS response from cluster xds". Empty when LIVE. */
  readonly reasons: readonly string[];
}

export interface ServerInfoView {
  /** As Envoy's: `<sha>/<version>/Clean/RELEASE/<TLS library>`. */
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly hotRestartVersion: string;
  /** The command line with snake_case names: {config_path, concurrency, …}. */
  readonly commandLineOptions: JsonObject;
  /** envoy.config.core.v3.Node as proto3 JSON with snake_case names. */
  readonly node: JsonObject;
}

/** One resource as it is configured: proto3 JSON, snake_case, with "@type". */
export interface DumpedResource {
  readonly name: string;
  /** Empty for static resources. */
  readonly versionInfo: string;
  /** RFC 3339. */
  readonly lastUpdated: string;
  readonly state: "static" | "active" | "warming";
  /** Undefined when no version has been accepted. */
  readonly value: JsonObject | undefined;
  /** The newest version, when it was refused. `value` when it could be read. */
  readonly error?: {
    readonly details: string;
    readonly versionInfo: string;
    readonly lastAttempt: string;
    readonly value?: JsonObject;
  };
}

export interface ScopedRoutesView {
  /** `ScopedRoutes.name` of the connection manager. */
  readonly name: string;
  readonly isInline: boolean;
  /** Empty for inline scopes, and before the first has come. */
  readonly versionInfo: string;
  /** RFC 3339. */
  readonly lastUpdated: string;
  readonly scopes: readonly { readonly name: string; readonly value: JsonObject }[];
}

export interface ConfigDumpView {
  readonly bootstrap: { readonly value: JsonObject; readonly lastUpdated: string };
  readonly clusters: readonly DumpedResource[];
  readonly listeners: readonly DumpedResource[];
  readonly routes: readonly DumpedResource[];
  /** One for each connection manager with scopes of its own, and for each that gets them by SRDS. */
  readonly scopedRoutes: readonly ScopedRoutesView[];
  readonly endpoints: readonly DumpedResource[];
  readonly secrets: readonly DumpedResource[];
  /** ECDS filters (TypedExtensionConfig). */
  readonly extensions: readonly DumpedResource[];
}

export interface HostView {
  /** `10.0.0.1:80`, `[::1]:80` or a pipe's path. */
  readonly address: string;
  readonly hostname: string;
  /** Flags in Envoy's words: "failed_active_hc", "failed_outlier_check", "failed_eds_health"… Empty: healthy. */
  readonly healthFlags: readonly string[];
  /** Envoy's HealthStatus name as EDS gave it: "UNKNOWN" counts as healthy. */
  readonly edsHealth: "UNKNOWN" | "HEALTHY" | "UNHEALTHY" | "DRAINING" | "TIMEOUT" | "DEGRADED";
  readonly weight: number;
  readonly priority: number;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly counters: {
    readonly cxConnectFail: number;
    readonly cxTotal: number;
    readonly rqError: number;
    readonly rqSuccess: number;
    readonly rqTimeout: number;
    readonly rqTotal: number;
  };
  readonly gauges: { readonly cxActive: number; readonly rqActive: number; readonly rqPendingActive: number };
}

export interface ThresholdsView {
  readonly priority: "default" | "high";
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

export interface ClusterView {
  readonly name: string;
  readonly observabilityName: string;
  /** Empty when the cluster is not an EDS cluster. */
  readonly edsServiceName: string;
  readonly addedViaApi: boolean;
  readonly thresholds: readonly ThresholdsView[];
  readonly hosts: readonly HostView[];
}

export interface ListenerView {
  readonly name: string;
  /** As bound, `127.0.0.1:9080`. */
  readonly addresses: readonly string[];
  readonly trafficDirection: "unspecified" | "inbound" | "outbound";
  readonly isDraining: boolean;
}

export interface CallbackView {
  /** "proxy_on_request_headers". */
  readonly callback: string;
  readonly calls: number;
  readonly faults: number;
  /** Milliseconds; sum over all calls, mean, and quantiles where they are known. */
  readonly totalMs: number;
  readonly meanMs: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** Fuel used by all calls: about one unit for a machine instruction. */
  readonly fuel: number;
}

export interface RouteConfigurationView {
  /** As text, cut when it is long. */
  readonly configuration: string;
  readonly bytes: number;
  /** Places in route configurations, the first ones when there are many. */
  readonly usedBy: readonly string[];
}

export interface PluginView {
  readonly name: string;
  readonly rootId: string;
  readonly vmId: string;
  /** Where the code came from: a path, a URI, "inline". */
  readonly source: string;
  readonly digest: string;
  readonly abiVersion: string;
  /** "running", "loading", "failed", "quarantined"… */
  readonly state: string;
  readonly stateReason?: string;
  readonly failurePolicy: string;
  readonly vms: number;
  /** Of all VMs now; of the largest that there was; what one may have. */
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number;
  readonly memoryLimitBytes: number;
  /** Of all workers since the plugin's version is in use. */
  readonly restarts: number;
  readonly quarantines: number;
  /** It runs by itself, once or on every worker (envoy.bootstrap.wasm). */
  readonly service?: "singleton" | "per_worker";
  /** What routes have for it instead of its own configuration; each distinct one has a root context of its own. */
  readonly routeConfigurations?: readonly RouteConfigurationView[];
  readonly callbacks: readonly CallbackView[];
  readonly lastFault?: {
    readonly at: string;
    readonly callback: string;
    readonly kind: string;
    readonly message: string;
    readonly frames: readonly string[];
  };
}

/** One of the latest requests, sampled or not. Strings come from the peer: whoever prints them escapes them. */
export type TraceView = TracedRequest;

export interface XdsResourceView {
  readonly name: string;
  readonly version: string;
  /** Envoy's ClientResourceStatus: REQUESTED, ACKED, NACKED, DOES_NOT_EXIST, TIMEOUT. */
  readonly state: string;
  readonly receivedAt?: string;
  readonly acknowledgedAt?: string;
  /** On all workers; a secret: for new connections, which the main thread makes. */
  readonly inUseAt?: string;
  /** By worker, in their order; empty where it is not in use yet. */
  readonly inUseOnWorkers?: readonly string[];
  readonly refused?: Refusal;
}

export interface Refusal {
  readonly version: string;
  readonly at: string;
  readonly reason: string;
}

/** One type of one source: its latest response, and its resources. */
export interface XdsTypeView {
  readonly typeUrl: string;
  readonly version: string;
  /** Empty where there are none: static resources and files. */
  readonly nonce: string;
  readonly receivedAt?: string;
  readonly acknowledgedAt?: string;
  readonly refused?: Refusal;
  readonly resources: readonly XdsResourceView[];
}

export interface XdsView {
  readonly server: string;
  readonly connected: boolean;
  readonly since?: string;
  readonly lastError?: string;
  /** What the control plane calls itself. */
  readonly controlPlane?: string;
  readonly types: readonly XdsTypeView[];
}

/** GET /runtime: Envoy's shape. `values` of an entry has one text for each layer, the winner is `finalValue`. */
export interface RuntimeView {
  readonly layers: readonly string[];
  readonly entries: readonly {
    readonly key: string;
    readonly layerValues: readonly string[];
    readonly finalValue: string;
  }[];
}

export interface MemoryView {
  readonly allocated: number;
  readonly heapSize: number;
  readonly physicalBytes: number;
  /** Bytes of each thread's heap and of plugin memories, for /memory's own part. */
  readonly details: JsonObject;
}

export interface LogLevels {
  /** Component names with their level, in Envoy's words: trace, debug, info, warning, error, critical, off. */
  readonly components: readonly { readonly name: string; readonly level: string }[];
}

export interface DrainOptions {
  readonly graceful: boolean;
  readonly inboundOnly: boolean;
  readonly skipExit: boolean;
}

export interface AdminPorts {
  /** What would become of a request; a text says what is wrong with the question. */
  explain(question: Question): Promise<Explanation | string>;
  readonly stats: StatsReader;
  readiness(): Readiness;
  serverInfo(): ServerInfoView;
  configDump(): Promise<ConfigDumpView> | ConfigDumpView;
  /** One entry for each TLS context that has what it needs. */
  certificates(): readonly ContextCertificates[];
  clusters(): Promise<readonly ClusterView[]> | readonly ClusterView[];
  /** Names for Prometheus' labels, without asking the workers; `clusters` is asked when this is missing. */
  clusterNames?(): Iterable<string>;
  listeners(): Promise<readonly ListenerView[]> | readonly ListenerView[];
  plugins(): Promise<readonly PluginView[]> | readonly PluginView[];
  /** The newest first. */
  traces(limit: number): Promise<readonly TraceView[]> | readonly TraceView[];
  xds(): Promise<readonly XdsView[]> | readonly XdsView[];
  runtime(): RuntimeView;
  memory(): Promise<MemoryView> | MemoryView;
  /** What the start still waits for, one line each; empty when it waits for nothing. */
  initDump(): readonly string[];
  logLevels(): LogLevels;
  /** All components when `component` is undefined. False: no such component. */
  setLogLevel(component: string | undefined, level: string): boolean;
  healthcheckFail(fail: boolean): void;
  /** Answers at once; the drain goes on by itself. */
  drain(options: DrainOptions): void;
  reopenLogs(): void;
  /** A connection that speaks HTTP/2: the Client Status Discovery Service is on it. Missing: it is closed. */
  acceptGrpc?(socket: Socket): void;
  /** Starts the shutdown and returns; the answer is sent before the server closes. */
  quit(): void;
}
