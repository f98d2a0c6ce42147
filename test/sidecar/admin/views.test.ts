import assert from "node:assert/strict";
import { test } from "node:test";
import { clustersJson, clustersText } from "../../../sidecar/admin/clusters-view.ts";
import { snakeCase } from "../../../sidecar/admin/reply.ts";
import { initDumpJson, readyText } from "../../../sidecar/admin/views.ts";
import { CLUSTER } from "./fake-ports.ts";

test("clustersText() has Envoy's lines", () => {
  assert.deepEqual(clustersText([CLUSTER]).split("\n").slice(0, 31), [
    "web::observability_name::web",
    "web::default_priority::max_connections::1024",
    "web::default_priority::max_pending_requests::1024",
    "web::default_priority::max_requests::1024",
    "web::default_priority::max_retries::3",
    "web::high_priority::max_connections::1",
    "web::high_priority::max_pending_requests::2",
    "web::high_priority::max_requests::3",
    "web::high_priority::max_retries::4",
    "web::added_via_api::true",
    "web::eds_service_name::web-eds",
    "web::10.0.0.1:80::cx_active::1",
    "web::10.0.0.1:80::cx_connect_fail::0",
    "web::10.0.0.1:80::cx_total::1",
    "web::10.0.0.1:80::rq_active::0",
    "web::10.0.0.1:80::rq_error::0",
    "web::10.0.0.1:80::rq_pending_active::2",
    "web::10.0.0.1:80::rq_success::4",
    "web::10.0.0.1:80::rq_timeout::0",
    "web::10.0.0.1:80::rq_total::4",
    "web::10.0.0.1:80::hostname::h1",
    "web::10.0.0.1:80::health_flags::healthy",
    "web::10.0.0.1:80::weight::1",
    "web::10.0.0.1:80::region::r",
    "web::10.0.0.1:80::zone::z",
    "web::10.0.0.1:80::sub_zone::",
    "web::10.0.0.1:80::canary::false",
    "web::10.0.0.1:80::priority::0",
    "web::10.0.0.1:80::success_rate::-1",
    "web::10.0.0.1:80::local_origin_success_rate::-1",
    "web::[::1]:81::cx_active::0",
  ]);
  assert.match(clustersText([CLUSTER]), /^web::\[::1\]:81::health_flags::\/failed_eds_health$/m);
});

test("clustersJson() is envoy.admin.v3.Clusters", () => {
  const json = clustersJson([CLUSTER]) as { cluster_statuses: Record<string, unknown>[] };
  const [status] = json.cluster_statuses;
  assert.ok(status !== undefined);
  const [first, second] = status["host_statuses"] as Record<string, unknown>[];
  assert.equal(status["added_via_api"], true);
  assert.equal(status["eds_service_name"], "web-eds");
  assert.deepEqual(first, {
    address: { socket_address: { address: "10.0.0.1", port_value: 80 } },
    stats: [
      { name: "cx_connect_fail" },
      { value: "1", name: "cx_total" },
      { name: "rq_error" },
      { value: "4", name: "rq_success" },
      { name: "rq_timeout" },
      { value: "4", name: "rq_total" },
      { type: "GAUGE", value: "1", name: "cx_active" },
      { type: "GAUGE", name: "rq_active" },
      { type: "GAUGE", value: "2", name: "rq_pending_active" },
    ],
    health_status: { eds_health_status: "HEALTHY" },
    weight: 1,
    hostname: "h1",
    locality: { region: "r", zone: "z" },
  });
  assert.deepEqual(second?.["address"], { socket_address: { address: "::1", port_value: 81 } });
  assert.deepEqual(second?.["health_status"], { eds_health_status: "UNHEALTHY" });
});

test("readyText() says why not", () => {
  assert.equal(readyText({ state: "LIVE", reasons: [] }), "LIVE\n");
  assert.equal(readyText({ state: "INITIALIZING", reasons: ["waiting for LDS"] }), "INITIALIZING\nwaiting for LDS\n");
});

test("initDumpJson() is empty when nothing is waited for", () => {
  assert.deepEqual(initDumpJson([]), {});
});

test("snakeCase() changes keys at all depths and no values", () => {
  assert.deepEqual(snakeCase({ p50Ms: 1, aB: [{ cD: "eF" }], n: null }), { p50_ms: 1, a_b: [{ c_d: "eF" }], n: null });
});
