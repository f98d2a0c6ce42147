import assert from "node:assert/strict";
import { test } from "node:test";
import { inlineEndpoints, inlineRoutes } from "../../../sidecar/admin/inline-config.ts";
import type { DumpedResource, JsonObject } from "../../../sidecar/admin/ports.ts";

const AT = "2026-11-25T03:51:46.598Z";

function dumped(name: string, value: JsonObject | undefined): DumpedResource {
  return { name, versionInfo: "3", lastUpdated: AT, state: "active", value };
}

test("inlineRoutes() finds the routes inside filter chains, the default one too", () => {
  const chain = (routes: JsonObject): JsonObject => ({ filters: [{ name: "x" }, { typed_config: routes }] });
  const listeners = [
    dumped("in", {
      filter_chains: [chain({ route_config: { name: "a", virtual_hosts: [] } }), chain({ rds: { name: "b" } })],
      default_filter_chain: chain({ route_config: { virtual_hosts: [{ name: "v" }] } }),
    }),
    dumped("refused", undefined),
  ];
  assert.deepEqual(
    inlineRoutes(listeners).map(({ name, state, versionInfo, lastUpdated, value }) => [
      name,
      state,
      versionInfo,
      lastUpdated,
      value,
    ]),
    [
      [
        "a",
        "static",
        "",
        AT,
        { "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", name: "a", virtual_hosts: [] },
      ],
      [
        "",
        "static",
        "",
        AT,
        {
          "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
          virtual_hosts: [{ name: "v" }],
        },
      ],
    ],
  );
});

test("inlineEndpoints() finds the endpoints inside clusters", () => {
  const clusters = [
    dumped("web", { load_assignment: { cluster_name: "web", endpoints: [] } }),
    dumped("eds", { type: "EDS" }),
    dumped("odd", { load_assignment: ["not a message"] }),
  ];
  assert.deepEqual(
    inlineEndpoints(clusters).map(({ name, value }) => [name, value]),
    [
      [
        "web",
        {
          "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
          cluster_name: "web",
          endpoints: [],
        },
      ],
    ],
  );
});
