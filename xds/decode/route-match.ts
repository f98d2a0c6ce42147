// envoy.config.route.v3.RouteMatch → model. Called by route.ts.

import type { RouteMatch as RouteMatchMessage } from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { PathMatcher, RouteMatch } from "../model/route.ts";
import { child, type Findings } from "./issues.ts";
import {
  decodeEach,
  decodeHeaderMatcher,
  decodeQueryParameterMatcher,
  decodeRegex,
  decodeRuntimeFraction,
  NONE,
} from "./matcher.ts";

/** How most routes match: any path. */
const EVERYTHING: RouteMatch = {
  path: { kind: "prefix", value: "/", caseSensitive: true },
  headers: NONE,
  queryParameters: NONE,
  grpc: false,
  runtimeFraction: undefined,
};

/** Undefined when no path can be matched, which is then reported. */
export function decodeRouteMatch(
  message: RouteMatchMessage | undefined,
  path: string,
  findings: Findings,
): RouteMatch | undefined {
  if (message === undefined) return undefined;
  const pathMatcher = decodePathMatcher(message, path, findings);
  if (pathMatcher === undefined) return undefined;
  if (isEverything(message, pathMatcher)) return EVERYTHING;
  return {
    path: pathMatcher,
    headers: decodeEach(message.headers, child(path, "headers"), findings, decodeHeaderMatcher),
    queryParameters: decodeEach(
      message.queryParameters,
      child(path, "query_parameters"),
      findings,
      decodeQueryParameterMatcher,
    ),
    grpc: message.grpc !== undefined,
    runtimeFraction: decodeRuntimeFraction(message.runtimeFraction),
  };
}

function isEverything(message: RouteMatchMessage, path: PathMatcher): boolean {
  return (
    path.kind === "prefix" &&
    path.value === "/" &&
    path.caseSensitive &&
    message.headers.length === 0 &&
    message.queryParameters.length === 0 &&
    message.grpc === undefined &&
    message.runtimeFraction === undefined
  );
}

function decodePathMatcher(message: RouteMatchMessage, path: string, findings: Findings): PathMatcher | undefined {
  const specifier = message.pathSpecifier;
  const caseSensitive = message.caseSensitive ?? true;
  switch (specifier.case) {
    case "prefix":
    case "path":
      return { kind: specifier.case, value: specifier.value, caseSensitive };
    case "pathSeparatedPrefix":
      return { kind: "path_separated_prefix", value: specifier.value, caseSensitive };
    case "safeRegex":
      return { kind: "regex", value: decodeRegex(specifier.value, child(path, "safe_regex"), findings) };
    case "connectMatcher":
      return { kind: "connect" };
    case "pathMatchPolicy":
    case undefined:
      return undefined;
  }
}
