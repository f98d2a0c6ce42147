// Tracing of one connection manager: whether its requests are traced, sampled, and what headers they carry on.
// Compiled from HttpConnectionManager.Tracing by worker.ts; called by proxy.ts at a request's start and before it goes
// upstream. Hot path.

import type { Tracing } from "../../xds/model/tracing.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { Counter, StatsScope } from "../stats/scope.ts";
import { compileMetadataTag, type MetadataTag } from "./metadata-tags.ts";
import { extractContext, injectContext, traceStateOf } from "./propagation.ts";
import type { RandomSource } from "../random-id.ts";
import { compileSampling, isSampled } from "./sampling.ts";
import type { SamplingPolicy } from "./sampling.ts";
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

type HeaderTag = { readonly tag: string; readonly header: string; readonly defaultValue: string };

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

export class RequestTracing {
  readonly #recorder: TraceRecorder;
  readonly #random: RandomSource;
  readonly #policy: SamplingPolicy;
  readonly #provider: number;
  readonly #stats: TracingStats | undefined;
  readonly #staticTags: string[] = [];
  readonly #headerTags: HeaderTag[] = [];
  readonly #metadataTags: MetadataTag[] = [];

  /** `tracing` undefined: the connection manager says nothing, and the environment decides. */
  constructor(
    recorder: TraceRecorder,
    random: RandomSource,
    tracing: Tracing | undefined,
    environment: EnvironmentTracing,
    stats?: TracingStats,
  ) {
    this.#stats = stats;
    this.#recorder = recorder;
    this.#random = random;
    this.#policy = tracing === undefined ? environment.policy : compileSampling(tracing);
    const isEnabled = tracing?.provider !== undefined || environment.exports;
    this.#provider = isEnabled ? recorder.registerProvider(tracing?.provider, this.#policy) : 0;
    for (const { tag, value } of tracing?.customTags ?? []) {
      if (value.kind === "metadata") {
        this.#metadataTags.push(compileMetadataTag(tag, value));
      } else if (value.kind === "request_header") {
        this.#headerTags.push({ tag, header: value.header.toLowerCase(), defaultValue: value.defaultValue });
      } else {
        const text =
          value.kind === "literal" ? value.value : (environment.variables[value.variable] ?? value.defaultValue);
        if (text !== "") {
          this.#staticTags.push(tag, text);
        }
      }
    }
  }

  /** False when spans go nowhere: requests pass with the headers that they came with. */
  get isEnabled(): boolean {
    return this.#provider !== 0;
  }

  /** Reads the caller's context and decides. `isInternal`: as for x-envoy-internal. */
  start(trace: StreamTrace, headers: HeaderMap, isInternal: boolean): void {
    if (this.#provider === 0) {
      return;
    }
    const context = trace.context;
    extractContext(headers, context);
    trace.provider = this.#provider;
    this.#recorder.assignIds(trace);
    const chance = context.traceId === "" ? this.#random.next() : Number.parseInt(context.traceId.slice(24), 16);
    trace.sampled = isSampled(this.#policy, context.sampled, headers, isInternal, chance);
    const stats = this.#stats;
    if (trace.sampled) {
      stats?.[reasonOf(headers)].inc();
      trace.traceState = context.traceId === "" ? "" : traceStateOf(headers);
      trace.metadataTags = this.#metadataTags;
      trace.tags = this.#headerTags.length === 0 ? this.#staticTags : this.#tagsOf(headers);
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

  #tagsOf(headers: HeaderMap): string[] {
    const tags = [...this.#staticTags];
    for (const { tag, header, defaultValue } of this.#headerTags) {
      const value = headers.getJoined(header) ?? defaultValue;
      if (value !== "") {
        tags.push(tag, value);
      }
    }
    return tags;
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
