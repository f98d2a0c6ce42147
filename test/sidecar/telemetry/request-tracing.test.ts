import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestTracing, tracingStats } from "../../../sidecar/telemetry/request-tracing.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { fakeHead, fakeTracing, RecorderBench } from "./fake-requests.ts";

const ENVIRONMENT = {
  exports: true,
  policy: { client: 0, random: 0, overall: 0, followsParent: true },
  variables: {},
};

test("RequestTracing counts why requests are sampled, under Envoy's names", () => {
  const bench = new RecorderBench();
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("w", update) });
  const tracingOf = (randomSampling: number): RequestTracing =>
    new RequestTracing(bench.recorder, bench.random, fakeTracing({ randomSampling }), ENVIRONMENT, {
      stats: tracingStats(table, "in"),
    });
  const start = (tracing: RequestTracing, headers: [string, string][] = []): void => {
    const head = fakeHead(headers);
    tracing.start(bench.recorder.begin(head, 1), head.headers, true);
  };
  start(tracingOf(100));
  start(tracingOf(0));
  start(tracingOf(0), [["x-envoy-force-trace", "1"]]);
  start(tracingOf(0), [["x-client-trace-id", "1"]]);
  table.flush();
  const names = ["random_sampling", "not_traceable", "service_forced", "client_enabled"];
  assert.deepEqual(
    names.map((name) => reader.value(`http.in.tracing.${name}`)),
    [1, 1, 1, 1],
  );
});
