// Transport sockets → model: plain TCP, or TLS. Called by the filter chain and cluster decoders.
// Anything else is refused, because serving or dialling in the clear instead would be a hole.

import type { Message } from "@bufbuild/protobuf";
import type { TransportSocket } from "../gen/envoy/config/core/v3/base_pb.ts";
import type {
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import type { DownstreamTls, UpstreamTls } from "../model/tls.ts";
import { unpackAny } from "./any.ts";
import { child, type Findings } from "./issues.ts";
import { decodeDownstreamTls, decodeUpstreamTls } from "./tls-context.ts";

const RAW_BUFFER = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
const UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const DOWNSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";

/** Undefined for plain TCP. */
export function decodeUpstreamSocket(
  message: TransportSocket | undefined,
  path: string,
  findings: Findings,
): UpstreamTls | undefined {
  const found = unpack(message, UPSTREAM_TLS, path, findings);
  return found === undefined ? undefined : decodeUpstreamTls(found.message as UpstreamTlsContext, found.path, findings);
}

/** Undefined for plain TCP. */
export function decodeDownstreamSocket(
  message: TransportSocket | undefined,
  path: string,
  findings: Findings,
): DownstreamTls | undefined {
  const found = unpack(message, DOWNSTREAM_TLS, path, findings);
  if (found === undefined) return undefined;
  return decodeDownstreamTls(found.message as DownstreamTlsContext, found.path, findings);
}

function unpack(
  message: TransportSocket | undefined,
  tls: string,
  path: string,
  findings: Findings,
): { readonly message: Message; readonly path: string } | undefined {
  if (message === undefined) return undefined;
  const any = message.configType.value;
  // Without a typed config, Envoy finds the factory by the socket's name.
  if (any === undefined && message.name === "envoy.transport_sockets.raw_buffer") return undefined;
  const configPath = child(path, "typed_config");
  const inner = any === undefined ? undefined : unpackAny(any);
  const typeName = inner?.typeName ?? message.name;
  if (typeName === RAW_BUFFER) return undefined;
  if (typeName !== tls) {
    findings.issue(configPath, `transport socket ${typeName} is not supported; ${RAW_BUFFER} and ${tls} are`);
    return undefined;
  }
  if (inner?.message === undefined) return undefined;
  return { message: inner.message, path: inner.step === "" ? configPath : child(configPath, inner.step) };
}
