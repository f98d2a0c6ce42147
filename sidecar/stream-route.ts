// The route of one stream: chosen when somebody first asks (a plugin's property, or the router at the end of the request
// filters), kept, and chosen anew when a filter has changed what the choice rests on. proxy.ts owns one for each stream.
// The table is the one that was live when the request began.

import type { LiveCluster } from "./cluster/cluster.ts";
import type { ClusterPick } from "./route/cluster-choice.ts";
import type { RequestHead } from "./http/message.ts";
import type { ForwardAction } from "../xds/model/route.ts";
import type { FilterOverrides } from "./route/filter-overrides.ts";
import type { MutationList } from "./route/header-mutations.ts";
import { rewriteRequest } from "./route/rewrite.ts";
import { requestTimeouts, type RequestTimeouts } from "./route/timeouts.ts";
import { pickCluster, type RouteMatch, type RouteTable } from "./route/route-table.ts";
import { requestScopeKey } from "./route/scope-table.ts";
import type { ServingRoutes } from "./http-serving.ts";
import type { StreamRecord } from "./stream-record.ts";

/** Changes the head as the route says before it goes upstream; `hostname` is the chosen host's. Returns the timeouts. */
export function prepareUpstreamHead(
  match: RouteMatch,
  pick: ClusterPick,
  action: ForwardAction,
  facts: StreamRecord,
  options: { readonly hostname: string; readonly suppressEnvoyHeaders: boolean },
): RequestTimeouts {
  const head = facts.requestHead;
  const timeouts = requestTimeouts(action, head, options.suppressEnvoyHeaders);
  if (match.virtualHost.includeAttemptCount) {
    // There is one attempt for each request.
    head.headers.set("x-envoy-attempt-count", "1");
  }
  pick.requestMutations?.apply(head.headers, facts);
  if (pick.rewrite !== undefined) {
    rewriteRequest(head, pick.rewrite, options.hostname, options.suppressEnvoyHeaders);
  }
  return timeouts;
}

/** The routes that serve a request at this moment; undefined: none, 404. */
export function tableFor({ routes, scopes }: ServingRoutes, head: RequestHead): RouteTable | undefined {
  if (scopes === undefined) {
    return routes.table;
  }
  const key = requestScopeKey(scopes.fragments, head);
  return key === undefined ? undefined : scopes.table.find(key)?.routes.table;
}

export class StreamRoute {
  /** Of the last `choose`; undefined when nothing matched. */
  match: RouteMatch | undefined = undefined;
  pick: ClusterPick | undefined = undefined;
  readonly #table: RouteTable | undefined;
  readonly #random: () => number;
  /** Drawn once: a second choice must not throw the dice again. */
  #draw = -1;
  #isChosen = false;

  constructor(table: RouteTable | undefined, random: () => number) {
    this.#table = table;
    this.#random = random;
  }

  choose(head: RequestHead, facts: StreamRecord, clusters: ReadonlyMap<string, LiveCluster>): RouteMatch | undefined {
    if (this.#isChosen) {
      return this.match;
    }
    this.#isChosen = true;
    if (this.#draw < 0) {
      this.#draw = this.#random();
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

  /** Of the last `choose`: what the route says of HTTP filters. */
  get filterOverrides(): FilterOverrides | undefined {
    return (this.pick ?? this.match)?.filterOverrides;
  }

  /** Of the last `choose`: what the route says of responses. */
  get responseMutations(): MutationList | undefined {
    return (this.pick ?? this.match)?.responseMutations;
  }

  forget(): void {
    this.#isChosen = false;
  }
}
