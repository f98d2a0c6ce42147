// typed_per_filter_config at each of its levels.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { decodePerFilterConfig } from "../../../xds/decode/per-filter-config.ts";
import { Findings, formatIssue } from "../../../xds/decode/issues.ts";
import { messageTypes } from "../../../xds/decode/registry.ts";
import { decodeRouteConfiguration } from "../../../xds/decode/route.ts";
import { RouteConfigurationSchema } from "../../../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { PerFilterConfig } from "../../../xds/model/route.ts";

const PREFIX = "type.googleapis.com/";
const FILTER_CONFIG = `${PREFIX}envoy.config.route.v3.FilterConfig`;
const WASM = `${PREFIX}envoy.extensions.filters.http.wasm.v3.Wasm`;
const OFF = { "@type": FILTER_CONFIG, disabled: true };
const ON = { "@type": FILTER_CONFIG, config: {} };

function plugin(text: string): JsonValue {
  return { "@type": WASM, config: { configuration: { "@type": `${PREFIX}google.protobuf.StringValue`, value: text } } };
}

function decode(configs: { [name: string]: JsonValue }): {
  value: PerFilterConfig;
  issues: string[];
  findings: Findings;
} {
  const message = fromJson(RouteConfigurationSchema, { typed_per_filter_config: configs }, { registry: messageTypes });
  const findings = new Findings();
  const value = decodePerFilterConfig(message.typedPerFilterConfig, "r", findings);
  return { value, issues: findings.issues.map(formatIssue), findings };
}

const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString());

test("decodePerFilterConfig() switches filters off and on", () => {
  const { value, issues } = decode({ a: OFF, b: ON, c: { ...OFF, config: { "@type": WASM } } });
  assert.deepEqual(issues, []);
  assert.deepEqual(value, {
    a: { disabled: true, configuration: undefined },
    b: { disabled: false, configuration: undefined },
    c: { disabled: true, configuration: undefined },
  });
});

test("decodePerFilterConfig() gives a plugin its configuration, with and without the envelope", () => {
  const bare = { "@type": `${PREFIX}envoy.extensions.wasm.v3.PluginConfig` };
  const { value, issues } = decode({
    a: plugin("one"),
    b: { "@type": FILTER_CONFIG, config: plugin("two") },
    c: { ...bare, configuration: { "@type": `${PREFIX}google.protobuf.StringValue`, value: "three" } },
  });
  assert.deepEqual(issues, []);
  assert.equal(text(value["c"]?.configuration), "three");
  assert.deepEqual([text(value["a"]?.configuration), value["a"]?.disabled], ["one", false]);
  assert.deepEqual([text(value["b"]?.configuration), value["b"]?.disabled], ["two", false]);
});

test("decodePerFilterConfig() takes a plugin with a VM of its own for another plugin, whole", () => {
  const config = { root_id: "r", vm_config: { code: { local: { inline_string: "code" } } } };
  const { value, issues } = decode({ filter: { "@type": WASM, config } });
  assert.deepEqual(issues, []);
  const { disabled, configuration, plugin: other } = value["filter"] ?? {};
  assert.deepEqual([disabled, configuration, other?.name, other?.rootId], [false, undefined, "filter", "r"]);
  assert.equal(other?.code.kind, "bytes");
});

test("decodePerFilterConfig() refuses what belongs to the filter, and settings of filters that have none", () => {
  const { issues } = decode({
    a: { "@type": WASM, config: { ...(plugin("x") as { config: object }).config, root_id: "r" } },
    v: { "@type": WASM, config: { vm_config: {} } },
    b: { "@type": WASM },
    c: { "@type": `${PREFIX}envoy.extensions.filters.http.router.v3.Router` },
    d: { "@type": FILTER_CONFIG },
  });
  assert.deepEqual(issues.length, 5);
  const [root, vm, empty, router, nothing] = issues as [string, string, string, string, string];
  assert.match(root, /^r\.typed_per_filter_config\["a"\]\.config\.root_id: belongs to the filter/);
  assert.match(vm, /\["v"\]\.config\.vm_config\.code: is required/);
  assert.match(empty, /\["b"\]\.config\.configuration: is required/);
  assert.match(
    router,
    /\["c"\]: per-route configuration envoy\.extensions\.filters\.http\.router\.v3\.Router is not supp/,
  );
  assert.match(nothing, /\["d"\]\.config: is required, empty to enable the filter/);
});

test("decodePerFilterConfig() leaves optional settings out with a warning", () => {
  const config = { "@type": `${PREFIX}envoy.extensions.filters.http.router.v3.Router` };
  const { value, issues, findings } = decode({ a: { "@type": FILTER_CONFIG, is_optional: true, config } });
  assert.deepEqual([issues, value], [[], { a: { disabled: false, configuration: undefined } }]);
  assert.equal(findings.warnings[0]?.kind, "no_effect");
});

test("decodePerFilterConfig() refuses settings of filters that protect, optional or not, and takes those without effect", () => {
  const of = (type: string) => ({
    "@type": `${PREFIX}xds.type.v3.TypedStruct`,
    type_url: `${PREFIX}envoy.extensions.filters.http.${type}`,
    value: { a: 1 },
  });
  const { issues } = decode({
    rbac: { "@type": FILTER_CONFIG, is_optional: true, config: of("rbac.v3.RBACPerRoute") },
    jwt: of("jwt_authn.v3.PerRouteConfig"),
  });
  assert.equal(issues.length, 2);
  for (const issue of issues) assert.match(issue, /is not supported, and without it what is behind it is unprotected$/);
  const session = decode({ session: of("stateful_session.v3.StatefulSessionPerRoute") });
  assert.deepEqual(session.issues, []);
  assert.match(session.findings.warnings[0]?.problem ?? "", /without effect: hosts are picked without affinity$/);
});

test("decodePerFilterConfig() takes any filter name", () => {
  const { value } = decode(JSON.parse(`{"__proto__": ${JSON.stringify(OFF)}}`) as { [name: string]: JsonValue });
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.deepEqual(Object.keys(value), ["__proto__"]);
});

test("decodeRouteConfiguration() keeps overrides of every level apart", () => {
  const at = (name: string) => ({ typed_per_filter_config: { [name]: OFF } });
  const clusters = [{ name: "c", weight: 1, ...at("weighted") }];
  const route = { match: { prefix: "/" }, route: { weighted_clusters: { clusters } }, ...at("route") };
  const json = { ...at("table"), virtual_hosts: [{ name: "v", domains: ["*"], routes: [route], ...at("host") }] };
  const message = fromJson(RouteConfigurationSchema, json, { registry: messageTypes });
  const table = decodeRouteConfiguration(message, "", new Findings());
  const [host] = table.virtualHosts;
  const action = host?.routes[0]?.action;
  assert.ok(action?.kind === "forward" && action.cluster.kind === "weighted");
  const levels = [table, host, host?.routes[0], action.cluster.clusters[0]];
  assert.deepEqual(
    levels.map((level) => Object.keys(level?.perFilterConfig ?? {})),
    [["table"], ["host"], ["route"], ["weighted"]],
  );
});

test("a virtual host says whether any level of it has configuration", () => {
  const of = (own: object, ofRoute: object, ofWeighted: object): boolean | undefined => {
    const clusters = [{ name: "c", weight: 1, ...ofWeighted }];
    const message = fromJson(
      RouteConfigurationSchema,
      {
        name: "r",
        virtual_hosts: [
          {
            name: "h",
            domains: ["*"],
            routes: [
              { match: { prefix: "/plain" }, route: { cluster: "c" } },
              { match: { prefix: "/" }, route: { weighted_clusters: { clusters } }, ...ofRoute },
            ],
            ...own,
          },
        ],
      } as JsonValue,
      { registry: messageTypes },
    );
    return decodeRouteConfiguration(message, "", new Findings()).virtualHosts[0]?.hasFilterConfig;
  };
  const some = { typed_per_filter_config: { a: OFF } };
  assert.equal(of({}, {}, {}), false);
  assert.equal(of(some, {}, {}), true);
  assert.equal(of({}, some, {}), true);
  assert.equal(of({}, {}, some), true);
});
