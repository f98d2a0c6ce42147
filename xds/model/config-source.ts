// Where a resource comes from. Source: envoy.config.core.v3.ConfigSource, ApiConfigSource and GrpcService.
// The xDS client subscribes by these; a static resource has none. Types only.

import type { DataSource } from "./plugin-config.ts";
import type { UpstreamTls } from "./tls.ts";

/** A gRPC server that speaks xDS: a bootstrap cluster by name (envoy_grpc), or a target (google_grpc). */
export interface GrpcTarget {
  readonly kind: "cluster" | "target";
  /** Cluster name, or a gRPC target such as `dns:///host:port`. */
  readonly name: string;
  /** `:authority` to send; empty means the cluster's or target's own. */
  readonly authority: string;
  readonly initialMetadata: readonly { readonly key: string; readonly value: string }[];
  /** 0 means no limit from here. */
  readonly timeoutMs: number;
  /** Of a target; a cluster has its own. Undefined is plaintext. */
  readonly tls: UpstreamTls | undefined;
  /** Of a target; a cluster has its own. */
  readonly keepAlive: KeepAlive | undefined;
  /** Metadata that is read anew for each stream. */
  readonly callCredentials: readonly CallCredential[];
}

/** HTTP/2 pings: how often, and how long an answer may take. */
export interface KeepAlive {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** One metadata entry: `key: prefix + token`. */
export interface CallCredential {
  readonly key: string;
  readonly prefix: string;
  readonly token: DataSource;
}

/** A token bucket: at most `maxTokens` requests at once, then `fillPerSecond`. */
export interface RequestRate {
  readonly maxTokens: number;
  readonly fillPerSecond: number;
}

export interface ApiConfigSource {
  readonly kind: "api";
  readonly protocol: "sotw" | "delta";
  /** True for AGGREGATED_GRPC, AGGREGATED_DELTA_GRPC and the bootstrap's ads_config. */
  readonly aggregated: boolean;
  /** In order of preference. */
  readonly servers: readonly GrpcTarget[];
  readonly setNodeOnFirstMessageOnly: boolean;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Undefined: requests are not limited. */
  readonly requestRate: RequestRate | undefined;
}

export interface PathConfigSource {
  readonly kind: "path";
  readonly path: string;
  /** Directory watched for moves; empty means the file's own directory. */
  readonly watchedDirectory: string;
}

export type ConfigSource = (
  | ApiConfigSource
  | PathConfigSource
  | { readonly kind: "ads" }
  | { readonly kind: "self" }
) & {
  /** How long the owner warms before it goes on without the resource; 0 waits forever. Envoy's default 15,000. */
  readonly initialFetchTimeoutMs: number;
};
