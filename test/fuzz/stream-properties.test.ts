// Properties and log operators over whatever configuration and plugins leave there: any path, any bytes as metadata and as state.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodePropertyValue } from "../../plugins/hostcalls/properties.ts";
import { streamProperty } from "../../sidecar/filter/stream-properties.ts";
import { nodeProperty } from "../../sidecar/plugin/plugin-ports.ts";
import { compileFormat } from "../../sidecar/telemetry/format.ts";
import { buildFacts, stateOf } from "../sidecar/telemetry/facts.ts";

const RUNS = { numRuns: 500 };

const word = fc.constantFrom(
  ..."request response connection source upstream xds metadata filter_state node headers path route_metadata cluster_metadata filter_metadata typed_filter_metadata istio a 0 1 wasm.peer peer locality id extensions constructor __proto__ x".split(
    " ",
  ),
  "",
);
const path = fc.array(word, { minLength: 1, maxLength: 6 });

/** Bytes that look like messages now and then: tags, lengths, text. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc
        .constantFrom(
          "0a05697374696f",
          "0a0161",
          "1200",
          "0a120a0569737469",
          "1a0178",
          "2a00",
          "320a",
          "0aff",
          "11000000000000f03f",
        )
        .map((hex) => Buffer.from(hex, "hex")),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));
const schema = fc.constantFrom(
  "Struct",
  "Value",
  "ListValue",
  "Any",
  "StringValue",
  "Int64Value",
  "Duration",
  "Unknown",
);

test("any path into any bytes has a value or none, and its encoding or none", () => {
  fc.assert(
    fc.property(path, bytes, bytes, schema, (segments, metadata, state, type) => {
      const declared = { type: "protobuf", schema: `type.googleapis.com/google.protobuf.${type}` } as const;
      const facts = buildFacts({
        routeMetadata: metadata,
        clusterMetadata: metadata,
        filterState: stateOf("wasm.peer", state, declared),
      });
      for (const value of [streamProperty(facts, segments.join("\0"), segments), nodeProperty(metadata, segments)]) {
        if (value !== undefined) encodePropertyValue(value);
      }
    }),
    RUNS,
  );
});

test("log operators write one line of latin1 whatever the bytes are", () => {
  const format =
    "%METADATA(ROUTE:istio)% %METADATA(CLUSTER:istio:a)% %FILTER_STATE(wasm.peer)% %FILTER_STATE(wasm.peer:PLAIN)%";
  const compiled = compileFormat(format, { hostname: "", environment: {} });
  assert.ok(compiled.ok);
  fc.assert(
    fc.property(bytes, schema, (content, type) => {
      const declared = { type: "protobuf", schema: `type.googleapis.com/google.protobuf.${type}` } as const;
      const facts = buildFacts({
        routeMetadata: content,
        clusterMetadata: content,
        filterState: stateOf("wasm.peer", content, declared),
      });
      // oxlint-disable-next-line no-control-regex -- latin1 without line breaks
      assert.match(compiled.format.render(facts), /^[^\r\n\u0100-\uffff]*$/);
    }),
    RUNS,
  );
});

test("messages that nest without end are cut", () => {
  let value: Buffer = Buffer.from("1a0178", "hex");
  const field = (number: number, content: Buffer): Buffer => {
    const length: number[] = [];
    let rest = content.length;
    for (; rest >= 0x80; rest >>= 7) length.push((rest & 0x7f) | 0x80);
    return Buffer.concat([Buffer.of(number * 8 + 2, ...length, rest), content]);
  };
  for (let i = 0; i < 2_000; i++) value = field(6, field(1, value));
  const declared = { type: "protobuf", schema: "type.googleapis.com/google.protobuf.Value" } as const;
  const facts = buildFacts({ filterState: stateOf("wasm.peer", value, declared) });
  assert.ok(streamProperty(facts, "peer\x000", ["peer", "0"]) !== undefined);
  const compiled = compileFormat("%FILTER_STATE(wasm.peer)%", { hostname: "", environment: {} });
  assert.ok(compiled.ok && compiled.format.render(facts).length < 1_000);
});
