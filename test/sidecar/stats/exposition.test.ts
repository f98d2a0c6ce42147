import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { prometheusText, statsJson, statsText } from "../../../sidecar/stats/exposition.ts";
import { compileFilter } from "../../../sidecar/stats/filter.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { labelled, prometheusName } from "../../../sidecar/stats/tags.ts";

const NONE: ReadonlySet<string> = new Set();

function sample(): StatsReader {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("main", update) });
  table.counter("cluster.web.upstream_rq_5xx").add(2);
  table.counter("cluster.web.upstream_rq_503").add(2);
  table.gauge("server.live").set(1);
  table.counter("http.ingress.downstream_rq_total");
  table.histogram("cluster.web.upstream_rq_time").record(10);
  table.histogram("cluster.web.upstream_cx_length_ms");
  table.counter(labelled("outrigger_wasm_calls_total", { plugin: 'a"b', callback: "proxy_on_log" })).inc();
  table.flush();
  reader.setText("cluster_manager.cds.version_text", "v<1>");
  return reader;
}

test("statsText() prints texts, numbers and histograms as Envoy", () => {
  assert.equal(
    statsText(sample(), { filter: /cluster|server\.live/ }),
    [
      'cluster_manager.cds.version_text: "v&lt;1&gt;"',
      "cluster.web.upstream_rq_503: 2",
      "cluster.web.upstream_rq_5xx: 2",
      "server.live: 1",
      "cluster.web.upstream_cx_length_ms: No recorded values",
      "cluster.web.upstream_rq_time: P0(10,10) P25(10.0625,10.0625) P50(10.125,10.125) P75(10.1875,10.1875) " +
        "P90(10.225,10.225) P95(10.2375,10.2375) P99(10.2475,10.2475) P99.5(10.2487,10.2487) P99.9(10.2498,10.2498) " +
        "P100(10.25,10.25)",
      "",
    ].join("\n"),
  );
});

test("statsText() leaves out what was never used, and other types", () => {
  const text = statsText(sample(), { usedOnly: true, type: "Counters" });
  assert.match(text, /^cluster\.web\.upstream_rq_503: 2$/m);
  assert.doesNotMatch(text, /downstream_rq_total|server\.live|upstream_rq_time|cds/);
});

test("statsText() counts a gauge as used once it has been set, to 0 too", () => {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("main", update) });
  table.gauge("server.state").set(0);
  table.gauge("server.other");
  table.gauge("active").inc();
  table.gauge("active").dec();
  table.counter("never");
  table.counter("once").add(0);
  table.flush();
  assert.equal(
    statsText(reader, { usedOnly: true, filter: /^(?!server.stats)/ }),
    "active: 0\nonce: 0\nserver.state: 0\n",
  );
  assert.match(statsText(reader, {}), /^never: 0$/m);
  reader.resetCounters();
  assert.match(statsText(reader, { usedOnly: true }), /^once: 0$/m);
});

test("statsJson() has Envoy's shape", () => {
  const json: unknown = JSON.parse(statsJson(sample(), { filter: /rq_time|server.live/ }));
  assert.deepEqual(json, {
    stats: [
      { name: "server.live", value: 1 },
      {
        histograms: {
          supported_quantiles: [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100],
          computed_quantiles: [
            {
              name: "cluster.web.upstream_rq_time",
              values: [10, 10.0625, 10.125, 10.1875, 10.225, 10.2375, 10.2475, 10.24875, 10.24975, 10.25].map((v) => ({
                interval: v,
                cumulative: v,
              })),
            },
          ],
        },
      },
    ],
  });
});

test("prometheusText() groups series and turns tags into labels", () => {
  const text = prometheusText(sample(), { filter: /rq_5|rq_time|wasm|live/, usedOnly: true });
  const lines = text.split("\n");
  assert.ok(lines.includes("# TYPE envoy_cluster_upstream_rq counter"));
  assert.ok(lines.includes('envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="web"} 2'));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="web"} 2'));
  assert.ok(lines.includes("envoy_server_live{} 1"));
  assert.ok(lines.includes('outrigger_wasm_calls_total{plugin="a\\"b",callback="proxy_on_log"} 1'));
  assert.ok(lines.includes("# TYPE envoy_cluster_upstream_rq_time histogram"));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="web",le="5"} 0'));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="web",le="10"} 1'));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="web",le="3600000"} 1'));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="web",le="+Inf"} 1'));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="web"} 10'));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_time_count{envoy_cluster_name="web"} 1'));
});

test("prometheusText() has buckets that fit microseconds for plugins and seconds", () => {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("main", update) });
  table.histogram(labelled("outrigger_wasm_duration_ms", { plugin: "p" })).record(0.02);
  table.histogram("istio_x_seconds").record(0.000_003);
  table.flush();
  const lines = prometheusText(reader, {}).split("\n");
  assert.ok(lines.includes('outrigger_wasm_duration_ms_bucket{plugin="p",le="0.01"} 0'));
  assert.ok(lines.includes('outrigger_wasm_duration_ms_bucket{plugin="p",le="0.025"} 1'));
  assert.ok(lines.includes('istio_x_seconds_bucket{le="0.0000025"} 0'));
  assert.ok(lines.includes('istio_x_seconds_bucket{le="0.000005"} 1'));
});

test("prometheusText() shows texts as gauges when asked to", () => {
  const text = prometheusText(sample(), { filter: /version_text/, textReadouts: true });
  assert.match(text, /^envoy_cluster_manager_cds_version_text\{text_value="v<1>"\} 1$/m);
});

const NAMES: readonly { name: string; metric: string; labels: string; clusters?: readonly string[] }[] = [
  {
    name: "http.ingress_http.downstream_rq_2xx",
    metric: "envoy_http_downstream_rq_xx",
    labels: 'envoy_response_code_class="2",envoy_http_conn_manager_prefix="ingress_http"',
  },
  {
    name: "listener.127.0.0.1_9080.downstream_cx_total",
    metric: "envoy_listener_downstream_cx_total",
    labels: 'envoy_listener_address="127.0.0.1_9080"',
  },
  {
    name: "listener.0.0.0.0_80.worker_3.downstream_cx_active",
    metric: "envoy_listener_worker_downstream_cx_active",
    labels: 'envoy_worker_id="3",envoy_listener_address="0.0.0.0_80"',
  },
  {
    name: "listener.[__1]_80.http.in.downstream_rq_5xx",
    metric: "envoy_listener_http_downstream_rq_xx",
    labels: 'envoy_response_code_class="5",envoy_http_conn_manager_prefix="in",envoy_listener_address="[__1]_80"',
  },
  {
    name: "http.in.rds.local.routes.update_success",
    metric: "envoy_http_rds_update_success",
    labels: 'envoy_rds_route_config="local.routes",envoy_http_conn_manager_prefix="in"',
  },
  {
    name: "cluster.outbound|80||web.default.svc.cluster.local.upstream_cx_total",
    metric: "envoy_cluster_upstream_cx_total",
    labels: 'envoy_cluster_name="outbound|80||web.default.svc.cluster.local"',
    clusters: ["outbound|80||web.default.svc.cluster.local"],
  },
  {
    name: "listener_manager.worker_0.watchdog_miss",
    metric: "envoy_listener_manager_worker_watchdog_miss",
    labels: 'envoy_worker_id="0"',
  },
  { name: "control_plane.connected_state", metric: "envoy_control_plane_connected_state", labels: "" },
  { name: "istio_requests_total", metric: "istio_requests_total", labels: "" },
  { name: "wasmcustom.cache.hits", metric: "cache_hits", labels: "" },
  { name: "wasmcustom.5xx", metric: "_5xx", labels: "" },
];

for (const { name, metric, labels, clusters } of NAMES) {
  test(`prometheusName() of ${name}`, () => {
    assert.deepEqual(prometheusName(name, new Set(clusters)), { metric, labels });
  });
}

test("prometheusName() always gives a valid metric name", () => {
  fc.assert(
    fc.property(fc.constantFrom("", "wasmcustom."), fc.string({ maxLength: 60 }), (prefix, name) => {
      const { metric } = prometheusName(prefix + name, NONE);
      return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(metric);
    }),
  );
});

test("compileFilter() accepts RE2's words and refuses what is not linear", () => {
  for (const accepted of ["^cluster\\.web\\.", "(?i)CLUSTER", "(?P<x>a)", "[(?=]", "a{2,1000}", "\\d+"]) {
    assert.equal(compileFilter(accepted).ok, true, accepted);
  }
  for (const refused of [
    "(?=a)",
    "(?<!a)b",
    "(a)\\1",
    "(?<n>a)\\k<n>",
    "[",
    "a{1001,}",
    "a{2,10000}",
    "x".repeat(1025),
  ]) {
    assert.equal(compileFilter(refused).ok, false, refused);
  }
  const compiled = compileFilter("(?i)WEB");
  assert.ok(compiled.ok && compiled.filter.test("cluster.web.x"));
});
