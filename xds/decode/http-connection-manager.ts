// HttpConnectionManager → model, with Envoy's defaults filled in. Called by filter-chain.ts.
// Source: envoy.extensions.filters.network.http_connection_manager.v3 and its API comments.

import { HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores } from "../gen/envoy/config/core/v3/protocol_pb.ts";
import {
  HttpConnectionManager_CodecType as Codec,
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
  type HttpConnectionManager as HcmMessage,
  type HttpConnectionManager_ProxyStatusConfig as ProxyStatusMessage,
} from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { HttpConnectionManager } from "../model/listener.ts";
import { decodeAccessLogs } from "./access-log.ts";
import { decodeCidrRange } from "./address.ts";
import { unpackAny } from "./any.ts";
import { decodeConfigSource } from "./config-source.ts";
import { durationMs } from "./duration.ts";
import { decodeLocalReplies } from "./local-reply.ts";
import { unsupported } from "./filter-config.ts";
import { decodeHttpFilters } from "./http-filter.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";
import { decodeRouteConfiguration } from "./route.ts";
import { decodeScopedRoutes } from "./scoped-routes.ts";
import { decodeTracing } from "./tracing.ts";
import { decodeUpgrades } from "./upgrade.ts";

const DEFAULT_STREAM_IDLE_MS = 300_000;
const DEFAULT_IDLE_MS = 3_600_000;
const DEFAULT_DRAIN_MS = 5_000;
const DEFAULT_DELAYED_CLOSE_MS = 1_000;
const DEFAULT_MAX_REQUEST_HEADERS_KB = 60;
const DEFAULT_MAX_HEADERS_COUNT = 100;
const UUID_REQUEST_ID = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig";

/** Undefined when it has no usable routes, which is then reported. */
export function decodeHttpConnectionManager(
  message: HcmMessage,
  path: string,
  findings: Findings,
): HttpConnectionManager | undefined {
  checkValues(message, path, findings);
  const httpFilters = decodeHttpFilters(message.httpFilters, child(path, "http_filters"), findings);
  const routes = decodeRoutes(message, path, findings);
  const rest = {
    ...decodeIdentity(message, path, findings),
    ...decodeNormalisation(message),
    ...decodeLimits(message),
    ...decodeTimeouts(message),
    upgrades: decodeUpgrades(message.upgradeConfigs, child(path, "upgrade_configs"), findings),
    accessLogs: decodeAccessLogs(message.accessLog, child(path, "access_log"), findings),
    ...decodeLogMoments(message, path, findings),
    localReplies: decodeLocalReplies(message.localReplyConfig, child(path, "local_reply_config"), findings),
    tracing: decodeTracing(message.tracing, child(path, "tracing"), findings),
  };
  if (routes === undefined) return undefined;
  return {
    kind: "http",
    statPrefix: message.statPrefix,
    codec: message.codecType === Codec.HTTP1 ? "http1" : "auto",
    routes,
    httpFilters,
    ...rest,
  };
}

/** Values of supported fields that cannot be honoured, and pairs that Envoy refuses. */
function checkValues(message: HcmMessage, path: string, findings: Findings): void {
  if (message.codecType === Codec.HTTP2 || message.codecType === Codec.HTTP3) {
    findings.issue(child(path, "codec_type"), "HTTP/2 and HTTP/3 are not supported yet; use AUTO or HTTP1");
  }
  if (message.forwardClientCertDetails === ForwardClientCert.ALWAYS_FORWARD_ONLY) {
    findings.issue(
      child(path, "forward_client_cert_details"),
      "ALWAYS_FORWARD_ONLY is not supported: x-forwarded-client-cert is removed from connections without TLS",
    );
  }
  if (message.stripMatchingHostPort && message.stripPortMode.value === true) {
    findings.issue(child(path, "strip_any_host_port"), "cannot be set together with strip_matching_host_port");
  }
  if (message.commonHttpProtocolOptions?.maxResponseHeadersKb !== undefined) {
    findings.issue(child(path, "common_http_protocol_options.max_response_headers_kb"), "is for clusters only");
  }
  const requestHeadersKb = message.maxRequestHeadersKb ?? DEFAULT_MAX_REQUEST_HEADERS_KB;
  const http2FieldKb = message.http2ProtocolOptions?.maxHeaderFieldSizeKb ?? 0;
  if (http2FieldKb > requestHeadersKb) {
    const problem = `is ${http2FieldKb}, must be at most max_request_headers_kb (${requestHeadersKb})`;
    findings.issue(child(path, "http2_protocol_options.max_header_field_size_kb"), problem);
  }
  const requestId = message.requestIdExtension?.typedConfig;
  if (requestId !== undefined && unpackAny(requestId).typeName !== UUID_REQUEST_ID) {
    const problem = unsupported("request ID extension", unpackAny(requestId).typeName, [UUID_REQUEST_ID]);
    findings.issue(child(path, "request_id_extension.typed_config"), problem);
  }
}

function decodeRoutes(
  message: HcmMessage,
  path: string,
  findings: Findings,
): HttpConnectionManager["routes"] | undefined {
  const specifier = message.routeSpecifier;
  switch (specifier.case) {
    case "routeConfig": {
      const routesPath = child(path, "route_config");
      const routeConfig = decodeRouteConfiguration(specifier.value, routesPath, findings);
      if (routeConfig.virtualHostSource !== undefined) {
        findings.issue(child(routesPath, "vhds"), "is only for routes that come over RDS");
      }
      return { kind: "inline", routeConfig };
    }
    case "rds": {
      const rdsPath = child(path, "rds");
      const { configSource, routeConfigName: name } = specifier.value;
      if (name === "") findings.issue(child(rdsPath, "route_config_name"), "must not be empty");
      if (configSource === undefined) findings.issue(child(rdsPath, "config_source"), "is required");
      const source = decodeConfigSource(configSource, child(rdsPath, "config_source"), findings);
      return source === undefined ? undefined : { kind: "rds", name, source };
    }
    case "scopedRoutes":
      return decodeScopedRoutes(specifier.value, child(path, "scoped_routes"), findings);
    case undefined:
      return undefined;
  }
}

const SERVER_HEADERS: Readonly<Record<number, HttpConnectionManager["serverHeader"]>> = {
  [ServerHeader.OVERWRITE]: "overwrite",
  [ServerHeader.APPEND_IF_ABSENT]: "append_if_absent",
  [ServerHeader.PASS_THROUGH]: "pass_through",
};

/** Who the client is, and what the proxy says of itself. */
function decodeIdentity(message: HcmMessage, path: string, findings: Findings) {
  const scheme = message.schemeHeaderTransformation;
  return {
    useRemoteAddress: message.useRemoteAddress ?? false,
    xffNumTrustedHops: message.xffNumTrustedHops,
    skipXffAppend: message.skipXffAppend,
    internalAddressCidrs: decodeEach(
      message.internalAddressConfig?.cidrRanges ?? [],
      child(path, "internal_address_config.cidr_ranges"),
      findings,
      decodeCidrRange,
    ),
    generateRequestId: message.generateRequestId ?? true,
    preserveExternalRequestId: message.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: message.alwaysSetRequestIdInResponse,
    serverName: message.serverName === "" ? "envoy" : message.serverName,
    serverHeader: SERVER_HEADERS[message.serverHeaderTransformation] ?? "overwrite",
    via: message.via,
    proxy100Continue: message.proxy100Continue,
    appendXForwardedPort: message.appendXForwardedPort,
    addUserAgent: message.addUserAgent ?? false,
    schemeToOverwrite: scheme?.transformation.value ?? "",
    schemeMatchesUpstream: scheme?.matchUpstream ?? false,
    proxyStatus: decodeProxyStatus(message.proxyStatusConfig, child(path, "proxy_status_config"), findings),
  };
}

function decodeProxyStatus(
  message: ProxyStatusMessage | undefined,
  path: string,
  findings: Findings,
): HttpConnectionManager["proxyStatus"] {
  if (message === undefined) return undefined;
  const { proxyName } = message;
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  if (proxyName.case === "literalProxyName" && /[\x00-\x08\x0a-\x1f\x7f]/.test(proxyName.value)) {
    findings.issue(child(path, "literal_proxy_name"), "must not contain control characters");
  }
  return {
    name: proxyName.case === "literalProxyName" ? "literal" : proxyName.value === true ? "node" : "server",
    literalName: proxyName.case === "literalProxyName" ? proxyName.value : "",
    removesDetails: message.removeDetails,
    removesFlags: message.removeResponseFlags,
    setsRecommendedStatus: message.setRecommendedResponseCode,
  };
}

const ESCAPED_SLASHES: Readonly<Record<number, HttpConnectionManager["escapedSlashes"]>> = {
  [EscapedSlashes.IMPLEMENTATION_SPECIFIC_DEFAULT]: "keep_unchanged",
  [EscapedSlashes.KEEP_UNCHANGED]: "keep_unchanged",
  [EscapedSlashes.REJECT_REQUEST]: "reject_request",
  [EscapedSlashes.UNESCAPE_AND_REDIRECT]: "unescape_and_redirect",
  [EscapedSlashes.UNESCAPE_AND_FORWARD]: "unescape_and_forward",
};

function decodeNormalisation(message: HcmMessage) {
  const http1 = message.httpProtocolOptions;
  return {
    normalizePath: message.normalizePath ?? false,
    mergeSlashes: message.mergeSlashes,
    escapedSlashes: ESCAPED_SLASHES[message.pathWithEscapedSlashesAction] ?? "keep_unchanged",
    stripMatchingHostPort: message.stripMatchingHostPort,
    stripAnyHostPort: message.stripPortMode.value ?? false,
    stripTrailingHostDot: message.stripTrailingHostDot,
    acceptHttp10: http1?.acceptHttp10 ?? false,
    defaultHostForHttp10: http1?.defaultHostForHttp10 ?? "",
    enableTrailers: http1?.enableTrailers ?? false,
    allowAbsoluteUrl: http1?.allowAbsoluteUrl ?? true,
  };
}

const UNDERSCORES: Readonly<Record<number, HttpConnectionManager["headersWithUnderscores"]>> = {
  [Underscores.ALLOW]: "allow",
  [Underscores.REJECT_REQUEST]: "reject_request",
  [Underscores.DROP_HEADER]: "drop_header",
};

function decodeLimits(message: HcmMessage) {
  const options = message.commonHttpProtocolOptions;
  return {
    maxRequestHeadersBytes: (message.maxRequestHeadersKb ?? DEFAULT_MAX_REQUEST_HEADERS_KB) * 1024,
    maxHeadersCount: options?.maxHeadersCount ?? DEFAULT_MAX_HEADERS_COUNT,
    headersWithUnderscores: UNDERSCORES[options?.headersWithUnderscoresAction ?? 0] ?? "allow",
    maxRequestsPerConnection: options?.maxRequestsPerConnection ?? 0,
  };
}

function decodeLogMoments(message: HcmMessage, path: string, findings: Findings) {
  const options = message.accessLogOptions;
  if (options !== undefined && (message.accessLogFlushInterval !== undefined || message.flushAccessLogOnNewRequest)) {
    findings.issue(
      child(path, "access_log_options"),
      "cannot be set together with access_log_flush_interval or flush_access_log_on_new_request",
    );
  }
  return {
    accessLogFlushIntervalMs: durationMs(options?.accessLogFlushInterval ?? message.accessLogFlushInterval, 0),
    logsOnStart: options?.flushAccessLogOnNewRequest ?? message.flushAccessLogOnNewRequest,
  };
}

function decodeTimeouts(message: HcmMessage) {
  const options = message.commonHttpProtocolOptions;
  return {
    streamIdleTimeoutMs: durationMs(message.streamIdleTimeout, DEFAULT_STREAM_IDLE_MS),
    requestTimeoutMs: durationMs(message.requestTimeout, 0),
    requestHeadersTimeoutMs: durationMs(message.requestHeadersTimeout, 0),
    idleTimeoutMs: durationMs(options?.idleTimeout, DEFAULT_IDLE_MS),
    maxConnectionDurationMs: durationMs(options?.maxConnectionDuration, 0),
    maxStreamDurationMs: durationMs(options?.maxStreamDuration, 0),
    drainTimeoutMs: durationMs(message.drainTimeout, DEFAULT_DRAIN_MS),
    delayedCloseTimeoutMs: durationMs(message.delayedCloseTimeout, DEFAULT_DELAYED_CLOSE_MS),
  };
}
