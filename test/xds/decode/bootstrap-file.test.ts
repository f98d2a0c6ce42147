// loadBootstrap(): verdict and wording on the corpus, positions, overlays, forms of the input.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { BootstrapSchema } from "../../../xds/gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { loadBootstrap, type BootstrapInput } from "../../../xds/decode/bootstrap-file.ts";
import { formatProblem } from "../../../sidecar/telemetry/format.ts";
import { loadResourcesFile } from "../../../xds/decode/resources-file.ts";
import { formatLocated } from "../../../xds/decode/yaml-document.ts";
import type { Bootstrap } from "../../../xds/model/bootstrap.ts";
import { bootstrap, http } from "./corpus-parts.ts";
import { CORPUS } from "./corpus.ts";

function problems(input: BootstrapInput): readonly string[] {
  const loaded = loadBootstrap({ formatProblem, ...input });
  return loaded.ok ? [] : loaded.issues.map(formatLocated);
}

function load(input: BootstrapInput): Bootstrap {
  const loaded = loadBootstrap(input);
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.issues.map(formatLocated).join("\n"));
  return loaded.value;
}

suite("loadBootstrap() on the corpus", () => {
  for (const { name, yaml, issues } of CORPUS) {
    test(`${issues.length === 0 ? "takes" : "refuses"} ${name}`, () => {
      const found = problems({ path: "c.yaml", text: yaml });
      if (issues.length === 0) assert.deepEqual(found, []);
      for (const wanted of issues) {
        assert.ok(
          found.some((text) => text.includes(wanted)),
          `no issue has "${wanted}": ${found.join("\n")}`,
        );
      }
    });
  }
});

const FIVE_MISTAKES = `node: {id: a, cluster: b}
static_resources:
  listeners:
    - name: l
      adress: {}
      address:
        socket_address: { address: 127.0.0.1, port_value: "x" }
      traffic_direction: INBOND
  clusters:
    - name: 5
      connect_timeout: 5m
`;

test("loadBootstrap() lists every problem with its line and column", () => {
  assert.deepEqual(problems({ path: "b.yaml", text: FIVE_MISTAKES }), [
    "b.yaml:5:7: static_resources.listeners[0].adress: unknown field of envoy.config.listener.v3.Listener; did you mean address?",
    'b.yaml:7:59: static_resources.listeners[0].address.socket_address.port_value: must be a port from 0 to 65535, not the string "x"',
    'b.yaml:8:26: static_resources.listeners[0].traffic_direction: must be one of UNSPECIFIED, INBOUND, OUTBOUND, not the string "INBOND"; did you mean INBOUND?',
    "b.yaml:10:13: static_resources.clusters[0].name: must be a string (in quotes), not the number 5",
    'b.yaml:11:24: static_resources.clusters[0].connect_timeout: must be a duration in seconds, such as "0.25s", not the string "5m"',
  ]);
});

test("loadBootstrap() gives the position of what validation finds, also in camel case and inside an Any", () => {
  const text = `staticResources:
  clusters:
    - name: c
      connectTimeout: 0s
      typedExtensionProtocolOptions:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicitHttpConfig: {}
`;
  const options =
    'static_resources.clusters[0].typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]';
  assert.deepEqual(problems({ path: "b.yaml", text }), [
    "b.yaml:4:23: static_resources.clusters[0].connect_timeout: is 0s, must be greater than 0s",
    `b.yaml:8:11: ${options}.explicit_http_config: no protocol_config set, one of http_protocol_options, http2_protocol_options, http3_protocol_options is needed`,
  ]);
});

test("loadBootstrap() validates what it could read beside what it could not", () => {
  const text = `admin: { address: { socket_address: { address: 127.0.0.1, port_value: 99999 } } }
static_resources:
  clusters:
    - name: good
      connect_timeout: 0s
    - name: bad
      connect_timeout: soon
    - 17
    - name: good
`;
  assert.deepEqual(problems({ path: "b.yaml", text }), [
    "b.yaml:1:71: admin.address.socket_address.port_value: is 99999, must be at most 65535",
    "b.yaml:5:24: static_resources.clusters[0].connect_timeout: is 0s, must be greater than 0s",
    'b.yaml:7:24: static_resources.clusters[1].connect_timeout: must be a duration in seconds, such as "0.25s", not the string "soon"',
    "b.yaml:8:7: static_resources.clusters[2]: must be a map of the fields of envoy.config.cluster.v3.Cluster, not the number 17",
    'b.yaml:9:13: static_resources.clusters[3].name: "good" is already the name of static_resources.clusters[0]',
  ]);
});

test("loadBootstrap() points at the overlay for what stands there", () => {
  const text = "static_resources: {clusters: [{name: a}]}";
  const yamlOverlay = "static_resources:\n  clusters:\n    - {name: b, connect_timeout: 0s}\n";
  assert.deepEqual(problems({ path: "b.yaml", text, yamlOverlay }), [
    "--config-yaml:3:34: static_resources.clusters[1].connect_timeout: is 0s, must be greater than 0s",
  ]);
});

test("loadBootstrap() merges the overlay: messages by field, lists appended, scalars replaced", () => {
  const text = "node: {id: a, cluster: b, locality: {region: r}}\nstatic_resources: {clusters: [{name: one}]}";
  const yamlOverlay = "node: {id: z, locality: {zone: y}}\nstatic_resources: {clusters: [{name: two}]}";
  const value = load({ path: "b.yaml", text, yamlOverlay, serviceCluster: "from the command line" });
  assert.deepEqual(
    { id: value.node.id, cluster: value.node.cluster, locality: value.node.locality },
    { id: "z", cluster: "from the command line", locality: { region: "r", zone: "y", subZone: "" } },
  );
  assert.deepEqual(
    value.clusters.map(({ name }) => name),
    ["one", "two"],
  );
});

test("loadBootstrap() turns unknown fields into warnings when it is told to", () => {
  const text = "static_resources: {clusters: [{name: c, made_up: 1}]}";
  const loaded = loadBootstrap({ path: "b.yaml", text, allowUnknownFields: true });
  assert.ok(loaded.ok);
  assert.deepEqual(
    loaded.warnings.map((warning) => [warning.kind, formatLocated(warning)]),
    [
      [
        "unknown_field",
        "b.yaml:1:41: static_resources.clusters[0].made_up: unknown field of envoy.config.cluster.v3.Cluster",
      ],
    ],
  );
});

test("loadBootstrap() warns of HTTP/2 to upstreams, but not for the collector that tracing names", () => {
  const text = (provider: string): string => `
static_resources:
  listeners:
    - name: l
      address: { socket_address: { address: 127.0.0.1, port_value: 1 } }
      filter_chains:
        - filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: l
                ${provider}
                route_config: { name: r }
                http_filters:
                  - name: router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
    - { name: app, http2_protocol_options: {} }
    - { name: collector, http2_protocol_options: {} }
`;
  const tracing =
    "tracing: { provider: { name: o, typed_config: { " +
    '"@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig, ' +
    "grpc_service: { envoy_grpc: { cluster_name: collector } } } } }";
  const paths = (yaml: string): string[] => {
    const loaded = loadBootstrap({ path: "b.yaml", text: yaml });
    assert.ok(loaded.ok, loaded.ok ? "" : loaded.issues.map(formatLocated).join("\n"));
    return loaded.warnings.map(({ path }) => path);
  };
  const both = [0, 1].map((index) => `static_resources.clusters[${index}].http2_protocol_options`);
  assert.deepEqual(paths(text("")), both);
  assert.deepEqual(paths(text(tracing)), both.slice(0, 1));
});

test("loadBootstrap() reads YAML, JSON and binary files alike", () => {
  const directory = mkdtempSync(join(tmpdir(), "outrigger-bootstrap-"));
  const write = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const yaml = load({
    path: write("b.yaml", "node: {id: a}\nstatic_resources: {clusters: [{name: c, connect_timeout: 1.5s}]}"),
  });
  const json = load({
    path: write(
      "b.json",
      '{\n\t"node": {"id": "a"},\n\t"static_resources": {"clusters": [{"name": "c", "connectTimeout": "1.5s"}]}\n}',
    ),
  });
  const binary = load({ path: write("b.pb", yaml.bootstrapBytes) });
  assert.equal(yaml.clusters[0]?.connectTimeoutMs, 1500);
  assert.deepEqual(json, yaml);
  assert.deepEqual(binary, yaml);
  rmSync(directory, { recursive: true });
});

test("loadBootstrap() names the file that it cannot read or parse", () => {
  assert.deepEqual(problems({ path: "/nowhere/b.yaml" }), ["/nowhere/b.yaml: cannot be read: the file does not exist"]);
  const unclosed = "a [ before this is not closed: the ] is missing, or stands too far left";
  assert.deepEqual(problems({ path: "b.yaml", text: "a: [1" }), [`b.yaml:1:6: not valid YAML: ${unclosed}`]);
  // The first broken line only: the rest follows from it. Not so for keys that are there twice.
  assert.deepEqual(problems({ path: "b.json", text: '{"a": [}}' }), [`b.json:1:8: not valid JSON: ${unclosed}`]);
  assert.deepEqual(problems({ path: "b.yaml", text: "a: 1\na: 2\nb: 1\nb: 2\n" }), [
    "b.yaml:2:1: not valid YAML: this key is in the map already",
    "b.yaml:4:1: not valid YAML: this key is in the map already",
  ]);
  assert.deepEqual(problems({ path: "b.yaml", text: "" }), ["b.yaml: is empty"]);
  assert.deepEqual(problems({ path: "b.yaml", text: "just text" }), [
    'b.yaml:1:1: must be a map of the fields of envoy.config.bootstrap.v3.Bootstrap, not the string "just text"',
  ]);
});

test("load…() refuse bytes that are no text", () => {
  const directory = mkdtempSync(join(tmpdir(), "bootstrap-"));
  const path = join(directory, "latin1.yaml");
  writeFileSync(path, Buffer.from("node: { id: caf\xe9 }", "latin1"));
  for (const loaded of [loadBootstrap({ path }), loadResourcesFile(path)]) {
    assert.deepEqual(loaded.ok ? [] : loaded.issues.map(formatLocated), [
      `${path}: is no text in UTF-8, as YAML and JSON are; binary protobuf is read from files named .pb`,
    ]);
  }
  rmSync(directory, { recursive: true });
});

test("loadBootstrap() refuses an alias bomb instead of expanding it", () => {
  const levels = Array.from({ length: 12 }, (_, level) => {
    const items = Array.from({ length: 12 }, () => (level === 0 ? "x" : `*l${level - 1}`)).join(", ");
    return `l${level}: &l${level} [${items}]`;
  });
  assert.match(
    problems({ path: "b.yaml", text: levels.join("\n") })[0] ?? "",
    /nested too deeply, or its aliases expand to too much/,
  );
});

test("loadBootstrap() survives nesting without end", () => {
  for (const text of ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(20_000)]) {
    const found = problems({ path: "b.yaml", text });
    assert.ok(found.length > 0 && found.length <= 20);
    assert.match(found.join("\n"), /nested too deeply/);
  }
});

test("loadBootstrap() keeps static resources as bytes for dumps and the node as bytes for requests", () => {
  const value = load({
    path: "b.yaml",
    text: bootstrap({ listeners: http('{match: {prefix: "/"}, route: {cluster: local}}') }),
  });
  assert.deepEqual(
    value.rawResources.map(({ typeUrl, name }) => [typeUrl, name]),
    [
      ["type.googleapis.com/envoy.config.cluster.v3.Cluster", "local"],
      ["type.googleapis.com/envoy.config.listener.v3.Listener", "l"],
    ],
  );
  assert.equal(fromBinary(BootstrapSchema, value.bootstrapBytes).node?.id, "id");
  assert.ok(value.nodeBytes.length > 0);
});

test("loadBootstrap() says which files the bootstrap names, and where", () => {
  const routes = `{match: {prefix: "/"}, direct_response: {status: 200, body: {filename: /etc/motd}}}`;
  const loaded = loadBootstrap({ path: "b.yaml", text: bootstrap({ listeners: http(routes) }) });
  assert.ok(loaded.ok);
  const path =
    "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].direct_response.body.filename";
  assert.deepEqual(
    loaded.files.map(({ name, line, path: place }) => ({ name, line, path: place })),
    [{ name: "/etc/motd", line: 5, path }],
  );
});
