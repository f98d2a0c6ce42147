// Virtual hosts that come by themselves (VHDS). Resources are called `routes/host`; a client subscribes to all that the server has
// for it, and to `routes/authority` when a request needs that one, which is answered by a resource that has this name among its
// aliases, or by one without a body: there is none. Pure, but for the memory of what was joined. Used by intake.ts and snapshot.ts.
// Source: Envoy's "Virtual Host Discovery Service", vhds.cc and route_config_update_receiver_impl.cc.

import type { Issue } from "./decode/issues.ts";
import type { Resource } from "./decode/resource.ts";
import type { DiscoveryResponse } from "./discovery-messages.ts";
import type { ApiConfigSource } from "./model/config-source.ts";
import type { RouteConfiguration, VirtualHost } from "./model/route.ts";
import type { ResourceStore } from "./resource-store.ts";
import { VIRTUAL_HOST_TYPE } from "./type-urls.ts";

/** The route configuration that a virtual host belongs to: a host has no slash, a route configuration may. */
function routesOfHost(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

/** Notes which of the names that were asked for a response has answered. `refused` are resources that were not taken. */
export function noteHostAnswers(
  response: DiscoveryResponse,
  refused: ReadonlySet<string>,
  names: ReadonlySet<string>,
  store: ResourceStore,
): void {
  for (const { name, aliases = [], bytes } of response.resources) {
    for (const each of [name, ...aliases]) {
      if (!names.has(each)) continue;
      if (bytes === undefined || refused.has(name)) store.markAbsent(VIRTUAL_HOST_TYPE, each);
      else store.markAnswered(VIRTUAL_HOST_TYPE, each);
    }
  }
}

/** ADS in state of the world cannot bring virtual hosts; Envoy refuses such routes too. */
export function hostSourceIssues({ kind, value }: Resource, ads: ApiConfigSource | undefined): Issue[] {
  if (kind !== "route" || value.virtualHostSource?.kind !== "ads" || ads?.protocol === "delta") return [];
  return [{ path: "vhds.config_source", problem: "is ads, which must be DELTA_GRPC to bring virtual hosts" }];
}

type Joined = { hosts: readonly VirtualHost[]; config: RouteConfiguration };

const joined = new WeakMap<RouteConfiguration, Joined>();

/** The routes with the virtual hosts that came for them; the same object for the same parts. */
export function withVirtualHosts(
  config: RouteConfiguration,
  all: ReadonlyMap<string, VirtualHost>,
): RouteConfiguration {
  if (config.virtualHostSource === undefined) return config;
  const own = [...all].filter(([name]) => routesOfHost(name) === config.name);
  const hosts = own.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, host]) => host);
  const known = joined.get(config);
  if (known?.hosts.length === hosts.length && known.hosts.every((host, index) => host === hosts[index])) {
    return known.config;
  }
  const taken = new Set(config.virtualHosts.flatMap(({ domains }) => domains));
  const whole = { ...config, virtualHosts: [...config.virtualHosts, ...beside(taken, hosts)] };
  const lost = hosts.flatMap(({ domains }) => domains.filter((domain) => taken.has(domain)));
  if (lost.length > 0) conflicts.set(whole, lost);
  joined.set(config, { hosts, config: whole });
  return whole;
}

const conflicts = new WeakMap<RouteConfiguration, readonly string[]>();

/** Domains of hosts that came for these routes and that the routes have themselves. */
export function domainConflicts(whole: RouteConfiguration): readonly string[] {
  return conflicts.get(whole) ?? NONE;
}

const NONE: readonly string[] = [];

/**
 * The hosts without the domains that the routes have themselves: one that moves into them is in both until its removal comes, with
 * another response. Envoy refuses such routes.
 */
function beside(taken: ReadonlySet<string>, hosts: readonly VirtualHost[]): VirtualHost[] {
  return hosts.flatMap((host) => {
    const domains = host.domains.filter((domain) => !taken.has(domain));
    if (domains.length === host.domains.length) return host;
    return domains.length === 0 ? [] : { ...host, domains };
  });
}
