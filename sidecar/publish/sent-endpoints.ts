// Endpoints on their way to a worker: most as the bytes that they came in, which the worker reads when a request needs a host
// (xds/endpoint-bytes.ts). Thousands of clusters that it never calls cost one text each. worker.ts joins.

import { PlainEndpoints } from "../../xds/endpoint-bytes.ts";
import type { ClusterLoadAssignment, EndpointBytes } from "../../xds/model/endpoints.ts";
import type { Changes } from "../worker-link.ts";

/** What structured cloning leaves of an assignment: of PlainEndpoints its fields. */
export type SentEndpoints = ClusterLoadAssignment | EndpointBytes;

export function joinEndpoints({ set, removed }: Changes<SentEndpoints>): Changes<ClusterLoadAssignment> {
  return { set: set.map(([name, sent]) => [name, "wire" in sent ? new PlainEndpoints(sent) : sent]), removed };
}
