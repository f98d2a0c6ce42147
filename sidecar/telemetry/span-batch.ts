// The worker's side of span-record.ts: collects records in preallocated arrays until they are posted.
// Bounded: a record that finds no room, or that comes while too many batches are on their way, is dropped by the caller.

import type { PluginIdentity } from "../../plugins/ports.ts";
import { CALLOUT_STRIDE, Field, RECORD_STRIDE, REQUEST_TEXTS, TRACE_TEXTS } from "./span-record.ts";
import type { SpanBatch, ProviderRecord } from "./span-record.ts";
import { Hook, HOOK_STRIDE } from "./stream-trace.ts";
import type { Callout, StreamTrace } from "./stream-trace.ts";
import type { StreamInfo } from "../filter/stream-info.ts";

/** Numbers of one batch: 256 KiB, some 150 requests with eight hooks. */
const CAPACITY = 32_768;
/** Most bytes of one text: a header value can be 60 KiB. */
const MAX_TEXT_LENGTH = 4096;

const DIRECTIONS = { unspecified: 0, inbound: 1, outbound: 2 } as const;

export interface RecordHead {
  readonly kind: number;
  readonly provider: number;
  readonly traceId: string;
  readonly parentId: string;
  readonly traceState: string;
  /** `traceId-spanId` of what a root callback's span links to; empty for none. */
  readonly link: string;
  readonly spanHigh: number;
  readonly spanLow: number;
}

export class SpanBatchWriter {
  readonly #numbers = new Float64Array(CAPACITY);
  #used = 0;
  #texts: string[] = [];
  readonly #plugins = new Map<PluginIdentity, number>();

  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /** Whether a record of this size fits now. */
  hasRoom(hooks: number, callouts: number): boolean {
    return this.#used + RECORD_STRIDE + hooks * HOOK_STRIDE + callouts * CALLOUT_STRIDE <= CAPACITY;
  }

  /** Half full: time to post. */
  get isDue(): boolean {
    return this.#used >= CAPACITY / 2;
  }

  /** Adds a record. `trace` gives the hooks; `info` is undefined for records without a request. */
  add(
    head: RecordHead,
    trace: StreamTrace | undefined,
    info: StreamInfo | undefined,
    callouts: readonly Callout[],
  ): void {
    const numbers = this.#numbers;
    const at = this.#used;
    numbers.fill(0, at, at + RECORD_STRIDE);
    numbers[at + Field.Kind] = head.kind;
    numbers[at + Field.Provider] = head.provider;
    numbers[at + Field.SpanHigh] = head.spanHigh;
    numbers[at + Field.SpanLow] = head.spanLow;
    numbers[at + Field.CalloutCount] = callouts.length;
    this.#used = at + RECORD_STRIDE;
    const texts = this.#texts;
    texts.push(head.traceId, head.parentId, head.traceState, head.link);
    if (info !== undefined && trace !== undefined) {
      this.#addRequest(at, trace, info);
    }
    if (trace !== undefined) {
      this.#addHooks(at, trace);
    }
    for (const callout of callouts) {
      this.#addCallout(callout);
    }
  }

  /** Takes what has been collected. */
  take(providers: readonly ProviderRecord[], timeOrigin: number, credit: SharedArrayBuffer): SpanBatch {
    const batch = {
      numbers: this.#numbers.slice(0, this.#used),
      texts: this.#texts,
      plugins: [...this.#plugins.keys()],
      providers,
      timeOrigin,
      credit,
    };
    this.#used = 0;
    this.#texts = [];
    this.#plugins.clear();
    return batch;
  }

  #addRequest(at: number, trace: StreamTrace, info: StreamInfo): void {
    const numbers = this.#numbers;
    const connection = info.connection;
    numbers[at + Field.HasRequest] = 1;
    numbers[at + Field.Direction] = DIRECTIONS[info.trafficDirection];
    numbers[at + Field.StartedAt] = trace.startedAt;
    numbers[at + Field.EndedAt] = trace.endedAt;
    numbers[at + Field.Status] = trace.status;
    numbers[at + Field.RequestBytes] = info.requestBodyBytes;
    numbers[at + Field.ResponseBytes] = info.responseBodyBytes;
    numbers[at + Field.Attempts] = info.attempts;
    numbers[at + Field.RemotePort] = connection.remotePort;
    numbers[at + Field.LocalPort] = connection.localPort;
    numbers[at + Field.TagTexts] = trace.tags.length;
    const texts = this.#texts;
    texts.push(
      trace.method,
      bounded(trace.path),
      trace.scheme,
      bounded(trace.authority),
      info.protocol,
      info.responseFlags,
      info.responseCodeDetails,
      info.routeName,
      info.clusterName,
      info.upstreamAddress,
      connection.remoteAddress,
      connection.localAddress,
      bounded(info.requestHead.headers.get("user-agent") ?? ""),
      bounded(trace.requestId),
      bounded(info.upstreamFailure),
      info.virtualHostName,
    );
    for (const text of trace.tags) {
      texts.push(bounded(text));
    }
  }

  #addHooks(at: number, trace: StreamTrace): void {
    const numbers = this.#numbers;
    numbers[at + Field.HookCount] = trace.hookCount;
    numbers[at + Field.HooksDropped] = trace.hooksDropped;
    numbers[at + Field.FaultCount] = trace.faults.length;
    for (const fault of trace.faults) {
      this.#texts.push(fault.kind, bounded(fault.message), bounded(fault.frames.join("\n")), fault.callback);
    }
    const hooks = trace.hooks;
    let to = this.#used;
    for (let index = 0; index < trace.hookCount; index++) {
      const from = index * HOOK_STRIDE;
      for (let i = 0; i < HOOK_STRIDE; i++) {
        numbers[to + i] = hooks[from + i] as number;
      }
      numbers[to + Hook.Plugin] = this.#pluginId(trace.plugins[index] as PluginIdentity);
      to += HOOK_STRIDE;
    }
    this.#used = to;
  }

  #addCallout(callout: Callout): void {
    const numbers = this.#numbers;
    let at = this.#used;
    numbers[at++] = callout.index;
    numbers[at++] = callout.parentHook;
    numbers[at++] = callout.startedAt;
    numbers[at++] = callout.endedAt;
    numbers[at++] = callout.status;
    numbers[at++] = callout.rpc === "grpc" ? 1 : 0;
    numbers[at++] = callout.token;
    this.#used = at;
    this.#texts.push(
      callout.cluster,
      callout.method,
      bounded(callout.path),
      bounded(callout.authority),
      bounded(callout.error),
    );
  }

  #pluginId(plugin: PluginIdentity): number {
    let id = this.#plugins.get(plugin);
    if (id === undefined) {
      id = this.#plugins.size;
      this.#plugins.set(plugin, id);
    }
    return id;
  }
}

// The constants above and the pushes must agree; the decoder's test would fail otherwise.
export const TEXTS_OF_A_REQUEST = TRACE_TEXTS + REQUEST_TEXTS;

function bounded(text: string): string {
  return text.length > MAX_TEXT_LENGTH ? text.slice(0, MAX_TEXT_LENGTH) : text;
}
