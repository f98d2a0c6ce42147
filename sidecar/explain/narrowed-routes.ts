// Of routes with thousands of virtual hosts the one that a question is about: to compile all of them would keep the main thread for a
// quarter of a second. The host is found by the index that requests use.

import type { HttpConnectionManager } from "../../xds/model/listener.ts";
import type { RouteConfiguration } from "../../xds/model/route.ts";
import type { ScopedRoute } from "../../xds/model/scoped-routes.ts";
import type { RequestHead } from "../http/message.ts";
import { HostIndex, withoutPort } from "../route/host-index.ts";

export class NarrowedRoutes {
  readonly #authorities: readonly string[];
  readonly #whole = new WeakMap<RouteConfiguration, RouteConfiguration>();

  constructor(head: RequestHead) {
    // The second one is for a hint.
    this.#authorities = [head.authority, withoutPort(head.authority)];
  }

  of(config: RouteConfiguration): RouteConfiguration {
    const index = new HostIndex<number>(config.ignorePortInHostMatching);
    for (const [place, { domains }] of config.virtualHosts.entries()) {
      for (const domain of domains) {
        index.add(domain, place);
      }
    }
    const places = new Set(this.#authorities.map((authority) => index.find(authority)));
    const narrowed = { ...config, virtualHosts: config.virtualHosts.filter((_host, place) => places.has(place)) };
    this.#whole.set(narrowed, config);
    return narrowed;
  }

  /** What `of` was given. */
  wholeOf(narrowed: RouteConfiguration): RouteConfiguration {
    return this.#whole.get(narrowed) ?? narrowed;
  }

  /** The connection manager with its own routes narrowed. */
  manager(manager: HttpConnectionManager): HttpConnectionManager {
    const { routes } = manager;
    if (routes.kind === "inline") {
      return { ...manager, routes: { kind: "inline", routeConfig: this.of(routes.routeConfig) } };
    }
    if (routes.kind !== "scoped" || routes.scopes.kind !== "inline") {
      return manager;
    }
    const list = routes.scopes.list.map((scope) => this.#scope(scope));
    return { ...manager, routes: { ...routes, scopes: { kind: "inline", list } } };
  }

  #scope(scope: ScopedRoute): ScopedRoute {
    const { routes } = scope;
    return routes.kind === "named"
      ? scope
      : { ...scope, routes: { kind: "inline", routeConfig: this.of(routes.routeConfig) } };
  }
}
