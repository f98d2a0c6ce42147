// A worker's traces as finished OpenTelemetry spans in OTLP bytes: no tracer, no context, no clock, no span object.
//
//   request          SERVER (inbound) or CLIENT (outbound)
//   ├─ plugin hook   INTERNAL, one for each callback
//   │  └─ call       CLIENT, proxy_http_call or proxy_grpc_call
//   └─ plugin hook   INTERNAL, the answer's callback: links to the call
//
// Root callbacks start traces of their own. The attributes are the product's contract (§5). Used by span-batch.ts; what it
// writes is field 2 (`spans`) of opentelemetry.proto.trace.v1.ScopeSpans, span by span. Hot for sampled requests.

import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import type { PluginIdentity } from "../../plugins/ports.ts";
import type { StreamInfo } from "../filter/stream-info.ts";
import { AttributeKey, EVENT_ATTRIBUTES, OtlpWriter, SPAN_ATTRIBUTES } from "./otlp-writer.ts";
import type { AttributeValue } from "./otlp-writer.ts";
import { errorType, isClientSpan, spanName, writeRequestAttributes, writeServer } from "./request-attributes.ts";
import { calloutOffset, hookOffset } from "./span-ids.ts";
import { Hook, HOOK_STRIDE, pauseEnd } from "./stream-trace.ts";
import type { Callout, StreamTrace } from "./stream-trace.ts";

const SERVER = 2;
const CLIENT = 3;
const INTERNAL = 1;
/** W3C's sampled flag, and OTLP's "it is known whether the parent is remote". */
const FLAGS = 0x101;
const FLAG_REMOTE_PARENT = 0x200;
const STATUS_ERROR = 2;
/** Longest text from a guest or a call, in characters. */
const MAX_TEXT_LENGTH = 4096;
/** Plugins whose constant attributes are kept encoded; every new version of a plugin is one more. */
const MAX_PLUGINS = 64;

const KEY = {
  pluginName: new AttributeKey("proxy_wasm.plugin.name"),
  rootId: new AttributeKey("proxy_wasm.plugin.root_id"),
  vmId: new AttributeKey("proxy_wasm.vm_id"),
  digest: new AttributeKey("proxy_wasm.plugin.digest"),
  callback: new AttributeKey("proxy_wasm.callback"),
  contextId: new AttributeKey("proxy_wasm.context_id"),
  abiVersion: new AttributeKey("proxy_wasm.abi_version"),
  hostCalls: new AttributeKey("proxy_wasm.host_calls"),
  action: new AttributeKey("proxy_wasm.action"),
  endOfStream: new AttributeKey("proxy_wasm.end_of_stream"),
  headersAdded: new AttributeKey("proxy_wasm.headers.added"),
  headersReplaced: new AttributeKey("proxy_wasm.headers.replaced"),
  headersRemoved: new AttributeKey("proxy_wasm.headers.removed"),
  bodyBytes: new AttributeKey("proxy_wasm.body.bytes"),
  pausedMs: new AttributeKey("proxy_wasm.paused_ms"),
  fuel: new AttributeKey("proxy_wasm.fuel"),
  errorType: new AttributeKey("error.type"),
  exceptionType: new AttributeKey("exception.type"),
  exceptionMessage: new AttributeKey("exception.message"),
  exceptionStack: new AttributeKey("exception.stacktrace"),
  upstreamCluster: new AttributeKey("upstream_cluster"),
  rpcSystem: new AttributeKey("rpc.system.name"),
  rpcMethod: new AttributeKey("rpc.method"),
  rpcStatus: new AttributeKey("rpc.status_code"),
  method: new AttributeKey("http.request.method"),
  urlFull: new AttributeKey("url.full"),
  status: new AttributeKey("http.response.status_code"),
};

/** Whose spans are written: the ids that a request, a root callback or a late call have in common. */
export interface TraceIds {
  readonly traceId: string;
  readonly spanHigh: number;
  readonly spanLow: number;
}

/** What a root callback's span links to: the call that it answers. */
export interface SpanLink extends TraceIds {
  readonly index: number;
}

/** One for each worker: caches, and where it writes. Not re-entrant, which nothing here needs. */
export class SpanEncoder {
  readonly writer = new OtlpWriter(new Uint8Array(0));
  readonly #nodeId: string;
  /** performance.timeOrigin: milliseconds since the epoch of the times that are given. */
  readonly #timeOrigin: number;
  /** By plugin, then callback: name, kind and the attributes that never change. */
  readonly #constants = new Map<PluginIdentity, (Uint8Array | undefined)[]>();
  /** The trace that is being written: `0x0a 16 traceId`, then the halves of its first span id. */
  readonly #traceId = new OtlpWriter(new Uint8Array(18));
  #high = 0;
  #low = 0;

  constructor(nodeId: string, timeOrigin: number) {
    this.#nodeId = nodeId;
    this.#timeOrigin = timeOrigin;
  }

  /** The trace that the next spans belong to. */
  begin(ids: TraceIds): void {
    this.#traceId.at = 0;
    this.#traceId.hex(0x0a, ids.traceId);
    this.#high = ids.spanHigh;
    this.#low = ids.spanLow;
  }

  request(trace: StreamTrace, info: StreamInfo): void {
    const to = this.writer;
    const { parentId } = trace.context;
    const message = this.#open(0, trace.startedAt, lastEnd(trace));
    to.text(0x1a, trace.traceState);
    if (parentId !== "") {
      to.reserve(16);
      to.hex(0x22, parentId);
    }
    to.text(0x2a, spanName(trace));
    to.reserve(2);
    to.byte(0x30);
    to.byte(isClientSpan(info) ? CLIENT : SERVER);
    writeRequestAttributes(to, trace, info, this.#nodeId);
    if (errorType(trace, info) !== "") {
      this.#error("");
    }
    this.#close(message, parentId === "" ? FLAGS : FLAGS | FLAG_REMOTE_PARENT);
  }

  /** `isRoot`: the callback has no request above it. `link` goes with its first hook. */
  hook(trace: StreamTrace, index: number, isRoot: boolean, link: SpanLink | undefined): void {
    const to = this.writer;
    const { hooks } = trace;
    const at = index * HOOK_STRIDE;
    const endedAt = hooks[at + Hook.EndedAt] as number;
    const message = this.#open(hookOffset(index), hooks[at + Hook.StartedAt] as number, endedAt);
    if (!isRoot) {
      this.#parent(0);
    }
    const constants = this.#constantsOf(trace.plugins[index] as PluginIdentity, hooks[at + Hook.Callback] as number);
    to.reserve(constants.length);
    to.copy(constants);
    this.#hookAttributes(trace, index, at);
    const answered = hooks[at + Hook.AnsweredCall] as number;
    if (answered >= 0) {
      this.#link(this.#high, this.#low, calloutOffset(answered), undefined);
    } else if (link !== undefined && index === 0) {
      this.#link(link.spanHigh, link.spanLow, calloutOffset(link.index), link.traceId);
    }
    const fault = trace.faults[hooks[at + Hook.Fault] as number];
    if (fault !== undefined) {
      to.textAttribute(SPAN_ATTRIBUTES, KEY.errorType, fault.kind);
      const text = bounded(fault.message);
      const event = to.open(0x5a);
      to.reserve(16);
      to.time(0x09, this.#timeOrigin + endedAt);
      to.text(0x12, "exception");
      to.textAttribute(EVENT_ATTRIBUTES, KEY.exceptionType, fault.kind);
      to.textAttribute(EVENT_ATTRIBUTES, KEY.exceptionMessage, text);
      if (fault.frames.length > 0) {
        to.textAttribute(EVENT_ATTRIBUTES, KEY.exceptionStack, bounded(fault.frames.join("\n")));
      }
      to.close(event);
      this.#error(`${fault.kind}: ${text}`);
    }
    this.#close(message, FLAGS);
  }

  /** `isRoot`: a call of a root callback, which is then its parent, or nobody is. */
  callout(callout: Callout, isRoot: boolean): void {
    const to = this.writer;
    const message = this.#open(calloutOffset(callout.index), callout.startedAt, callout.endedAt);
    if (callout.parentHook >= 0) {
      this.#parent(hookOffset(callout.parentHook));
    } else if (!isRoot) {
      this.#parent(0);
    }
    const path = bounded(callout.path);
    const isGrpc = callout.rpc === "grpc";
    const rpcMethod = path.replace(/^\//, "");
    to.text(0x2a, isGrpc ? rpcMethod : callout.method || "HTTP");
    to.reserve(2);
    to.byte(0x30);
    to.byte(CLIENT);
    const authority = bounded(callout.authority);
    this.#put(KEY.upstreamCluster, callout.cluster);
    writeServer(to, authority, "http");
    if (isGrpc) {
      this.#put(KEY.rpcSystem, "grpc");
      this.#put(KEY.rpcMethod, rpcMethod);
      if (callout.error === "") {
        this.#put(KEY.rpcStatus, String(callout.status));
      }
    } else {
      this.#put(KEY.method, callout.method);
      this.#put(KEY.urlFull, `http://${authority}${path}`);
      if (callout.status > 0) {
        this.#put(KEY.status, callout.status);
      }
    }
    const error = calloutError(callout);
    if (error !== "") {
      this.#put(KEY.errorType, error);
      this.#error(bounded(callout.error));
    }
    this.#close(message, FLAGS);
  }

  #hookAttributes(trace: StreamTrace, index: number, at: number): void {
    const { hooks } = trace;
    this.#put(KEY.contextId, hooks[at + Hook.ContextId] as number);
    this.#put(KEY.hostCalls, hooks[at + Hook.HostCalls] as number);
    const action = hooks[at + Hook.Action] as number;
    if (action >= 0) {
      this.#put(KEY.action, action === 0 ? "continue" : "pause");
    }
    const endOfStream = hooks[at + Hook.EndOfStream] as number;
    if (endOfStream >= 0) {
      this.#put(KEY.endOfStream, endOfStream === 1);
    }
    this.#count(KEY.headersAdded, hooks[at + Hook.HeadersAdded] as number, 1);
    this.#count(KEY.headersReplaced, hooks[at + Hook.HeadersReplaced] as number, 1);
    this.#count(KEY.headersRemoved, hooks[at + Hook.HeadersRemoved] as number, 1);
    this.#count(KEY.bodyBytes, hooks[at + Hook.BodyBytes] as number, 0);
    if (action > 0) {
      const paused = Math.max(0, pauseEnd(trace, index) - (hooks[at + Hook.EndedAt] as number));
      this.#put(KEY.pausedMs, Math.round(paused * 1000) / 1000);
    }
    this.#count(KEY.fuel, hooks[at + Hook.Fuel] as number, 0);
  }

  /** A span up to its times; its id is `offset` from the trace's first. */
  #open(offset: number, startedAt: number, endedAt: number): number {
    const to = this.writer;
    to.reserve(128);
    const message = to.open(0x12);
    to.copy(this.#traceId.buffer);
    this.#spanId(0x12, offset, this.#high, this.#low);
    to.time(0x39, this.#timeOrigin + startedAt);
    to.time(0x41, this.#timeOrigin + Math.max(startedAt, endedAt));
    return message;
  }

  #close(message: number, flags: number): void {
    const to = this.writer;
    to.reserve(8);
    // Field 16, fixed32: two bytes of tag.
    to.byte(0x85);
    to.byte(0x01);
    to.fixed32(flags);
    to.close(message);
  }

  #parent(offset: number): void {
    this.writer.reserve(16);
    this.#spanId(0x22, offset, this.#high, this.#low);
  }

  #spanId(tag: number, offset: number, high: number, low: number): void {
    const to = this.writer;
    const sum = low + offset;
    to.byte(tag);
    to.byte(8);
    to.bigEndian32(sum < 2 ** 32 ? high : high + 1);
    to.bigEndian32(sum);
  }

  #link(high: number, low: number, offset: number, traceId: string | undefined): void {
    const to = this.writer;
    to.reserve(64);
    const message = to.open(0x6a);
    if (traceId === undefined) {
      to.copy(this.#traceId.buffer);
    } else {
      to.hex(0x0a, traceId);
    }
    this.#spanId(0x12, offset, high, low);
    to.byte(0x35);
    to.fixed32(FLAGS);
    to.close(message);
  }

  #error(text: string): void {
    const to = this.writer;
    const message = to.open(0x7a);
    to.text(0x12, text);
    to.reserve(2);
    to.byte(0x18);
    to.byte(STATUS_ERROR);
    to.close(message);
  }

  #put(key: AttributeKey, value: AttributeValue): void {
    this.writer.attribute(SPAN_ATTRIBUTES, key, value);
  }

  #count(key: AttributeKey, value: number, least: number): void {
    if (value >= least) {
      this.writer.numberAttribute(SPAN_ATTRIBUTES, key, value);
    }
  }

  #constantsOf(plugin: PluginIdentity, callback: number): Uint8Array {
    let ofPlugin = this.#constants.get(plugin);
    if (ofPlugin === undefined) {
      if (this.#constants.size === MAX_PLUGINS) {
        this.#constants.clear();
      }
      ofPlugin = [];
      this.#constants.set(plugin, ofPlugin);
    }
    return (ofPlugin[callback] ??= encodeConstants(plugin, callback));
  }
}

function encodeConstants(plugin: PluginIdentity, callback: number): Uint8Array {
  const to = new OtlpWriter(new Uint8Array(512));
  const name = CALLBACK_NAMES[callback] ?? "unknown";
  const put = (key: AttributeKey, value: string): void => to.textAttribute(SPAN_ATTRIBUTES, key, value);
  to.text(0x2a, `${plugin.name} ${name}`);
  to.reserve(2);
  to.byte(0x30);
  to.byte(INTERNAL);
  put(KEY.pluginName, plugin.name);
  put(KEY.rootId, plugin.rootId);
  put(KEY.vmId, plugin.vmId);
  put(KEY.digest, plugin.digest);
  put(KEY.callback, name);
  put(KEY.abiVersion, plugin.abiVersion);
  return to.buffer.slice(0, to.at);
}

/** proxy_on_log and proxy_on_delete run after the response: the request's span covers them. */
function lastEnd(trace: StreamTrace): number {
  let last = trace.endedAt;
  for (let at = 0; at < trace.hookCount * HOOK_STRIDE; at += HOOK_STRIDE) {
    last = Math.max(last, trace.hooks[at + Hook.EndedAt] as number);
  }
  return last;
}

function calloutError(callout: Callout): string {
  if (callout.error !== "") {
    return bounded(callout.error);
  }
  if (callout.rpc === "grpc") {
    return callout.status === 0 ? "" : String(callout.status);
  }
  return callout.status >= 400 ? String(callout.status) : "";
}

function bounded(text: string): string {
  return text.length > MAX_TEXT_LENGTH ? text.slice(0, MAX_TEXT_LENGTH) : text;
}
