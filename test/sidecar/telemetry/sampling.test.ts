import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { compileSampling, isSampled, samplingFromEnvironment } from "../../../sidecar/telemetry/sampling.ts";
import { fakeTracing } from "./fake-requests.ts";

const NONE = new HeaderMap();
const FORCE = HeaderMap.from([["X-Envoy-Force-Trace", "true"]]);
const CLIENT = HeaderMap.from([["X-Client-Trace-Id", "abc"]]);
const HALF = 2 ** 31;

const cases = [
  { name: "the caller's yes stands", percent: { randomSampling: 0, overallSampling: 0 }, parent: 1, expect: true },
  { name: "the caller's no stands", percent: {}, parent: 0, expect: false },
  { name: "everything at 100 %", percent: {}, parent: -1, chance: 2 ** 32 - 1, expect: true },
  { name: "nothing at 0 %", percent: { randomSampling: 0 }, parent: -1, chance: 0, expect: false },
  { name: "below the share", percent: { randomSampling: 50 }, parent: -1, chance: HALF - 1, expect: true },
  { name: "above the share", percent: { randomSampling: 50 }, parent: -1, chance: HALF, expect: false },
  {
    name: "a forced trace inside the mesh",
    percent: { randomSampling: 0 },
    parent: -1,
    headers: FORCE,
    internal: true,
    expect: true,
  },
  {
    name: "no forced trace from outside",
    percent: { randomSampling: 0 },
    parent: -1,
    headers: FORCE,
    internal: false,
    expect: false,
  },
  { name: "a client's trace id", percent: { randomSampling: 0 }, parent: -1, headers: CLIENT, expect: true },
  {
    name: "a client's trace id without client sampling",
    percent: { randomSampling: 0, clientSampling: 0 },
    parent: -1,
    headers: CLIENT,
    expect: false,
  },
  {
    name: "the overall share bounds a forced trace",
    percent: { overallSampling: 0 },
    parent: -1,
    headers: FORCE,
    internal: true,
    expect: false,
  },
];

for (const { name, percent, parent, headers, internal, chance, expect } of cases) {
  test(`isSampled() decides: ${name}`, () => {
    const policy = compileSampling(fakeTracing(percent));
    assert.equal(isSampled(policy, parent, headers ?? NONE, internal ?? false, chance ?? 1), expect);
  });
}

test("samplingFromEnvironment() follows OTEL_TRACES_SAMPLER", () => {
  const decide = (sampler: string, argument: string, parent: number, chance: number): boolean =>
    isSampled(
      samplingFromEnvironment({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument }),
      parent,
      NONE,
      false,
      chance,
    );
  assert.equal(isSampled(samplingFromEnvironment({}), -1, NONE, false, 2 ** 32 - 1), true);
  assert.equal(isSampled(samplingFromEnvironment({}), 0, NONE, false, 0), false);
  assert.equal(decide("always_on", "", 0, 5), true);
  assert.equal(decide("always_off", "", 1, 5), false);
  assert.equal(decide("parentbased_always_off", "", 1, 5), true);
  assert.equal(decide("parentbased_always_off", "", -1, 5), false);
  assert.equal(decide("traceidratio", "0.5", 1, HALF), false);
  assert.equal(decide("parentbased_traceidratio", "0.5", -1, HALF - 1), true);
  assert.equal(decide("parentbased_traceidratio", "nonsense", -1, 2 ** 32 - 1), true);
});
