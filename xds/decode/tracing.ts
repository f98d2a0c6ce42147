// HttpConnectionManager.Tracing and the OpenTelemetry tracer's configuration → model. Called by http-connection-manager.ts.
// Another tracer is left out with a warning: spans change neither routing nor security.

import type { OpenTelemetryConfig } from "../gen/envoy/config/trace/v3/opentelemetry_pb.ts";
import type { Tracing_Http } from "../gen/envoy/config/trace/v3/http_tracer_pb.ts";
import type { HttpConnectionManager_Tracing } from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { CustomTag as CustomTagMessage } from "../gen/envoy/type/tracing/v3/custom_tag_pb.ts";
import type { CustomTag, Tracing, TracingProvider } from "../model/tracing.ts";
import { unpackAny } from "./any.ts";
import { durationMs } from "./duration.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

const OPENTELEMETRY = "envoy.config.trace.v3.OpenTelemetryConfig";
const DEFAULT_MAX_PATH_TAG_LENGTH = 256;
/** Envoy's default service name of its OpenTelemetry tracer. */
const DEFAULT_SERVICE_NAME = "unknown_service:envoy";

export function decodeTracing(
  message: HttpConnectionManager_Tracing | undefined,
  path: string,
  findings: Findings,
): Tracing | undefined {
  if (message === undefined) return undefined;
  return {
    clientSampling: message.clientSampling?.value ?? 100,
    randomSampling: message.randomSampling?.value ?? 100,
    overallSampling: message.overallSampling?.value ?? 100,
    verbose: message.verbose,
    maxPathTagLength: message.maxPathTagLength ?? DEFAULT_MAX_PATH_TAG_LENGTH,
    customTags: decodeCustomTags(message.customTags, child(path, "custom_tags"), findings),
    spawnUpstreamSpan: message.spawnUpstreamSpan ?? false,
    provider: decodeProvider(message.provider, child(path, "provider"), findings),
  };
}

export function decodeCustomTags(
  messages: readonly CustomTagMessage[],
  path: string,
  findings: Findings,
): readonly CustomTag[] {
  return decodeEach(messages, path, findings, decodeCustomTag);
}

function decodeCustomTag(message: CustomTagMessage, _path: string, _findings: Findings): CustomTag | undefined {
  const { tag, type } = message;
  switch (type.case) {
    case "literal":
      return { tag, value: { kind: "literal", value: type.value.value } };
    case "environment":
      return { tag, value: { kind: "environment", variable: type.value.name, defaultValue: type.value.defaultValue } };
    case "requestHeader": {
      const header = type.value.name.toLowerCase();
      return { tag, value: { kind: "request_header", header, defaultValue: type.value.defaultValue } };
    }
    case "metadata": {
      const { kind, metadataKey, defaultValue } = type.value;
      const of = kind?.kind.case ?? "nothing";
      const keys = (metadataKey?.path ?? []).map(({ segment }) => (segment.case === "key" ? segment.value : ""));
      return { tag, value: { kind: "metadata", of, path: [metadataKey?.key ?? "", ...keys], defaultValue } };
    }
    case "value":
    case undefined:
      return undefined;
  }
}

function decodeProvider(
  message: Tracing_Http | undefined,
  path: string,
  findings: Findings,
): TracingProvider | undefined {
  const any = message?.configType.value;
  if (any === undefined) {
    if (message !== undefined) findings.issue(path, `needs typed_config; supported: ${OPENTELEMETRY}`);
    return undefined;
  }
  const inner = unpackAny(any);
  const configPath = child(path, "typed_config");
  if (inner.typeName !== OPENTELEMETRY) {
    findings.warn(
      "no_effect",
      configPath,
      inner.typeName,
      `tracer ${inner.typeName} is not supported; use ${OPENTELEMETRY}`,
    );
    return undefined;
  }
  if (inner.message === undefined) return undefined;
  return decodeOpenTelemetry(inner.message as OpenTelemetryConfig, configPath, findings);
}

function decodeOpenTelemetry(
  message: OpenTelemetryConfig,
  path: string,
  findings: Findings,
): TracingProvider | undefined {
  if (message.grpcService !== undefined && message.httpService !== undefined) {
    findings.issue(path, "cannot have both grpc_service and http_service");
  }
  const base = {
    kind: "opentelemetry" as const,
    serviceName: message.serviceName === "" ? DEFAULT_SERVICE_NAME : message.serviceName,
    resourceAttributes: {},
  };
  const grpc = message.grpcService;
  if (grpc !== undefined) {
    if (grpc.targetSpecifier.case === "googleGrpc") {
      findings.issue(child(path, "grpc_service.google_grpc"), "is not supported for traces; use envoy_grpc");
      return undefined;
    }
    const cluster = grpc.targetSpecifier.value?.clusterName ?? "";
    return { ...base, export: { kind: "grpc", cluster, timeoutMs: durationMs(grpc.timeout, 0) } };
  }
  const http = message.httpService;
  if (http?.httpUri === undefined) return undefined;
  return {
    ...base,
    export: {
      kind: "http",
      uri: http.httpUri.uri,
      cluster: http.httpUri.httpUpstreamType.value ?? "",
      timeoutMs: durationMs(http.httpUri.timeout, 0),
      headers: http.requestHeadersToAdd.flatMap(({ header }) =>
        header === undefined ? [] : { key: header.key, value: header.value },
      ),
    },
  };
}
