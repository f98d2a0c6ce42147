// A worker's record of its requests: hands out StreamTraces, keeps the latest for /traces, and posts the sampled ones in
// batches to the main thread. Made once by worker.ts; also the plugin host's HookObserver.
// Hot path: begin, hook and finish allocate nothing for a request that is not sampled, but a pooled object.
//
//   begin ─▶ hook* (callStarted … callEnded)* ─▶ finish ─┬─▶ ring of the latest ─▶ pool
//                                                        └─▶ batch ─▶ post          (sampled)

import { withMetadata } from "./metadata-tags.ts";
import type { HookObserver, HookRecord } from "../../plugins/observer.ts";
import type { ConnectionAccess, LoggedStream } from "../../plugins/ports.ts";
import type { TracingProvider } from "../../xds/model/tracing.ts";
import type { StreamInfo } from "../filter/stream-info.ts";
import type { RequestHead } from "../http/message.ts";
import type { Counter } from "../stats/scope.ts";
import { traceIdText } from "../random-id.ts";
import type { RandomSource } from "../random-id.ts";
import type { SamplingPolicy } from "./sampling.ts";
import { SpanBatchWriter } from "./span-batch.ts";
import type { ProviderRecord, SpanBatch } from "./span-batch.ts";
import type { SpanLink } from "./span-encoder.ts";
import { calloutSpanId } from "./span-ids.ts";
import { MAX_CALLOUTS, StreamTrace } from "./stream-trace.ts";
import type { Callout } from "./stream-trace.ts";

export interface TraceRecorderOptions {
  /** How many requests /traces can show; 0 keeps none. Default 256; see `ringSize`. */
  readonly ringSize?: number;
  readonly random: RandomSource;
  /** Node id of the bootstrap, Envoy's `node_id` on a request's span. */
  readonly nodeId: string;
  /** Posts to the main thread; `buffersOf(batch)` may be transferred. */
  readonly post: (batch: SpanBatch) => void;
  /** Counts records that found no room: `tracing.opentelemetry.records_dropped`. */
  readonly dropped: Counter;
  /** The StreamTrace of a stream that a plugin sees; undefined when it has ended. */
  readonly traceOf: (stream: LoggedStream | ConnectionAccess) => StreamTrace | undefined;
  /** Runs a function a little later; default after 100 ms, without keeping the process alive. */
  readonly schedule?: (run: () => void) => void;
  /** Batches that may be on their way to the main thread; default 16 (at most 4 MiB). */
  readonly maxBatches?: number;
}

/** Default of `outrigger.trace.ring_size`, for each worker. */
export const TRACE_RING_SIZE = 256;
/** Largest ring: a kept request takes a few kilobytes. */
export const MAX_TRACE_RING_SIZE = 16_384;
/** Calls waiting for an answer, over all streams; more are not recorded. */
const MAX_PENDING_CALLS = 4096;
/** Heads above this many bytes are not kept alive by a path that /traces shows. */
const LARGE_HEAD_BYTES = 8192;
const POOL_SIZE = 256;
/** Root callbacks kept from before there is anywhere to send them: proxy_on_vm_start and proxy_on_configure. */
const MAX_EARLY_HOOKS = 64;

export class TraceRecorder implements HookObserver {
  readonly #options: TraceRecorderOptions;
  readonly #writer: SpanBatchWriter;
  #ring: (StreamTrace | undefined)[];
  readonly #pool: StreamTrace[] = [];
  readonly #calls = new Map<number, Callout>();
  readonly #providers = new Map<string, number>();
  readonly #credit = new SharedArrayBuffer(4);
  readonly #processed = new Int32Array(this.#credit);
  #newProviders: ProviderRecord[] = [];
  #posted = 0;
  #ringAt = 0;
  #isScheduled = false;
  #rootProvider = 0;
  #rootPolicy: SamplingPolicy | undefined = undefined;
  /** Calls of the root callback that is running: its hook comes when it has returned. */
  #root: StreamTrace | undefined = undefined;
  /** Root callbacks that ran before the first provider came: plugins start before listeners do. */
  #early: StreamTrace[] = [];

  constructor(options: TraceRecorderOptions) {
    this.#options = options;
    this.#writer = new SpanBatchWriter(options.nodeId, performance.timeOrigin);
    this.#ring = emptyRing(options.ringSize ?? TRACE_RING_SIZE);
  }

  /** How many requests /traces can show from now on, at most MAX_TRACE_RING_SIZE; the newest stay. */
  set ringSize(size: number) {
    const ring = emptyRing(size);
    if (ring.length === this.#ring.length) {
      return;
    }
    const all = this.latest(this.#ring.length);
    for (const trace of all.splice(ring.length)) {
      this.#recycle(trace);
    }
    const kept = all.length;
    for (let i = 0; i < kept; i++) {
      ring[kept - 1 - i] = all[i];
    }
    this.#ring = ring;
    this.#ringAt = kept === ring.length ? 0 : kept;
  }

  /**
   * The number by which records name an exporter; the same provider gets the same number. Root callbacks' spans go where
   * the last one registered goes.
   */
  registerProvider(provider: TracingProvider | undefined, policy: SamplingPolicy): number {
    const key = JSON.stringify(provider) ?? "";
    let id = this.#providers.get(key);
    if (id === undefined) {
      id = this.#providers.size + 1;
      this.#providers.set(key, id);
      this.#newProviders.push({ id, provider });
    }
    this.#rootProvider = id;
    this.#rootPolicy = policy;
    for (const trace of this.#early.splice(0)) {
      this.#postRoot(this.#startRoot(trace, policy), undefined);
    }
    return id;
  }

  /** A request begins. The caller keeps the trace until `finish` and forgets it then: it will be another request's. */
  begin(head: RequestHead, startedAt: number): StreamTrace {
    const trace = this.#pool.pop() ?? new StreamTrace();
    trace.method = head.method;
    trace.path = head.path;
    trace.authority = head.authority;
    trace.scheme = head.scheme;
    trace.startedAt = startedAt;
    return trace;
  }

  /** Gives a trace its ids: the caller's trace id, or a new one. */
  assignIds(trace: StreamTrace): void {
    const random = this.#options.random;
    trace.spanHigh = random.next();
    trace.spanLow = random.next();
    trace.traceId = trace.context.traceId === "" ? traceIdText(random) : trace.context.traceId;
  }

  hook(record: HookRecord): void {
    let call: Callout | undefined;
    if (record.answeredToken !== 0) {
      call = this.#calls.get(record.answeredToken);
    }
    const stream = record.stream ?? record.connection ?? record.effectiveStream;
    const trace = call?.trace ?? (stream === undefined ? undefined : this.#options.traceOf(stream));
    if (trace !== undefined && !trace.isFinished) {
      const index = trace.addHook(record, call !== undefined && call.trace === trace ? call.index : -1);
      adopt(trace, record, index);
    } else if (record.stream === undefined && record.connection === undefined) {
      this.#rootHook(record, call);
    }
  }

  /**
   * A plugin makes a call. `stream`: on whose behalf, undefined for a root context. Returns the call, whose
   * `traceparentOf` goes with it, or undefined when nobody would show it. Calls are rare, so those of requests that are
   * not sampled are kept too, for /traces.
   */
  callStarted(
    stream: LoggedStream | ConnectionAccess | undefined,
    call: Pick<Callout, "token" | "rpc" | "cluster" | "method" | "path" | "authority" | "startedAt">,
  ): Callout | undefined {
    const trace = stream === undefined ? this.#rootTrace() : this.#options.traceOf(stream);
    if (trace === undefined || trace.callouts.length >= MAX_CALLOUTS) {
      return undefined;
    }
    const callout: Callout = {
      token: call.token,
      rpc: call.rpc,
      cluster: call.cluster,
      method: call.method,
      path: call.path,
      authority: call.authority,
      startedAt: call.startedAt,
      endedAt: 0,
      status: 0,
      error: "",
      index: trace.callouts.length,
      parentHook: -1,
      traceId: trace.traceId,
      spanHigh: trace.spanHigh,
      spanLow: trace.spanLow,
      provider: trace.provider,
      sampled: trace.sampled,
      trace,
    };
    if (this.#calls.size < MAX_PENDING_CALLS) {
      trace.callouts.push(callout);
      this.#calls.set(call.token, callout);
    }
    return callout;
  }

  /** The call is over, before its answer's callback runs. `status` 0 and an error when there was no answer. */
  callEnded(callout: Callout, status: number, error: string, endedAt: number): void {
    callout.endedAt = endedAt;
    callout.status = status;
    callout.error = error;
    const trace = callout.trace;
    if (callout.sampled && (trace === undefined || trace.isFinished)) {
      this.#addLateCall(callout);
    }
  }

  /** The last callback that the call had to tell something has run, or none will: it is forgotten. */
  callSettled(callout: Callout): void {
    this.#calls.delete(callout.token);
  }

  /** A call was cancelled: no callback will take its answer. */
  callCancelled(callout: Callout, endedAt: number): void {
    this.callSettled(callout);
    this.callEnded(callout, 0, "cancelled", endedAt);
  }

  /** The request is over, and its plugins' last callbacks have run. */
  finish(trace: StreamTrace, info: StreamInfo): void {
    trace.isFinished = true;
    trace.endedAt = info.endedAt;
    trace.status = info.status;
    trace.responseFlags = info.responseFlags;
    trace.responseDetails = info.responseCodeDetails;
    trace.upstreamSentAt = info.upstreamSentAt;
    trace.upstreamFirstByteAt = info.upstreamFirstByteAt;
    trace.routeName = info.routeName;
    trace.clusterName = info.clusterName;
    trace.upstreamAddress = info.upstreamAddress;
    trace.requestId = info.requestHead.headers.get("x-request-id") ?? "";
    if (info.requestHeaderBytes > LARGE_HEAD_BYTES) {
      trace.path = detached(trace.path);
      trace.authority = detached(trace.authority);
      trace.requestId = detached(trace.requestId);
    }
    if (trace.sampled) {
      if (trace.metadataTags.length > 0) {
        trace.tags = withMetadata(trace.tags, trace.metadataTags, info);
      }
      this.#addTrace(trace, info, undefined);
    }
    for (const callout of trace.callouts) {
      callout.trace = undefined;
    }
    const size = this.#ring.length;
    if (size === 0) {
      this.#recycle(trace);
      return;
    }
    const evicted = this.#ring[this.#ringAt];
    this.#ring[this.#ringAt] = trace;
    this.#ringAt = this.#ringAt + 1 === size ? 0 : this.#ringAt + 1;
    if (evicted !== undefined) {
      this.#recycle(evicted);
    }
  }

  /** The latest requests, the newest first. The traces belong to the ring: read them before the next turn. */
  latest(limit: number): StreamTrace[] {
    const size = this.#ring.length;
    const traces: StreamTrace[] = [];
    for (let i = 1; i <= size && traces.length < limit; i++) {
      const trace = this.#ring[(this.#ringAt - i + size) % size];
      if (trace === undefined) {
        break;
      }
      traces.push(trace);
    }
    return traces;
  }

  /** Posts what has been collected now. Call it before the worker ends. */
  flush(): void {
    if (this.#writer.isEmpty) {
      return;
    }
    const batch = this.#writer.take(this.#newProviders, this.#credit);
    this.#newProviders = [];
    this.#posted++;
    this.#options.post(batch);
  }

  #rootTrace(): StreamTrace | undefined {
    const policy = this.#rootPolicy;
    if (this.#root === undefined && policy !== undefined) {
      this.#root = this.#startRoot(this.#pool.pop() ?? new StreamTrace(), policy);
    }
    return this.#root;
  }

  #startRoot(trace: StreamTrace, policy: SamplingPolicy): StreamTrace {
    const chance = this.#options.random.next();
    trace.provider = this.#rootProvider;
    trace.sampled = chance < policy.random && chance < policy.overall;
    this.assignIds(trace);
    return trace;
  }

  #rootHook(record: HookRecord, answered: Callout | undefined): void {
    const trace = this.#rootTrace();
    this.#root = undefined;
    if (trace === undefined) {
      if (this.#early.length < MAX_EARLY_HOOKS) {
        const early = new StreamTrace();
        early.addHook(record, -1);
        this.#early.push(early);
      }
      return;
    }
    // The answer to a sampled call is shown whatever chance says, so that the link has its other end.
    trace.sampled ||= answered?.sampled === true;
    adopt(trace, record, trace.addHook(record, -1));
    this.#postRoot(trace, answered === undefined || answered.traceId === "" ? undefined : answered);
  }

  /** Posts a root callback's trace, when it is sampled, and takes it back. `link`: the call that it answers. */
  #postRoot(trace: StreamTrace, link: SpanLink | undefined): void {
    trace.isFinished = true;
    if (trace.sampled) {
      this.#addTrace(trace, undefined, link);
    }
    for (const callout of trace.callouts) {
      callout.trace = undefined;
    }
    this.#recycle(trace);
  }

  /** The spans of a request (with `info`) or of a root callback, whose calls follow when they are over. */
  #addTrace(trace: StreamTrace, info: StreamInfo | undefined, link: SpanLink | undefined): void {
    if (!this.#openRecord(trace.provider)) {
      return;
    }
    const writer = this.#writer;
    const { encoder } = writer;
    encoder.begin(trace);
    if (info !== undefined) {
      encoder.request(trace, info);
      writer.endSpan();
    }
    for (let index = 0; index < trace.hookCount; index++) {
      encoder.hook(trace, index, info === undefined, link);
      writer.endSpan();
    }
    if (info !== undefined) {
      for (const callout of trace.callouts) {
        if (callout.endedAt > 0) {
          encoder.callout(callout, false);
          writer.endSpan();
        }
      }
    }
    writer.close();
    this.#scheduleFlush();
  }

  /** A call that outlived its request, or a root callback's. */
  #addLateCall(callout: Callout): void {
    if (this.#openRecord(callout.provider)) {
      this.#writer.encoder.begin(callout);
      this.#writer.encoder.callout(callout, true);
      this.#writer.endSpan();
      this.#writer.close();
      this.#scheduleFlush();
    }
  }

  /** Whether there is room for a record; counts one that finds none. */
  #openRecord(provider: number): boolean {
    if (this.#writer.isDue && this.#hasCredit()) {
      this.flush();
    }
    const isOpen = this.#writer.open(provider);
    if (!isOpen) {
      this.#options.dropped.inc();
    }
    return isOpen;
  }

  #scheduleFlush(): void {
    if (this.#isScheduled) {
      return;
    }
    this.#isScheduled = true;
    (this.#options.schedule ?? later)(() => {
      this.#isScheduled = false;
      if (this.#hasCredit()) {
        this.flush();
      } else {
        this.#scheduleFlush();
      }
    });
  }

  /** Whether the main thread keeps up with what has been posted. */
  #hasCredit(): boolean {
    return this.#posted - Atomics.load(this.#processed, 0) < (this.#options.maxBatches ?? 16);
  }

  #recycle(trace: StreamTrace): void {
    if (this.#pool.length < POOL_SIZE) {
      trace.reset();
      this.#pool.push(trace);
    }
  }
}

/** The context that goes with a plugin's call: its own CLIENT span's. Empty when the request is not traced. */
export function traceparentOf(callout: Callout): string {
  if (callout.traceId === "") {
    return "";
  }
  const spanId = calloutSpanId(callout.spanHigh, callout.spanLow, callout.index);
  return `00-${callout.traceId}-${spanId}-${callout.sampled ? "01" : "00"}`;
}

/** Tells the calls that a callback made whose they are. */
function adopt(trace: StreamTrace, record: HookRecord, hook: number): void {
  for (const token of record.callTokens) {
    for (const callout of trace.callouts) {
      if (callout.token === token) {
        callout.parentHook = hook;
      }
    }
  }
}

function emptyRing(size: number): (StreamTrace | undefined)[] {
  return Array.from({ length: Math.min(Math.floor(size), MAX_TRACE_RING_SIZE) }, () => undefined);
}

function detached(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function later(run: () => void): void {
  setTimeout(run, 100).unref();
}
