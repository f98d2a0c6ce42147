// What istiod says of a cluster and of a host in their metadata, under "istio": read once for each, because they are
// configuration. Used by peer-metadata-filter.ts and istio-stats-filter.ts.

import { partOf, type PropertyItem } from "../../../plugins/property-value.ts";
import { messageOf } from "../../messages/message-value.ts";
import { METADATA } from "../../messages/shapes.ts";
import { type Workload, workloadOfEndpoint } from "./workload.ts";

export interface MeshCluster {
  /** Of a service outside of the mesh. */
  readonly isExternal: boolean;
  readonly hasNoExchange: boolean;
  /** Of the first service behind it; empty when it has none. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

const NO_CLUSTER: MeshCluster = { isExternal: false, hasNoExchange: false, host: "", name: "", namespace: "" };

const clusters = new WeakMap<Uint8Array, MeshCluster>();
const hosts = new WeakMap<Uint8Array, { readonly workload: Workload | undefined }>();

export function meshCluster(metadata: Uint8Array | undefined): MeshCluster {
  if (metadata === undefined) {
    return NO_CLUSTER;
  }
  let cluster = clusters.get(metadata);
  if (cluster === undefined) {
    cluster = clusterOf(istioOf(metadata));
    clusters.set(metadata, cluster);
  }
  return cluster;
}

/** Of the host's metadata: which workload is there. */
export function hostWorkload(metadata: Uint8Array | undefined): Workload | undefined {
  if (metadata === undefined) {
    return undefined;
  }
  let known = hosts.get(metadata);
  if (known === undefined) {
    const text = part(istioOf(metadata), "workload");
    known = { workload: typeof text === "string" ? workloadOfEndpoint(text) : undefined };
    hosts.set(metadata, known);
  }
  return known.workload;
}

function istioOf(metadata: Uint8Array): PropertyItem | undefined {
  return part(messageOf(METADATA, metadata).get("filter_metadata"), "istio");
}

function clusterOf(istio: PropertyItem | undefined): MeshCluster {
  const service = part(part(istio, "services"), "0");
  const host = text(part(service, "host"));
  return {
    isExternal: part(istio, "external") === true,
    hasNoExchange: part(istio, "disable_mx") === true,
    host,
    name: text(part(service, "name")) || host.slice(0, host.includes(".") ? host.indexOf(".") : undefined),
    namespace: text(part(service, "namespace")),
  };
}

function part(value: PropertyItem | undefined, name: string): PropertyItem | undefined {
  return value === undefined ? undefined : partOf(value, name);
}

function text(value: PropertyItem | undefined): string {
  return typeof value === "string" ? value : "";
}
