// The routes of a worker: a table for each route configuration, and the scopes that choose among them. live-config.ts hands it
// each delta, between plugins and listeners. A table is replaced under every connection manager that uses it; one whose plugins
// do not start leaves the previous one serving.

import type { Runtime } from "../xds/model/bootstrap.ts";
import type { HttpConnectionManager } from "../xds/model/listener.ts";
import type { RouteConfiguration } from "../xds/model/route.ts";
import type { ScopedRoute } from "../xds/model/scoped-routes.ts";
import { type PreparedSets, releaseAll } from "./http-filters.ts";
import type { HttpServing, RouteSource, ServingRoutes } from "./http-serving.ts";
import type { FilterOverrides } from "./route/filter-overrides.ts";
import { compileRoutes, type RouteTable, type RouteTableOptions } from "./route/route-table.ts";
import { ScopeTable } from "./route/scope-table.ts";
import type { FormatContext } from "./telemetry/format-operator.ts";
import type { ApplyFailure, ConfigDelta } from "./worker-link.ts";

/** Connection managers in use, each with its listener's name. */
export type Servings = readonly (readonly [listener: string, HttpServing])[];

export class LiveRoutes {
  readonly #format: FormatContext;
  readonly #readData: RouteTableOptions["readData"];
  readonly #configs = new Map<string, RouteConfiguration>();
  readonly #sources = new Map<string, RouteSource>();
  readonly #scopes = new Map<string, ScopedRoute>();
  /** Of all scopes that SRDS brings. */
  readonly #scopeTable = new ScopeTable<RouteSource>();
  #runtime: Runtime = {};

  constructor(format: FormatContext, readData: RouteTableOptions["readData"]) {
    this.#format = format;
    this.#readData = readData;
  }

  /** The latest; filters that a delta brings are made after it. */
  get runtime(): Runtime {
    return this.#runtime;
  }

  /** What a connection manager chooses its routes by. */
  of({ routes }: HttpConnectionManager): ServingRoutes {
    switch (routes.kind) {
      case "inline":
        return { routes: { table: this.#compile(routes.routeConfig) }, scopes: undefined };
      case "rds":
        return { routes: this.#source(routes.name), scopes: undefined };
      case "scoped": {
        const { fragments, scopes } = routes;
        const table = scopes.kind === "srds" ? this.#scopeTable : this.#inlineScopes(scopes.list);
        return { routes: { table: undefined }, scopes: { fragments, table } };
      }
    }
  }

  apply(delta: ConfigDelta, servings: Servings): ApplyFailure[] {
    const failures: ApplyFailure[] = [];
    const runtimeChanged = delta.runtime !== undefined;
    this.#runtime = delta.runtime ?? this.#runtime;
    for (const [name, config] of delta.routes.set) {
      this.#use(name, config, servings, failures);
    }
    if (runtimeChanged) {
      this.#compileAgain(new Set(delta.routes.set.map(([name]) => name)), servings, failures);
    }
    this.#applyScopes(delta, servings, failures);
    for (const name of delta.routes.removed) {
      const source = this.#source(name);
      this.#configs.delete(name);
      source.table = undefined;
      usersOf(source, servings).forEach((serving) =>
        serving.filters.use(serving.filters.prepare(overridesOf(serving))),
      );
      this.#sources.delete(name);
    }
    return failures;
  }

  #use(name: string, config: RouteConfiguration, servings: Servings, failures: ApplyFailure[]): void {
    const source = this.#source(name);
    const problems = useTable(this.#compile(config, source.table), source, usersOf(source, servings));
    failures.push(...failed("route", name, problems));
    if (problems.length === 0 || !this.#configs.has(name)) {
      this.#configs.set(name, config);
    }
  }

  /** The runtime counts in route tables. */
  #compileAgain(fresh: ReadonlySet<string>, servings: Servings, failures: ApplyFailure[]): void {
    for (const [name, config] of this.#configs) {
      if (!fresh.has(name)) {
        this.#use(name, config, servings, failures);
      }
    }
    for (const [listener, serving] of servings) {
      for (const { source, config } of inlineTables(serving)) {
        const problems = useTable(this.#compile(config, source.table), source, [serving]);
        failures.push(...failed("listener", listener, problems));
      }
    }
  }

  #applyScopes({ scopes }: ConfigDelta, servings: Servings, failures: ApplyFailure[]): void {
    if (scopes.set.length === 0 && scopes.removed.length === 0) {
      return;
    }
    scopes.removed.forEach((name) => this.#scopes.delete(name));
    scopes.set.forEach(([name, scope]) => this.#scopes.set(name, scope));
    this.#scopeTable.clear();
    for (const scope of this.#scopes.values()) {
      this.#scopeTable.set(scope, this.#sourceOf(scope));
    }
    for (const [listener, serving] of servings) {
      if (serving.scopes?.table === this.#scopeTable) {
        const prepared = serving.filters.prepare(overridesOf(serving));
        failures.push(...failed("listener", listener, prepared.problems));
        serving.filters.use(prepared);
      }
    }
  }

  #inlineScopes(list: readonly ScopedRoute[]): ScopeTable<RouteSource> {
    const table = new ScopeTable<RouteSource>();
    list.forEach((scope) => table.set(scope, this.#sourceOf(scope)));
    return table;
  }

  #sourceOf({ routes }: ScopedRoute): RouteSource {
    return routes.kind === "named" ? this.#source(routes.name) : { table: this.#compile(routes.routeConfig) };
  }

  #source(name: string): RouteSource {
    let source = this.#sources.get(name);
    if (source === undefined) {
      source = { table: undefined };
      this.#sources.set(name, source);
    }
    return source;
  }

  #compile(config: RouteConfiguration, previous?: RouteTable): RouteTable {
    return compileRoutes(config, { runtime: this.#runtime, format: this.#format, readData: this.#readData, previous });
  }
}

/** Everything that the routes of a connection manager say of HTTP filters; with `table` as if it were in `source`. */
export function overridesOf(
  serving: HttpServing,
  source?: RouteSource,
  table?: RouteTable,
): readonly FilterOverrides[] {
  const { routes, scopes } = serving;
  const sources = scopes === undefined ? [routes] : scopes.table.routes;
  const tables = sources.map((each) => (each === source ? table : each.table));
  return [...new Set(tables)].flatMap((each) => each?.filterOverrides ?? []);
}

/** The previous table, if there is one, stays when a plugin does not start with a configuration that the new one has. */
function useTable(table: RouteTable, source: RouteSource, users: readonly HttpServing[]): readonly string[] {
  const prepared = users.map((serving) => serving.filters.prepare(overridesOf(serving, source, table)));
  const problems = prepared.flatMap((each) => each.problems);
  if (problems.length > 0 && source.table !== undefined) {
    prepared.forEach(({ leases }) => releaseAll(leases));
    return problems;
  }
  source.table = table;
  useAll(users, prepared);
  return problems;
}

export function useAll(users: readonly HttpServing[], prepared: readonly PreparedSets[]): void {
  for (const [index, each] of prepared.entries()) {
    users[index]?.filters.use(each);
  }
}

/** Each problem once. */
export function failed(
  resource: ApplyFailure["resource"],
  name: string,
  problems: readonly string[],
): readonly ApplyFailure[] {
  return problems.length === 0 ? [] : [{ resource, name, problem: [...new Set(problems)].join("; ") }];
}

function usersOf(source: RouteSource, servings: Servings): HttpServing[] {
  return servings.flatMap(([, serving]) =>
    serving.routes === source || serving.scopes?.table.routes.includes(source) === true ? [serving] : [],
  );
}

/** Tables of routes that stand in the listener. */
function inlineTables(serving: HttpServing): { source: RouteSource; config: RouteConfiguration }[] {
  const { routes } = serving.hcm;
  if (routes.kind === "inline") {
    return [{ source: serving.routes, config: routes.routeConfig }];
  }
  if (routes.kind !== "scoped" || routes.scopes.kind !== "inline") {
    return [];
  }
  return (serving.scopes?.table.entries ?? []).flatMap(({ scope, routes: source }) =>
    scope.routes.kind === "inline" ? [{ source, config: scope.routes.routeConfig }] : [],
  );
}
