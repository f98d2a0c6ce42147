// The names that the proxy has as a node, for fields that tell them. `nodeBytes`: envoy.config.core.v3.Node, serialised.

import { messageOf } from "./messages/message-value.ts";
import type { NodeNames } from "./http/forwarded.ts";
import { NODE } from "./messages/shapes.ts";

export function nodeNames(nodeBytes: Uint8Array): NodeNames {
  const node = messageOf(NODE, nodeBytes);
  const textOf = (name: string): string => {
    const value = node.get(name);
    return typeof value === "string" ? value : "";
  };
  return { id: textOf("id"), cluster: textOf("cluster") };
}
