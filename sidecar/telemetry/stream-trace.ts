// What a worker notes about one request while it lives: its trace ids, its facts, the callbacks that ran and the calls
// that plugins made. Made and recycled by trace-recorder.ts; shown by /traces, and posted when the request is sampled.
// Hot path: fields are stored plainly and hooks go into one typed array, so that an unsampled request costs a few stores.

import type { MetadataTag } from "./metadata-tags.ts";
import type { PluginFault } from "../../plugins/errors.ts";
import type { HookRecord } from "../../plugins/observer.ts";
import type { PluginIdentity } from "../../plugins/ports.ts";
import { TraceContext } from "./propagation.ts";
import { spanIdText } from "../random-id.ts";

/** Numbers of one hook in StreamTrace.hooks. */
export const HOOK_STRIDE = 16;
export const Hook = {
  Plugin: 0,
  Callback: 1,
  ContextId: 2,
  StartedAt: 3,
  EndedAt: 4,
  Action: 5,
  EndOfStream: 6,
  HostCalls: 7,
  HeadersAdded: 8,
  HeadersReplaced: 9,
  HeadersRemoved: 10,
  BodyBytes: 11,
  /** When the stream went on after this hook's pause; 0: not by a call of its own. */
  ResumedAt: 12,
  /** Index in `faults`, or -1. */
  Fault: 13,
  /** Index of the call whose answer this hook received, or -1. */
  AnsweredCall: 14,
  /** Fuel used, or -1. */
  Fuel: 15,
} as const;

/** Most hooks kept for one request; a callback for each chunk of a long body would be without bound. */
export const MAX_HOOKS = 256;
/** Most calls kept for one request. */
export const MAX_CALLOUTS = 64;
/** `method` of a trace that is a TCP connection's. */
export const CONNECTION_METHOD = "TCP";
const FIRST_CAPACITY = 12;
const NO_TAGS: readonly string[] = [];
const NO_METADATA_TAGS: readonly MetadataTag[] = [];

/** A call that a plugin made: proxy_http_call or proxy_grpc_call. */
export interface Callout {
  readonly token: number;
  readonly rpc: "http" | "grpc";
  readonly cluster: string;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly startedAt: number;
  /** 0 while it runs. */
  endedAt: number;
  /** HTTP status or gRPC status; 0 when there was no answer. */
  status: number;
  /** Empty when it went well. */
  error: string;
  /** Place in its trace: its span's id follows from it. */
  readonly index: number;
  /** The hook that made it, or -1. */
  parentHook: number;
  /** Copies of the trace's own, because a call can outlive its request. */
  readonly traceId: string;
  readonly spanHigh: number;
  readonly spanLow: number;
  readonly provider: number;
  readonly sampled: boolean;
  /** Undefined when the request has ended before the call. */
  trace: StreamTrace | undefined;
}

/** Envoy's default for max_path_tag_length. */
const MAX_PATH_LENGTH = 256;

export class StreamTrace {
  readonly context = new TraceContext();
  /** Which exporter and tags: see request-tracing.ts. 0: not traced. */
  provider = 0;
  sampled = false;
  /** Empty: the request has no trace. */
  traceId = "";
  /** The request's span id in two halves; hooks' and calls' ids count on from it. */
  spanHigh = 0;
  spanLow = 0;
  traceState = "";
  /** What the span is called; empty: after method and route. */
  operation = "";
  /** Longest path and query in attributes, in characters. */
  maxPathLength = MAX_PATH_LENGTH;
  /** What the client is told of it; empty: nothing. */
  toldOperation = "";
  /** Custom tags, name and value in turn. */
  tags: readonly string[] = NO_TAGS;
  /** Tags whose values are known at the stream's end. */
  metadataTags: readonly MetadataTag[] = NO_METADATA_TAGS;
  isFinished = false;

  method = "";
  path = "";
  authority = "";
  scheme = "";
  startedAt = 0;
  endedAt = 0;
  status = 0;
  responseFlags = "";
  responseDetails = "";
  /** 0: nothing went upstream, or nothing came back. */
  upstreamSentAt = 0;
  upstreamFirstByteAt = 0;
  routeName = "";
  clusterName = "";
  upstreamAddress = "";
  requestId = "";

  hooks = new Float64Array(HOOK_STRIDE * FIRST_CAPACITY);
  hookCount = 0;
  hooksDropped = 0;
  /** By hook: whose callback ran. Only the first `hookCount` mean something. */
  readonly plugins: PluginIdentity[] = [];
  readonly faults: PluginFault[] = [];
  readonly callouts: Callout[] = [];

  /** Ready for the next request; keeps its arrays. */
  reset(): void {
    this.context.clear();
    this.provider = 0;
    this.sampled = false;
    this.traceId = "";
    this.traceState = "";
    this.operation = "";
    this.toldOperation = "";
    this.maxPathLength = MAX_PATH_LENGTH;
    this.tags = NO_TAGS;
    this.metadataTags = NO_METADATA_TAGS;
    this.isFinished = false;
    this.requestId = "";
    this.hookCount = 0;
    this.hooksDropped = 0;
    if (this.hooks.length > HOOK_STRIDE * FIRST_CAPACITY) {
      this.hooks = new Float64Array(HOOK_STRIDE * FIRST_CAPACITY);
    }
    // Setting a length frees the array's store, so it is done only where it is needed.
    if (this.faults.length > 0) {
      this.faults.length = 0;
    }
    if (this.callouts.length > 0) {
      this.callouts.length = 0;
    }
  }

  /** The request's own span id, for the upstream. */
  get spanId(): string {
    return spanIdText(this.spanHigh, this.spanLow);
  }

  /** Notes a callback that ran; its index, or -1 when there is no room. */
  addHook(record: HookRecord, answeredCall: number): number {
    const index = this.hookCount;
    let at = index * HOOK_STRIDE;
    if (at === this.hooks.length && !this.#grow()) {
      this.hooksDropped++;
      return -1;
    }
    this.hookCount = index + 1;
    this.plugins[index] = record.plugin;
    const hooks = this.hooks;
    hooks[at++] = record.plugin.index;
    hooks[at++] = record.callback;
    hooks[at++] = record.contextId;
    hooks[at++] = record.startedAt;
    hooks[at++] = record.endedAt;
    hooks[at++] = record.action;
    hooks[at++] = record.endOfStream;
    hooks[at++] = record.hostCalls;
    hooks[at++] = record.headersAdded;
    hooks[at++] = record.headersReplaced;
    hooks[at++] = record.headersRemoved;
    hooks[at++] = record.bodyBytes;
    hooks[at++] = 0;
    hooks[at++] = record.fault === undefined ? -1 : this.faults.push(record.fault) - 1;
    hooks[at++] = answeredCall;
    hooks[at] = record.fuel;
    return index;
  }

  /**
   * The stream goes on in one direction because the plugin asked for it: ends the pause of the plugin's last hook that
   * paused. `isRequest` says which direction.
   */
  resume(pluginIndex: number, isRequest: boolean, now: number): void {
    for (let index = this.hookCount - 1; index >= 0; index--) {
      const at = index * HOOK_STRIDE;
      if (
        this.hooks[at + Hook.Plugin] === pluginIndex &&
        isDirection(this.hooks[at + Hook.Callback] as number, isRequest)
      ) {
        if ((this.hooks[at + Hook.Action] as number) > 0 && this.hooks[at + Hook.ResumedAt] === 0) {
          this.hooks[at + Hook.ResumedAt] = now;
        }
        return;
      }
    }
  }

  #grow(): boolean {
    const capacity = this.hooks.length / HOOK_STRIDE;
    if (capacity >= MAX_HOOKS) {
      return false;
    }
    const grown = new Float64Array(Math.min(MAX_HOOKS, capacity * 2) * HOOK_STRIDE);
    grown.set(this.hooks);
    this.hooks = grown;
    return true;
  }
}

/**
 * Callback ids 6 to 8 are the request's, 9 to 11 the response's; of a connection 20 and 21 are the client's direction, 23 is the
 * upstream's (plugins/abi/callbacks.ts).
 */
export function isDirection(callback: number, isRequest: boolean): boolean {
  return isRequest
    ? (callback >= 6 && callback <= 8) || callback === 20 || callback === 21
    : (callback >= 9 && callback <= 11) || callback === 23;
}

/** A pause ends when the plugin says so, at its next callback in that direction, or with the request. */
export function pauseEnd(trace: StreamTrace, index: number): number {
  const hooks = trace.hooks;
  const at = index * HOOK_STRIDE;
  const resumedAt = hooks[at + Hook.ResumedAt] as number;
  if (resumedAt > 0) {
    return resumedAt;
  }
  const isRequest = isDirection(hooks[at + Hook.Callback] as number, true);
  for (let later = at + HOOK_STRIDE; later < trace.hookCount * HOOK_STRIDE; later += HOOK_STRIDE) {
    if (
      hooks[later + Hook.ContextId] === hooks[at + Hook.ContextId] &&
      hooks[later + Hook.Plugin] === hooks[at + Hook.Plugin] &&
      (hooks[later + Hook.Action] as number) >= 0 &&
      isDirection(hooks[later + Hook.Callback] as number, isRequest)
    ) {
      return hooks[later + Hook.EndedAt] as number;
    }
  }
  return trace.endedAt;
}
