// What a collector reads from the bytes that workers post: decoded by the OTLP schema of the mock collector's package.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { SpanQueue } from "../../../sidecar/telemetry/span-queue.ts";
import type { SpanBatch } from "../../../sidecar/telemetry/span-batch.ts";

interface ProtoType {
  decode(bytes: Uint8Array): unknown;
  toObject(message: unknown, options: object): unknown;
}
const proto = createRequire(import.meta.url)("@elastic/mockotlpserver/lib/proto.js") as {
  getProtoRoot(): { lookupType(name: string): ProtoType };
};
const REQUEST = proto.getProtoRoot().lookupType("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest");

type WireValue = Readonly<Record<string, string | number | boolean>>;
interface WireAttribute {
  readonly key: string;
  readonly value: WireValue;
}
interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: string;
  readonly flags: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly WireAttribute[];
  readonly status?: { readonly code?: string; readonly message?: string };
  readonly events?: readonly {
    readonly name: string;
    readonly timeUnixNano: string;
    readonly attributes?: readonly WireAttribute[];
  }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string; readonly flags: number }[];
}
interface WireRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes?: readonly WireAttribute[] };
    readonly scopeSpans: readonly {
      readonly scope: { readonly name?: string; readonly version?: string };
      readonly spans?: readonly WireSpan[];
    }[];
  }[];
}

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A span as it is read: ids in hex, times in nanoseconds since the epoch. */
export interface ReadSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for none. */
  readonly parentId: string;
  readonly hasRemoteParent: boolean;
  readonly traceState: string;
  readonly name: string;
  /** SERVER, CLIENT or INTERNAL. */
  readonly kind: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Attributes;
  /** UNSET or ERROR. */
  readonly status: string;
  readonly statusMessage: string;
  readonly events: readonly { readonly name: string; readonly at: bigint; readonly attributes: Attributes }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

/** A request as a plain object: 64-bit numbers as texts, ids in hex, enumerations by name. */
export function readRequest(bytes: Uint8Array): WireRequest {
  const object = REQUEST.toObject(REQUEST.decode(Buffer.from(bytes)), { longs: String, enums: String });
  return JSON.parse(
    JSON.stringify(object, (_key, value: unknown) =>
      typeof value === "object" && value !== null && (value as { type?: unknown }).type === "Buffer"
        ? Buffer.from((value as { data: number[] }).data).toString("hex")
        : value,
    ),
  ) as WireRequest;
}

/** The spans of batches, in the order in which they were written. */
export function readSpans(batches: readonly SpanBatch[]): ReadSpan[] {
  return batches.flatMap(({ parts }) =>
    parts.flatMap((part) => {
      const queue = new SpanQueue(part.ends.length, new Uint8Array(0), new Uint8Array(0));
      assert.equal(queue.add(part, 0), part.ends.length);
      const request = queue.take(part.ends.length);
      assert.ok(request !== undefined);
      const spans = readRequest(request.bytes).resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans: some = [] }) => some.map(readSpan)),
      );
      assert.equal(spans.length, part.ends.length);
      return spans;
    }),
  );
}

function readSpan(span: WireSpan): ReadSpan {
  // Sampled, and it is known whether the parent is remote.
  assert.equal(span.flags & 0x101, 0x101);
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentId: span.parentSpanId ?? "",
    hasRemoteParent: (span.flags & 0x200) !== 0,
    traceState: span.traceState ?? "",
    name: span.name,
    kind: span.kind.replace("SPAN_KIND_", ""),
    start: BigInt(span.startTimeUnixNano),
    end: BigInt(span.endTimeUnixNano),
    attributes: readAttributes(span.attributes),
    status: (span.status?.code ?? "STATUS_CODE_UNSET").replace("STATUS_CODE_", ""),
    statusMessage: span.status?.message ?? "",
    events: (span.events ?? []).map(({ name, timeUnixNano, attributes }) => ({
      name,
      at: BigInt(timeUnixNano),
      attributes: readAttributes(attributes),
    })),
    links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
  };
}

function readAttributes(attributes: readonly WireAttribute[] = []): Attributes {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [kind, plain] = Object.entries(value)[0] ?? ["", ""];
      return [key, kind === "intValue" ? Number(plain) : plain];
    }),
  );
}
