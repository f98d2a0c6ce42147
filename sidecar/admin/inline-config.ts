// Resources that stand inside others, for /config_dump: Envoy lists the routes of a listener without RDS, and the endpoints
// of a cluster without EDS, among the routes and endpoints. Called by admin-state.ts. Pure.

import type { DumpedResource, JsonObject, JsonValue, ScopedRoutesView } from "./ports.ts";

const TYPES = "type.googleapis.com/envoy.config.";

/** The route configurations written inside the listeners' connection managers. */
export function inlineRoutes(listeners: readonly DumpedResource[]): DumpedResource[] {
  return listeners.flatMap((listener) =>
    chainsOf(listener.value ?? {}).flatMap((chain) =>
      list(chain["filters"]).flatMap((filter) => {
        const routes = message(message(filter["typed_config"])["route_config"]);
        return Object.keys(routes).length === 0
          ? []
          : [inline(listener, text(routes["name"]), `${TYPES}route.v3.RouteConfiguration`, routes)];
      }),
    ),
  );
}

/** The scopes of the listeners' connection managers; `discovered`: those that SRDS has brought, which are the same for all of a name. */
export function scopedRoutes(
  listeners: readonly DumpedResource[],
  discovered: readonly DumpedResource[],
): ScopedRoutesView[] {
  const views = new Map<string, ScopedRoutesView>();
  for (const listener of listeners) {
    for (const filter of chainsOf(listener.value ?? {}).flatMap((chain) => list(chain["filters"]))) {
      const config = message(message(filter["typed_config"])["scoped_routes"]);
      const name = text(config["name"]);
      const isInline = config["scoped_rds"] === undefined;
      if (name === "" || (!isInline && views.has(name))) {
        continue;
      }
      views.set(
        isInline ? `${name} ${views.size}` : name,
        isInline ? inlineScopes(listener, name, config) : discoveredScopes(listener, name, discovered),
      );
    }
  }
  return [...views.values()];
}

function inlineScopes({ lastUpdated }: DumpedResource, name: string, config: JsonObject): ScopedRoutesView {
  const type = `${TYPES}route.v3.ScopedRouteConfiguration`;
  const scopes = list(message(config["scoped_route_configurations_list"])["scoped_route_configurations"]);
  return {
    name,
    isInline: true,
    versionInfo: "",
    lastUpdated,
    scopes: scopes.map((scope) => ({ name: text(scope["name"]), value: { "@type": type, ...scope } })),
  };
}

function discoveredScopes(
  listener: DumpedResource,
  name: string,
  discovered: readonly DumpedResource[],
): ScopedRoutesView {
  const newest = discovered.reduce<DumpedResource | undefined>(
    (latest, each) => (latest === undefined || each.lastUpdated > latest.lastUpdated ? each : latest),
    undefined,
  );
  return {
    name,
    isInline: false,
    versionInfo: newest?.versionInfo ?? "",
    lastUpdated: newest?.lastUpdated ?? listener.lastUpdated,
    scopes: discovered
      .flatMap((scope) => (scope.value === undefined ? [] : { name: scope.name, value: scope.value }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/** The endpoints written inside the clusters. */
export function inlineEndpoints(clusters: readonly DumpedResource[]): DumpedResource[] {
  return clusters.flatMap((cluster) => {
    const assignment = message(cluster.value?.["load_assignment"]);
    return Object.keys(assignment).length === 0
      ? []
      : [inline(cluster, cluster.name, `${TYPES}endpoint.v3.ClusterLoadAssignment`, assignment)];
  });
}

function inline(owner: DumpedResource, name: string, type: string, value: JsonObject): DumpedResource {
  return {
    name,
    versionInfo: "",
    lastUpdated: owner.lastUpdated,
    state: "static",
    value: { "@type": type, ...value },
  };
}

function chainsOf(listener: JsonObject): JsonObject[] {
  const fallback = message(listener["default_filter_chain"]);
  return [...list(listener["filter_chains"]), fallback];
}

function list(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.map((each: JsonValue) => message(each)) : [];
}

function message(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function text(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}
