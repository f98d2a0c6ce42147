// envoy.filters.http.on_demand: a request that no route matches waits while the control plane is asked for its virtual host
// (VHDS), or for the routes of its scope (SRDS, on_demand). Then the route is chosen anew, and the request goes on from here.
// Source: Envoy's on_demand_update.cc. Envoy begins such a stream anew, so that the filters before this one see it twice; here
// they do not.

import type { Demand } from "../../xds/model/demand.ts";
import { type FilterCallbacks, type FilterFactory, HeadersStatus, type StreamFilter } from "../filter/filter.ts";
import type { RequestHead } from "../http/message.ts";
import type { DemandWaiter, LiveDemands } from "../live-demands.ts";
import type { BuiltinStream } from "./builtin-stream.ts";
import { PassFilter } from "../filter/pass-filter.ts";

export class OnDemandFilterFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly #demands: LiveDemands;

  constructor(name: string, demands: LiveDemands) {
    this.name = name;
    this.#demands = demands;
  }

  create(stream: BuiltinStream, callbacks: FilterCallbacks): StreamFilter {
    return new OnDemandFilter(stream, callbacks, this.#demands);
  }
}

class OnDemandFilter extends PassFilter implements DemandWaiter {
  readonly #stream: BuiltinStream;
  readonly #callbacks: FilterCallbacks;
  readonly #demands: LiveDemands;
  #demand: Demand | undefined = undefined;

  constructor(stream: BuiltinStream, callbacks: FilterCallbacks, demands: LiveDemands) {
    super();
    this.#stream = stream;
    this.#callbacks = callbacks;
    this.#demands = demands;
  }

  override onRequestHeaders(_head: RequestHead, _end: boolean): HeadersStatus {
    const demand = this.#stream.ensureRoute() === undefined ? this.#stream.route.demand() : undefined;
    if (demand === undefined || !this.#demands.wait(demand, this)) {
      return HeadersStatus.Continue;
    }
    this.#demand = demand;
    return HeadersStatus.StopAllIterationAndWatermark;
  }

  onSettled(): void {
    this.#demand = undefined;
    this.#stream.route.chooseAnew();
    this.#callbacks.continueRequest();
  }

  override onDestroy(): void {
    if (this.#demand !== undefined) {
      this.#demands.cancel(this.#demand, this);
    }
  }
}
