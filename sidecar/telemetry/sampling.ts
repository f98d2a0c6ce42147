// Whether a request is traced, decided before any span exists. Sources: Envoy's ConnectionManagerUtility (client, random
// and overall sampling, x-envoy-force-trace, x-client-trace-id) and OpenTelemetry's OTEL_TRACES_SAMPLER.
// Called by request-tracing.ts once for each request. Pure.

import type { HeaderMap } from "../http/headers.ts";
import type { RuntimeFraction } from "../../xds/model/matcher.ts";
import type { RouteTracing } from "../../xds/model/route.ts";
import type { Tracing } from "../../xds/model/tracing.ts";

/** Shares as thresholds: a 32-bit random number below it is in. 2^32 means always. */
export interface SamplingPolicy {
  /** Of requests with x-client-trace-id. */
  readonly client: number;
  /** Of all other requests. */
  readonly random: number;
  /** Upper bound on both. */
  readonly overall: number;
  /** Whether the caller's decision stands. */
  readonly followsParent: boolean;
}

const ALWAYS = 2 ** 32;

function threshold(percent: number): number {
  return Math.max(0, Math.min(ALWAYS, Math.round((percent / 100) * ALWAYS)));
}

export function compileSampling(tracing: Tracing): SamplingPolicy {
  return {
    client: threshold(tracing.clientSampling),
    random: threshold(tracing.randomSampling),
    overall: threshold(tracing.overallSampling),
    followsParent: true,
  };
}

/** Of a route, which says all three anew; what it leaves out is 100 %. */
export function compileRouteSampling(tracing: RouteTracing): SamplingPolicy {
  const share = (fraction: RuntimeFraction | undefined): number =>
    fraction === undefined ? ALWAYS : threshold((fraction.numerator / fraction.denominator) * 100);
  return {
    client: share(tracing.clientSampling),
    random: share(tracing.randomSampling),
    overall: share(tracing.overallSampling),
    followsParent: true,
  };
}

/** From OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG; unknown or absent: parentbased_always_on, as the SDKs do. */
export function samplingFromEnvironment(environment: Readonly<Record<string, string | undefined>>): SamplingPolicy {
  const name = environment["OTEL_TRACES_SAMPLER"] ?? "";
  const argument = Number(environment["OTEL_TRACES_SAMPLER_ARG"] ?? "1");
  const ratio = argument >= 0 && argument <= 1 ? argument * 100 : 100;
  const share = name.endsWith("traceidratio") ? ratio : name.endsWith("always_off") ? 0 : 100;
  const isPlain = name === "always_on" || name === "always_off" || name === "traceidratio";
  return { client: threshold(100), random: threshold(share), overall: threshold(100), followsParent: !isPlain };
}

/**
 * The decision. `parentSampled` is the caller's flag (-1: none). `chance` is a uniform 32-bit number, best the low half
 * of the trace id, so that everybody who sees the trace decides alike. `isInternal`: the request comes from inside the
 * mesh, so x-envoy-force-trace counts (Envoy removes it from external requests).
 */
export function isSampled(
  policy: SamplingPolicy,
  parentSampled: number,
  headers: HeaderMap,
  isInternal: boolean,
  chance: number,
): boolean {
  if (parentSampled >= 0 && policy.followsParent) {
    return parentSampled === 1;
  }
  if (chance >= policy.overall) {
    return false;
  }
  if (chance < policy.random) {
    return true;
  }
  if (isInternal && headers.has("x-envoy-force-trace")) {
    return true;
  }
  return chance < policy.client && headers.has("x-client-trace-id");
}
