// A route configuration compiled for requests: virtual host by authority, then the first route whose match accepts the
// request. live-config.ts compiles a table when routes arrive, proxy.ts selects from it once for each request.
// Source: envoy.config.route.v3.RouteConfiguration, in Envoy's order of precedence.
// Hot path: `select` and `pickCluster` return objects made at compile time; only `cluster_header` allocates.

import type { RequestHead } from "../http/message.ts";
import type { FormatContext } from "../telemetry/format-operator.ts";
import type { Runtime } from "../../xds/model/bootstrap.ts";
import type { BodyFormat } from "../../xds/model/local-reply.ts";
import type { DataSource } from "../../xds/model/plugin-config.ts";
import type {
  HeaderMutations,
  PathMatcher,
  PerFilterConfig,
  Route,
  RouteAction,
  RouteConfiguration,
  VirtualHost,
} from "../../xds/model/route.ts";
import { type ClusterChooser, type ClusterPick, compileClusterChoice } from "./cluster-choice.ts";
import { CompiledRoute } from "./compiled-route.ts";
import { type FilterOverrides, OverrideSets } from "./filter-overrides.ts";
import { compileMutations, levelsOf, type MutationList } from "./header-mutations.ts";
import { HostIndex } from "./host-index.ts";
import { isOuterSame } from "./outer-fields.ts";
import { compileRedirect, type Redirect, TLS_REDIRECT } from "./redirect.ts";
import { type BodyFormatter, compileBodyFormat } from "../telemetry/body-format.ts";
import { compilePathRewrite } from "./rewrite.ts";
import { RouteIndex } from "./route-index.ts";

export interface RouteTableOptions {
  /** Cluster names that exist; give them only when clusters are to be validated. */
  readonly clusters?: ReadonlySet<string>;
  readonly runtime: Runtime;
  /** For the operators in header values. */
  readonly format: FormatContext;
  /** Reads a body that is not inline. undefined: it cannot be read. */
  readonly readData?: ((source: DataSource) => Uint8Array | undefined) | undefined;
  /** The table that is to be replaced: virtual hosts that did not change are taken over as they are. */
  readonly previous?: RouteTable | undefined;
}

export interface SelectFacts {
  /** In [0, 1), drawn once for each request: runtime fractions and weighted clusters use the same one. */
  readonly random: number;
  /** The client's connection is TLS; counts only for require_tls when there is no x-forwarded-proto. */
  readonly isTls?: boolean;
}

/** A selected route. The same object for every request of the same route, for the life of the table. */
export interface RouteMatch {
  readonly virtualHost: VirtualHost;
  /** undefined for the redirect that `require_tls` makes. */
  readonly route: Route | undefined;
  readonly action: RouteAction;
  /** For actions that do not forward, and until a cluster is picked; after that the pick's own lists hold. */
  readonly requestMutations: MutationList | undefined;
  readonly responseMutations: MutationList | undefined;
  /** Present for the action `forward`. */
  readonly clusters: ClusterChooser | undefined;
  /** Present for the action `redirect`. */
  readonly redirect: Redirect | undefined;
  /** Body of a direct response; undefined is none. */
  readonly body: Uint8Array | undefined;
  /** Of a direct response with a `body_format`. */
  readonly bodyFormatter: BodyFormatter | undefined;
  /** What the route and its outer levels say of HTTP filters; a pick has its own, with the weighted cluster's. */
  readonly filterOverrides: FilterOverrides | undefined;
}

export class RouteTable {
  readonly config: RouteConfiguration;
  /** Everything that could not be compiled, with its place. Not empty: the configuration should be refused. */
  readonly problems: readonly string[];
  /** Everything that routes say of HTTP filters, each set once; empty for most tables. */
  readonly filterOverrides: readonly FilterOverrides[];
  /** Some route has an operation, or sampling or tags of its own. */
  readonly tracesByRoute: boolean;
  /** In lower case; undefined: none. */
  readonly internalOnlyHeaders: readonly string[] | undefined;
  /** Places in `#compiled`. */
  readonly #hosts: HostIndex<number>;
  /** In the configuration's order. */
  readonly #compiled: readonly CompiledHost[];
  readonly #runtime: Runtime;

  constructor(hosts: HostIndex<number>, compiled: readonly CompiledHost[], compilation: Compilation) {
    this.config = compilation.config;
    this.problems = compilation.problems;
    this.filterOverrides = compilation.overrides.all;
    this.tracesByRoute = compiled.some(({ isTraced }) => isTraced);
    const internalOnly = compilation.config.internalOnlyHeaders;
    this.internalOnlyHeaders = internalOnly.length > 0 ? internalOnly : undefined;
    this.#hosts = hosts;
    this.#compiled = compiled;
    this.#runtime = compilation.runtime;
  }

  /** What of this table means the same in one for `config`; undefined: nothing. */
  reusable(config: RouteConfiguration, runtime: Runtime): KnownHosts | undefined {
    const isSame =
      this.#runtime === runtime &&
      this.problems.length === 0 &&
      // Overrides are sets of a whole table.
      this.filterOverrides.length === 0 &&
      isOuterSame(this.config, config);
    if (!isSame) {
      return undefined;
    }
    const [before, now] = [this.config.virtualHosts, config.virtualHosts];
    const isPlacedAlike =
      before.length === now.length && now.every((host, place) => haveSameDomains(host, before[place] as VirtualHost));
    return new KnownHosts(this.#compiled, isPlacedAlike ? this.#hosts : undefined);
  }

  /** Whose routes a request is matched against. */
  virtualHostOf(head: RequestHead): VirtualHost | undefined {
    const place = this.#hosts.find(head.authority);
    return place === undefined ? undefined : this.#compiled[place]?.virtualHost;
  }

  /** undefined when no virtual host or no route of it matches: 404, NR. */
  select(head: RequestHead, facts: SelectFacts): RouteMatch | undefined {
    const place = this.#hosts.find(head.authority);
    if (place === undefined) {
      return undefined;
    }
    const host = this.#compiled[place] as CompiledHost;
    if (host.tlsRedirect !== undefined && needsTls(host.virtualHost, head, facts)) {
      return host.tlsRedirect;
    }
    return host.routes.select(head, facts.random)?.match;
  }
}

/** undefined when the action does not forward. */
export function pickCluster(match: RouteMatch, head: RequestHead, random: number): ClusterPick | undefined {
  return match.clusters?.pick(head, random);
}

export interface CompiledHost {
  readonly virtualHost: VirtualHost;
  readonly tlsRedirect: RouteMatch | undefined;
  readonly routes: RouteIndex<CompiledRoute>;
  readonly isTraced: boolean;
}

/** Compiled virtual hosts of a table before. */
class KnownHosts {
  readonly #compiled: readonly CompiledHost[];
  /** The index of that table, when every domain leads to the same place. */
  readonly index: HostIndex<number> | undefined;
  #byHost: ReadonlyMap<VirtualHost, CompiledHost> | undefined;

  constructor(compiled: readonly CompiledHost[], index: HostIndex<number> | undefined) {
    this.#compiled = compiled;
    this.index = index;
  }

  find(virtualHost: VirtualHost, place: number): CompiledHost | undefined {
    const there = this.#compiled[place];
    if (there?.virtualHost === virtualHost) {
      return there;
    }
    if (this.index !== undefined) {
      return undefined; // One that moved would have other domains at its old place.
    }
    this.#byHost ??= new Map(this.#compiled.map((host) => [host.virtualHost, host]));
    return this.#byHost.get(virtualHost);
  }
}

function haveSameDomains(a: VirtualHost, b: VirtualHost): boolean {
  return (
    a === b || (a.domains.length === b.domains.length && a.domains.every((domain, at) => domain === b.domains[at]))
  );
}

function needsTls({ requireTls }: VirtualHost, head: RequestHead, facts: SelectFacts): boolean {
  const proto = head.headers.get("x-forwarded-proto") ?? (facts.isTls === true ? "https" : "http");
  const isExempt = requireTls === "external_only" && head.headers.get("x-envoy-internal") === "true";
  return proto !== "https" && !isExempt;
}

/** What every part of the table is compiled with. */
interface Compilation extends RouteTableOptions {
  readonly config: RouteConfiguration;
  readonly problems: string[];
  readonly overrides: OverrideSets;
}

/** Never throws: what cannot be compiled is in the table's `problems`, and the rest works. */
export function compileRoutes(config: RouteConfiguration, options: RouteTableOptions): RouteTable {
  const problems: string[] = [];
  const compilation = { ...options, config, problems, overrides: new OverrideSets() };
  const known = options.clusters === undefined ? options.previous?.reusable(config, options.runtime) : undefined;
  const compiled = config.virtualHosts.map(
    (virtualHost, place) =>
      known?.find(virtualHost, place) ??
      within(placeOf(virtualHost), problems, () => compileHost(virtualHost, compilation)),
  );
  return new RouteTable(known?.index ?? indexOf(config, problems), compiled, compilation);
}

function indexOf(config: RouteConfiguration, problems: string[]): HostIndex<number> {
  const index = new HostIndex<number>(config.ignorePortInHostMatching);
  for (const [place, virtualHost] of config.virtualHosts.entries()) {
    for (const domain of virtualHost.domains) {
      if (!index.add(domain, place)) {
        problems.push(`${placeOf(virtualHost)}: domain ${JSON.stringify(domain)} is there already`);
      }
    }
  }
  return index;
}

function placeOf({ name }: VirtualHost): string {
  return `Virtual host ${JSON.stringify(name)}`;
}

/** Runs `compile` and puts `where` before each problem that it notes. */
function within<Value>(where: string, problems: string[], compile: () => Value): Value {
  const before = problems.length;
  const value = compile();
  for (let at = before; at < problems.length; at++) {
    problems[at] = `${where}: ${problems[at] ?? ""}`;
  }
  return value;
}

function compileHost(virtualHost: VirtualHost, compilation: Compilation): CompiledHost {
  const routes = virtualHost.routes.map((route, place) =>
    within(`route ${place} ${JSON.stringify(route.name)}`, compilation.problems, () => {
      return new CompiledRoute(place, compileMatch(virtualHost, route, compilation), route.match, compilation);
    }),
  );
  return {
    virtualHost,
    tlsRedirect: virtualHost.requireTls === "none" ? undefined : compileTlsRedirect(virtualHost, compilation),
    routes: new RouteIndex(routes),
    isTraced: virtualHost.routes.some(({ operation, tracing }) => operation !== "" || tracing !== undefined),
  };
}

function compileTlsRedirect(virtualHost: VirtualHost, compilation: Compilation): RouteMatch {
  const matcher: PathMatcher = { kind: "prefix", value: "/", caseSensitive: true };
  return {
    virtualHost,
    route: undefined,
    action: TLS_REDIRECT,
    requestMutations: undefined,
    responseMutations: undefined,
    clusters: undefined,
    redirect: compileRedirect(TLS_REDIRECT, matcher, compilation.problems),
    body: undefined,
    bodyFormatter: undefined,
    filterOverrides: undefined,
  };
}

function compileMatch(virtualHost: VirtualHost, route: Route, compilation: Compilation): RouteMatch {
  const { config, format, problems, overrides } = compilation;
  const { action } = route;
  const levels: readonly HeaderMutations[] = [route.headers, virtualHost.headers, config.headers];
  const mostSpecificWins = config.mostSpecificHeaderMutationsWins;
  const ordered = levelsOf(mostSpecificWins, levels);
  const outer = [route.perFilterConfig, virtualHost.perFilterConfig, config.perFilterConfig];
  const overridesOf = (weighted: PerFilterConfig | undefined): FilterOverrides | undefined =>
    overrides.of(weighted === undefined ? outer : [weighted, ...outer]);
  const isForward = action.kind === "forward";
  const pathRewrite = isForward ? compilePathRewrite(action, route.match.path, problems) : undefined;
  const clusters = isForward
    ? compileClusterChoice(action, { levels, mostSpecificWins, overridesOf, pathRewrite, format, problems })
    : undefined;
  for (const name of clusters?.names ?? []) {
    if (compilation.clusters !== undefined && !compilation.clusters.has(name)) {
      problems.push(`unknown cluster ${JSON.stringify(name)}`);
    }
  }
  return {
    virtualHost,
    route,
    action,
    requestMutations: compileMutations(ordered, "request", format, isForward ? [] : problems),
    responseMutations: compileMutations(ordered, "response", format, isForward ? [] : problems),
    clusters,
    redirect: action.kind === "redirect" ? compileRedirect(action, route.match.path, problems) : undefined,
    body: action.kind === "direct_response" ? compileBody(action.body, compilation) : undefined,
    bodyFormatter: action.kind === "direct_response" ? compileFormatter(action.bodyFormat, compilation) : undefined,
    filterOverrides: overridesOf(undefined),
  };
}

function compileBody(source: DataSource | undefined, compilation: Compilation): Uint8Array | undefined {
  if (source === undefined) {
    return undefined;
  }
  const body = source.kind === "bytes" ? source.bytes : compilation.readData?.(source);
  const max = compilation.config.maxDirectResponseBodyBytes;
  if (body === undefined) {
    compilation.problems.push(`cannot read the body of the direct response from ${source.kind}`);
  } else if (body.length > max) {
    compilation.problems.push(
      `the body of the direct response is ${body.length} bytes long, at most ${max} are allowed`,
    );
  }
  return body;
}

function compileFormatter(
  format: BodyFormat | undefined,
  { format: context, problems }: Compilation,
): BodyFormatter | undefined {
  const compiled = format && compileBodyFormat(format, context);
  if (compiled?.ok === false) {
    problems.push(`the body of the direct response: ${compiled.problem}`);
  }
  return compiled?.ok === true ? compiled.format : undefined;
}
