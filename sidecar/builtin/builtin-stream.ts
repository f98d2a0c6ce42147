// What the proxy's own filters need of a stream, and of the worker that runs them. proxy.ts's stream is one.

import type { Runtime } from "../../xds/model/bootstrap.ts";
import type { TimerWheel } from "../http/timer-wheel.ts";
import type { Demand } from "../../xds/model/demand.ts";
import type { LiveDemands } from "../live-demands.ts";
import type { FilterOverrides } from "../route/filter-overrides.ts";
import type { RouteMatch } from "../route/route-table.ts";
import type { ProcessScope } from "../stats/scope.ts";
import type { FormatContext } from "../telemetry/format-operator.ts";
import type { StreamRecord } from "../stream-record.ts";

export interface BuiltinStream {
  readonly facts: StreamRecord;
  /** Chooses the route now, unless it is chosen. */
  ensureRoute(): RouteMatch | undefined;
  readonly route: {
    demand(): Demand | undefined;
    chooseAnew(): void;
    /** Of the route that is chosen. */
    readonly filterOverrides: FilterOverrides | undefined;
  };
}

export interface BuiltinDeps {
  readonly scope: ProcessScope;
  readonly demands: LiveDemands;
  readonly wheel: TimerWheel;
  /** In [0, 1). */
  readonly random: () => number;
  /** The keys of the moment. */
  readonly runtime: () => Runtime;
  /** `http.<stat_prefix>.` */
  readonly statPrefix: string;
  readonly format: FormatContext;
  /** The sidecar's own node, serialised. */
  readonly nodeBytes: Uint8Array;
}
