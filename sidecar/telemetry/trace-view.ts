// A worker's StreamTraces as plain objects for GET /traces: what admin/ports.ts calls TraceView.
// Called by worker.ts when the main thread asks. Pure.

import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { Hook, HOOK_STRIDE } from "./stream-trace.ts";
import type { StreamTrace } from "./stream-trace.ts";

/** Structurally admin/ports.ts's TracedHookView. */
export interface TracedHook {
  readonly plugin: string;
  readonly callback: string;
  readonly contextId: number;
  readonly startMs: number;
  readonly durationMs: number;
  readonly action?: "continue" | "pause";
  readonly pausedMs?: number;
  readonly hostCalls: number;
  readonly fault?: string;
}

/** Structurally admin/ports.ts's TraceView. */
export interface TracedRequest {
  readonly worker: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly status: number;
  readonly responseFlags: string;
  readonly cluster: string;
  readonly route: string;
  readonly upstreamHost: string;
  readonly requestId: string;
  readonly traceId: string;
  readonly sampled: boolean;
  readonly hooks: readonly TracedHook[];
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
    cluster: trace.clusterName,
    route: trace.routeName,
    upstreamHost: trace.upstreamAddress,
    requestId: trace.requestId,
    traceId: trace.traceId,
    sampled: trace.sampled,
    hooks,
    hooksDropped: trace.hooksDropped,
  };
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
    hostCalls: hooks[at + Hook.HostCalls] as number,
    ...(fault === undefined ? {} : { fault: `${fault.kind}: ${fault.message}` }),
  };
}

/** A pause ends when the plugin says so, at its next callback in that direction, or with the request. */
function pauseEnd(trace: StreamTrace, index: number): number {
  const hooks = trace.hooks;
  const at = index * HOOK_STRIDE;
  const resumedAt = hooks[at + Hook.ResumedAt] as number;
  if (resumedAt > 0) {
    return resumedAt;
  }
  const isRequest = (hooks[at + Hook.Callback] as number) <= 8;
  for (let later = at + HOOK_STRIDE; later < trace.hookCount * HOOK_STRIDE; later += HOOK_STRIDE) {
    if (
      hooks[later + Hook.ContextId] === hooks[at + Hook.ContextId] &&
      hooks[later + Hook.Plugin] === hooks[at + Hook.Plugin] &&
      (hooks[later + Hook.Action] as number) >= 0 &&
      (hooks[later + Hook.Callback] as number) <= 8 === isRequest
    ) {
      return hooks[later + Hook.EndedAt] as number;
    }
  }
  return trace.endedAt;
}

/** Rounded to microseconds. */
function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}
