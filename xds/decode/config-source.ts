// envoy.config.core.v3 ConfigSource, ApiConfigSource and GrpcService → model.
// Called by the decoders of everything that can be discovered, and by bootstrap.ts for ads_config.

import type { BackoffStrategy } from "../gen/envoy/config/core/v3/backoff_pb.ts";
import type { GrpcService } from "../gen/envoy/config/core/v3/grpc_service_pb.ts";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  type ApiConfigSource as ApiConfigSourceMessage,
  type ConfigSource as ConfigSourceMessage,
  type RateLimitSettings,
} from "../gen/envoy/config/core/v3/config_source_pb.ts";
import type { ApiConfigSource, ConfigSource, RequestRate } from "../model/config-source.ts";
import { durationMs } from "./duration.ts";
import { decodeGrpcService } from "./grpc-service.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

/** Envoy's default of initial_fetch_timeout. */
const DEFAULT_FETCH_TIMEOUT_MS = 15_000;
/** Envoy's defaults of the gRPC stream's retry backoff. */
const DEFAULT_BACKOFF_BASE_MS = 500;
const DEFAULT_BACKOFF_MAX_MS = 30_000;

const ADS: ConfigSource = { kind: "ads", initialFetchTimeoutMs: DEFAULT_FETCH_TIMEOUT_MS };

const VERSION_PROBLEM = "must be V3, the only version of the API that is left";

/** Undefined when it cannot be used, which is then reported. */
export function decodeConfigSource(
  message: ConfigSourceMessage | undefined,
  path: string,
  findings: Findings,
): ConfigSource | undefined {
  if (message === undefined) return undefined;
  if (message.resourceApiVersion === ApiVersion.V2) {
    findings.issue(child(path, "resource_api_version"), VERSION_PROBLEM);
  }
  const initialFetchTimeoutMs = durationMs(message.initialFetchTimeout, DEFAULT_FETCH_TIMEOUT_MS);
  const specifier = message.configSourceSpecifier;
  switch (specifier.case) {
    case undefined:
      return undefined;
    case "ads":
      return initialFetchTimeoutMs === DEFAULT_FETCH_TIMEOUT_MS ? ADS : { kind: "ads", initialFetchTimeoutMs };
    case "self":
      if (specifier.value.transportApiVersion === ApiVersion.V2) {
        findings.issue(child(path, "self.transport_api_version"), VERSION_PROBLEM);
      }
      return { kind: "self", initialFetchTimeoutMs };
    case "path":
      findings.files.push({ kind: "resources", path: child(path, "path"), name: specifier.value });
      return { kind: "path", path: specifier.value, watchedDirectory: "", initialFetchTimeoutMs };
    case "pathConfigSource": {
      const { path: file, watchedDirectory } = specifier.value;
      findings.files.push({ kind: "resources", path: child(path, "path_config_source.path"), name: file });
      return { kind: "path", path: file, watchedDirectory: watchedDirectory?.path ?? "", initialFetchTimeoutMs };
    }
    case "apiConfigSource": {
      const api = decodeApiConfigSource(specifier.value, child(path, "api_config_source"), findings);
      return api === undefined ? undefined : { ...api, initialFetchTimeoutMs };
    }
  }
}

/** Undefined when it cannot be used, which is then reported. */
export function decodeApiConfigSource(
  message: ApiConfigSourceMessage,
  path: string,
  findings: Findings,
): ApiConfigSource | undefined {
  if (message.transportApiVersion === ApiVersion.V2) {
    findings.issue(child(path, "transport_api_version"), VERSION_PROBLEM);
  }
  const isDelta =
    message.apiType === ApiConfigSource_ApiType.DELTA_GRPC ||
    message.apiType === ApiConfigSource_ApiType.AGGREGATED_DELTA_GRPC;
  const isGrpc =
    isDelta ||
    message.apiType === ApiConfigSource_ApiType.GRPC ||
    message.apiType === ApiConfigSource_ApiType.AGGREGATED_GRPC;
  if (!isGrpc) {
    findings.issue(child(path, "api_type"), "must be GRPC or DELTA_GRPC; REST is not supported");
    return undefined;
  }
  if (message.grpcServices.length === 0) {
    findings.issue(child(path, "grpc_services"), "must name a gRPC service");
    return undefined;
  }
  const servers = decodeEach(message.grpcServices, child(path, "grpc_services"), findings, decodeGrpcService);
  const backoff = retryBackoff(message.grpcServices[0], child(path, "grpc_services[0]"), findings);
  const backoffBaseMs = durationMs(backoff?.baseInterval, DEFAULT_BACKOFF_BASE_MS);
  const backoffMaxMs = Math.max(backoffBaseMs, durationMs(backoff?.maxInterval, DEFAULT_BACKOFF_MAX_MS));
  return {
    kind: "api",
    protocol: isDelta ? "delta" : "sotw",
    aggregated:
      message.apiType === ApiConfigSource_ApiType.AGGREGATED_GRPC ||
      message.apiType === ApiConfigSource_ApiType.AGGREGATED_DELTA_GRPC,
    servers,
    setNodeOnFirstMessageOnly: message.setNodeOnFirstMessageOnly,
    backoffBaseMs,
    backoffMaxMs,
    requestRate: decodeRate(message.rateLimitSettings),
  };
}

const DEFAULT_MAX_TOKENS = 100;
const DEFAULT_FILL_PER_SECOND = 10;

/** An empty message has Envoy's defaults; without a message there is no limit. */
function decodeRate(message: RateLimitSettings | undefined): RequestRate | undefined {
  if (message === undefined) return undefined;
  return {
    // A bucket that holds nothing would never let a request through.
    maxTokens: Math.max(1, message.maxTokens ?? DEFAULT_MAX_TOKENS),
    fillPerSecond: message.fillRate ?? DEFAULT_FILL_PER_SECOND,
  };
}

/** `retry_policy` stands in envoy_grpc, and beside it for either kind of server. */
function retryBackoff(service: GrpcService | undefined, path: string, findings: Findings): BackoffStrategy | undefined {
  const target = service?.targetSpecifier;
  const inner = target?.case === "envoyGrpc" ? target.value.retryPolicy : undefined;
  const policy = inner ?? service?.retryPolicy;
  const backoff = policy?.retryBackOff;
  const base = durationMs(backoff?.baseInterval, 0);
  if (backoff?.maxInterval !== undefined && durationMs(backoff.maxInterval, 0) < base) {
    const place = inner === undefined ? "retry_policy" : "envoy_grpc.retry_policy";
    findings.issue(child(path, `${place}.retry_back_off.max_interval`), "must be at least base_interval");
  }
  return backoff;
}
