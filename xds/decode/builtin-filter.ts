// Filters that are the proxy's own → model: the filter of a connection manager, and what routes say to it.
// Called by http-filter.ts and per-filter-config.ts with the unpacked message of a type that they do not know themselves.

import type { Message } from "@bufbuild/protobuf";
import type { Cors, CorsPolicy as CorsPolicyMessage } from "../gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import type { HTTPFault } from "../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import type { BuiltinFilter, BuiltinSettings, CorsPolicy } from "../model/builtin-filter.ts";
import { decodeFault } from "./fault.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach, decodeRuntimeFraction, decodeStringMatcher } from "./matcher.ts";

type Decoder<T> = (message: Message, path: string, findings: Findings) => T | undefined;

const FILTERS: Readonly<Record<string, Decoder<BuiltinFilter>>> = {
  ["envoy.extensions.filters.http.cors.v3.Cors" satisfies Cors["$typeName"]]: () => ({ kind: "cors" }),
  ["envoy.extensions.filters.http.fault.v3.HTTPFault" satisfies HTTPFault["$typeName"]]: (message, path, findings) => ({
    kind: "fault",
    fault: decodeFault(message as HTTPFault, path, findings),
  }),
};

const SETTINGS: Readonly<Record<string, Decoder<BuiltinSettings>>> = {
  ["envoy.extensions.filters.http.cors.v3.CorsPolicy" satisfies CorsPolicyMessage["$typeName"]]: (
    message,
    path,
    findings,
  ) => ({ kind: "cors", policy: decodeCorsPolicy(message as CorsPolicyMessage, path, findings) }),
  ["envoy.extensions.filters.http.fault.v3.HTTPFault" satisfies HTTPFault["$typeName"]]: (message, path, findings) => ({
    kind: "fault",
    fault: decodeFault(message as HTTPFault, path, findings),
  }),
};

/** Full names, for messages. */
export const BUILTIN_FILTER_TYPES: readonly string[] = Object.keys(FILTERS);
export const BUILTIN_SETTINGS_TYPES: readonly string[] = Object.keys(SETTINGS);

/** How to decode a filter of this type; undefined: it is none of ours. */
export function builtinFilterDecoder(typeName: string): Decoder<BuiltinFilter> | undefined {
  return Object.hasOwn(FILTERS, typeName) ? FILTERS[typeName] : undefined;
}

export function builtinSettingsDecoder(typeName: string): Decoder<BuiltinSettings> | undefined {
  return Object.hasOwn(SETTINGS, typeName) ? SETTINGS[typeName] : undefined;
}

function decodeCorsPolicy(message: CorsPolicyMessage, path: string, findings: Findings): CorsPolicy {
  const origins = child(path, "allow_origin_string_match");
  return {
    allowOrigins: decodeEach(message.allowOriginStringMatch, origins, findings, decodeStringMatcher),
    allowMethods: message.allowMethods,
    allowHeaders: message.allowHeaders,
    exposeHeaders: message.exposeHeaders,
    maxAge: message.maxAge,
    allowCredentials: message.allowCredentials,
    allowPrivateNetworkAccess: message.allowPrivateNetworkAccess,
    forwardNotMatchingPreflights: message.forwardNotMatchingPreflights,
    filterEnabled: decodeRuntimeFraction(message.filterEnabled),
    shadowEnabled: decodeRuntimeFraction(message.shadowEnabled),
  };
}
