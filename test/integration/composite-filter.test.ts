// The composite filter: Envoy and outrigger with the same bootstrap have the same filter run for the same request.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { startOrigin } from "../support/sidecar-story.ts";

const TYPE = "type.googleapis.com/envoy.extensions";
const HTTP = `${TYPE}.filters.http`;
const MATCHER = `${TYPE}.common.matching.v3.ExtensionWithMatcher`;

const extension = (type: string, fields: object = {}) => ({ name: "it", typed_config: { "@type": type, ...fields } });
const SKIP = { action: extension(`${TYPE}.filters.common.matcher.action.v3.SkipFilter`) };
const input = (of: string, header_name: string) =>
  extension(`type.googleapis.com/envoy.type.matcher.v3.Http${of}HeaderMatchInput`, { header_name });
const value = (of: string, header: string, exact: string) => ({
  single_predicate: { input: input(of, header), value_match: { exact } },
});
const list = (...matchers: readonly (readonly [predicate: object, on_match: object])[]) => ({
  matcher_list: { matchers: matchers.map(([predicate, on_match]) => ({ predicate, on_match })) },
});
const execute = (typed_config: object, sample?: number) => ({
  action: extension(`${HTTP}.composite.v3.ExecuteFilterAction`, {
    typed_config,
    ...(sample === undefined
      ? {}
      : { sample_percent: { default_value: { numerator: sample }, runtime_key: "sample" } }),
  }),
});
const added = (value: string) => [{ append: { header: { key: "x-ran", value } } }];
const mutation = (text: string) =>
  extension(`${HTTP}.header_mutation.v3.HeaderMutation`, {
    mutations: { request_mutations: added(text), response_mutations: added(text) },
  });
const plugin = (text: string) =>
  wasmFilter("plugin", guest("headers"), `request add x-ran ${text}\nresponse add x-ran ${text}`);
const abort = extension(`${HTTP}.fault.v3.HTTPFault`, {
  abort: { http_status: 418, percentage: { numerator: 100 } },
});

const composite = (name: string, xds_matcher: object) => ({
  name,
  typed_config: { "@type": MATCHER, xds_matcher, extension_config: extension(`${HTTP}.composite.v3.Composite`) },
});

const by = (name: string, map: object) => ({
  matcher_tree: { input: input("Request", name), exact_match_map: { map } },
});
const FILTERS = [
  composite("map", {
    ...by("x-filter", {
      mutation: execute(mutation("mutation")),
      plugin: execute(plugin("plugin")),
      abort: execute(abort),
      never: execute(mutation("never"), 0),
      always: execute(mutation("always"), 100),
      skip: SKIP,
      cors: execute(extension(`${HTTP}.cors.v3.Cors`)),
      nested: { matcher: list([value("Request", "y", "b"), execute(mutation("nested"))]) },
    }),
    on_no_match: execute(mutation("none")),
  }),
  composite("late", list([value("Response", "x-origin", "o"), execute(mutation("late"))])),
  composite("late-plugin", list([value("Response", "x-origin", "o"), execute(plugin("late"))])),
  composite("by-route", by("x-filter", { mutation: execute(mutation("of the filter")) })),
  { name: "bare", typed_config: { "@type": `${HTTP}.composite.v3.Composite` } },
];

const PER_ROUTE = {
  typed_per_filter_config: {
    "by-route": {
      "@type": `${MATCHER}PerRoute`,
      xds_matcher: by("x-filter", { plugin: execute(mutation("of the route")) }),
    },
    map: {
      "@type": `${HTTP}.header_mutation.v3.HeaderMutationPerRoute`,
      mutations: { response_mutations: added("more of the route") },
    },
  },
};
const ROUTES = [
  { match: { prefix: "/route" }, route: { cluster: "origin" }, ...PER_ROUTE },
  {
    match: { prefix: "/direct" },
    direct_response: { status: 200 },
    response_headers_to_add: [{ header: { key: "x-origin", value: "o" } }],
  },
  { match: { prefix: "/" }, route: { cluster: "origin" } },
];
const COUNTERS = ["filter_delegation_success", "filter_delegation_error"].map((name) => `http.in.composite.${name}`);

async function seen(origin: number, envoy: string | undefined): Promise<readonly unknown[]> {
  const listeners = [listener("in", { filters: FILTERS, routes: ROUTES })];
  await using proxy = await ProxyProcess.start(
    envoy,
    bootstrap({ listeners, clusters: [cluster("origin", [origin])] }),
  );
  const results: unknown[] = [];
  for (const path of ["/", "/route", "/direct"]) {
    for (const filter of ["mutation", "plugin", "abort", "never", "always", "skip", "cors", "nested", ""]) {
      // Where a route answers by itself, Envoy adds its fields to its own answers only.
      if (path === "/direct" && filter === "abort") continue;
      for (const y of ["", "b"]) {
        const headers = { "x-filter": filter, ...(y === "" ? {} : { y }) };
        const response = await fetch(`http://127.0.0.1:${proxy.port("in")}${path}`, {
          method: "POST",
          body: "b",
          headers,
        });
        const text = await response.text();
        results.push([path, filter, y, response.status, response.headers.get("x-ran"), text]);
      }
    }
  }
  const stats = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/stats?filter=composite`)).text();
  results.push(stats.split("\n").filter((line) => COUNTERS.some((name) => line.startsWith(name))));
  return results;
}

const envoy = findEnvoy();

test(
  "the composite filter runs what it runs in Envoy",
  { skip: envoy === undefined ? ENVOY_MISSING : false },
  async (t) => {
    const origin = await startOrigin(t, "o");
    const [ours, theirs] = await Promise.all([seen(origin, undefined), seen(origin, envoy)]);
    assert.deepEqual(ours, theirs);
  },
);
