// The Node that requests carry: the bootstrap's node, plus what this proxy says about itself. Called once by client.ts
// when it is made. Source: envoy.config.core.v3.Node.

import type { Node } from "./gen/envoy/config/core/v3/base_pb.ts";
import { parseNode } from "./discovery-wire.ts";

/** What client.ts can do, in the words that servers look for. */
const CLIENT_FEATURES = [
  "envoy.lb.does_not_support_overprovisioning",
  "xds.config.resource-in-sotw",
  "xds.config.supports-resource-ttl",
];

const USER_AGENT_NAME = "outrigger";

/**
 * Builds the Node from the bootstrap's serialised one. A user agent that the bootstrap gives is kept: a launcher made
 * for another proxy may set one that its control plane asks for. Throws when the bytes do not parse.
 */
export function buildNode(nodeBytes: Uint8Array, version: string): Node {
  const node = parseNode(nodeBytes);
  if (node.userAgentName === "") node.userAgentName = USER_AGENT_NAME;
  if (node.userAgentVersionType.case === undefined) {
    node.userAgentVersionType = { case: "userAgentVersion", value: version };
  }
  const missing = CLIENT_FEATURES.filter((feature) => !node.clientFeatures.includes(feature));
  node.clientFeatures.push(...missing);
  return node;
}
