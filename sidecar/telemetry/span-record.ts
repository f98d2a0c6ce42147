// Sampled requests on their way from a worker to the main thread: many records in one array of numbers and one of texts,
// because cloning flat arrays costs a fraction of cloning objects. Written by trace-recorder.ts, read by tracing.ts.
// A record is a group of spans of one trace: a request with its hooks and calls; a root callback with its calls; or a call
// that outlived its request.

import type { PluginIdentity } from "../../plugins/ports.ts";
import type { TracingProvider } from "../../xds/model/tracing.ts";
import { spanIdText } from "./random.ts";
import { Hook, HOOK_STRIDE } from "./stream-trace.ts";

/** A provider that a worker's records name by number. `undefined` provider: the OTEL_* environment decides. */
export interface ProviderRecord {
  readonly id: number;
  readonly provider: TracingProvider | undefined;
}

/** What a worker posts. Survives structured cloning; `numbers.buffer` may be transferred. */
export interface SpanBatch {
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly texts: readonly string[];
  /** Plugins that hooks of this batch name by position. */
  readonly plugins: readonly PluginIdentity[];
  readonly providers: readonly ProviderRecord[];
  /** performance.timeOrigin of the worker, milliseconds since the epoch. */
  readonly timeOrigin: number;
  /** The reader adds 1 when it is done with the batch: what the worker's bound on batches on their way counts. */
  readonly credit: SharedArrayBuffer;
}

export const RecordKind = { Request: 1, Root: 2, LateCall: 3 } as const;

/** Numbers at the head of a record. */
export const RECORD_STRIDE = 19;
export const Field = {
  Kind: 0,
  Provider: 1,
  /** 0 unspecified, 1 inbound, 2 outbound. */
  Direction: 2,
  SpanHigh: 3,
  SpanLow: 4,
  StartedAt: 5,
  EndedAt: 6,
  Status: 7,
  RequestBytes: 8,
  ResponseBytes: 9,
  Attempts: 10,
  RemotePort: 11,
  LocalPort: 12,
  HookCount: 13,
  HooksDropped: 14,
  CalloutCount: 15,
  FaultCount: 16,
  /** Texts of custom tags: twice their number. */
  TagTexts: 17,
  HasRequest: 18,
} as const;

/** Texts of every record. */
export const TRACE_TEXTS = 4;
export const TraceText = { TraceId: 0, ParentId: 1, TraceState: 2, Link: 3 } as const;
/** Texts of a request, after those. */
export const REQUEST_TEXTS = 16;
export const RequestText = {
  Method: 4,
  Path: 5,
  Scheme: 6,
  Authority: 7,
  Protocol: 8,
  ResponseFlags: 9,
  Details: 10,
  RouteName: 11,
  ClusterName: 12,
  UpstreamAddress: 13,
  RemoteAddress: 14,
  LocalAddress: 15,
  UserAgent: 16,
  RequestId: 17,
  UpstreamFailure: 18,
  VirtualHost: 19,
} as const;

export const CALLOUT_STRIDE = 7;
export const CalloutField = {
  Index: 0,
  ParentHook: 1,
  StartedAt: 2,
  EndedAt: 3,
  Status: 4,
  IsGrpc: 5,
  Token: 6,
} as const;
export const CALLOUT_TEXTS = 5;
export const FAULT_TEXTS = 4;

/** Span ids of a record: the request's, then its hooks', then far away the calls'. */
export function hookSpanId(high: number, low: number, hook: number): string {
  return offsetSpanId(high, low, 1 + hook);
}

export function calloutSpanId(high: number, low: number, callout: number): string {
  return offsetSpanId(high, low, 0x10000 + callout);
}

function offsetSpanId(high: number, low: number, offset: number): string {
  const sum = low + offset;
  return sum < 2 ** 32 ? spanIdText(high, sum) : spanIdText((high + 1) >>> 0, sum - 2 ** 32);
}

export interface FaultText {
  readonly kind: string;
  readonly message: string;
  readonly frames: string;
  readonly callback: string;
}

export interface HookView {
  readonly plugin: PluginIdentity;
  readonly callback: number;
  readonly contextId: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly action: number;
  readonly endOfStream: number;
  readonly hostCalls: number;
  readonly headersAdded: number;
  readonly headersReplaced: number;
  readonly headersRemoved: number;
  readonly bodyBytes: number;
  readonly resumedAt: number;
  readonly answeredCall: number;
  readonly fuel: number;
  readonly fault: FaultText | undefined;
}

export interface CalloutView {
  readonly index: number;
  readonly parentHook: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly status: number;
  readonly isGrpc: boolean;
  readonly cluster: string;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly error: string;
}

/** One record of a batch, read by field and text number. */
export interface RecordView {
  field(field: number): number;
  text(text: number): string;
  readonly tags: readonly string[];
  readonly hooks: readonly HookView[];
  readonly callouts: readonly CalloutView[];
}

const NO_PLUGIN: PluginIdentity = { index: -1, name: "", rootId: "", vmId: "", digest: "", abiVersion: "" };

/** The records of a batch, in order. A batch comes from our own worker, so its layout is trusted. */
export function* readBatch(batch: SpanBatch): Generator<RecordView> {
  const { numbers, texts } = batch;
  let at = 0;
  let textAt = 0;
  while (at < numbers.length) {
    const base = at;
    const textBase = textAt;
    const field = (index: number): number => numbers[base + index] as number;
    const text = (index: number): string => texts[textBase + index] ?? "";
    at += RECORD_STRIDE;
    textAt += field(Field.HasRequest) === 1 ? TRACE_TEXTS + REQUEST_TEXTS : TRACE_TEXTS;
    const tags = texts.slice(textAt, textAt + field(Field.TagTexts));
    textAt += tags.length;
    const faults: FaultText[] = [];
    for (let i = 0; i < field(Field.FaultCount); i++, textAt += FAULT_TEXTS) {
      faults.push({
        kind: texts[textAt] ?? "",
        message: texts[textAt + 1] ?? "",
        frames: texts[textAt + 2] ?? "",
        callback: texts[textAt + 3] ?? "",
      });
    }
    const hooks: HookView[] = [];
    for (let i = 0; i < field(Field.HookCount); i++, at += HOOK_STRIDE) {
      hooks.push(hookAt(batch, at, faults));
    }
    const callouts: CalloutView[] = [];
    for (let i = 0; i < field(Field.CalloutCount); i++, at += CALLOUT_STRIDE, textAt += CALLOUT_TEXTS) {
      callouts.push(calloutAt(batch, at, textAt));
    }
    yield { field, text, tags, hooks, callouts };
  }
}

function hookAt(batch: SpanBatch, at: number, faults: readonly FaultText[]): HookView {
  const n = batch.numbers;
  return {
    plugin: batch.plugins[n[at + Hook.Plugin] as number] ?? NO_PLUGIN,
    callback: n[at + Hook.Callback] as number,
    contextId: n[at + Hook.ContextId] as number,
    startedAt: n[at + Hook.StartedAt] as number,
    endedAt: n[at + Hook.EndedAt] as number,
    action: n[at + Hook.Action] as number,
    endOfStream: n[at + Hook.EndOfStream] as number,
    hostCalls: n[at + Hook.HostCalls] as number,
    headersAdded: n[at + Hook.HeadersAdded] as number,
    headersReplaced: n[at + Hook.HeadersReplaced] as number,
    headersRemoved: n[at + Hook.HeadersRemoved] as number,
    bodyBytes: n[at + Hook.BodyBytes] as number,
    resumedAt: n[at + Hook.ResumedAt] as number,
    answeredCall: n[at + Hook.AnsweredCall] as number,
    fuel: n[at + Hook.Fuel] as number,
    fault: faults[n[at + Hook.Fault] as number],
  };
}

function calloutAt(batch: SpanBatch, at: number, textAt: number): CalloutView {
  const n = batch.numbers;
  const t = batch.texts;
  return {
    index: n[at + CalloutField.Index] as number,
    parentHook: n[at + CalloutField.ParentHook] as number,
    startedAt: n[at + CalloutField.StartedAt] as number,
    endedAt: n[at + CalloutField.EndedAt] as number,
    status: n[at + CalloutField.Status] as number,
    isGrpc: n[at + CalloutField.IsGrpc] === 1,
    cluster: t[textAt] ?? "",
    method: t[textAt + 1] ?? "",
    path: t[textAt + 2] ?? "",
    authority: t[textAt + 3] ?? "",
    error: t[textAt + 4] ?? "",
  };
}

/** When a hook's pause ended and how long it took, in ms; undefined when it did not pause. */
export function pausedMs(hooks: readonly HookView[], index: number, requestEndedAt: number): number | undefined {
  const hook = hooks[index];
  if (hook === undefined || hook.action <= 0) {
    return undefined;
  }
  if (hook.resumedAt > 0) {
    return hook.resumedAt - hook.endedAt;
  }
  const isRequest = hook.callback <= 8;
  for (let later = index + 1; later < hooks.length; later++) {
    const next = hooks[later] as HookView;
    if (
      next.contextId === hook.contextId &&
      next.plugin === hook.plugin &&
      next.callback <= 8 === isRequest &&
      next.action >= 0
    ) {
      return Math.max(0, next.endedAt - hook.endedAt);
    }
  }
  return Math.max(0, requestEndedAt - hook.endedAt);
}
