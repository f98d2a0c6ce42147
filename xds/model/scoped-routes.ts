// Routing scopes in the proxy's words: which route configuration serves a request, by a key built from its headers.
// Source: envoy.config.route.v3.ScopedRouteConfiguration and the HTTP connection manager's ScopedRoutes.
// Decoded by xds/decode/scoped-routes.ts, compiled by sidecar/route/scope-table.ts. Types only.

import type { ConfigSource } from "./config-source.ts";
import type { RouteConfiguration } from "./route.ts";

/** How one part of a request's key is taken from the first value of a header. */
export interface ScopeKeyFragment {
  /** Lower case. */
  readonly header: string;
  /** Splits the value into elements; empty: the value is one element. */
  readonly elementSeparator: string;
  readonly extract:
    | { readonly kind: "index"; readonly index: number }
    /** The rest of the first element that is `key`, after `separator`. */
    | { readonly kind: "element"; readonly separator: string; readonly key: string };
}

/** Requests with this key are served by these routes. */
export interface ScopedRoute {
  readonly name: string;
  readonly key: readonly string[];
  /** The route configuration is asked for when the first request needs it. */
  readonly onDemand: boolean;
  /** A name is an RDS resource; scopes inside a listener have their routes with them. */
  readonly routes:
    | { readonly kind: "named"; readonly name: string }
    | { readonly kind: "inline"; readonly routeConfig: RouteConfiguration };
}

export interface ScopedRoutes {
  readonly kind: "scoped";
  readonly name: string;
  readonly fragments: readonly ScopeKeyFragment[];
  readonly scopes:
    | { readonly kind: "inline"; readonly list: readonly ScopedRoute[] }
    /** SRDS brings the scopes, `routes` is where their route configurations come from. */
    | { readonly kind: "srds"; readonly source: ConfigSource; readonly routes: ConfigSource };
}
