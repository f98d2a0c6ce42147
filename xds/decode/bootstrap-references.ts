// What a bootstrap refers to must be in it: the clusters of its control planes and of its inline routes, and ads_config
// when a source says `ads`. Called by bootstrap.ts.

import type { Bootstrap as BootstrapMessage } from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import type { Filter } from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { RouteConfiguration as RouteConfigurationMessage } from "../gen/envoy/config/route/v3/route_pb.ts";
import type { HttpConnectionManager } from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { ApiConfigSource, ConfigSource } from "../model/config-source.ts";
import type { FilterChain } from "../model/listener.ts";
import type { RouteConfiguration } from "../model/route.ts";
import { unpackAny } from "./any.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";
import { mirrorClusters } from "./mirror-policy.ts";

export function checkBootstrapReferences(bootstrap: Bootstrap, message: BootstrapMessage, findings: Findings): void {
  // By name from the message: a cluster that was refused is reported once, not again by all that use it.
  const known = new Set(message.staticResources?.clusters.map(({ name }) => name));
  const hasAds = message.dynamicResources?.adsConfig !== undefined;
  const check = (source: ConfigSource | ApiConfigSource | undefined, path: string) =>
    checkSource(source, path, known, hasAds, findings);
  const local = message.clusterManager?.localClusterName ?? "";
  if (local !== "" && !known.has(local)) {
    const problem = `unknown cluster ${quoted(local)}; static_resources.clusters has ${list(known)}`;
    findings.issue("cluster_manager.local_cluster_name", problem);
  }
  check(bootstrap.ads, "dynamic_resources.ads_config");
  check(bootstrap.loadStats, "cluster_manager.load_stats_config");
  check(bootstrap.lds, "dynamic_resources.lds_config");
  check(bootstrap.cds, "dynamic_resources.cds_config");
  // Where something was refused, indices in the model and in the message differ; that is reported, and enough for now.
  if (findings.issueCount > 0) return;
  for (const [index, { discovery }] of bootstrap.clusters.entries()) {
    if (discovery.kind !== "eds") continue;
    check(discovery.source, child(item("static_resources.clusters", index), "eds_cluster_config.eds_config"));
  }
  for (const chain of connectionManagers(bootstrap, message)) {
    const { http, path } = chain;
    if (http.routes.kind === "rds") check(http.routes.source, child(path, "rds.config_source"));
    if (http.routes.kind === "scoped" && http.routes.scopes.kind === "srds") {
      check(http.routes.scopes.source, child(path, "scoped_routes.scoped_rds.scoped_rds_config_source"));
      check(http.routes.scopes.routes, child(path, "scoped_routes.rds_config_source"));
    }
    for (const { config, routes, at } of inlineRoutes(chain)) {
      if (bootstrap.cds !== undefined && config.validateClusters !== true) continue;
      if (config.validateClusters === false) continue;
      checkKnown(routeClusters(config), known, child(path, at), findings);
      if (routes !== undefined) checkKnown(mirrorClusters(routes), known, child(path, at), findings);
    }
  }
}

function checkSource(
  source: ConfigSource | ApiConfigSource | undefined,
  path: string,
  known: ReadonlySet<string>,
  hasAds: boolean,
  findings: Findings,
): void {
  if (source?.kind === "ads" && !hasAds) findings.issue(path, "says ads, but dynamic_resources.ads_config is not set");
  if (source?.kind !== "api") return;
  for (const server of source.servers) {
    if (server.kind === "cluster" && !known.has(server.name)) {
      findings.issue(path, `the gRPC cluster ${quoted(server.name)} is not among static_resources.clusters`);
    }
  }
}

interface InlineRoutes {
  readonly config: RouteConfiguration;
  /** Whose reading `config` is. */
  readonly routes: RouteConfigurationMessage | undefined;
  readonly at: string;
}

/** Route configurations that stand in the connection manager, with their paths. */
function inlineRoutes({ http, manager }: ManagerChain): InlineRoutes[] {
  const specifier = manager?.routeSpecifier;
  if (http.routes.kind === "inline") {
    const routes = specifier?.case === "routeConfig" ? specifier.value : undefined;
    return [{ config: http.routes.routeConfig, routes, at: "route_config" }];
  }
  if (http.routes.kind !== "scoped" || http.routes.scopes.kind !== "inline") return [];
  const scopes = specifier?.case === "scopedRoutes" ? specifier.value.configSpecifier : undefined;
  const list = scopes?.case === "scopedRouteConfigurationsList" ? scopes.value.scopedRouteConfigurations : [];
  const listPath = "scoped_routes.scoped_route_configurations_list.scoped_route_configurations";
  return http.routes.scopes.list.flatMap(({ routes: of }, index) => {
    if (of.kind !== "inline") return [];
    const at = child(item(listPath, index), "route_configuration");
    return [{ config: of.routeConfig, routes: list[index]?.routeConfiguration, at }];
  });
}

interface InlineRoutes {
  readonly config: RouteConfiguration;
  /** The message that `config` was made of. */
  readonly routes: RouteConfigurationMessage | undefined;
  readonly at: string;
}

/** A chain that ends with a connection manager, and that one's message and path. */
interface ManagerChain {
  readonly http: Extract<FilterChain["filter"], { kind: "http" }>;
  readonly manager: HttpConnectionManager | undefined;
  readonly path: string;
}

function* connectionManagers(bootstrap: Bootstrap, message: BootstrapMessage): Generator<ManagerChain> {
  for (const [index, listener] of bootstrap.listeners.entries()) {
    const path = item("static_resources.listeners", index);
    const listenerMessage = message.staticResources?.listeners[index];
    for (const [chainIndex, { filter }] of listener.filterChains.entries()) {
      const chainPath = item(child(path, "filter_chains"), chainIndex);
      const filters = listenerMessage?.filterChains[chainIndex]?.filters ?? [];
      if (filter.kind === "http") yield { http: filter, ...lastFilter(chainPath, filters) };
    }
    const last = listener.defaultFilterChain?.filter;
    if (last?.kind !== "http") continue;
    const filters = listenerMessage?.defaultFilterChain?.filters ?? [];
    yield { http: last, ...lastFilter(child(path, "default_filter_chain"), filters) };
  }
}

/** The connection manager is its chain's last filter. */
function lastFilter(chainPath: string, filters: readonly Filter[]): Pick<ManagerChain, "manager" | "path"> {
  const config = filters.at(-1)?.configType;
  const message = config?.case === "typedConfig" ? unpackAny(config.value).message : undefined;
  return {
    manager: message as HttpConnectionManager | undefined,
    path: `${item(child(chainPath, "filters"), Math.max(0, filters.length - 1))}.typed_config`,
  };
}

/** Every cluster that a table names, with its path. Also what a snapshot checks when validate_clusters is set. */
export function* routeClusters(table: RouteConfiguration): Generator<{ readonly name: string; readonly path: string }> {
  for (const [hostIndex, host] of table.virtualHosts.entries()) {
    for (const [routeIndex, { action }] of host.routes.entries()) {
      if (action.kind !== "forward") continue;
      const path = `virtual_hosts[${hostIndex}].routes[${routeIndex}].route`;
      if (action.cluster.kind === "cluster") yield { name: action.cluster.name, path: `${path}.cluster` };
      if (action.cluster.kind !== "weighted") continue;
      for (const [index, { name }] of action.cluster.clusters.entries()) {
        if (name !== "") yield { name, path: `${path}.weighted_clusters.clusters[${index}].name` };
      }
    }
  }
}

function checkKnown(
  named: Iterable<{ readonly name: string; readonly path: string }>,
  known: ReadonlySet<string>,
  path: string,
  findings: Findings,
): void {
  for (const { name, path: clusterPath } of named) {
    if (name !== "" && !known.has(name)) {
      findings.issue(
        child(path, clusterPath),
        `unknown cluster ${quoted(name)}; static_resources.clusters has ${list(known)}`,
      );
    }
  }
}

function list(names: ReadonlySet<string>): string {
  if (names.size === 0) return "none";
  const some = [...names].slice(0, 10).join(", ");
  return names.size > 10 ? `${some}, …` : some;
}
