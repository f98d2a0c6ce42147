// Labels of Istio's metrics come from clients: how many sets of them there are is bounded, and every request is counted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveDemands } from "../../../../sidecar/live-demands.ts";
import type { BuiltinDeps, BuiltinStream } from "../../../../sidecar/builtin/builtin-stream.ts";
import { IstioStatsFilterFactory } from "../../../../sidecar/builtin/istio/istio-stats-filter.ts";
import { FilterState } from "../../../../sidecar/filter/filter-state.ts";
import { HeaderMap } from "../../../../sidecar/http/headers.ts";
import { TimerWheel } from "../../../../sidecar/http/timer-wheel.ts";
import type { ConnectionInfo } from "../../../../sidecar/http/stream.ts";
import type { Counter } from "../../../../sidecar/stats/scope.ts";
import { StatsTable } from "../../../../sidecar/stats/table.ts";

/** A stream that is over, for a host. */
function streamFor(authority: string): BuiltinStream {
  const facts = {
    requestHead: { authority, headers: new HeaderMap() },
    filterState: new FilterState({} as ConnectionInfo),
    trafficDirection: "outbound",
    status: 200,
    responseFlags: "",
    clusterName: "c",
    routeName: "",
    startedAt: 1,
    endedAt: 3.5,
    requestHeaderBytes: 1,
    requestBodyBytes: 1,
    responseHeaderBytes: 1,
    responseBodyBytes: 1,
  };
  return { facts, ensureRoute: () => undefined } as unknown as BuiltinStream;
}

test("hosts that clients make up have at most 2,000 series, and the rest one", () => {
  const table = new StatsTable({ onDefine: () => undefined });
  const counters = new Map<string, Counter>();
  const scope: BuiltinDeps["scope"] = {
    counter(name) {
      const counter = table.counter(name);
      counters.set(name, counter);
      return counter;
    },
    gauge: (name) => table.gauge(name),
    histogram: (name) => table.histogram(name),
    processWide: (kind, name) => table.processWide(kind, name),
  };
  const factory = new IstioStatsFilterFactory(
    "istio.stats",
    { usesHostHeader: true, tcpReportingMs: 5_000, changes: [] },
    {
      scope,
      demands: new LiveDemands(() => undefined),
      wheel: new TimerWheel(),
      random: Math.random,
      runtime: () => ({}),
      statPrefix: "",
      format: { hostname: "", environment: {} },
      nodeBytes: new Uint8Array(),
    },
  );
  const requests = 2_500;
  for (let index = 0; index < requests; index++) {
    factory.count(streamFor(`host-${index}.test`));
  }
  const values = [...counters].filter(([name]) => name.startsWith("istio_requests_total{"));
  assert.equal(values.length, 2_001);
  assert.equal(
    values.reduce((sum, [, counter]) => sum + counter.value, 0),
    requests,
  );
  const [rest] = values.filter(([name]) => name.includes('destination_service="unknown"'));
  assert.equal(rest?.[1].value, requests - 2_000);
});
