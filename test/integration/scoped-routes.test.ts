// Scoped routes: which route configuration serves a request, by a key from its headers. Envoy and outrigger, connected to the
// same control plane (ours), answer the same, before and after each push.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createControlPlane } from "../../xds/server/control-plane.ts";
import { ROUTE_TYPE, SCOPED_ROUTE_TYPE } from "../../xds/type-urls.ts";
import { bootstrap, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";
import { one } from "../support/xds-resources.ts";

const ADS = { ads: {}, resource_api_version: "V3" };
const FRAGMENTS = [
  { header_value_extractor: { name: "X-Tenant", index: 0 } },
  { header_value_extractor: { name: "x-tags", element_separator: ";", element: { separator: "=", key: "zone" } } },
];

function scope(name: string, routes: string, ...key: readonly string[]) {
  const fragments = key.map((each) => ({ string_key: each }));
  return one(
    JSON.stringify({ "@type": SCOPED_ROUTE_TYPE, name, key: { fragments }, route_configuration_name: routes }),
  );
}

function routesOf(name: string, body: string) {
  const route = { match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: body } } };
  return one(
    JSON.stringify({ "@type": ROUTE_TYPE, name, virtual_hosts: [{ name: "all", domains: ["*"], routes: [route] }] }),
  );
}

function withScopes(scopes: object): object {
  const manager = {
    route_config: undefined,
    scoped_routes: { name: "s", scope_key_builder: { fragments: FRAGMENTS }, ...scopes },
  };
  return listener("in", { manager });
}

function adsBootstrap(port: number, apiType: string): object {
  const ads_config = {
    api_type: apiType,
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
  };
  const listeners = [withScopes({ scoped_rds: { scoped_rds_config_source: ADS }, rds_config_source: ADS })];
  return { ...bootstrap({ listeners, clusters: [http2Cluster("xds", port)] }), dynamic_resources: { ads_config } };
}

const REQUESTS: readonly Record<string, string>[] = [
  { "x-tenant": "a", "x-tags": "zone=one" },
  { "x-tenant": "a", "x-tags": "size=1;zone=one;zone=two" },
  { "x-tenant": "a", "x-tags": "zone" },
  { "x-tenant": "b", "x-tags": "zone=two" },
  { "x-tenant": "b", "x-tags": "size=1" },
  { "x-tenant": "c", "x-tags": "zone=two" },
  { "x-tags": "zone=one" },
  {},
];

async function answers(proxy: ProxyProcess): Promise<string[]> {
  const url = `http://127.0.0.1:${proxy.port("in")}/`;
  const all = REQUESTS.map(async (headers) => {
    const answer = await fetch(url, { headers });
    return answer.status === 200 ? await answer.text() : String(answer.status);
  });
  return Promise.all(all);
}

const untilAnswers = (proxy: ProxyProcess, expected: readonly string[]) =>
  until(
    `${proxy.isEnvoy ? "Envoy" : "outrigger"} to answer ${expected.join(" ")}`,
    () => answers(proxy),
    (given) => given.join() === expected.join(),
  );

const envoy = findEnvoy();

suite("scoped routes", { concurrency: 3 }, () => {
  for (const apiType of ["GRPC", "DELTA_GRPC"]) {
    test(`run (${apiType}) follows SRDS as Envoy does: scopes that come, move and go`, async (t) => {
      const first = [
        scope("one", "r1", "a", "one"),
        scope("two", "r2", "b", "two"),
        scope("bare", "r2", "a", ""),
        routesOf("r1", "first"),
        routesOf("r2", "second"),
      ];
      const server = createControlPlane({ resources: first });
      t.after(() => server.close());
      const config = adsBootstrap(await server.listen("127.0.0.1", 0), apiType);
      await using ours = await ProxyProcess.start(undefined, config);
      await using theirs = envoy === undefined ? undefined : await ProxyProcess.start(envoy, config);
      if (theirs === undefined) t.diagnostic(ENVOY_MISSING);
      const both = [ours, ...(theirs === undefined ? [] : [theirs])];
      const expect = (...expected: readonly string[]) =>
        Promise.all(both.map((proxy) => untilAnswers(proxy, expected)));
      await expect("first", "first", "second", "second", "404", "404", "404", "404");
      // One scope moves to other routes, one takes another's key, one goes, one is new, and routes change.
      server.setResources([
        scope("one", "r3", "a", "one"),
        scope("two", "r2", "c", "two"),
        scope("new", "r1", "b", "two"),
        routesOf("r1", "first, changed"),
        routesOf("r2", "second"),
        routesOf("r3", "third"),
      ]);
      await expect("third", "third", "404", "first, changed", "404", "second", "404", "404");
      server.setResources([routesOf("r1", "first")]);
      await expect(...REQUESTS.map(() => "404"));
      assert.equal(await ours.stat("http.in.scoped_rds.s.update_rejected"), 0);
      assert.ok((await ours.stat("http.in.scoped_rds.s.update_success")) >= 3);
    });
  }

  test("run takes scopes inside the listener as Envoy does", async () => {
    const inline = (name: string, body: string, ...key: readonly string[]) => {
      const route = { match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: body } } };
      const route_configuration = { name: body, virtual_hosts: [{ name: "all", domains: ["*"], routes: [route] }] };
      return { name, key: { fragments: key.map((each) => ({ string_key: each })) }, route_configuration };
    };
    const scoped_route_configurations = [
      inline("one", "first", "a", "one"),
      inline("two", "second", "b", "two"),
      inline("again", "third", "a", "one"),
    ];
    const scopes = { scoped_route_configurations_list: { scoped_route_configurations } };
    const config = bootstrap({ listeners: [withScopes(scopes)], clusters: [] });
    await using ours = await ProxyProcess.start(undefined, config);
    const expected = ["third", "third", "404", "second", "404", "404", "404", "404"];
    assert.deepEqual(await answers(ours), expected);
    if (envoy !== undefined) {
      await using theirs = await ProxyProcess.start(envoy, config);
      assert.deepEqual(await answers(theirs), expected);
    }
  });
});
