// envoy.filters.http.fault: delays requests, answers them in the upstream's stead, slows responses down. For a route with settings
// of its own those count alone. Source: Envoy's fault_filter.cc; statistics, flags (DI, FI) and details are its.
// A delay comes first and may be followed by an abort; all faults of one request count as one active fault.

import type { Fault } from "../../xds/model/builtin-filter.ts";
import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead } from "../http/message.ts";
import { Deadline, type DeadlineOwner } from "../http/timer-wheel.ts";
import {
  DataStatus,
  type FilterCallbacks,
  type FilterFactory,
  HeadersStatus,
  type StreamFilter,
  TrailersStatus,
} from "../filter/filter.ts";
import { compileHeader, type HeaderTest } from "../route/matchers.ts";
import type { Counter, Gauge } from "../stats/scope.ts";
import type { BuiltinDeps, BuiltinStream } from "./builtin-stream.ts";
import { FaultSettings } from "./fault-settings.ts";
import { PassFilter } from "../filter/pass-filter.ts";
import { ResponseLimiter } from "./response-limiter.ts";

const BODY = "fault filter abort";
/** Callers' clusters with statistics of their own: the name is a header that anybody can send. */
const MAX_CLUSTERS = 200;
const CLUSTER_NAME = /^[\w.-]{1,100}$/;

/** A fault that never happens needs no filter. */
export function isFault({ delay, abort, rateLimit }: Fault): boolean {
  return delay !== undefined || abort !== undefined || rateLimit !== undefined;
}

export class FaultFilterFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly deps: BuiltinDeps;
  readonly settings: FaultSettings;
  readonly delays: Counter;
  readonly aborts: Counter;
  readonly limits: Counter;
  readonly #overflow: Counter;
  /** Of all workers. One that dies leaves what it had. */
  readonly #active: Gauge;
  readonly abortBody: Uint8Array;
  readonly #fault: Fault;
  readonly #tests: readonly HeaderTest[];
  readonly #nodes: ReadonlySet<string>;
  readonly #clusters = new Set<string>();

  constructor(name: string, fault: Fault, deps: BuiltinDeps) {
    const { scope, statPrefix } = deps;
    this.name = name;
    this.deps = deps;
    this.settings = new FaultSettings(fault, deps.runtime, deps.random);
    this.delays = scope.counter(`${statPrefix}fault.delays_injected`);
    this.aborts = scope.counter(`${statPrefix}fault.aborts_injected`);
    this.limits = scope.counter(`${statPrefix}fault.response_rl_injected`);
    this.#overflow = scope.counter(`${statPrefix}fault.faults_overflow`);
    const active = `${statPrefix}fault.active_faults`;
    this.#active = (scope.processWide("gauge", active) as Gauge | undefined) ?? scope.gauge(active);
    this.abortBody = Buffer.from(fault.abort?.body || BODY);
    this.#fault = fault;
    // The decoder has refused patterns that do not compile.
    this.#tests = fault.headers.map((matcher) => compileHeader(matcher, []));
    this.#nodes = new Set(fault.downstreamNodes);
  }

  create(stream: BuiltinStream, callbacks: FilterCallbacks): StreamFilter {
    return new FaultFilter(this, stream, callbacks);
  }

  concerns(stream: BuiltinStream): boolean {
    const head = stream.facts.requestHead;
    const { upstreamCluster } = this.#fault;
    if (upstreamCluster !== "") {
      stream.ensureRoute();
      if (stream.facts.clusterName !== upstreamCluster) {
        return false;
      }
    }
    return (
      (this.#nodes.size === 0 || this.#nodes.has(head.headers.get("x-envoy-downstream-service-node") ?? "")) &&
      this.#tests.every((test) => test(head))
    );
  }

  /** The caller's, when it says; empty when it does not, or when it does not matter. */
  clusterOf({ headers }: RequestHead): string {
    const name = this.#fault.countsDownstreamClusters ? headers.get("x-envoy-downstream-service-cluster") : undefined;
    return name !== undefined && CLUSTER_NAME.test(name) ? name : "";
  }

  countFor(cluster: string, what: "delays_injected" | "aborts_injected"): void {
    if (cluster === "" || (!this.#clusters.has(cluster) && this.#clusters.size >= MAX_CLUSTERS)) {
      return;
    }
    this.#clusters.add(cluster);
    this.deps.scope.counter(`${this.deps.statPrefix}fault.${cluster}.${what}`).inc();
  }

  /** False: there are as many as may be. */
  begin(): boolean {
    if (this.#active.value >= this.settings.maxActiveFaults) {
      this.#overflow.inc();
      return false;
    }
    this.#active.inc();
    return true;
  }

  end(): void {
    this.#active.dec();
  }
}

class FaultFilter extends PassFilter implements DeadlineOwner {
  readonly #factory: FaultFilterFactory;
  readonly #stream: BuiltinStream;
  readonly #callbacks: FilterCallbacks;
  #cluster = "";
  #delay: Deadline | undefined = undefined;
  #limiter: ResponseLimiter | undefined = undefined;
  #isActive = false;

  constructor(factory: FaultFilterFactory, stream: BuiltinStream, callbacks: FilterCallbacks) {
    super();
    this.#factory = factory;
    this.#stream = stream;
    this.#callbacks = callbacks;
  }

  override onRequestHeaders(head: RequestHead, _end: boolean): HeadersStatus {
    if (!this.#factory.concerns(this.#stream)) {
      return HeadersStatus.Continue;
    }
    this.#cluster = this.#factory.clusterOf(head);
    this.#limitResponse(head);
    return this.#delayed(head) || this.#aborted(head) ? HeadersStatus.StopIteration : HeadersStatus.Continue;
  }

  override onRequestData(_body: BodyBuffer, _end: boolean): DataStatus {
    return this.#delay === undefined ? DataStatus.Continue : DataStatus.StopIterationAndWatermark;
  }

  override onRequestTrailers(_trailers: HeaderMap): TrailersStatus {
    return this.#delay === undefined ? TrailersStatus.Continue : TrailersStatus.StopIteration;
  }

  override onResponseData(body: BodyBuffer, end: boolean): DataStatus {
    if (this.#limiter === undefined) {
      return DataStatus.Continue;
    }
    this.#limiter.write(body.view(), end);
    return DataStatus.StopIterationNoBuffer;
  }

  override onResponseTrailers(_trailers: HeaderMap): TrailersStatus {
    return this.#limiter?.holdTrailers() === true ? TrailersStatus.StopIteration : TrailersStatus.Continue;
  }

  override onDestroy(): void {
    if (this.#delay !== undefined) {
      this.#factory.deps.wheel.cancel(this.#delay);
    }
    this.#limiter?.close();
    if (this.#isActive) {
      this.#isActive = false;
      this.#factory.end();
    }
  }

  /** The delay is over. */
  onDeadline(): void {
    this.#delay = undefined;
    if (!this.#aborted(this.#stream.facts.requestHead)) {
      this.#callbacks.continueRequest();
    }
  }

  #limitResponse(head: RequestHead): void {
    const kib = this.#factory.settings.kibPerSecond(head);
    if (kib > 0 && this.#begin()) {
      this.#factory.limits.inc();
      this.#limiter = new ResponseLimiter(kib, this.#callbacks, this.#factory.deps.wheel);
    }
  }

  #delayed(head: RequestHead): boolean {
    const delayMs = this.#factory.settings.delayMs(head, this.#cluster);
    if (delayMs <= 0 || !this.#begin()) {
      return false;
    }
    this.#factory.delays.inc();
    this.#factory.countFor(this.#cluster, "delays_injected");
    this.#stream.facts.flag("DI");
    this.#delay = new Deadline(this, 0);
    this.#factory.deps.wheel.arm(this.#delay, delayMs);
    return true;
  }

  #aborted(head: RequestHead): boolean {
    const abort = this.#factory.settings.abortStatus(head, this.#cluster);
    if (abort === undefined || !this.#begin()) {
      return false;
    }
    this.#factory.aborts.inc();
    this.#factory.countFor(this.#cluster, "aborts_injected");
    const reply = { ...abort, details: "fault_filter_abort", body: this.#factory.abortBody, headers: [], flag: "FI" };
    this.#callbacks.sendLocalReply(reply);
    return true;
  }

  /** False: no more faults may be under way. */
  #begin(): boolean {
    this.#isActive ||= this.#factory.begin();
    return this.#isActive;
  }
}
