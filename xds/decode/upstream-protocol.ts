// How a cluster speaks HTTP: the HttpProtocolOptions extension and the deprecated fields that it replaced.
// Called by cluster.ts. Source: envoy.extensions.upstreams.http.v3.

import type {
  Http2ProtocolOptions,
  HttpProtocolOptions as CoreOptions,
  KeepaliveSettings,
} from "../gen/envoy/config/core/v3/protocol_pb.ts";
import type { Cluster as ClusterMessage } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { HttpProtocolOptions } from "../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import type { Cluster } from "../model/cluster.ts";
import type { KeepAlive } from "../model/config-source.ts";
import { unpackAny } from "./any.ts";
import { durationMs } from "./duration.ts";
import { child, item, type Findings } from "./issues.ts";
import { checkMirrorPolicies } from "./mirror-policy.ts";
import { decodeRetryPolicy } from "./retry-policy.ts";

const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const DEFAULT_IDLE_MS = 3_600_000;
const DEFAULT_MAX_RESPONSE_HEADERS_KB = 60;
const DEFAULT_MAX_HEADERS_COUNT = 100;

export type UpstreamHttp = Pick<
  Cluster,
  | "upstreamProtocol"
  | "idleTimeoutMs"
  | "maxRequestsPerConnection"
  | "maxResponseHeadersBytes"
  | "maxResponseHeadersCount"
  | "http2KeepAlive"
>;

export function decodeUpstreamHttp(message: ClusterMessage, path: string, findings: Findings): UpstreamHttp {
  const options = findOptions(message, child(path, "typed_extension_protocol_options"), findings);
  const common = options === undefined ? message.commonHttpProtocolOptions : options.commonHttpProtocolOptions;
  const isHttp2 = options === undefined ? message.http2ProtocolOptions !== undefined : speaksHttp2(options);
  if (isHttp2) {
    const field = "envoy.config.cluster.v3.Cluster.http2_protocol_options";
    findings.warn(
      "no_effect",
      child(path, "http2_protocol_options"),
      field,
      "HTTP/2 to upstreams is in effect for gRPC services only so far; requests are proxied by HTTP/1.1",
    );
  }
  const http2 = options === undefined ? message.http2ProtocolOptions : http2Options(options);
  return {
    ...decodeCommon(common, message),
    upstreamProtocol: isHttp2 ? "http2" : "http1",
    http2KeepAlive: decodeKeepAlive(http2?.connectionKeepalive),
  };
}

/** Without an interval Envoy sends no pings by the clock. */
function decodeKeepAlive(message: KeepaliveSettings | undefined): KeepAlive | undefined {
  if (message?.interval === undefined) return undefined;
  return { intervalMs: durationMs(message.interval, 0), timeoutMs: durationMs(message.timeout, 0) };
}

function decodeCommon(
  common: CoreOptions | undefined,
  cluster: ClusterMessage,
): Omit<UpstreamHttp, "upstreamProtocol" | "http2KeepAlive"> {
  return {
    idleTimeoutMs: durationMs(common?.idleTimeout, DEFAULT_IDLE_MS),
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
    maxResponseHeadersBytes: (common?.maxResponseHeadersKb ?? DEFAULT_MAX_RESPONSE_HEADERS_KB) * 1024,
    maxResponseHeadersCount: common?.maxHeadersCount ?? DEFAULT_MAX_HEADERS_COUNT,
  };
}

function findOptions(message: ClusterMessage, path: string, findings: Findings): HttpProtocolOptions | undefined {
  let options: HttpProtocolOptions | undefined;
  for (const [name, any] of Object.entries(message.typedExtensionProtocolOptions)) {
    const inner = unpackAny(any);
    if (inner.typeName !== HTTP_OPTIONS) {
      findings.issue(item(path, name), `protocol options ${inner.typeName} are not supported; only ${HTTP_OPTIONS} is`);
    } else if (inner.message !== undefined) {
      options = inner.message as HttpProtocolOptions;
      // The cluster's own, which have no effect here; Envoy judges them as it does those of routes.
      checkMirrorPolicies(options.requestMirrorPolicies, item(path, name), findings);
      decodeRetryPolicy(options.retryPolicy, child(item(path, name), "retry_policy"), findings);
    }
  }
  return options;
}

function speaksHttp2(options: HttpProtocolOptions): boolean {
  return http2Options(options) !== undefined;
}

function http2Options({ upstreamProtocolOptions: choice }: HttpProtocolOptions): Http2ProtocolOptions | undefined {
  if (choice.case !== "explicitHttpConfig") return undefined;
  const { protocolConfig } = choice.value;
  return protocolConfig.case === "http2ProtocolOptions" ? protocolConfig.value : undefined;
}
