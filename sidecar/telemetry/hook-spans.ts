// A worker's records as finished OpenTelemetry spans, built by hand: no tracer, no context, no clock.
//
//   request          SERVER (inbound) or CLIENT (outbound)
//   ├─ plugin hook   INTERNAL, one for each callback
//   │  └─ call       CLIENT, proxy_http_call or proxy_grpc_call
//   └─ plugin hook   INTERNAL, the answer's callback: links to the call
//
// Root callbacks start traces of their own. The attributes are the product's contract (§5). Called by tracing.ts.

import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { Attributes, HrTime, Link, SpanContext, SpanStatus } from "@opentelemetry/api";
import { TraceState } from "@opentelemetry/core";
import type { InstrumentationScope } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan, TimedEvent } from "@opentelemetry/sdk-trace";
import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { addServer, errorType, isClientSpan, parentIdOf, requestAttributes, spanName } from "./request-attributes.ts";
import type { AttributeValue } from "./request-attributes.ts";
import { spanIdText } from "./random.ts";
import { calloutSpanId, Field, hookSpanId, pausedMs, TraceText } from "./span-record.ts";
import type { CalloutView, HookView, RecordView } from "./span-record.ts";

/** What all spans of one exporter share. */
export interface SpanOrigin {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
  /** Node id of the bootstrap, Envoy's `node_id`. */
  readonly nodeId: string;
}

const OK: SpanStatus = { code: SpanStatusCode.UNSET };
const SAMPLED = 1;
const NO_LINKS: Link[] = [];
const NO_EVENTS: TimedEvent[] = [];

/** A span that is over. */
export class FinishedSpan implements ReadableSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly duration: HrTime;
  readonly attributes: Attributes;
  readonly resource: Resource;
  readonly instrumentationScope: InstrumentationScope;
  readonly ended = true;
  readonly droppedAttributesCount = 0;
  readonly droppedEventsCount = 0;
  readonly droppedLinksCount = 0;
  parentSpanContext?: SpanContext;
  status: SpanStatus = OK;
  links: Link[] = NO_LINKS;
  events: TimedEvent[] = NO_EVENTS;
  readonly #context: SpanContext;

  constructor(
    origin: SpanOrigin,
    context: SpanContext,
    name: string,
    kind: SpanKind,
    /** Milliseconds since the epoch. */
    times: { readonly start: number; readonly end: number },
    attributes: Attributes,
  ) {
    this.#context = context;
    this.name = name;
    this.kind = kind;
    this.startTime = hrTime(times.start);
    this.endTime = hrTime(times.end);
    this.duration = hrTime(times.end - times.start);
    this.attributes = attributes;
    this.resource = origin.resource;
    this.instrumentationScope = origin.scope;
  }

  spanContext(): SpanContext {
    return this.#context;
  }
}

/** The spans of one record. `timeOrigin` turns the worker's times into times since the epoch. */
export function buildSpans(record: RecordView, timeOrigin: number, origin: SpanOrigin): FinishedSpan[] {
  const builder = new SpanBuilder(record, timeOrigin, origin);
  const spans: FinishedSpan[] = [];
  if (record.field(Field.HasRequest) === 1) {
    spans.push(builder.request());
  }
  for (let index = 0; index < record.hooks.length; index++) {
    spans.push(builder.hook(index));
  }
  for (const callout of record.callouts) {
    spans.push(builder.callout(callout));
  }
  return spans;
}

class SpanBuilder {
  readonly #record: RecordView;
  readonly #timeOrigin: number;
  readonly #origin: SpanOrigin;
  readonly #high: number;
  readonly #low: number;
  readonly #traceId: string;
  readonly #requestContext: SpanContext | undefined;

  constructor(record: RecordView, timeOrigin: number, origin: SpanOrigin) {
    this.#record = record;
    this.#timeOrigin = timeOrigin;
    this.#origin = origin;
    this.#high = record.field(Field.SpanHigh);
    this.#low = record.field(Field.SpanLow);
    this.#traceId = record.text(TraceText.TraceId);
    const state = record.text(TraceText.TraceState);
    this.#requestContext =
      record.field(Field.HasRequest) === 1
        ? {
            traceId: this.#traceId,
            spanId: spanIdText(this.#high, this.#low),
            traceFlags: SAMPLED,
            ...(state === "" ? {} : { traceState: new TraceState(state) }),
          }
        : undefined;
  }

  request(): FinishedSpan {
    const record = this.#record;
    const span = this.#span(
      this.#requestContext as SpanContext,
      spanName(record),
      isClientSpan(record) ? SpanKind.CLIENT : SpanKind.SERVER,
      record.field(Field.StartedAt),
      this.#lastEnd(),
      requestAttributes(record, this.#origin.nodeId),
    );
    const parentId = parentIdOf(record);
    if (parentId !== "") {
      span.parentSpanContext = { traceId: this.#traceId, spanId: parentId, traceFlags: SAMPLED, isRemote: true };
    }
    if (errorType(record) !== "") {
      span.status = { code: SpanStatusCode.ERROR };
    }
    return span;
  }

  hook(index: number): FinishedSpan {
    const hook = this.#record.hooks[index] as HookView;
    const name = CALLBACK_NAMES[hook.callback] ?? "unknown";
    const span = this.#span(
      this.#context(hookSpanId(this.#high, this.#low, index)),
      `${hook.plugin.name} ${name}`,
      SpanKind.INTERNAL,
      hook.startedAt,
      hook.endedAt,
      hookAttributes(hook, name, pausedMs(this.#record.hooks, index, this.#record.field(Field.EndedAt))),
    );
    if (this.#requestContext !== undefined) {
      span.parentSpanContext = this.#requestContext;
    }
    const link = hook.answeredCall >= 0 ? calloutSpanId(this.#high, this.#low, hook.answeredCall) : "";
    if (link !== "") {
      span.links = [{ context: this.#context(link) }];
    } else if (index === 0 && this.#record.text(TraceText.Link) !== "") {
      const [traceId = "", spanId = ""] = this.#record.text(TraceText.Link).split("-");
      span.links = [{ context: { traceId, spanId, traceFlags: SAMPLED } }];
    }
    const fault = hook.fault;
    if (fault !== undefined) {
      span.status = { code: SpanStatusCode.ERROR, message: `${fault.kind}: ${fault.message}` };
      const attributes: Attributes = { "exception.type": fault.kind, "exception.message": fault.message };
      if (fault.frames !== "") {
        attributes["exception.stacktrace"] = fault.frames;
      }
      span.events = [{ time: span.endTime, name: "exception", attributes }];
    }
    return span;
  }

  callout(callout: CalloutView): FinishedSpan {
    const span = this.#span(
      this.#context(calloutSpanId(this.#high, this.#low, callout.index)),
      callout.isGrpc ? callout.path.replace(/^\//, "") : callout.method || "HTTP",
      SpanKind.CLIENT,
      callout.startedAt,
      callout.endedAt,
      calloutAttributes(callout),
    );
    if (callout.parentHook >= 0) {
      span.parentSpanContext = this.#context(hookSpanId(this.#high, this.#low, callout.parentHook));
    } else if (this.#requestContext !== undefined) {
      span.parentSpanContext = this.#requestContext;
    }
    const error = calloutError(callout);
    if (error !== "") {
      span.status =
        callout.error === "" ? { code: SpanStatusCode.ERROR } : { code: SpanStatusCode.ERROR, message: callout.error };
    }
    return span;
  }

  #context(spanId: string): SpanContext {
    return { traceId: this.#traceId, spanId, traceFlags: SAMPLED };
  }

  #span(
    context: SpanContext,
    name: string,
    kind: SpanKind,
    startedAt: number,
    endedAt: number,
    attributes: Attributes,
  ): FinishedSpan {
    const times = { start: this.#timeOrigin + startedAt, end: this.#timeOrigin + Math.max(startedAt, endedAt) };
    return new FinishedSpan(this.#origin, context, name, kind, times, attributes);
  }

  /** proxy_on_log and proxy_on_delete run after the response: the request's span covers them. */
  #lastEnd(): number {
    let last = this.#record.field(Field.EndedAt);
    for (const hook of this.#record.hooks) {
      last = Math.max(last, hook.endedAt);
    }
    return last;
  }
}

function hookAttributes(hook: HookView, callback: string, paused: number | undefined): Attributes {
  const plugin = hook.plugin;
  const attributes: Record<string, AttributeValue> = {
    "proxy_wasm.plugin.name": plugin.name,
    "proxy_wasm.plugin.root_id": plugin.rootId,
    "proxy_wasm.vm_id": plugin.vmId,
    "proxy_wasm.plugin.digest": plugin.digest,
    "proxy_wasm.callback": callback,
    "proxy_wasm.context_id": hook.contextId,
    "proxy_wasm.abi_version": plugin.abiVersion,
    "proxy_wasm.host_calls": hook.hostCalls,
  };
  if (hook.action >= 0) {
    attributes["proxy_wasm.action"] = hook.action === 0 ? "continue" : "pause";
  }
  if (hook.endOfStream >= 0) {
    attributes["proxy_wasm.end_of_stream"] = hook.endOfStream === 1;
  }
  if (hook.headersAdded > 0) {
    attributes["proxy_wasm.headers.added"] = hook.headersAdded;
  }
  if (hook.headersReplaced > 0) {
    attributes["proxy_wasm.headers.replaced"] = hook.headersReplaced;
  }
  if (hook.headersRemoved > 0) {
    attributes["proxy_wasm.headers.removed"] = hook.headersRemoved;
  }
  if (hook.bodyBytes >= 0) {
    attributes["proxy_wasm.body.bytes"] = hook.bodyBytes;
  }
  if (paused !== undefined) {
    attributes["proxy_wasm.paused_ms"] = Math.round(paused * 1000) / 1000;
  }
  if (hook.fuel >= 0) {
    attributes["proxy_wasm.fuel"] = hook.fuel;
  }
  if (hook.fault !== undefined) {
    attributes["error.type"] = hook.fault.kind;
  }
  return attributes;
}

function calloutAttributes(callout: CalloutView): Attributes {
  const attributes: Record<string, AttributeValue> = { upstream_cluster: callout.cluster };
  addServer(attributes, callout.authority, "http");
  if (callout.isGrpc) {
    attributes["rpc.system.name"] = "grpc";
    attributes["rpc.method"] = callout.path.replace(/^\//, "");
    if (callout.error === "") {
      attributes["rpc.status_code"] = String(callout.status);
    }
  } else {
    attributes["http.request.method"] = callout.method;
    attributes["url.full"] = `http://${callout.authority}${callout.path}`;
    if (callout.status > 0) {
      attributes["http.response.status_code"] = callout.status;
    }
  }
  const error = calloutError(callout);
  if (error !== "") {
    attributes["error.type"] = error;
  }
  return attributes;
}

function calloutError(callout: CalloutView): string {
  if (callout.error !== "") {
    return callout.error;
  }
  if (callout.isGrpc) {
    return callout.status === 0 ? "" : String(callout.status);
  }
  return callout.status >= 400 ? String(callout.status) : "";
}

/** Milliseconds as seconds and nanoseconds. */
function hrTime(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1000);
  const nanos = Math.round((milliseconds - seconds * 1000) * 1e6);
  return nanos < 1e9 ? [seconds, nanos] : [seconds + 1, 0];
}
