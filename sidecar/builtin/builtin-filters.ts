// Models of the proxy's own filters → factories: the filter as the connection manager has it, and as a route changes it.
// Called by http-filters.ts.

import type { BuiltinFilter, BuiltinSettings } from "../../xds/model/builtin-filter.ts";
import type { FilterFactory } from "../filter/filter.ts";
import type { BuiltinDeps, BuiltinStream } from "./builtin-stream.ts";
import { CorsFilterFactory } from "./cors-filter.ts";
import { FaultFilterFactory, isFault } from "./fault-filter.ts";
import { GrpcStatsFilterFactory } from "./grpc-stats-filter.ts";
import { compileHeaderMutation } from "./header-mutation-filter.ts";
import { IstioStatsFilterFactory } from "./istio/istio-stats-filter.ts";
import { OnDemandFilterFactory } from "./on-demand-filter.ts";
import { PeerMetadataFilterFactory } from "./istio/peer-metadata-filter.ts";
import { SetFilterStateFactory } from "./set-filter-state.ts";

/**
 * `levels`: what the route's levels say, the most specific first; what is meant for a filter of another kind is passed over.
 * undefined: the filter does nothing here, and costs nothing.
 */
export function compileBuiltin(
  name: string,
  filter: BuiltinFilter,
  levels: readonly BuiltinSettings[],
  deps: BuiltinDeps,
): FilterFactory<BuiltinStream> | undefined {
  switch (filter.kind) {
    case "cors": {
      const policies = levels.flatMap((level) => (level.kind === "cors" ? level.policy : []));
      return policies.length === 0 ? undefined : new CorsFilterFactory(name, policies, deps);
    }
    // filter-slot.ts makes it, with the filters that its tree names.
    case "composite":
      return undefined;
    case "on_demand":
      return new OnDemandFilterFactory(name, filter.clusters, deps);
    case "fault": {
      const own = levels.find((level) => level.kind === "fault");
      const fault = own?.fault ?? filter.fault;
      return isFault(fault) ? new FaultFilterFactory(name, fault, deps) : undefined;
    }
    case "header_mutation": {
      const ofRoute = levels.flatMap((level) => (level.kind === "header_mutation" ? level.mutations : []));
      const ordered = filter.mostSpecificWins ? ofRoute.toReversed() : ofRoute;
      return compileHeaderMutation(name, [filter.mutations, ...ordered], deps);
    }
    case "grpc_stats":
      return new GrpcStatsFilterFactory(name, filter.stats, deps);
    case "set_filter_state":
      return filter.values.length === 0
        ? undefined
        : new SetFilterStateFactory(name, filter.values, filter.clearRouteCache, deps);
    case "peer_metadata":
      return new PeerMetadataFilterFactory(name, filter.exchange, deps);
    case "istio_stats":
      return new IstioStatsFilterFactory(name, filter.stats, deps);
  }
}
