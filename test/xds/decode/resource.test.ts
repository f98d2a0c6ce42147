// decodeResource(): the model that comes out, Envoy's defaults in it, the policy for unknown fields, plugins and runtime.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, fromJson, toBinary, type JsonValue } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema } from "../../../xds/gen/envoy/config/core/v3/extension_pb.ts";
import { formatIssues } from "../../../xds/decode/issues.ts";
import { messageTypes } from "../../../xds/decode/registry.ts";
import { decodeResource, resourceName, RUNTIME_TYPE, type Resource } from "../../../xds/decode/resource.ts";
import type { PluginConfig } from "../../../xds/model/plugin-config.ts";
import {
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
} from "../../../xds/type-urls.ts";

const ROUTER_REST = { startChildSpan: false, strictCheckHeaders: [], respectExpectedTimeout: false };

const PREFIX = "type.googleapis.com/";
const HCM = `${PREFIX}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const WASM = `${PREFIX}envoy.extensions.filters.http.wasm.v3.Wasm`;
const ROUTER = { name: "router", typed_config: { "@type": `${PREFIX}envoy.extensions.filters.http.router.v3.Router` } };

function bytes(typeUrl: string, json: JsonValue): Uint8Array {
  const any = fromJson(AnySchema, { "@type": typeUrl, ...(json as object) }, { registry: messageTypes });
  return any.value;
}

type Values = { [R in Resource as R["kind"]]: R["value"] };

function decode<K extends keyof Values>(kind: K, typeUrl: string, json: JsonValue): Values[K] {
  const decoded = decodeResource(typeUrl, bytes(typeUrl, json));
  assert.ok(decoded.ok, decoded.ok ? "" : formatIssues(decoded.issues));
  assert.equal(decoded.value.kind, kind);
  return decoded.value.value as Values[K];
}

function issues(typeUrl: string, json: JsonValue): string {
  const decoded = decodeResource(typeUrl, bytes(typeUrl, json));
  return decoded.ok ? "" : formatIssues(decoded.issues);
}

function httpListener(hcm: object, filters: readonly object[] = [ROUTER]): JsonValue {
  const typed = { "@type": HCM, stat_prefix: "s", http_filters: filters, route_config: { virtual_hosts: [] }, ...hcm };
  return {
    name: "l",
    address: { socket_address: { address: "127.0.0.1", port_value: 80 } },
    filter_chains: [{ filters: [{ name: "hcm", typed_config: typed }] }],
  } as unknown as JsonValue;
}

test("decodeResource() fills in Envoy's defaults of a listener and its connection manager", () => {
  const listener = decode("listener", LISTENER_TYPE, httpListener({}));
  const { filterChains, ...rest } = listener;
  assert.deepEqual(rest, {
    name: "l",
    statPrefix: "127.0.0.1:80",
    address: { kind: "tcp", host: "127.0.0.1", port: 80 },
    additionalAddresses: [],
    trafficDirection: "unspecified",
    bindToPort: true,
    reusePort: true,
    tcpBacklog: 128,
    perConnectionBufferLimitBytes: 1_048_576,
    interception: {
      restoresDestination: false,
      handsOff: false,
      source: undefined,
      transparent: false,
      freebind: false,
      socketOptions: [],
    },
    listenerFilters: [],
    listenerFiltersTimeoutMs: 15_000,
    drainType: "default",
    defaultFilterChain: undefined,
    accessLogs: [],
    metadata: undefined,
  });
  const hcm = filterChains[0]?.filter;
  assert.ok(hcm?.kind === "http");
  assert.deepEqual(
    [hcm.streamIdleTimeoutMs, hcm.requestTimeoutMs, hcm.idleTimeoutMs, hcm.drainTimeoutMs, hcm.delayedCloseTimeoutMs],
    [300_000, 0, 3_600_000, 5_000, 1_000],
  );
  assert.deepEqual([hcm.maxRequestHeadersBytes, hcm.maxHeadersCount, hcm.serverName], [61_440, 100, "envoy"]);
  assert.deepEqual([hcm.generateRequestId, hcm.useRemoteAddress, hcm.allowAbsoluteUrl], [true, false, true]);
  assert.deepEqual(hcm.httpFilters, [
    {
      name: "router",
      disabled: false,
      isOptional: false,
      config: { kind: "router", suppressEnvoyHeaders: false, ...ROUTER_REST },
    },
  ]);
});

test("decodeResource() decodes a route table with every kind of action and matcher", () => {
  const table = decode("route", ROUTE_TYPE, {
    name: "r",
    virtual_hosts: [
      {
        name: "h",
        domains: ["*.example.test", "*"],
        routes: [
          {
            match: { prefix: "/a", headers: [{ name: "X-A", string_match: { exact: "1" }, invert_match: true }] },
            route: { cluster: "c", timeout: "1.5s", prefix_rewrite: "/b", host_rewrite_literal: "h.test" },
          },
          {
            match: { safe_regex: { regex: "/r/\\d+" }, query_parameters: [{ name: "q", present_match: true }] },
            route: {
              weighted_clusters: {
                clusters: [
                  { name: "x", weight: 1 },
                  { name: "y", weight: 2 },
                ],
              },
            },
          },
          { match: { path: "/p", case_sensitive: false }, redirect: { path_redirect: "/q", response_code: "FOUND" } },
          { match: { path_separated_prefix: "/s" }, direct_response: { status: 404, body: { inline_string: "no" } } },
        ],
      },
    ],
  });
  const [forward, weighted, redirect, direct] = table.virtualHosts[0]?.routes ?? [];
  assert.deepEqual(forward?.match.path, { kind: "prefix", value: "/a", caseSensitive: true });
  assert.deepEqual(forward?.match.headers, [
    {
      name: "x-a",
      invert: true,
      treatMissingAsEmpty: false,
      kind: "string",
      matcher: { kind: "exact", value: "1", ignoreCase: false },
    },
  ]);
  assert.ok(forward?.action.kind === "forward");
  assert.deepEqual([forward.action.timeoutMs, forward.action.prefixRewrite], [1500, "/b"]);
  assert.deepEqual(forward.action.hostRewrite, { kind: "literal", value: "h.test" });
  assert.ok(weighted?.action.kind === "forward" && weighted.action.cluster.kind === "weighted");
  assert.equal(weighted.action.cluster.totalWeight, 3);
  assert.equal(weighted.action.timeoutMs, 15_000);
  assert.ok(redirect?.action.kind === "redirect");
  assert.deepEqual([redirect.action.status, redirect.action.pathRedirect], [302, "/q"]);
  assert.deepEqual(direct?.action, {
    kind: "direct_response",
    bodyFormat: undefined,
    status: 404,
    body: { kind: "bytes", bytes: Buffer.from("no") },
  });
});

test("decodeResource() keeps the sub-millisecond part of a duration from becoming 0, which turns a timeout off", () => {
  const json = {
    name: "r",
    virtual_hosts: [
      {
        name: "h",
        domains: ["*"],
        routes: [{ match: { prefix: "/" }, route: { cluster: "c", timeout: "0.000001s" } }],
      },
    ],
  };
  const action = decode("route", ROUTE_TYPE, json).virtualHosts[0]?.routes[0]?.action;
  assert.equal(action?.kind === "forward" && action.timeoutMs, 1);
});

test("decodeResource() decodes clusters and endpoints", () => {
  const cluster = decode("cluster", CLUSTER_TYPE, {
    name: "c",
    type: "EDS",
    eds_cluster_config: { eds_config: { ads: {}, initial_fetch_timeout: "0s" }, service_name: "s" },
    circuit_breakers: { thresholds: [{ priority: "HIGH", max_connections: 7 }] },
  });
  const source = { kind: "ads", initialFetchTimeoutMs: 0 };
  assert.deepEqual(cluster.discovery, { kind: "eds", serviceName: "s", source });
  assert.deepEqual(
    cluster.circuitBreakers.map(({ priority, maxConnections, maxRetries }) => [priority, maxConnections, maxRetries]),
    [
      ["default", 1024, 3],
      ["high", 7, 3],
    ],
  );
  assert.deepEqual(
    [cluster.connectTimeoutMs, cluster.healthyPanicThreshold, cluster.upstreamProtocol],
    [5000, 50, "http1"],
  );
  const assignment = decode("endpoints", ENDPOINTS_TYPE, {
    cluster_name: "s",
    endpoints: [
      {
        priority: 1,
        lb_endpoints: [
          {
            health_status: "DRAINING",
            load_balancing_weight: 3,
            endpoint: { address: { socket_address: { address: "::1", port_value: 8080 } } },
          },
        ],
      },
    ],
    policy: { drop_overloads: [{ category: "d", drop_percentage: { numerator: 5, denominator: "TEN_THOUSAND" } }] },
  });
  assert.deepEqual(assignment.localities[0]?.endpoints, [
    {
      address: { kind: "tcp", host: "::1", port: 8080 },
      hostname: "",
      health: "draining",
      weight: 3,
      metadata: undefined,
      socketMatch: undefined,
    },
  ]);
  assert.deepEqual(assignment.dropOverloads, [{ category: "d", percent: 0.05 }]);
});

test("decodeResource() reports every problem of a resource, with its path", () => {
  const json = {
    name: "",
    connect_timeout: "0s",
    lb_policy: "MAGLEV",
    type: "EDS",
    outlier_detection: { max_ejection_percent: 101 },
  };
  assert.equal(
    issues(CLUSTER_TYPE, json),
    "name: must not be empty; connect_timeout: is 0s, must be greater than 0s; " +
      "outlier_detection.max_ejection_percent: is 101, must be at most 100; " +
      "eds_cluster_config.eds_config: is required in a cluster of type EDS",
  );
});

suite("decodeResource() and unknown fields", () => {
  // Field 4000 of Cluster, as a newer control plane could send it.
  const unknown = Buffer.from([0x82, 0xfa, 0x01, 0x01, 0x78]);
  const good = Buffer.concat([toBinary(ClusterSchema, create(ClusterSchema, { name: "c" })), unknown]);

  test("warns by default", () => {
    const decoded = decodeResource(CLUSTER_TYPE, good);
    assert.ok(decoded.ok);
    assert.deepEqual(decoded.warnings, [
      {
        kind: "unknown_field",
        path: "",
        field: "envoy.config.cluster.v3.Cluster#4000",
        problem: "unknown field number 4000 of envoy.config.cluster.v3.Cluster",
      },
    ]);
  });

  test("refuses when told to, and ignores when told to", () => {
    assert.equal(decodeResource(CLUSTER_TYPE, good, { unknownFields: "refuse" }).ok, false);
    const ignored = decodeResource(CLUSTER_TYPE, good, { unknownFields: "ignore" });
    assert.deepEqual([ignored.ok, ignored.warnings], [true, []]);
  });

  test("finds them inside an Any, too", () => {
    const any = anyPack(ClusterSchema, create(ClusterSchema, { name: "c" }));
    any.typeUrl = `${PREFIX}envoy.extensions.filters.http.router.v3.Router`;
    any.value = unknown;
    const typed = create(TypedExtensionConfigSchema, { name: "n", typedConfig: any });
    const decoded = decodeResource(EXTENSION_CONFIG_TYPE, toBinary(TypedExtensionConfigSchema, typed));
    assert.equal(decoded.warnings[0]?.path, "typed_config");
  });
});

test("decodeResource() refuses bytes that do not parse, and types that it does not know", () => {
  assert.match(
    formatted(decodeResource(CLUSTER_TYPE, Buffer.from([0xff]))),
    /^does not parse as envoy\.config\.cluster\.v3\.Cluster: /,
  );
  assert.match(
    formatted(decodeResource(`${PREFIX}made.Up`, Buffer.from([]))),
    /^resource type type\.googleapis\.com\/made\.Up is not supported/,
  );
});

function formatted(decoded: ReturnType<typeof decodeResource>): string {
  return decoded.ok ? "" : formatIssues(decoded.issues);
}

test("resourceName() reads the name without validating the rest", () => {
  assert.equal(resourceName(CLUSTER_TYPE, bytes(CLUSTER_TYPE, { name: "c", connect_timeout: "0s" })), "c");
  assert.equal(resourceName(ENDPOINTS_TYPE, bytes(ENDPOINTS_TYPE, { cluster_name: "e" })), "e");
  assert.equal(resourceName(CLUSTER_TYPE, Buffer.from([0xff])), undefined);
});

suite("decodeResource() and plugins", () => {
  const decodePlugin = (json: JsonValue): PluginConfig => {
    const { config } = decode("plugin", EXTENSION_CONFIG_TYPE, json);
    assert.ok(config.kind === "wasm");
    return config.plugin;
  };
  const code = { local: { inline_bytes: "AGFzbQ==" } };

  test("takes a plugin's configuration as Envoy does: text of a StringValue, bytes of a BytesValue, else serialised", () => {
    const plugin = (configuration: object) =>
      decodePlugin({
        name: "filter",
        typed_config: { "@type": WASM, config: { vm_config: { code }, configuration } },
      } as unknown as JsonValue);
    const text = plugin({ "@type": `${PREFIX}google.protobuf.StringValue`, value: '{"a":1}' });
    assert.equal(Buffer.from(text.configuration).toString(), '{"a":1}');
    assert.deepEqual([text.name, text.failurePolicy, text.vmId], ["filter", "closed", ""]);
    const raw = plugin({ "@type": `${PREFIX}google.protobuf.BytesValue`, value: "AQI=" });
    assert.deepEqual([...raw.configuration], [1, 2]);
    const struct = plugin({ "@type": `${PREFIX}google.protobuf.Struct`, value: { a: "b" } });
    assert.equal(Buffer.from(struct.configuration).toString("hex"), "0a080a016112031a0162");
  });

  test("decodes failure policy, environment and capabilities", () => {
    const plugin = decodePlugin({
      name: "filter",
      typed_config: {
        "@type": WASM,
        config: {
          name: "plugin",
          root_id: "root",
          failure_policy: "FAIL_RELOAD",
          reload_config: { backoff: { base_interval: "2s" } },
          vm_config: {
            vm_id: "vm",
            runtime: "envoy.wasm.runtime.v8",
            code: { local: { filename: "m.wasm" } },
            environment_variables: { host_env_keys: ["HOME"], key_values: { A: "b" } },
            capability_restriction_config: { allowed_capabilities: { proxy_log: {} } },
          },
        },
      },
    });
    assert.deepEqual(
      [plugin.name, plugin.rootId, plugin.vmId, plugin.failurePolicy, plugin.reloadBackoffMs],
      ["plugin", "root", "vm", "reload", 2000],
    );
    assert.deepEqual(plugin.code, { kind: "file", path: "m.wasm" });
    assert.deepEqual(
      [plugin.hostEnvironmentKeys, plugin.environment, plugin.allowedCapabilities],
      [["HOME"], { A: "b" }, ["proxy_log"]],
    );
  });

  test("decodes remote code", () => {
    const sha256 = "AB".repeat(32);
    const http_uri = { uri: "http://h/m.wasm", cluster: "c", timeout: "5s" };
    const config = { vm_config: { code: { remote: { http_uri, sha256, retry_policy: { num_retries: 2 } } } } };
    const json = { name: "filter", typed_config: { "@type": WASM, config } };
    const { code } = decodePlugin(json);
    assert.partialDeepStrictEqual(code, {
      kind: "remote",
      uri: "http://h/m.wasm",
      cluster: "c",
      timeoutMs: 5000,
      sha256: sha256.toLowerCase(),
      retries: 2,
    });
  });

  test("refuses another runtime, missing code and a variable given twice", () => {
    const vm = {
      runtime: "envoy.wasm.runtime.wamr",
      environment_variables: { host_env_keys: ["A"], key_values: { A: "" } },
    };
    const text = issues(
      LISTENER_TYPE,
      httpListener({}, [{ name: "w", typed_config: { "@type": WASM, config: { vm_config: vm } } }, ROUTER]),
    );
    const path = "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.config.vm_config";
    assert.equal(
      text,
      `${path}.runtime: wasm runtime "envoy.wasm.runtime.wamr" is not available; use "envoy.wasm.runtime.v8" or leave it out; ` +
        `${path}.environment_variables.host_env_keys[0]: "A" is given twice; ` +
        `${path}.code: is required: local (a file or inline bytes) or remote`,
    );
  });
});

test("decodeResource() reads an extension that comes as a TypedStruct", () => {
  const typed = {
    "@type": `${PREFIX}xds.type.v3.TypedStruct`,
    type_url: `${PREFIX}envoy.extensions.filters.http.router.v3.Router`,
    value: { suppress_envoy_headers: true },
  };
  const listener = decode("listener", LISTENER_TYPE, httpListener({}, [{ name: "r", typed_config: typed }]));
  const hcm = listener.filterChains[0]?.filter;
  assert.ok(hcm?.kind === "http");
  assert.deepEqual(hcm.httpFilters[0]?.config, { kind: "router", suppressEnvoyHeaders: true, ...ROUTER_REST });
});

test("decodeResource() leaves out what changes no route and protects nothing, with a warning, and refuses what decides", () => {
  const filter = (type: string) => ({
    name: type,
    typed_config: { "@type": `${PREFIX}xds.type.v3.TypedStruct`, type_url: `${PREFIX}${type}`, value: {} },
  });
  const decoded = decodeResource(
    LISTENER_TYPE,
    bytes(LISTENER_TYPE, httpListener({}, [filter("envoy.extensions.filters.http.compressor.v3.Compressor"), ROUTER])),
  );
  assert.ok(decoded.ok);
  assert.deepEqual(
    decoded.warnings.map(({ field }) => field),
    ["envoy.extensions.filters.http.compressor.v3.Compressor"],
  );
  const rbac = issues(LISTENER_TYPE, httpListener({}, [filter("envoy.extensions.filters.http.rbac.v3.RBAC"), ROUTER]));
  assert.match(rbac, /HTTP filter envoy\.extensions\.filters\.http\.rbac\.v3\.RBAC is not supported/);
});

test("decodeResource() flattens a runtime layer", () => {
  const layer = { a: { b: 1, c: { numerator: 1, denominator: "HUNDRED" } }, "x.y": true, n: null };
  const runtime = decode("runtime", RUNTIME_TYPE, { name: "rtds", layer });
  assert.deepEqual(runtime, { "a.b": 1, "a.c": { numerator: 1, denominator: "HUNDRED" }, "x.y": true });
});

test("formatIssues() says how many it leaves out", () => {
  const many = Array.from({ length: 9 }, (_, index) => ({ path: `p[${index}]`, problem: "is wrong" }));
  assert.equal(formatIssues(many, 40), "p[0]: is wrong; p[1]: is wrong; and 7 more");
});

test("decodeResource() holds a bounded number of issues", () => {
  const endpoints = Array.from({ length: 1000 }, () => ({ lb_endpoints: [{ endpoint: {} }] }));
  const decoded = decodeResource(ENDPOINTS_TYPE, bytes(ENDPOINTS_TYPE, { cluster_name: "e", endpoints }));
  assert.ok(!decoded.ok);
  assert.equal(decoded.issues.length, 201);
  assert.equal(decoded.issues.at(-1)?.problem, "800 more problems");
});
