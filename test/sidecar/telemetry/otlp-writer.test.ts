import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { resourceFromAttributes } from "@opentelemetry/resources";
import fc from "fast-check";
import { AttributeKey, OtlpWriter, SPAN_ATTRIBUTES } from "../../../sidecar/telemetry/otlp-writer.ts";
import { SpanQueue } from "../../../sidecar/telemetry/span-queue.ts";
import { readRequest } from "./read-spans.ts";

/** Without fields that the SDK writes although they are at their default. */
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
        const isEmptyStatus = key === "status" && (inner as { code?: string }).code === "STATUS_CODE_UNSET";
        const isEmptyText = inner === "" && key !== "stringValue";
        return !isCount && !isEmptyStatus && !isEmptyText && !(Array.isArray(inner) && inner.length === 0);
      })
      .map(([key, inner]) => [key, withoutDefaults(inner)]),
  );
}

const NAMES = ["a", "proxy_wasm.plugin.name", "été", "k".repeat(70)];
// One key for all runs: what it has cached must not change what is written.
const KEYS = new Map(NAMES.map((name) => [name, new AttributeKey(name)]));
const RESOURCE = resourceFromAttributes({});

const id = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const text = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: "binary", maxLength: 90 }),
  fc.constantFrom("GET", "x".repeat(63), "x".repeat(64), "x".repeat(128), "é".repeat(63)),
);
const value = fc.oneof(
  text,
  fc.boolean(),
  fc.nat(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const span = fc.record({
  traceId: id(32),
  spanId: id(16),
  name: text.filter((name) => name !== ""),
  // Whole microseconds: what a double holds exactly in the SDK's pair of numbers and in ours.
  start: fc.integer({ min: 0, max: 4e12 }),
  fraction: fc.integer({ min: 0, max: 999 }),
  attributes: fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 4, noNullPrototype: true }),
});
type Fields = typeof span extends fc.Arbitrary<infer T> ? T : never;

function write(to: OtlpWriter, fields: Fields): void {
  to.reserve(64);
  const message = to.open(0x12);
  to.reserve(128);
  to.hex(0x0a, fields.traceId);
  to.hex(0x12, fields.spanId);
  to.text(0x2a, fields.name);
  to.reserve(64);
  to.byte(0x30);
  to.byte(1);
  to.time(0x39, fields.start + fields.fraction / 1024);
  to.time(0x41, fields.start);
  for (const [name, attribute] of Object.entries(fields.attributes)) {
    to.attribute(SPAN_ATTRIBUTES, KEYS.get(name) as AttributeKey, attribute);
  }
  to.reserve(8);
  to.byte(0x85);
  to.byte(0x01);
  to.fixed32(0x101);
  to.close(message);
}

function hrTime(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}

function forTheSdk(fields: Fields): ReadableSpan {
  const { traceId, spanId, start } = fields;
  return {
    name: fields.name,
    kind: 0,
    spanContext: () => ({ traceId, spanId, traceFlags: 1 }),
    startTime: hrTime(start + fields.fraction / 1024),
    endTime: hrTime(start),
    duration: [0, 0],
    status: { code: 0 },
    attributes: fields.attributes,
    links: [],
    events: [],
    ended: true,
    resource: RESOURCE,
    instrumentationScope: { name: "" },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** The spans of a request as the collector reads them. */
function spansIn(bytes: Uint8Array): unknown {
  return withoutDefaults(
    readRequest(bytes).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans ?? [])),
  );
}

test("OtlpWriter writes what the SDK's serializer writes", () => {
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 6 }), (spans) => {
      const to = new OtlpWriter(new Uint8Array(16));
      const ends = spans.map((fields) => {
        write(to, fields);
        return to.at;
      });
      const queue = new SpanQueue(100, new Uint8Array(0), new Uint8Array(0));
      queue.add({ provider: 1, bytes: to.buffer.subarray(0, to.at), ends: Uint32Array.from(ends) }, 0);
      const theirs = ProtobufTraceSerializer.serializeRequest(spans.map(forTheSdk));
      assert.ok(theirs !== undefined);
      assert.deepEqual(spansIn(queue.take(100)?.bytes ?? new Uint8Array(0)), spansIn(theirs));
    }),
    { numRuns: 500 },
  );
});
