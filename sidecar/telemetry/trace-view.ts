// A worker's StreamTraces as plain objects for GET /traces: what admin/ports.ts calls TraceView.
// Called by worker.ts when the main thread asks. Pure.

import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { Hook, HOOK_STRIDE, pauseEnd } from "./stream-trace.ts";
import type { Callout, StreamTrace } from "./stream-trace.ts";

/** One callback of a traced request. Times are milliseconds from the request's start. */
export interface TracedHook {
  readonly plugin: string;
  readonly callback: string;
  readonly contextId: number;
  readonly startMs: number;
  readonly durationMs: number;
  readonly action?: "continue" | "pause";
  readonly pausedMs?: number;
  readonly endOfStream?: boolean;
  /** Offered to a body callback. */
  readonly bodyBytes?: number;
  /** How many header fields it changed; absent when none. */
  readonly headersAdded?: number;
  readonly headersReplaced?: number;
  readonly headersRemoved?: number;
  readonly hostCalls: number;
  /** Fuel that it used; absent when the plugin is not metered. */
  readonly fuel?: number;
  /** Place in `callouts` of the call whose answer it received. */
  readonly answersCallout?: number;
  readonly fault?: string;
}

/** A call that a plugin made for the request: proxy_http_call or proxy_grpc_call. */
export interface TracedCallout {
  /** Place in `hooks` of the callback that made it; -1: not known. */
  readonly byHook: number;
  readonly rpc: "http" | "grpc";
  readonly cluster: string;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly startMs: number;
  /** Absent while it had not ended when the request had; so is `status`. */
  readonly durationMs?: number;
  /** HTTP or gRPC status; 0: no answer. */
  readonly status?: number;
  readonly error?: string;
}

/** One of the latest requests, sampled or not. Strings come from the peer: whoever prints them escapes them. */
export interface TracedRequest {
  readonly worker: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly status: number;
  readonly responseFlags: string;
  /** Envoy's response_code_details: who made the answer, and why. */
  readonly responseDetails: string;
  readonly cluster: string;
  readonly route: string;
  readonly upstreamHost: string;
  readonly requestId: string;
  /** Empty when the request carries no trace. */
  readonly traceId: string;
  readonly sampled: boolean;
  /** When the request's head had gone upstream, and when the first byte of an answer came; absent: never. */
  readonly upstream?: { readonly sentMs: number; readonly firstByteMs?: number };
  readonly hooks: readonly TracedHook[];
  readonly callouts: readonly TracedCallout[];
  /** Callbacks that ran but found no room in the ring. */
  readonly hooksDropped: number;
}

/** `timeOrigin`: performance.timeOrigin of the worker, so that startedAt counts from the epoch. */
export function viewTrace(trace: StreamTrace, worker: number, timeOrigin: number): TracedRequest {
  const hooks: TracedHook[] = [];
  let lastEnd = trace.endedAt;
  for (let index = 0; index < trace.hookCount; index++) {
    lastEnd = Math.max(lastEnd, trace.hooks[index * HOOK_STRIDE + Hook.EndedAt] as number);
    hooks.push(viewHook(trace, index));
  }
  return {
    worker,
    startedAt: timeOrigin + trace.startedAt,
    durationMs: milliseconds(lastEnd - trace.startedAt),
    method: trace.method,
    authority: trace.authority,
    path: trace.path,
    status: trace.status,
    responseFlags: trace.responseFlags,
    responseDetails: trace.responseDetails,
    cluster: trace.clusterName,
    route: trace.routeName,
    upstreamHost: trace.upstreamAddress,
    requestId: trace.requestId,
    traceId: trace.traceId,
    sampled: trace.sampled,
    ...(trace.upstreamSentAt === 0 ? {} : { upstream: viewUpstream(trace) }),
    hooks,
    callouts: trace.callouts.map((callout) => viewCallout(trace, callout)),
    hooksDropped: trace.hooksDropped,
  };
}

function viewUpstream(trace: StreamTrace): NonNullable<TracedRequest["upstream"]> {
  return {
    sentMs: milliseconds(trace.upstreamSentAt - trace.startedAt),
    ...(trace.upstreamFirstByteAt === 0
      ? {}
      : { firstByteMs: milliseconds(trace.upstreamFirstByteAt - trace.startedAt) }),
  };
}

function viewCallout(trace: StreamTrace, callout: Callout): TracedCallout {
  const { parentHook, rpc, cluster, method, authority, path, startedAt, endedAt, status, error } = callout;
  return {
    byHook: parentHook,
    rpc,
    cluster,
    method,
    authority,
    path,
    startMs: milliseconds(startedAt - trace.startedAt),
    ...(endedAt === 0 ? {} : { durationMs: milliseconds(endedAt - startedAt), status }),
    ...(error === "" ? {} : { error }),
  };
}

/** `{name: count}`, or nothing for what a callback of this kind has not. */
function count(name: string, value: number, least: number): object {
  return value < least ? {} : { [name]: value };
}

function viewHook(trace: StreamTrace, index: number): TracedHook {
  const at = index * HOOK_STRIDE;
  const hooks = trace.hooks;
  const startedAt = hooks[at + Hook.StartedAt] as number;
  const endedAt = hooks[at + Hook.EndedAt] as number;
  const action = hooks[at + Hook.Action] as number;
  const fault = trace.faults[hooks[at + Hook.Fault] as number];
  const paused = action > 0 ? pauseEnd(trace, index) - endedAt : undefined;
  return {
    plugin: trace.plugins[index]?.name ?? "",
    callback: CALLBACK_NAMES[hooks[at + Hook.Callback] as number] ?? "unknown",
    contextId: hooks[at + Hook.ContextId] as number,
    startMs: milliseconds(startedAt - trace.startedAt),
    durationMs: milliseconds(endedAt - startedAt),
    ...(action < 0 ? {} : { action: action === 0 ? "continue" : "pause" }),
    ...(paused === undefined ? {} : { pausedMs: milliseconds(Math.max(0, paused)) }),
    ...((hooks[at + Hook.EndOfStream] as number) < 0 ? {} : { endOfStream: hooks[at + Hook.EndOfStream] === 1 }),
    ...count("bodyBytes", hooks[at + Hook.BodyBytes] as number, 0),
    ...count("headersAdded", hooks[at + Hook.HeadersAdded] as number, 1),
    ...count("headersReplaced", hooks[at + Hook.HeadersReplaced] as number, 1),
    ...count("headersRemoved", hooks[at + Hook.HeadersRemoved] as number, 1),
    hostCalls: hooks[at + Hook.HostCalls] as number,
    ...count("fuel", hooks[at + Hook.Fuel] as number, 0),
    ...count("answersCallout", hooks[at + Hook.AnsweredCall] as number, 0),
    ...(fault === undefined ? {} : { fault: `${fault.kind}: ${fault.message}` }),
  };
}

/** Rounded to microseconds. */
function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}
