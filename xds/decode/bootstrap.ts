// envoy.config.bootstrap.v3.Bootstrap → model, and the checks that need the whole bootstrap: unique names, known clusters.
// Called by bootstrap-file.ts. Pure: reading, merging and positions are the caller's.

import { toBinary } from "@bufbuild/protobuf";
import {
  BootstrapSchema,
  type Admin as AdminMessage,
  type Bootstrap as BootstrapMessage,
} from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { ClusterSchema } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { NodeSchema, type Node as NodeMessage } from "../gen/envoy/config/core/v3/base_pb.ts";
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { Admin, Bootstrap, JsonValue, Node } from "../model/bootstrap.ts";
import type { Cluster } from "../model/cluster.ts";
import type { ApiConfigSource } from "../model/config-source.ts";
import type { Listener } from "../model/listener.ts";
import type { Secret } from "../model/tls.ts";
import { CLUSTER_TYPE, LISTENER_TYPE, SECRET_TYPE } from "../type-urls.ts";
import { decodeAccessLogs } from "./access-log.ts";
import { decodeAddress } from "./address.ts";
import { checkBootstrapReferences } from "./bootstrap-references.ts";
import { decodeCluster } from "./cluster.ts";
import { decodeApiConfigSource, decodeConfigSource } from "./config-source.ts";
import { quoted } from "./constraint.ts";
import { decodeLocality } from "./endpoints.ts";
import { inspectMessage, type UnknownFieldPolicy } from "./inspect.ts";
import { child, Findings, item, type Decoded, type FormatProblem, type NamedFile } from "./issues.ts";
import { decodeListener } from "./listener.ts";
import { checkOverloadManager } from "./overload-manager.ts";
import { decodeRuntimeLayers } from "./runtime.ts";
import { decodeSecret } from "./secret.ts";
import { checkStatsConfig } from "./stats-config.ts";
import { decodeServices } from "./wasm-service.ts";

/** Also the files that the bootstrap names, which nobody has read yet. */
export type DecodedBootstrap = Decoded<Bootstrap> & { readonly files: readonly NamedFile[] };

/** Decodes a bootstrap message. Issue paths start at the bootstrap: `static_resources.clusters[0].name`. */
export function decodeBootstrap(
  message: BootstrapMessage,
  unknownFields: UnknownFieldPolicy,
  formatProblem?: FormatProblem,
): DecodedBootstrap {
  const findings = new Findings(formatProblem);
  inspectMessage(BootstrapSchema, message, "", findings, unknownFields);
  const clusters = decodeClusters(message, findings);
  const listeners = decodeListeners(message, findings);
  const secrets = decodeSecrets(message, findings);
  const dynamic = decodeDynamic(message, findings);
  const bootstrap: Bootstrap = {
    node: decodeNode(message.node),
    admin: decodeAdmin(message.admin, "admin", findings),
    listeners: listeners.map(({ listener }) => listener),
    clusters: clusters.map(({ cluster }) => cluster),
    services: decodeServices(message.bootstrapExtensions, "bootstrap_extensions", findings),
    secrets: secrets.map(({ secret }) => secret),
    ...dynamic,
    runtimeLayers: decodeRuntimeLayers(message.layeredRuntime, "layered_runtime", findings),
    nodeBytes: message.node === undefined ? new Uint8Array() : toBinary(NodeSchema, message.node),
    bootstrapBytes: toBinary(BootstrapSchema, message),
    rawResources: [...clusters, ...listeners, ...secrets].map(({ raw }) => raw),
  };
  checkOverloadManager(message.overloadManager, "overload_manager", findings);
  checkStatsConfig(message.statsConfig, "stats_config", findings);
  checkBootstrapReferences(bootstrap, message, findings);
  return { ...findings.result(bootstrap), files: findings.files };
}

type Raw = Bootstrap["rawResources"][number];

function decodeClusters(
  message: BootstrapMessage,
  findings: Findings,
): readonly { readonly cluster: Cluster; readonly raw: Raw }[] {
  const path = "static_resources.clusters";
  const clusters = message.staticResources?.clusters ?? [];
  checkUnique(
    clusters.map(({ name }) => name),
    path,
    findings,
  );
  return clusters.flatMap((entry, index) => {
    const cluster = decodeCluster(entry, item(path, index), findings);
    if (cluster === undefined) return [];
    return { cluster, raw: { typeUrl: CLUSTER_TYPE, name: cluster.name, value: toBinary(ClusterSchema, entry) } };
  });
}

function decodeListeners(
  message: BootstrapMessage,
  findings: Findings,
): readonly { readonly listener: Listener; readonly raw: Raw }[] {
  const path = "static_resources.listeners";
  const listeners = message.staticResources?.listeners ?? [];
  checkUnique(
    listeners.map(({ name }) => name),
    path,
    findings,
  );
  return listeners.flatMap((entry, index) => {
    const listener = decodeListener(entry, item(path, index), findings);
    if (listener === undefined) return [];
    return { listener, raw: { typeUrl: LISTENER_TYPE, name: listener.name, value: toBinary(ListenerSchema, entry) } };
  });
}

function decodeSecrets(
  message: BootstrapMessage,
  findings: Findings,
): readonly { readonly secret: Secret; readonly raw: Raw }[] {
  const path = "static_resources.secrets";
  const secrets = message.staticResources?.secrets ?? [];
  // Envoy has a table for each kind of secret; here one name is one secret.
  checkUnique(
    secrets.map(({ name }) => name),
    path,
    findings,
  );
  return secrets.flatMap((entry, index) => {
    const secret = decodeSecret(entry, item(path, index), findings);
    if (secret === undefined) return [];
    return { secret, raw: { typeUrl: SECRET_TYPE, name: secret.name, value: toBinary(SecretSchema, entry) } };
  });
}

function checkUnique(names: readonly string[], path: string, findings: Findings): void {
  const seen = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    const other = seen.get(name);
    if (name !== "" && other !== undefined) {
      findings.issue(child(item(path, index), "name"), `${quoted(name)} is already the name of ${item(path, other)}`);
    } else {
      seen.set(name, index);
    }
  }
}

function decodeDynamic(
  message: BootstrapMessage,
  findings: Findings,
): Pick<Bootstrap, "lds" | "cds" | "ads" | "loadStats"> {
  const dynamic = message.dynamicResources;
  const loadStats = message.clusterManager?.loadStatsConfig;
  return {
    loadStats:
      loadStats === undefined
        ? undefined
        : decodeApiConfigSource(loadStats, "cluster_manager.load_stats_config", findings),
    lds: decodeConfigSource(dynamic?.ldsConfig, "dynamic_resources.lds_config", findings),
    cds: decodeConfigSource(dynamic?.cdsConfig, "dynamic_resources.cds_config", findings),
    ads: decodeAds(message, findings),
  };
}

function decodeAds(message: BootstrapMessage, findings: Findings): ApiConfigSource | undefined {
  const config = message.dynamicResources?.adsConfig;
  if (config === undefined) return undefined;
  const api = decodeApiConfigSource(config, "dynamic_resources.ads_config", findings);
  return api === undefined ? undefined : { ...api, aggregated: true };
}

export function decodeNode(message: NodeMessage | undefined): Node {
  const dynamicParameters: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(message?.dynamicParameters ?? {})) {
    dynamicParameters[key] = { ...value.params };
  }
  return {
    id: message?.id ?? "",
    cluster: message?.cluster ?? "",
    locality: decodeLocality(message?.locality),
    metadata: message?.metadata ?? {},
    dynamicParameters,
  };
}

function decodeAdmin(message: AdminMessage | undefined, path: string, findings: Findings): Admin | undefined {
  if (message?.address === undefined) return undefined;
  const address = decodeAddress(message.address, "ip", child(path, "address"), findings);
  const accessLogs = [...decodeAccessLogs(message.accessLog, child(path, "access_log"), findings)];
  if (message.accessLogPath !== "") {
    const sink = { kind: "file", path: message.accessLogPath } as const;
    accessLogs.push({ name: "envoy.access_loggers.file", sink, format: undefined, filter: undefined });
  }
  return address === undefined ? undefined : { address, accessLogs };
}
