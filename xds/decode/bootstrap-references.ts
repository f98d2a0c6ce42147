// What a bootstrap refers to must be in it: the clusters of its control planes and of its inline routes, and ads_config
// when a source says `ads`. Called by bootstrap.ts.

import type { Bootstrap as BootstrapMessage } from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { ApiConfigSource, ConfigSource } from "../model/config-source.ts";
import type { FilterChain } from "../model/listener.ts";
import type { RouteConfiguration } from "../model/route.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";

export function checkBootstrapReferences(bootstrap: Bootstrap, message: BootstrapMessage, findings: Findings): void {
  // By name from the message: a cluster that was refused is reported once, not again by all that use it.
  const known = new Set(message.staticResources?.clusters.map(({ name }) => name));
  const hasAds = message.dynamicResources?.adsConfig !== undefined;
  const check = (source: ConfigSource | ApiConfigSource | undefined, path: string) =>
    checkSource(source, path, known, hasAds, findings);
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
  for (const { http, path } of connectionManagers(bootstrap, message)) {
    if (http.routes.kind === "rds") check(http.routes.source, child(path, "rds.config_source"));
    if (http.routes.kind === "scoped" && http.routes.scopes.kind === "srds") {
      check(http.routes.scopes.source, child(path, "scoped_routes.scoped_rds.scoped_rds_config_source"));
      check(http.routes.scopes.routes, child(path, "scoped_routes.rds_config_source"));
    }
    for (const { config, at } of inlineRoutes(http.routes)) {
      if (bootstrap.cds !== undefined && config.validateClusters !== true) continue;
      checkRouteClusters(config, known, child(path, at), findings);
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

/** Route configurations that stand in the connection manager, with their paths. */
function inlineRoutes(routes: HttpChain["routes"]): { config: RouteConfiguration; at: string }[] {
  if (routes.kind === "inline") return [{ config: routes.routeConfig, at: "route_config" }];
  if (routes.kind !== "scoped" || routes.scopes.kind !== "inline") return [];
  const listPath = "scoped_routes.scoped_route_configurations_list.scoped_route_configurations";
  return routes.scopes.list.flatMap(({ routes: of }, index) =>
    of.kind === "inline" ? [{ config: of.routeConfig, at: child(item(listPath, index), "route_configuration") }] : [],
  );
}

type HttpChain = Extract<FilterChain["filter"], { kind: "http" }>;

function* connectionManagers(
  bootstrap: Bootstrap,
  message: BootstrapMessage,
): Generator<{ readonly http: HttpChain; readonly path: string }> {
  for (const [index, listener] of bootstrap.listeners.entries()) {
    const path = item("static_resources.listeners", index);
    const listenerMessage = message.staticResources?.listeners[index];
    for (const [chainIndex, { filter }] of listener.filterChains.entries()) {
      const chainPath = item(child(path, "filter_chains"), chainIndex);
      const filters = listenerMessage?.filterChains[chainIndex]?.filters;
      if (filter.kind === "http") yield { http: filter, path: lastFilterPath(chainPath, filters) };
    }
    const last = listener.defaultFilterChain?.filter;
    if (last?.kind !== "http") continue;
    const chainPath = child(path, "default_filter_chain");
    yield { http: last, path: lastFilterPath(chainPath, listenerMessage?.defaultFilterChain?.filters) };
  }
}

/** The connection manager is its chain's last filter. */
function lastFilterPath(chainPath: string, filters: readonly unknown[] | undefined): string {
  return `${item(child(chainPath, "filters"), (filters?.length ?? 1) - 1)}.typed_config`;
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

function checkRouteClusters(
  table: RouteConfiguration,
  known: ReadonlySet<string>,
  path: string,
  findings: Findings,
): void {
  if (table.validateClusters === false) return;
  for (const { name, path: clusterPath } of routeClusters(table)) {
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
