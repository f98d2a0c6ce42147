// Endpoints that need no decoding: see xds/endpoint-bytes.ts. Here is what only this side can say of them, that their metadata
// is valid; endpoints of one workload share it, so each is decoded once. Called by resource.ts.

import { fromBinary } from "@bufbuild/protobuf";
import { EndpointWalk, PlainEndpoints } from "../endpoint-bytes.ts";
import { MetadataSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { EndpointMetadata } from "../model/endpoints.ts";
import { metadataBytes } from "./address.ts";
import { inspectMessage } from "./inspect.ts";
import { Findings } from "./issues.ts";

/** Valid metadata by its bytes, as Latin-1; some 500 bytes each. */
const known = new Map<string, EndpointMetadata>();
const MAX_KNOWN = 10_000;

/** The assignment, or undefined: it is to be decoded, because it is not plain or not valid. */
export function plainEndpoints(bytes: Uint8Array): PlainEndpoints | undefined {
  const metadata = new Map<string, EndpointMetadata>();
  const walk = new EndpointWalk(bytes, (key) => {
    const found = metadata.get(key) ?? metadataOf(key);
    if (found !== undefined) metadata.set(key, found);
    return found;
  });
  if (!walk.check()) return undefined;
  const { clusterName, healthy, degraded, unhealthy } = walk;
  const counted = { total: healthy + degraded + unhealthy, healthy, degraded };
  const wire = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  return new PlainEndpoints({ clusterName, wire, metadata: [...metadata.values()], counted });
}

function metadataOf(key: string): EndpointMetadata | undefined {
  let metadata = known.get(key);
  if (metadata === undefined) {
    metadata = decodeMetadata(Buffer.from(key, "latin1"));
    if (metadata === undefined) return undefined;
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(key, metadata);
  }
  return metadata;
}

function decodeMetadata(slice: Uint8Array): EndpointMetadata | undefined {
  const findings = new Findings();
  try {
    const message = fromBinary(MetadataSchema, slice);
    inspectMessage(MetadataSchema, message, "", findings, "warn");
    const bytes = metadataBytes(message);
    if (bytes === undefined || findings.issueCount > 0 || findings.warnings.length > 0) return undefined;
    return { bytes, socketMatch: message.filterMetadata["envoy.transport_socket_match"] };
  } catch {
    return undefined;
  }
}
