// envoy.filters.http.on_demand: a request that no route matches waits while the control plane is asked for its virtual host
// (VHDS), or for the routes of its scope (SRDS, on_demand); then the route is chosen anew. Where its route goes to a cluster that
// is not known, it waits for that one (`odcds`), at most `timeout`. Whatever comes of it, the request goes on from here.
// Source: Envoy's on_demand_update.cc. Envoy begins such a stream anew, so that the filters before this one see it twice; here
// they do not.

import type { ClustersOnDemand } from "../../xds/model/builtin-filter.ts";
import type { Demand } from "../../xds/model/demand.ts";
import { type FilterCallbacks, type FilterFactory, HeadersStatus, type StreamFilter } from "../filter/filter.ts";
import type { RequestHead } from "../http/message.ts";
import { Deadline, type DeadlineOwner } from "../http/timer-wheel.ts";
import type { DemandWaiter } from "../live-demands.ts";
import type { Counter } from "../stats/scope.ts";
import type { BuiltinDeps, BuiltinStream } from "./builtin-stream.ts";
import { PassFilter } from "../filter/pass-filter.ts";

/** Names come from clients, and thousands are kept: longer ones are not asked for. */
const MAX_NAME_CHARS = 2_048;

export class OnDemandFilterFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly deps: BuiltinDeps;
  /** Waits for clusters that were given up. */
  readonly timeouts: Counter;
  readonly #clusters: ClustersOnDemand | undefined;

  constructor(name: string, clusters: ClustersOnDemand | undefined, deps: BuiltinDeps) {
    this.name = name;
    this.deps = deps;
    this.timeouts = deps.scope.counter("outrigger_cluster_demands_timed_out_total");
    this.#clusters = clusters;
  }

  create(stream: BuiltinStream, callbacks: FilterCallbacks): StreamFilter {
    return new OnDemandFilter(this, stream, callbacks);
  }

  /** What the most specific level of the request's route says alone, else the filter's own. */
  clustersOf({ route }: BuiltinStream): ClustersOnDemand | undefined {
    const levels = route.filterOverrides?.get(this.name)?.levels ?? [];
    const own = levels.find((level) => level.kind === "on_demand");
    return own === undefined ? this.#clusters : own.clusters;
  }
}

class OnDemandFilter extends PassFilter implements DemandWaiter, DeadlineOwner {
  readonly #factory: OnDemandFilterFactory;
  readonly #stream: BuiltinStream;
  readonly #callbacks: FilterCallbacks;
  #demand: Demand | undefined = undefined;
  /** Of all waits for clusters together. */
  #deadline: Deadline | undefined = undefined;

  constructor(factory: OnDemandFilterFactory, stream: BuiltinStream, callbacks: FilterCallbacks) {
    super();
    this.#factory = factory;
    this.#stream = stream;
    this.#callbacks = callbacks;
  }

  override onRequestHeaders(_head: RequestHead, _end: boolean): HeadersStatus {
    return this.#mustWait() ? HeadersStatus.StopAllIterationAndWatermark : HeadersStatus.Continue;
  }

  onSettled(): void {
    this.#demand = undefined;
    this.#stream.route.chooseAnew();
    // The virtual host has come, and may go to a cluster that has not.
    if (!this.#mustWait()) {
      this.#goOn();
    }
  }

  onDeadline(): void {
    this.#factory.timeouts.inc();
    this.#stopWaiting();
    this.#stream.route.chooseAnew();
    this.#goOn();
  }

  override onDestroy(): void {
    this.#stopWaiting();
    this.#disarm();
  }

  #mustWait(): boolean {
    if (this.#stream.ensureRoute() === undefined) {
      return this.#waitFor(this.#stream.route.demand());
    }
    const { cluster, clusterName: name } = this.#stream.facts;
    // Without a name: no route that forwards, or the header that should name it is missing.
    const clusters = cluster === undefined && name !== "" ? this.#factory.clustersOf(this.#stream) : undefined;
    if (clusters === undefined) {
      return false;
    }
    const { source, timeoutMs } = clusters;
    return this.#waitFor({ key: `cluster ${name}`, kind: "cluster", name, source }, timeoutMs);
  }

  /** False: nothing would come of it, or it has come already. */
  #waitFor(demand: Demand | undefined, timeoutMs = 0): boolean {
    if (demand === undefined || demand.name.length > MAX_NAME_CHARS || !this.#factory.deps.demands.wait(demand, this)) {
      return false;
    }
    this.#demand = demand;
    if (timeoutMs > 0 && this.#deadline === undefined) {
      this.#deadline = new Deadline(this, 0);
      this.#factory.deps.wheel.arm(this.#deadline, timeoutMs);
    }
    return true;
  }

  #goOn(): void {
    this.#disarm();
    this.#callbacks.continueRequest();
  }

  #stopWaiting(): void {
    if (this.#demand !== undefined) {
      this.#factory.deps.demands.cancel(this.#demand, this);
      this.#demand = undefined;
    }
  }

  #disarm(): void {
    if (this.#deadline !== undefined) {
      this.#factory.deps.wheel.cancel(this.#deadline);
    }
  }
}
