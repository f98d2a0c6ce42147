// Builds route configuration and request heads for the tests of sidecar/route.

import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead } from "../../../sidecar/http/message.ts";
import { compileRoutes, type RouteTable, type RouteTableOptions } from "../../../sidecar/route/route-table.ts";
import type {
  DirectResponseAction,
  ForwardAction,
  HeaderMutations,
  HeaderToAdd,
  PathMatcher,
  RedirectAction,
  Route,
  RouteConfiguration,
  RouteMatch,
  VirtualHost,
} from "../../../xds/model/route.ts";

export const NO_HEADERS: HeaderMutations = {
  requestToAdd: [],
  requestToRemove: [],
  responseToAdd: [],
  responseToRemove: [],
};

export function buildHeader(name: string, value: string, more: Partial<HeaderToAdd> = {}): HeaderToAdd {
  return { name, value, action: "APPEND_IF_EXISTS_OR_ADD", keepEmptyValue: false, ...more };
}

export function buildForward(more: Partial<ForwardAction> = {}): ForwardAction {
  return {
    kind: "forward",
    cluster: { kind: "cluster", name: "c" },
    clusterNotFoundStatus: 503,
    timeoutMs: 15_000,
    idleTimeoutMs: undefined,
    maxStreamDurationMs: undefined,
    grpcTimeoutHeaderMaxMs: undefined,
    grpcTimeoutHeaderOffsetMs: 0,
    maxGrpcTimeoutMs: undefined,
    grpcTimeoutOffsetMs: 0,
    prefixRewrite: "",
    regexRewrite: undefined,
    hostRewrite: undefined,
    appendXForwardedHost: false,
    priority: "default",
    upgrades: [],
    retryPolicy: undefined,
    ...more,
  };
}

export function buildRedirect(more: Partial<RedirectAction> = {}): RedirectAction {
  return {
    kind: "redirect",
    status: 301,
    httpsRedirect: false,
    schemeRedirect: "",
    hostRedirect: "",
    portRedirect: 0,
    pathRedirect: "",
    prefixRewrite: "",
    regexRewrite: undefined,
    stripQuery: false,
    ...more,
  };
}

export function buildDirect(body: string): DirectResponseAction {
  return {
    kind: "direct_response",
    bodyFormat: undefined,
    status: 200,
    body: { kind: "bytes", bytes: Buffer.from(body) },
  };
}

export function prefix(value: string): PathMatcher {
  return { kind: "prefix", value, caseSensitive: true };
}

export function exact(value: string): PathMatcher {
  return { kind: "path", value, caseSensitive: true };
}

export function buildRoute(name: string, match: Partial<RouteMatch> = {}, more: Partial<Route> = {}): Route {
  return {
    name,
    match: { path: prefix("/"), headers: [], queryParameters: [], grpc: false, runtimeFraction: undefined, ...match },
    action: buildForward(),
    headers: NO_HEADERS,
    perFilterConfig: {},
    operation: "",
    operationPropagates: true,
    tracing: undefined,
    metadata: undefined,
    ...more,
  };
}

export function buildHost(name: string, domains: readonly string[], more: Partial<VirtualHost> = {}): VirtualHost {
  return {
    name,
    domains,
    routes: [buildRoute(`${name}-route`)],
    requireTls: "none",
    headers: NO_HEADERS,
    includeAttemptCount: false,
    includeAttemptCountInResponse: false,
    retryPolicy: undefined,
    perFilterConfig: {},
    hasFilterConfig: false,
    metadata: undefined,
    ...more,
  };
}

export function buildConfig(
  virtualHosts: readonly VirtualHost[],
  more: Partial<RouteConfiguration> = {},
): RouteConfiguration {
  return {
    name: "routes",
    virtualHosts,
    headers: NO_HEADERS,
    internalOnlyHeaders: [],
    mostSpecificHeaderMutationsWins: false,
    validateClusters: undefined,
    ignorePortInHostMatching: false,
    maxDirectResponseBodyBytes: 4_096,
    perFilterConfig: {},
    ...more,
  };
}

export const OPTIONS: RouteTableOptions = { runtime: {}, format: { hostname: "sidecar", environment: {} } };

/** A table of one virtual host for every authority. */
export function buildTable(routes: readonly Route[], options: RouteTableOptions = OPTIONS): RouteTable {
  return compileRoutes(buildConfig([buildHost("all", ["*"], { routes })]), options);
}

export function buildHead(
  path: string,
  { method = "GET", authority = "a.test", scheme = "http", headers = {} as Readonly<Record<string, string>> } = {},
): RequestHead {
  return new RequestHead(method, path, authority, scheme, HeaderMap.from(Object.entries(headers)));
}

/** Name of the route that a request takes; undefined for none. */
export function routeName(table: RouteTable, head: RequestHead, random = 0.5): string | undefined {
  return table.select(head, { random })?.route?.name;
}
