// Filters that come by name (ECDS), plugins and the proxy's own, under a tree of matchers or not: Envoy and outrigger, each told the
// same by a scripted control plane, pass the same filters by after each change, and refuse the same versions.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { messageTypes } from "../../xds/decode/registry.ts";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import { EXTENSION_CONFIG_TYPE } from "../../xds/type-urls.ts";
import { bootstrap, cluster, guest, http2Cluster, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeControlPlane, type FakeStream } from "../support/fake-control-plane.ts";
import { answerTo } from "../support/control-plane-story.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { startOrigin, until } from "../support/sidecar-story.ts";
import { delta } from "../support/xds-scene.ts";

const TYPE = "type.googleapis.com/envoy.extensions";
const MATCHER = `${TYPE}.common.matching.v3.ExtensionWithMatcher`;
const MUTATION = `${TYPE}.filters.http.header_mutation.v3.HeaderMutation`;
const WASM = `${TYPE}.filters.http.wasm.v3.Wasm`;
const ADS = { ads: {}, resource_api_version: "V3" };
const SKIP = {
  action: { name: "skip", typed_config: { "@type": `${TYPE}.filters.common.matcher.action.v3.SkipFilter` } },
};

const field = (header_name: string, exact: string, on_match: object = SKIP) => ({
  matcher_list: {
    matchers: [
      {
        on_match,
        predicate: {
          single_predicate: {
            input: {
              name: "input",
              typed_config: {
                "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                header_name,
              },
            },
            value_match: { exact },
          },
        },
      },
    ],
  },
});
const mutation = (value: string) => ({
  "@type": MUTATION,
  mutations: { response_mutations: [{ append: { header: { key: "x-passed", value } } }] },
});
const under = (xds_matcher: object | undefined, typed_config: object) => ({
  "@type": MATCHER,
  ...(xds_matcher === undefined ? {} : { xds_matcher }),
  extension_config: { name: "inner", typed_config },
});
const plugin = (value: string) =>
  (wasmFilter("plugged", guest("headers"), `response add x-passed ${value}`) as { typed_config: object }).typed_config;
/** Also one that is refused. */
const named = (name: string, typed_config: object): readonly FileResource[] => {
  const json = { "@type": EXTENSION_CONFIG_TYPE, name, typed_config } as unknown as JsonValue;
  const { value } = fromJson(AnySchema, json, { registry: messageTypes });
  return [{ typeUrl: EXTENSION_CONFIG_TYPE, name, value }];
};

const discovered = (name: string, more: object = {}) => ({
  name,
  config_discovery: {
    config_source: { ...ADS, initial_fetch_timeout: "0s" },
    type_urls: [MATCHER, MUTATION, WASM],
    ...more,
  },
});

/** The composite filter, with filters that come by name. */
const source = (more: object = {}) =>
  discovered("", { ...more, type_urls: [MATCHER, MUTATION, WASM] }).config_discovery;
const execute = (name: string, config_discovery: object) => ({
  action: {
    name: "execute",
    typed_config: {
      "@type": `${TYPE}.filters.http.composite.v3.ExecuteFilterAction`,
      dynamic_config: { name, config_discovery },
    },
  },
});
const COMPOSITE = {
  name: "composite",
  typed_config: under(
    {
      matcher_tree: {
        input: {
          name: "input",
          typed_config: {
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            header_name: "d",
          },
        },
        exact_match_map: {
          map: {
            one: execute("one", source()),
            two: execute(
              "two",
              source({ default_config: mutation("two by default"), apply_default_config_without_warming: true }),
            ),
          },
        },
      },
    },
    { "@type": `${TYPE}.filters.http.composite.v3.Composite` },
  ),
};

function config(xds: number, origin: number): object {
  const standing = {
    default_config: under(field("x", "a"), mutation("default")),
    apply_default_config_without_warming: true,
    type_urls: [MATCHER, MUTATION],
  };
  const filters = [discovered("alone"), discovered("standing", standing), discovered("plugged"), COMPOSITE];
  const ads_config = {
    api_type: "DELTA_GRPC",
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
  };
  return bootstrap({
    listeners: [listener("in", { filters })],
    clusters: [cluster("origin", [origin]), http2Cluster("xds", xds)],
    more: { dynamic_resources: { ads_config } },
  });
}

/** What each request met: the status, and which filters it passed. */
async function passed(proxy: ProxyProcess): Promise<readonly string[]> {
  const results: string[] = [];
  for (const headers of [{}, { x: "a" }, { y: "b" }, { d: "one" }, { d: "two" }, { d: "one", x: "a" }] as Record<
    string,
    string
  >[]) {
    const response = await fetch(`http://127.0.0.1:${proxy.port("in")}/`, { headers });
    await response.arrayBuffer();
    results.push(`${response.status} ${response.headers.get("x-passed") ?? ""}`);
  }
  return results;
}

async function wanted(stream: FakeStream, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    await stream.requests.first(`a subscription to ${name}`, ({ request }) => {
      return request.kind === "delta" && request.typeUrl === EXTENSION_CONFIG_TYPE && request.subscribe.includes(name);
    });
  }
}

const BAD_TREE = /"alone": typed_config\.\S*xds_matcher\.matcher_list\.matchers\[0\]\.on_match/;
const OTHER_TYPE =
  /"standing": typed_config: is of type \S+Wasm, but listener "in" takes \S+ExtensionWithMatcher, \S+HeaderMutation$/;
const NO_ACTION = field("x", "a", {});
const CHANGES: readonly (readonly [name: string, content: object | undefined])[] = [
  ["alone", under(field("y", "b"), mutation("two"))],
  ["alone", under(NO_ACTION, mutation("bad"))],
  ["alone", under(undefined, mutation("never"))],
  ["alone", mutation("bare")],
  ["standing", under(field("y", "b"), mutation("other"))],
  ["plugged", under({ on_no_match: SKIP }, plugin("always-skipped"))],
  ["plugged", under(field("y", "b"), plugin("p2"))],
  ["standing", plugin("of another type")],
  ["standing", undefined],
  ["plugged", under(field("x", "a"), mutation("no-plugin"))],
  ["alone", undefined],
  ["alone", under(field("x", "a"), mutation("back"))],
  ["one", plugin("executed plugin")],
  ["one", under(field("x", "a"), mutation("executed under a tree"))],
  ["two", mutation("two as it came")],
  ["two", undefined],
  ["one", undefined],
];

async function story(t: TestContext, envoy: string | undefined): Promise<readonly unknown[]> {
  const server = new FakeControlPlane();
  t.after(() => server.close());
  const origin = await startOrigin(t, "origin");
  const starting = ProxyProcess.start(envoy, config(await server.listen(), origin));
  const stream = await server.nextStream();
  await wanted(stream, "alone", "plugged", "one");
  const first = [
    ...named("alone", under(field("x", "a"), mutation("one"))),
    ...named("plugged", under(field("x", "a"), plugin("p1"))),
    ...named("one", mutation("executed")),
  ];
  stream.send(delta(EXTENSION_CONFIG_TYPE, "first", first));
  await using proxy = await starting;
  const seen: unknown[] = [await passed(proxy)];
  let last = JSON.stringify(seen[0]);
  for (const [index, [name, content]] of CHANGES.entries()) {
    const nonce = `n${index}`;
    const added = content === undefined ? [] : named(name, content);
    stream.send(delta(EXTENSION_CONFIG_TYPE, nonce, added, content === undefined ? [name] : []));
    const refusal = await answerTo(stream, nonce);
    const before = last;
    if (refusal === "") {
      await until(
        "the change is in use",
        () => passed(proxy),
        (all) => JSON.stringify(all) !== before,
      );
    }
    const now = await passed(proxy);
    last = JSON.stringify(now);
    seen.push([name, refusal === "" ? "taken" : "refused", now]);
    if (envoy === undefined && refusal !== "") {
      assert.match(refusal, name === "alone" ? BAD_TREE : OTHER_TYPE);
    }
  }
  return seen;
}

const envoy = findEnvoy();

test("filters that come by name pass as in Envoy", { skip: envoy === undefined ? ENVOY_MISSING : false }, async (t) => {
  const [ours, theirs] = await Promise.all([story(t, undefined), story(t, envoy)]);
  assert.deepEqual(ours, theirs);
});
