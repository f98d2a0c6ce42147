// The bootstrap in the proxy's words. Source: envoy.config.bootstrap.v3.Bootstrap.
// Decoded by xds/decode/bootstrap.ts, run by sidecar/supervisor.ts. Types only.

import type { AccessLog } from "./access-log.ts";
import type { Address } from "./address.ts";
import type { Cluster } from "./cluster.ts";
import type { ApiConfigSource, ConfigSource } from "./config-source.ts";
import type { Locality } from "./endpoints.ts";
import type { Listener } from "./listener.ts";
import type { PluginService } from "./plugin-config.ts";
import type { Secret } from "./tls.ts";

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

export interface Node {
  readonly id: string;
  readonly cluster: string;
  readonly locality: Locality;
  readonly metadata: { readonly [key: string]: JsonValue };
  readonly dynamicParameters: { readonly [key: string]: JsonValue };
}

export interface Admin {
  readonly address: Address;
  readonly accessLogs: readonly AccessLog[];
}

export type RuntimeLayer =
  | { readonly kind: "static"; readonly name: string; readonly values: Runtime }
  | { readonly kind: "admin"; readonly name: string }
  | { readonly kind: "rtds"; readonly name: string; readonly resource: string; readonly source: ConfigSource }
  | { readonly kind: "disk"; readonly name: string; readonly root: string; readonly subdirectory: string };

/** Runtime keys, flattened with dots. */
export type Runtime = Readonly<Record<string, JsonValue>>;

export interface Bootstrap {
  readonly node: Node;
  /** undefined means our default, 127.0.0.1:15000. */
  readonly admin: Admin | undefined;
  readonly listeners: readonly Listener[];
  readonly clusters: readonly Cluster[];
  readonly services: readonly PluginService[];
  readonly secrets: readonly Secret[];
  readonly lds: ConfigSource | undefined;
  readonly cds: ConfigSource | undefined;
  readonly ads: ApiConfigSource | undefined;
  /** Where load is reported. */
  readonly loadStats: ApiConfigSource | undefined;
  readonly runtimeLayers: readonly RuntimeLayer[];
  /** Serialised envoy.config.core.v3.Node and envoy.config.bootstrap.v3.Bootstrap, for requests, properties and dumps. */
  readonly nodeBytes: Uint8Array;
  readonly bootstrapBytes: Uint8Array;
  /** Serialised static resources by kind, for /config_dump: the Any value beside each model object's name. */
  readonly rawResources: readonly { readonly typeUrl: string; readonly name: string; readonly value: Uint8Array }[];
}
