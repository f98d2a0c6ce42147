import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import fc from "fast-check";
import { FinishedSpan } from "../../../sidecar/telemetry/hook-spans.ts";
import { SpanSerializer } from "../../../sidecar/telemetry/span-serializer.ts";

interface ProtoType {
  decode(bytes: Uint8Array): unknown;
  toObject(message: unknown, options: object): unknown;
}
const proto = createRequire(import.meta.url)("@elastic/mockotlpserver/lib/proto.js") as {
  getProtoRoot(): { lookupType(name: string): ProtoType };
};
const REQUEST = proto.getProtoRoot().lookupType("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest");

/** What a collector reads. Fields that the SDK writes although they are at their default are left out. */
function read(bytes: Uint8Array): unknown {
  const object = REQUEST.toObject(REQUEST.decode(bytes), { longs: String, bytes: String });
  const plain = JSON.parse(JSON.stringify(object)) as unknown;
  return withoutDefaults(plain);
}

function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(withoutDefaults);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => {
        const isCount = key.startsWith("dropped") && inner === 0;
        const isEmptyStatus = key === "status" && (inner as { code?: number }).code === 0;
        const isEmptyText = inner === "" && key !== "stringValue";
        const isNothing = (Array.isArray(inner) && inner.length === 0) || (key === "code" && inner === 0);
        return !isCount && !isEmptyStatus && !isEmptyText && !isNothing;
      })
      .map(([key, inner]) => [key, withoutDefaults(inner)]),
  );
}

const origins = [1, 2].map((n) => ({
  resource: resourceFromAttributes({ "service.name": `service ${n} é`, n }),
  scope: { name: "outrigger", version: "1.2.3" },
  nodeId: "",
}));

const id = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const text = fc.oneof(fc.string({ maxLength: 200 }), fc.string({ unit: "binary", maxLength: 50 }), fc.constant("GET"));
const value = fc.oneof(
  text,
  fc.boolean(),
  fc.nat(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const attributes = fc.dictionary(fc.oneof(fc.constantFrom("a", "proxy_wasm.plugin.name"), text), value, {
  maxKeys: 8,
  noNullPrototype: true,
});
const span = fc
  .record({
    origin: fc.constantFrom(...origins),
    traceId: id(32),
    spanId: id(16),
    parentId: fc.option(id(16), { nil: undefined }),
    isRemote: fc.boolean(),
    name: text,
    kind: fc.constantFrom(0, 1, 2),
    start: fc.double({ min: 0, max: 4e12, noNaN: true }),
    length: fc.double({ min: 0, max: 1e6, noNaN: true }),
    attributes,
    event: fc.option(fc.record({ name: text, attributes }), { nil: undefined }),
    link: fc.option(fc.record({ traceId: id(32), spanId: id(16) }), { nil: undefined }),
    status: fc.constantFrom({ code: 0 }, { code: 2 }, { code: 2, message: "trap: unreachable" }),
  })
  .map((fields) => {
    const { traceId, spanId, start, link, event } = fields;
    const times = { start, end: start + fields.length };
    const context = { traceId, spanId, traceFlags: 1 };
    const made = new FinishedSpan(fields.origin, context, fields.name, fields.kind, times, fields.attributes);
    if (fields.parentId !== undefined) {
      made.parentSpanContext = { traceId, spanId: fields.parentId, traceFlags: 1, isRemote: fields.isRemote };
    }
    made.status = fields.status;
    made.links = link === undefined ? [] : [{ context: { ...link, traceFlags: 1 } }];
    made.events = event === undefined ? [] : [{ time: made.endTime, ...event }];
    return made;
  });

test("serialize() says what the SDK's serializer says", () => {
  // One serializer for all runs: what it has cached must not change what it writes.
  const serializer = new SpanSerializer();
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 6 }), (spans) => {
      // The SDK groups spans of one resource; ours takes neighbours.
      const sorted = spans.toSorted(
        (a, b) =>
          origins.findIndex((o) => o.resource === a.resource) - origins.findIndex((o) => o.resource === b.resource),
      );
      const theirs = ProtobufTraceSerializer.serializeRequest(sorted);
      assert.ok(theirs !== undefined);
      assert.deepEqual(read(serializer.serialize(sorted)), read(theirs));
    }),
    { numRuns: 500 },
  );
});

test("serialize() gives bytes of its own, and grows for a large batch", () => {
  const serializer = new SpanSerializer();
  const origin = origins[0];
  assert.ok(origin !== undefined);
  const make = (n: number): FinishedSpan =>
    new FinishedSpan(
      origin,
      { traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 },
      `span ${n}`,
      0,
      { start: n, end: n },
      {
        long: "x".repeat(4000),
        n,
      },
    );
  const first = serializer.serialize([make(1)]);
  const before = Buffer.from(first).toString("hex");
  const spans = Array.from({ length: 1000 }, (_, n) => make(n));
  const large = serializer.serialize(spans);
  assert.equal(Buffer.from(first).toString("hex"), before);
  assert.deepEqual(read(large), read(ProtobufTraceSerializer.serializeRequest(spans) ?? new Uint8Array()));
});
