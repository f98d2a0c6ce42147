// Transport sockets: plain TCP only, so far. Called by the filter chain and cluster decoders.
// Anything else is refused, because serving or dialling in the clear instead would be a hole.

import type { TransportSocket } from "../gen/envoy/config/core/v3/base_pb.ts";
import { unpackAny } from "./any.ts";
import { child, type Findings } from "./issues.ts";

const RAW_BUFFER = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

export function checkTransportSocket(message: TransportSocket | undefined, path: string, findings: Findings): void {
  if (message === undefined) return;
  const any = message.configType.value;
  // Without a typed config, Envoy finds the factory by the socket's name.
  if (any === undefined && message.name === "envoy.transport_sockets.raw_buffer") return;
  const typeName = any === undefined ? message.name : unpackAny(any).typeName;
  if (typeName === RAW_BUFFER) return;
  const what = typeName.includes(".tls.")
    ? "TLS is not supported yet"
    : `transport socket ${typeName} is not supported`;
  findings.issue(child(path, "typed_config"), `${what}; only ${RAW_BUFFER} is`);
}
