// The table of fields is complete (every reachable field has a row, every row a field), does what it says (a refused field
// gives an issue, an accepted one a warning, a supported one neither), and is what FIELDS.md prints.
// Refresh FIELDS.md: UPDATE_FIELDS=1 node --test test/xds/fields.test.ts

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { create, ScalarType, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { BoolValueSchema } from "@bufbuild/protobuf/wkt";
import { inspectMessage } from "../../xds/decode/inspect.ts";
import { Findings } from "../../xds/decode/issues.ts";
import { messageTypes } from "../../xds/decode/registry.ts";
import { fieldsMarkdown } from "../../xds/fields-table.ts";
import { FIELD_ROWS, fieldStatus, type MessageRows } from "../../xds/fields.ts";

const EXTENSIONS = "envoy.extensions";

/** What decoding starts from: resources, the bootstrap, and every extension that a decoder reads. */
const ROOTS = [
  "envoy.config.bootstrap.v3.Bootstrap",
  "envoy.config.listener.v3.Listener",
  "envoy.config.route.v3.RouteConfiguration",
  "envoy.config.route.v3.ScopedRouteConfiguration",
  "envoy.config.route.v3.FilterConfig",
  "envoy.config.cluster.v3.Cluster",
  "envoy.config.endpoint.v3.ClusterLoadAssignment",
  "envoy.config.core.v3.TypedExtensionConfig",
  "envoy.config.trace.v3.OpenTelemetryConfig",
  "envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
  "envoy.service.runtime.v3.Runtime",
  `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`,
  `${EXTENSIONS}.access_loggers.stream.v3.StdoutAccessLog`,
  `${EXTENSIONS}.access_loggers.stream.v3.StderrAccessLog`,
  `${EXTENSIONS}.access_loggers.wasm.v3.WasmAccessLog`,
  `${EXTENSIONS}.filters.http.on_demand.v3.OnDemand`,
  `${EXTENSIONS}.filters.http.on_demand.v3.PerRouteConfig`,
  `${EXTENSIONS}.filters.http.cors.v3.Cors`,
  `${EXTENSIONS}.filters.http.cors.v3.CorsPolicy`,
  `${EXTENSIONS}.filters.http.fault.v3.HTTPFault`,
  `${EXTENSIONS}.filters.http.grpc_stats.v3.FilterConfig`,
  `${EXTENSIONS}.filters.http.header_mutation.v3.HeaderMutation`,
  `${EXTENSIONS}.filters.http.header_mutation.v3.HeaderMutationPerRoute`,
  `${EXTENSIONS}.common.matching.v3.ExtensionWithMatcher`,
  `${EXTENSIONS}.common.matching.v3.ExtensionWithMatcherPerRoute`,
  "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
  "envoy.type.matcher.v3.HttpRequestTrailerMatchInput",
  "envoy.type.matcher.v3.HttpResponseHeaderMatchInput",
  "envoy.type.matcher.v3.HttpResponseTrailerMatchInput",
  "envoy.type.matcher.v3.HttpRequestQueryParamMatchInput",
  "envoy.extensions.matching.common_inputs.environment_variable.v3.Config",
  "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput",
  "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
  "envoy.extensions.filters.http.composite.v3.Composite",
  "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
  "envoy.extensions.matching.input_matchers.ip.v3.Ip",
  "envoy.extensions.matching.input_matchers.metadata.v3.Metadata",
  "xds.type.matcher.v3.IPMatcher",
  "xds.type.matcher.v3.ServerNameMatcher",
  `${EXTENSIONS}.filters.http.set_filter_state.v3.Config`,
  "io.istio.http.peer_metadata.Config",
  "stats.PluginConfig",
  `${EXTENSIONS}.filters.http.router.v3.Router`,
  `${EXTENSIONS}.filters.http.wasm.v3.Wasm`,
  `${EXTENSIONS}.wasm.v3.WasmService`,
  `${EXTENSIONS}.filters.listener.original_dst.v3.OriginalDst`,
  `${EXTENSIONS}.filters.listener.original_src.v3.OriginalSrc`,
  `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
  `${EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy`,
  `${EXTENSIONS}.filters.network.wasm.v3.Wasm`,
  `${EXTENSIONS}.load_balancing_policies.least_request.v3.LeastRequest`,
  `${EXTENSIONS}.load_balancing_policies.maglev.v3.Maglev`,
  `${EXTENSIONS}.load_balancing_policies.random.v3.Random`,
  `${EXTENSIONS}.load_balancing_policies.ring_hash.v3.RingHash`,
  `${EXTENSIONS}.load_balancing_policies.round_robin.v3.RoundRobin`,
  `${EXTENSIONS}.request_id.uuid.v3.UuidRequestIdConfig`,
  `${EXTENSIONS}.transport_sockets.raw_buffer.v3.RawBuffer`,
  `${EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext`,
  `${EXTENSIONS}.transport_sockets.tls.v3.Secret`,
  `${EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext`,
  `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
];

/** Every message that a supported field leads to. */
function reachable(): Map<string, DescMessage> {
  const found = new Map<string, DescMessage>();
  const visit = (desc: DescMessage) => {
    if (found.has(desc.typeName) || desc.typeName.startsWith("google.protobuf.")) return;
    found.set(desc.typeName, desc);
    for (const field of desc.fields) {
      const status = fieldStatus(desc.typeName, field.name);
      if (field.message !== undefined && (status.kind === "supported" || status.kind === "unlisted"))
        visit(field.message);
    }
  };
  for (const name of ROOTS) visit(messageType(name));
  return found;
}

function messageType(name: string): DescMessage {
  const desc = messageTypes.getMessage(name);
  assert.ok(desc, `${name} is not in the registry`);
  return desc;
}

const messages = reachable();

const ALL_ROWS: ReadonlyMap<string, MessageRows> = new Map(Object.values(FIELD_ROWS).flatMap(Object.entries));

test("the table has a row for every field that configuration can reach", () => {
  const missing = [...messages.values()].flatMap((desc) =>
    desc.fields
      .filter(({ name }) => fieldStatus(desc.typeName, name).kind === "unlisted")
      .map(({ name }) => `${desc.typeName}.${name}`),
  );
  assert.deepEqual(missing, []);
});

test("the table has no row for a field that is not there or cannot be reached", () => {
  const stale = [...ALL_ROWS].flatMap(([name, rows]) => {
    const fields = new Set(messages.get(name)?.fields.map((field) => field.name));
    if (!messages.has(name)) return [name];
    return rowNames(rows)
      .filter((field) => !fields.has(field))
      .map((field) => `${name}.${field}`);
  });
  assert.deepEqual(stale, []);
});

test("the table says one thing of each field", () => {
  for (const [name, rows] of ALL_ROWS) {
    const names = rowNames(rows);
    assert.equal(new Set(names).size, names.length, name);
  }
});

function rowNames(rows: MessageRows): string[] {
  const supported = rows.supported === "" ? [] : rows.supported.split(" ");
  return [...supported, ...Object.keys(rows.accepted ?? {}), ...Object.keys(rows.refused ?? {})];
}

test("FIELDS.md is what the table says", () => {
  const file = new URL("../../xds/FIELDS.md", import.meta.url);
  if (process.env["UPDATE_FIELDS"] === "1") writeFileSync(file, fieldsMarkdown());
  assert.equal(readFileSync(file, "utf8"), fieldsMarkdown());
});

/** A value that is set and is not the default. */
function sample(field: DescField): unknown {
  if (field.enum !== undefined) return field.enum.values.find(({ number }) => number !== 0)?.number ?? 0;
  if (field.message !== undefined) return sampleMessage(field.message);
  return SCALARS.get(field.scalar) ?? 1;
}

const SCALARS: ReadonlyMap<ScalarType | undefined, unknown> = new Map<ScalarType | undefined, unknown>([
  [ScalarType.STRING, "x"],
  [ScalarType.BOOL, true],
  [ScalarType.BYTES, new Uint8Array([1])],
  [ScalarType.INT64, 1n],
  [ScalarType.UINT64, 1n],
]);

function sampleMessage(desc: DescMessage): ReturnType<typeof reflect> {
  if (desc.typeName === BoolValueSchema.typeName)
    return reflect(BoolValueSchema, create(BoolValueSchema, { value: true }));
  return reflect(desc, create(desc));
}

/** A message with this field set and nothing else. */
function withField(desc: DescMessage, field: DescField): Message {
  const message = create(desc);
  const view = reflect(desc, message);
  if (field.fieldKind === "list") view.get(field).add(sample(field));
  else if (field.fieldKind === "map") view.get(field).set("key", sample(field));
  else view.set(field, sample(field));
  return message;
}

suite("inspectMessage() obeys the table", () => {
  for (const [name, rows] of ALL_ROWS) {
    test(name, () => {
      const desc = messages.get(name);
      assert.ok(desc);
      for (const field of desc.fields) {
        const findings = new Findings();
        inspectMessage(desc, withField(desc, field), "", findings, "refuse");
        const issue = findings.issues.find(
          ({ path, problem }) => path === field.name && problem.startsWith("is refused: "),
        );
        const warning = findings.warnings.find(({ path, kind }) => path === field.name && kind === "no_effect");
        assert.equal(
          issue?.problem,
          rows.refused?.[field.name] && `is refused: ${rows.refused[field.name]}`,
          field.name,
        );
        assert.equal(warning?.field, rows.accepted?.[field.name] && `${name}.${field.name}`, field.name);
      }
    });
  }
});
