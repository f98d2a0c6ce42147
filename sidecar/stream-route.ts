// The route of one stream: chosen when somebody first asks (a plugin's property, or the router at the end of the request
// filters), kept, and chosen anew when a filter has changed what the choice rests on. proxy.ts owns one for each stream.
// The table is the one that was live when the request began.

import type { LiveCluster } from "./cluster/cluster.ts";
import type { ClusterPick } from "./route/cluster-choice.ts";
import type { RequestHead, ResponseHead } from "./http/message.ts";
import type { Demand } from "../xds/model/demand.ts";
import type { ForwardAction } from "../xds/model/route.ts";
import type { FilterOverrides } from "./route/filter-overrides.ts";
import type { MutationList } from "./route/header-mutations.ts";
import { rewriteRequest } from "./route/rewrite.ts";
import { requestTimeouts, type RequestTimeouts } from "./route/timeouts.ts";
import { pickCluster, type RouteMatch, type RouteTable } from "./route/route-table.ts";
import { requestScopeKey } from "./route/scope-table.ts";
import type { HttpServing, ServingRoutes } from "./http-serving.ts";
import type { StreamRecord } from "./stream-record.ts";

/** Of each request: nothing is sent to a second host yet. */
const ATTEMPTS = "1";

/** Changes the head as the route says before it goes upstream; `hostname` is the chosen host's. Returns the timeouts. */
export function prepareUpstreamHead(
  match: RouteMatch,
  pick: ClusterPick,
  action: ForwardAction,
  facts: StreamRecord,
  { hostname, serving }: { readonly hostname: string; readonly serving: HttpServing },
): RequestTimeouts {
  const head = facts.requestHead;
  const timeouts = requestTimeouts(action, head, serving);
  if (match.virtualHost.includeAttemptCount) {
    head.headers.set("x-envoy-attempt-count", ATTEMPTS);
  }
  pick.requestMutations?.apply(head.headers, facts);
  if (pick.rewrite !== undefined) {
    rewriteRequest(head, pick.rewrite, hostname, serving.suppressEnvoyHeaders);
  }
  if (serving.hcm.schemeMatchesUpstream) {
    // No host is spoken to by TLS yet.
    head.scheme = "http";
  }
  return timeouts;
}

/** Changes the head of the upstream's response as the route says before it goes to the filters. */
export function prepareDownstreamHead(
  { headers }: ResponseHead,
  facts: StreamRecord,
  suppressEnvoyHeaders: boolean,
  pick: ClusterPick | undefined,
): void {
  if (!suppressEnvoyHeaders) {
    headers.set("x-envoy-upstream-service-time", String(Math.round(facts.upstreamFirstByteAt - facts.upstreamSentAt)));
  }
  if (facts.route?.virtualHost.includeAttemptCountInResponse === true) {
    headers.set("x-envoy-attempt-count", ATTEMPTS);
  }
  pick?.responseMutations?.apply(headers, facts);
}

/** The routes that serve a request at this moment; undefined: none, 404. */
export function tableFor({ routes, scopes }: ServingRoutes, head: RequestHead): RouteTable | undefined {
  if (scopes === undefined) {
    return routes.table;
  }
  const key = requestScopeKey(scopes.fragments, head);
  return key === undefined ? undefined : scopes.table.find(key)?.routes.table;
}

function demandFor({ routes, scopes }: ServingRoutes, head: RequestHead): Demand | undefined {
  if (scopes === undefined) {
    return hostDemand(routes.table, head);
  }
  const key = requestScopeKey(scopes.fragments, head);
  const entry = key === undefined ? undefined : scopes.table.find(key);
  if (entry === undefined || entry.routes.table !== undefined) {
    return hostDemand(entry?.routes.table, head);
  }
  const { name, onDemand } = entry.scope;
  return onDemand ? { key: `scope ${name}`, kind: "scope", name } : undefined;
}

function hostDemand(table: RouteTable | undefined, head: RequestHead): Demand | undefined {
  if (table?.config.virtualHostSource === undefined || head.authority === "") {
    return undefined;
  }
  const routes = table.config.name;
  const name = `${routes}/${head.authority.toLowerCase()}`;
  return { key: `host ${name}`, kind: "host", routes, name };
}

export class StreamRoute {
  /** Of the last `choose`; undefined when nothing matched. */
  match: RouteMatch | undefined = undefined;
  pick: ClusterPick | undefined = undefined;
  #table: RouteTable | undefined;
  readonly #serving: HttpServing;
  readonly #head: RequestHead;
  /** Drawn once: a second choice must not throw the dice again. */
  #draw = -1;
  #isChosen = false;

  /** The routes are those of this moment. */
  constructor(serving: HttpServing, head: RequestHead) {
    this.#serving = serving;
    this.#head = head;
    this.#table = tableFor(serving, head);
  }

  choose(head: RequestHead, facts: StreamRecord, clusters: ReadonlyMap<string, LiveCluster>): RouteMatch | undefined {
    if (this.#isChosen) {
      return this.match;
    }
    this.#isChosen = true;
    if (this.#draw < 0) {
      this.#draw = this.#serving.environment.random();
    }
    const match = this.#table?.select(head, { random: this.#draw });
    const pick = match === undefined ? undefined : pickCluster(match, head, this.#draw);
    this.match = match;
    this.pick = pick;
    facts.virtualHostName = match?.virtualHost.name ?? "";
    facts.routeName = match?.route?.name ?? "";
    facts.route = match;
    facts.clusterName = pick?.clusterName ?? "";
    facts.cluster = clusters.get(facts.clusterName);
    return match;
  }

  /** Some route says something of tracing: it is to be chosen before the stream is traced. */
  get isTracedByRoute(): boolean {
    return this.#table?.tracesByRoute === true;
  }

  /** Takes what only requests from inside may bring from one that comes from elsewhere. */
  removeInternalFields({ headers }: RequestHead): void {
    const names = this.#table?.internalOnlyHeaders;
    for (let i = 0; names !== undefined && i < names.length; i++) {
      headers.remove(names[i] as string);
    }
  }

  /** Of the last `choose`: what the route says of HTTP filters. */
  get filterOverrides(): FilterOverrides | undefined {
    return (this.pick ?? this.match)?.filterOverrides;
  }

  /** Of the last `choose`: what the route says of responses. */
  get responseMutations(): MutationList | undefined {
    return (this.pick ?? this.match)?.responseMutations;
  }

  /** The next choice is made from the routes that are live now. */
  chooseAnew(): void {
    this.#table = tableFor(this.#serving, this.#head);
    this.forget();
  }

  /** What the control plane may be asked for where there is no route; undefined: nothing would bring one. */
  demand(): Demand | undefined {
    return demandFor(this.#serving, this.#head);
  }

  forget(): void {
    this.#isChosen = false;
  }
}
