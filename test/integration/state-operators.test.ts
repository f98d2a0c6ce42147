// What plugins keep on streams, and what access logs show of it and of the configuration's metadata: a guest sets properties,
// filter state and expressions, on Envoy and here, with the same bootstrap. Answers and log lines are the same, to the byte.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { writeFields } from "../../plugins/proto-fields.ts";
import { bootstrap, cluster, fileAccessLog, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { type Answers, ProbeClient, probeFilter } from "../support/probe-guest.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";

const hex = (text: string | Uint8Array): string => Buffer.from(text).toString("hex");

/** DeclarePropertyArguments. */
function declaration(name: string, isReadOnly: boolean, type: number, schema: string, span: number): string {
  const fields = [
    [1, Buffer.from(name)],
    [2, isReadOnly ? 1 : 0],
    [3, type],
    [4, Buffer.from(schema)],
    [5, span],
  ] as const;
  return `configure call declare_property ${hex(writeFields(fields))}`;
}

function stateCall(phase: string, key: string, value: string): string {
  const fields = [
    [1, Buffer.from(key)],
    [2, Buffer.from(value)],
  ] as const;
  return `${phase} call set_envoy_filter_state ${hex(writeFields(fields))}`;
}

const OBJECTS: Readonly<Record<string, string>> = {
  "envoy.string": "abc",
  "envoy.hashable_string": "abc",
  "envoy.tcp_proxy.cluster": "c",
  "envoy.network.upstream_server_name": "s.example",
  "envoy.network.application_protocols": "h2,http/1.1",
  "envoy.network.upstream_subject_alt_names": "a,b",
  "envoy.upstream.dynamic_host": "h",
  "envoy.upstream.dynamic_port": "65536",
  "envoy.ratelimit.hits_addend": "3",
  "envoy.network.transport_socket.original_dst_address": "1.2.3.4:80",
  "envoy.filters.listener.original_dst.local_ip": "[::1]:80",
  "envoy.tcp_proxy.per_connection_idle_timeout_ms": "500",
  "envoy.tcp_proxy.disable_tunneling": "true",
  "envoy.network.network_namespace": "/run/ns",
  "envoy.network.ip": "1.2.3.4",
  "envoy.bool": "true",
};

const escaped = (key: string): string => key.replaceAll(".", "\\.");

const EXPRESSIONS = [
  "request.path + '!' + request.headers['x-id']",
  "request.nope",
  "1 + 2",
  "[1, 'a', true]",
  "{'a': 1u}",
  "null",
  "xds.node.metadata.NAME == 'pod' && xds.route_name.startsWith('route')",
  "source.port > 0 && connection.id > 0u",
  "has(request.headers.nope)",
  "'x-id' in request.headers",
  "duration('1s')",
  "plain",
  "plugin_name",
  "st.a",
  "request.headers.map(k, k).exists(k, k == 'x-id')",
  "request",
  "request.path.matches('^/x')",
  "request.path.matches('(a')",
  "b'ab'",
  "filter_state['wasm.plain']",
  "metadata.filter_metadata.istio.foo",
  "source.port == 1.0",
  "1 / 0",
  "response.code",
  "xds.cluster_metadata.filter_metadata.istio.number > 1",
  "nope.foo",
  "request.time - request.time",
  "timestamp('2026-01-02T03:04:05.5Z')",
  "size('\u00e9')",
  "upstream.num_endpoints",
];

const STRUCT = "type.googleapis.com/google.protobuf.Struct";

/** In request order; the guest's name first. */
const SETTER = [
  declaration("ro", true, 0, "", 0),
  declaration("ro", false, 0, "", 0),
  declaration("str", false, 1, "", 1),
  declaration("conn", false, 1, "", 2),
  declaration("st", false, 3, STRUCT, 0),
  "configure call declare_property ff",
  "configure set x 61",
  "request-headers get conn",
  `request-headers set plain ${hex("pl\u00e9")}`,
  `request-headers set plain ${hex("plain2")}`,
  `request-headers set ro ${hex("first")}`,
  `request-headers set str ${hex("string")}`,
  `request-headers set conn ${hex("kept")}`,
  `request-headers set st 0a080a016112031a0162`,
  `request-headers set request ${hex("shadow")}`,
  `request-headers set plugin_name ${hex("shadow")}`,
  "request-headers set empty",
  ...[
    "plain",
    "plain.more",
    "ro",
    "str",
    "st",
    "st.a",
    "st.b",
    "conn",
    "empty",
    "request",
    "plugin_name",
    "wasm\\.plain",
  ].map((path) => `all get ${path}`),
  ...["plain", "wasm\\.plain", "wasm\\.st", "wasm\\.st.a", "wasm\\.conn", "wasm\\.none"].map(
    (path) => `all get filter_state.${path}`,
  ),
  ...Object.entries(OBJECTS).flatMap(([key, value]) => [
    stateCall("request-headers", key, value),
    `log get filter_state.${escaped(key)}`,
    `log get filter_state.${escaped(key)}.ip`,
    `log get filter_state.${escaped(key)}.port`,
  ]),
  ...EXPRESSIONS.map((source) => `configure call expr_create ${hex(source)}`),
  ...EXPRESSIONS.map((_, token) => `request-headers call expr_evaluate ${hex(Uint8Array.of(token, 0, 0, 0))}`),
  ...["1 +", "nofunc(1)", "request.path.startsWith()", ""].map((source) => `tick call expr_create ${hex(source)}`),
  "log call expr_delete 01000000",
  "log call expr_evaluate 01000000",
  "log call expr_evaluate 0100",
  "log call expr_delete 0100",
  stateCall("log", "nope", "v"),
  "log call set_envoy_filter_state ff",
  "log call resolve_lua 31",
];

const READER = ["all get plain", "all get ro", `request-headers set ro ${hex("b")}`, "all get st.a", "log get str"];

const KEYED = Object.keys(OBJECTS).flatMap((key) => [`${key}`, `${key}:PLAIN`, `${key}:FIELD:ip`]);
const FORMATS = [
  ...["wasm.plain", "wasm.plain:PLAIN", "wasm.plain:TYPED", "wasm.str", "wasm.st", "wasm.st:FIELD:a", "plain"].map(
    (args) => `%FILTER_STATE(${args})%`,
  ),
  "%FILTER_STATE(wasm.plain):4%",
  ...KEYED.map((args) => `%FILTER_STATE(${args})%`),
  ...["ROUTE", "CLUSTER", "UPSTREAM_HOST", "LISTENER", "VIRTUAL_HOST", "LISTENER_FILTER_CHAIN", "DYNAMIC"].flatMap(
    (type) => [`%METADATA(${type}:istio:who)%`, `%METADATA(${type}:istio)%`],
  ),
  ...[
    "nope:who",
    "istio:number",
    "istio:int",
    "istio:on",
    "istio:list",
    "istio:list:0",
    "istio:nested:deep:er",
    "istio:nope",
  ].map((path) => `%METADATA(ROUTE:${path})%`),
  "%METADATA(ROUTE:istio:who):3%",
  "%METADATA(ROUTE:istio:nested):5%",
  "%CLUSTER_METADATA(istio:nested)%",
  "%UPSTREAM_METADATA(istio:who)%",
  "%DYNAMIC_METADATA(istio:who)%",
];

/** Values of headers that the route adds, in both directions. */
const HEADER_VALUES = [
  '%UPSTREAM_METADATA(["istio", "who"])%',
  '%UPSTREAM_METADATA( [ "istio" , "nested", "deep", "er" ] )%',
  '%DYNAMIC_METADATA(["istio", "who"])%',
  "%UPSTREAM_METADATA(istio:who)%",
  "%CLUSTER_METADATA(istio:who)%",
  '%CLUSTER_METADATA(["istio", "who"])%',
  "%METADATA(ROUTE:istio:nested)%",
  "%METADATA(ROUTE:istio:number)%",
  "%METADATA(LISTENER:istio:who)%",
  "%PER_REQUEST_STATE(wasm.plain)%",
  "%FILTER_STATE(wasm.plain:PLAIN)%",
  "%FILTER_STATE(wasm.plain)%",
];

interface Outcome {
  /** What the origin saw of HEADER_VALUES, and what the client saw. */
  readonly headers: object;
  readonly setter: Answers;
  readonly reader: Answers;
  readonly second: Answers;
  readonly lines: readonly string[];
  readonly json: string;
}

test(
  "what plugins keep on streams, and logs of it, are as on Envoy",
  { skip: findEnvoy() === undefined && ENVOY_MISSING },
  async () => {
    const origin = createServer((request, response) => {
      request.resume().on("end", () => response.end(JSON.stringify(added(Object.entries(request.headers)))));
    }).listen(0, "127.0.0.1");
    await once(origin, "listening");
    const { port } = origin.address() as AddressInfo;
    try {
      const [envoys, ours] = await Promise.all([observe(findEnvoy(), port), observe(undefined, port)]);
      assert.deepEqual(ours.setter, envoys.setter);
      assert.deepEqual(ours.reader, envoys.reader);
      assert.deepEqual(ours.second.get("request-headers")?.get("get conn"), hex("kept"));
      assert.deepEqual(ours.second, envoys.second);
      assert.deepEqual(ours.headers, envoys.headers);
      assert.deepEqual(pairs(ours.lines), pairs(envoys.lines));
      assert.deepEqual(JSON.parse(ours.json), JSON.parse(envoys.json));
    } finally {
      origin.close();
      origin.closeAllConnections();
    }
  },
);

function added(headers: readonly (readonly [string, unknown])[]): object {
  const ours = headers.filter(([name]) => name.startsWith("x-v"));
  return Object.fromEntries(ours.map(([name, value]) => [HEADER_VALUES[Number(name.slice(3))] ?? name, value]));
}

function pairs(lines: readonly string[]): object {
  return Object.fromEntries(FORMATS.map((format, i) => [format, lines[i]]));
}

async function observe(envoy: string | undefined, port: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-state-"));
  try {
    await using proxy = await ProxyProcess.start(envoy, config(port, folder));
    using client = new ProbeClient(proxy, "main");
    await client.send({ path: "/x", headers: { host: "h", "x-id": "7" }, body: "body" });
    const setter = await client.kept("a");
    // With what it was called for at the end of that question, which the first filter had answered: the log alone.
    const reader = await client.kept("b");
    await client.send({ path: "/x", headers: { host: "h", "x-id": "7" }, body: "body" });
    const second = await client.kept("a");
    const response = await fetch(`http://127.0.0.1:${proxy.port("main")}/`);
    const headers = { seen: JSON.parse(await response.text()) as object, got: added([...response.headers]) };
    const read = (name: string): string => readFileSync(join(folder, name), "utf8");
    await until(
      "log lines",
      () => read("text").includes("\x1e") && read("json").includes("\n"),
      (isThere) => isThere,
    );
    const lines = (read("text").split("\x1e\n")[0] ?? "").split("\x1f");
    return { headers, setter, reader, second, lines, json: read("json").split("\n")[0] ?? "" };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function metadata(who: string): object {
  const istio = { who, number: 1.5, int: 3, on: true, list: ["a", 2, false], nested: { deep: { er: "x" } } };
  return { filter_metadata: { istio, "com.other": { a: "b" } } };
}

function config(port: number, folder: string): object {
  const values = HEADER_VALUES.map((value, i) => ({ header: { key: `x-v${i}`, value } }));
  const routes = [
    {
      name: "route-a",
      match: { prefix: "/" },
      metadata: metadata("route"),
      route: { cluster: "origin" },
      request_headers_to_add: values,
      response_headers_to_add: values,
    },
  ];
  const json = Object.fromEntries(FORMATS.map((format) => [format.replaceAll("%", ""), format]));
  const jsonLog = {
    name: "envoy.access_loggers.file",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
      path: join(folder, "json"),
      log_format: { json_format: json },
    },
  };
  const web = listener("main", {
    trafficDirection: "INBOUND",
    filters: [probeFilter("a", SETTER), probeFilter("b", READER)],
    virtualHosts: [{ name: "vhost", domains: ["*"], metadata: metadata("vhost"), routes }],
    manager: { access_log: [fileAccessLog(join(folder, "text"), `${FORMATS.join("\x1f")}\x1e\n`), jsonLog] },
  }) as { filter_chains: object[] };
  const origin = cluster("origin", [port], { metadata: metadata("cluster") }) as {
    load_assignment: { endpoints: { lb_endpoints: object[] }[] };
  };
  Object.assign(origin.load_assignment.endpoints[0]?.lb_endpoints[0] ?? {}, { metadata: metadata("host") });
  return bootstrap({
    listeners: [
      {
        ...web,
        metadata: metadata("listener"),
        filter_chains: [{ ...web.filter_chains[0], metadata: metadata("chain") }],
      },
    ],
    clusters: [origin],
    more: { node: { id: "n1", cluster: "nc", metadata: { NAME: "pod" } } },
  });
}
