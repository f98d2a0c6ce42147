// Tracing of one connection manager: whether its requests are traced, sampled, and what headers they carry on.
// Compiled from HttpConnectionManager.Tracing by worker.ts; called by proxy.ts at a request's start and before it goes
// upstream. Hot path.

import type { Route, RouteTracing } from "../../xds/model/route.ts";
import type { CustomTag, Tracing } from "../../xds/model/tracing.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { Counter, StatsScope } from "../stats/scope.ts";
import { extractContext, injectContext, traceStateOf } from "./propagation.ts";
import type { RandomSource } from "../random-id.ts";
import { compileRouteSampling, compileSampling, isSampled } from "./sampling.ts";
import type { SamplingPolicy } from "./sampling.ts";
import { SpanTags } from "./span-tags.ts";
import type { StreamTrace } from "./stream-trace.ts";
import type { TraceRecorder } from "./trace-recorder.ts";

/** What a worker is told once about the OTEL_* environment. */
export interface EnvironmentTracing {
  /** Whether the environment names a collector (tracing.ts: `environmentExports`). */
  readonly exports: boolean;
  /** samplingFromEnvironment(). */
  readonly policy: SamplingPolicy;
  /** For custom tags. */
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** Envoy's `http.<prefix>.tracing.*`: why requests are sampled, and how many are not. */
interface TracingStats {
  readonly randomSampling: Counter;
  readonly serviceForced: Counter;
  readonly clientEnabled: Counter;
  readonly notTraceable: Counter;
}

/** `prefix` is the connection manager's stat_prefix. */
export function tracingStats(scope: StatsScope, prefix: string): TracingStats {
  const counter = (name: string): Counter => scope.counter(`http.${prefix}.tracing.${name}`);
  return {
    randomSampling: counter("random_sampling"),
    serviceForced: counter("service_forced"),
    clientEnabled: counter("client_enabled"),
    notTraceable: counter("not_traceable"),
  };
}

const OPERATION = "x-envoy-decorator-operation";

/** What a route says; undefined: what the connection manager says. */
interface RouteRules {
  readonly policy: SamplingPolicy | undefined;
  readonly tags: SpanTags | undefined;
}

export class RequestTracing {
  readonly #recorder: TraceRecorder;
  readonly #random: RandomSource;
  readonly #policy: SamplingPolicy;
  readonly #provider: number;
  readonly #stats: TracingStats | undefined;
  readonly #customTags: readonly CustomTag[];
  readonly #variables: EnvironmentTracing["variables"];
  readonly #tags: SpanTags;
  readonly #isOutbound: boolean;
  readonly #maxPathLength: number;
  /** Of routes that say something of tracing, made when a request meets them. */
  readonly #rules = new WeakMap<Route, RouteRules>();

  /** `tracing` undefined: the connection manager says nothing, and the environment decides. */
  constructor(
    recorder: TraceRecorder,
    random: RandomSource,
    tracing: Tracing | undefined,
    environment: EnvironmentTracing,
    options: { readonly stats?: TracingStats; readonly isOutbound?: boolean } = {},
  ) {
    this.#stats = options.stats;
    this.#recorder = recorder;
    this.#random = random;
    this.#policy = tracing === undefined ? environment.policy : compileSampling(tracing);
    const isEnabled = tracing?.provider !== undefined || environment.exports;
    this.#provider = isEnabled ? recorder.registerProvider(tracing?.provider, this.#policy) : 0;
    this.#customTags = tracing?.customTags ?? [];
    this.#variables = environment.variables;
    this.#tags = new SpanTags(this.#customTags, this.#variables);
    this.#maxPathLength = tracing?.maxPathTagLength ?? 256;
    this.#isOutbound = options.isOutbound === true;
  }

  /** False when spans go nowhere: requests pass with the headers that they came with. */
  get isEnabled(): boolean {
    return this.#provider !== 0;
  }

  /** Reads the caller's context and decides. `isInternal`: as for x-envoy-internal; `route`: when it says something of tracing. */
  start(trace: StreamTrace, headers: HeaderMap, isInternal: boolean, route?: Route): void {
    if (this.#provider === 0) {
      return;
    }
    const context = trace.context;
    extractContext(headers, context);
    trace.provider = this.#provider;
    this.#recorder.assignIds(trace);
    const chance = context.traceId === "" ? this.#random.next() : Number.parseInt(context.traceId.slice(24), 16);
    const rules = route && this.#rulesOf(route);
    this.#nameOperation(trace, headers, route);
    trace.sampled = isSampled(rules?.policy ?? this.#policy, context.sampled, headers, isInternal, chance);
    const stats = this.#stats;
    if (trace.sampled) {
      stats?.[reasonOf(headers)].inc();
      trace.traceState = context.traceId === "" ? "" : traceStateOf(headers);
      const tags = rules?.tags ?? this.#tags;
      trace.maxPathLength = this.#maxPathLength;
      trace.metadataTags = tags.metadata;
      trace.tags = tags.of(headers);
    } else {
      stats?.notTraceable.inc();
    }
  }

  /** Writes the request's own span as the parent of what the upstream does. A request that is not traced passes as it is. */
  inject(trace: StreamTrace, headers: HeaderMap): void {
    if (trace.traceId !== "") {
      injectContext(headers, trace.context, trace.traceId, trace.spanId, trace.sampled);
    }
  }

  /** What the two sides tell each other of the operation in the response's head; call it before the head is written. */
  finishResponse(trace: StreamTrace, headers: HeaderMap): void {
    if (this.#provider === 0) {
      return;
    }
    if (!this.#isOutbound) {
      if (trace.toldOperation !== "") {
        headers.set(OPERATION, trace.toldOperation);
      }
      return;
    }
    const told = headers.get(OPERATION);
    if (told !== undefined) {
      trace.operation = told === "" ? trace.operation : told;
      headers.remove(OPERATION);
    }
  }

  // As in Envoy an outbound proxy tells the server the operation's name, and an inbound one believes what it is told and answers with its own.
  #nameOperation(trace: StreamTrace, headers: HeaderMap, route: Route | undefined): void {
    const own = route?.operation ?? "";
    const toTell = route?.operationPropagates === true ? own : "";
    trace.operation = own;
    if (this.#isOutbound) {
      if (toTell !== "") {
        headers.set(OPERATION, toTell);
      }
      return;
    }
    const told = headers.get(OPERATION);
    if (told !== undefined) {
      headers.remove(OPERATION);
    }
    if (told !== undefined && told !== "") {
      trace.operation = told;
    } else {
      trace.toldOperation = toTell;
    }
  }

  #rulesOf(route: Route): RouteRules {
    let rules = this.#rules.get(route);
    if (rules === undefined) {
      rules = this.#makeRules(route.tracing);
      this.#rules.set(route, rules);
    }
    return rules;
  }

  #makeRules(tracing: RouteTracing | undefined): RouteRules {
    if (tracing === undefined) {
      return { policy: undefined, tags: undefined };
    }
    const own = new Set(tracing.customTags.map(({ tag }) => tag));
    const all = [...tracing.customTags, ...this.#customTags.filter(({ tag }) => !own.has(tag))];
    return { policy: compileRouteSampling(tracing), tags: new SpanTags(all, this.#variables) };
  }
}

/** As Envoy tells them apart; a caller's own decision counts as random. */
function reasonOf(headers: HeaderMap): "clientEnabled" | "serviceForced" | "randomSampling" {
  return headers.has("x-client-trace-id")
    ? "clientEnabled"
    : headers.has("x-envoy-force-trace")
      ? "serviceForced"
      : "randomSampling";
}
