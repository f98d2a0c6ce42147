// A workload of the mesh as Istio's proxies tell each other: read from a node's metadata, from a peer's header, or from an
// endpoint's metadata; written for the header and for filter state. Source: Istio's metadata_object.cc. Pure.
// What comes from peers is anything: texts are cut, and bytes that are no message are no workload.

import { partOf, type PropertyItem } from "../../../plugins/property-value.ts";
import { messageOf, unpacked } from "../../messages/message-value.ts";
import { NODE } from "../../messages/shapes.ts";
import { StructBytes } from "./struct-bytes.ts";

export interface Workload {
  readonly name: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly workload: string;
  readonly service: string;
  readonly revision: string;
  readonly app: string;
  readonly version: string;
  /** pod, deployment, job, cronjob; empty when the owner does not say. */
  readonly type: string;
  readonly labels: readonly (readonly [string, string])[];
}

const STRUCT = "google.protobuf.Struct";
const CANONICAL_NAME = "service.istio.io/canonical-name";
const CANONICAL_REVISION = "service.istio.io/canonical-revision";
const TYPES: ReadonlySet<string> = new Set(["pod", "deployment", "job", "cronjob"]);
const OWNER_PREFIX = "kubernetes://apis/apps/v1/namespaces/";
/** Of one text of a peer's. */
const MAX_TEXT = 128;
/** A header that is longer is nobody's. */
const MAX_HEADER = 16_384;

/** Of the node that a proxy is; `extraLabels` are told to peers too. */
export function workloadOfNode(nodeBytes: Uint8Array, extraLabels: readonly string[]): Workload {
  return workloadOf(messageOf(NODE, nodeBytes).get("metadata") ?? null, extraLabels);
}

/** Of `x-envoy-peer-metadata`; undefined when it is no such header. */
export function workloadOfHeader(value: string, extraLabels: readonly string[]): Workload | undefined {
  if (value.length > MAX_HEADER || !/^[\w+/]+={0,2}$/.test(value)) {
    return undefined;
  }
  const struct = unpacked(STRUCT, Buffer.from(value, "base64"));
  return struct !== null && typeof struct === "object" && "entries" in struct && struct.entries.length > 0
    ? workloadOf(struct, extraLabels)
    : undefined;
}

/** Of an endpoint's `istio.workload`: name;namespace;service;revision;cluster. */
export function workloadOfEndpoint(text: string): Workload | undefined {
  const [workload, namespace, service, revision, cluster] = text.split(";").map((part) => part.slice(0, MAX_TEXT));
  if (cluster === undefined || workload === undefined || namespace === undefined) {
    return undefined;
  }
  const unsaid = { name: "", app: "", version: "", type: "", labels: [] };
  return { ...unsaid, workload, namespace, service: service ?? "", revision: revision ?? "", cluster };
}

function workloadOf(metadata: PropertyItem, extraLabels: readonly string[]): Workload {
  const text = (name: string): string => textOf(metadata, name);
  const labels = partOf(metadata, "LABELS") ?? null;
  const workload = text("WORKLOAD_NAME");
  return {
    name: text("NAME"),
    cluster: text("CLUSTER_ID"),
    namespace: text("NAMESPACE"),
    workload,
    service: textOf(labels, CANONICAL_NAME),
    revision: textOf(labels, CANONICAL_REVISION),
    app: textOf(labels, "app"),
    version: textOf(labels, "version"),
    type: typeOf(text("OWNER"), workload),
    labels: extraLabels.flatMap((name) => {
      const value = textOf(labels, name);
      return value === "" ? [] : [[name, value] as const];
    }),
  };
}

function textOf(value: PropertyItem, name: string): string {
  const part = partOf(value, name);
  return typeof part === "string" ? part.slice(0, MAX_TEXT) : "";
}

/** `…/deployments/NAME` → deployment. */
function typeOf(owner: string, workload: string): string {
  const end = `s/${workload}`;
  const kind = owner.endsWith(end) ? owner.slice(0, -end.length) : "";
  const type = kind.slice(kind.lastIndexOf("/") + 1);
  return TYPES.has(type) ? type : "";
}

/** For the header: the Struct in base64, the same for the same workload. */
export function headerOf(workload: Workload): string {
  const labels = new StructBytes();
  labels.text("app", workload.app);
  for (const [name, value] of workload.labels) {
    labels.text(name, value);
  }
  labels.text(CANONICAL_NAME, workload.service);
  labels.text(CANONICAL_REVISION, workload.revision);
  labels.text("version", workload.version);
  const { type, namespace } = workload;
  const struct = new StructBytes();
  struct.text("CLUSTER_ID", workload.cluster);
  struct.struct("LABELS", labels);
  struct.text("NAME", workload.name);
  struct.text("NAMESPACE", namespace);
  struct.text("OWNER", type === "" ? "" : `${OWNER_PREFIX}${namespace}/${type}s/${workload.workload}`);
  struct.text("WORKLOAD_NAME", workload.workload);
  return struct.bytes().toString("base64");
}

/** For filter state `downstream_peer` and `upstream_peer`: a Struct with the names that expressions use. */
export function stateOf(workload: Workload): Uint8Array {
  const struct = new StructBytes();
  for (const name of [
    "app",
    "cluster",
    "name",
    "namespace",
    "revision",
    "service",
    "type",
    "version",
    "workload",
  ] as const) {
    struct.text(name, workload[name]);
  }
  const labels = new StructBytes();
  for (const [name, value] of workload.labels) {
    labels.text(name, value);
  }
  struct.struct("labels", labels);
  return struct.bytes();
}
