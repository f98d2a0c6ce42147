// What /traces answers, as the verbs read it: its shape (snake case), checked before anybody believes it, and which requests are wanted.

import type { TracedCallout, TracedHook, TracedRequest } from "../../telemetry/trace-view.ts";
import { type Fields, hasFields, isListOf, isObject } from "./shapes.ts";
import type { SidecarAdmin } from "./sidecar-admin.ts";

type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${Snake<Tail>}`
  : S;
type SnakeKeys<T> = { readonly [K in keyof T as Snake<K & string>]: T[K] };

export type Hook = SnakeKeys<TracedHook>;
export type Callout = SnakeKeys<TracedCallout>;
export type Trace = SnakeKeys<Omit<TracedRequest, "hooks" | "callouts" | "upstream">> & {
  readonly upstream?: SnakeKeys<NonNullable<TracedRequest["upstream"]>>;
  readonly hooks: readonly Hook[];
  readonly callouts: readonly Callout[];
};

/** Most that the sidecar gives at once. */
export const MAX_TRACES = 1000;

/** The latest requests, the newest first; undefined when the sidecar does not give them, which has been printed. */
export async function askTraces(admin: SidecarAdmin, limit: number): Promise<readonly Trace[] | undefined> {
  return (await admin.json(`/traces?limit=${limit}`, isAnswer))?.traces;
}

function isAnswer(value: unknown): value is { readonly traces: readonly Trace[] } {
  return isObject(value) && isListOf(value["traces"], isTrace);
}

const TRACE: Fields = {
  worker: "number",
  started_at: "number",
  duration_ms: "number",
  method: "string",
  authority: "string",
  path: "string",
  status: "number",
  response_flags: "string",
  response_details: "string",
  cluster: "string",
  route: "string",
  upstream_host: "string",
  request_id: "string",
  trace_id: "string",
  sampled: "boolean",
  hooks_dropped: "number",
};
const UPSTREAM: Fields = { sent_ms: "number", first_byte_ms: "number?" };
const HOOK: Fields = {
  plugin: "string",
  callback: "string",
  start_ms: "number",
  duration_ms: "number",
  action: "string?",
  paused_ms: "number?",
  end_of_stream: "boolean?",
  body_bytes: "number?",
  headers_added: "number?",
  headers_replaced: "number?",
  headers_removed: "number?",
  host_calls: "number",
  fuel: "number?",
  answers_callout: "number?",
  fault: "string?",
};
const CALLOUT: Fields = {
  by_hook: "number",
  rpc: "string",
  cluster: "string",
  method: "string",
  authority: "string",
  path: "string",
  start_ms: "number",
  duration_ms: "number?",
  status: "number?",
  error: "string?",
};

function isTrace(value: unknown): value is Trace {
  return (
    isObject(value) &&
    hasFields(value, TRACE) &&
    Number.isFinite(new Date(value["started_at"] as number).getTime()) &&
    (value["upstream"] === undefined || (isObject(value["upstream"]) && hasFields(value["upstream"], UPSTREAM))) &&
    isListOf(value["hooks"], (hook): hook is Hook => isObject(hook) && hasFields(hook, HOOK)) &&
    isListOf(value["callouts"], (call): call is Callout => isObject(call) && hasFields(call, CALLOUT))
  );
}

/** Which requests are wanted; what is not given does not matter. */
export interface TraceFilter {
  /** The path contains it. */
  readonly path?: string;
  readonly status?: (status: number) => boolean;
  /** A callback of it ran. */
  readonly plugin?: string;
}

export function isWanted(trace: Trace, { path, status, plugin }: TraceFilter): boolean {
  return (
    (path === undefined || trace.path.includes(path)) &&
    (status === undefined || status(trace.status)) &&
    (plugin === undefined || trace.hooks.some((hook) => hook.plugin === plugin))
  );
}

/** `404`, `5xx`, `400-499`, several with commas; undefined when it is none of these. */
export function statusFilter(text: string): ((status: number) => boolean) | undefined {
  const ranges: (readonly [first: number, last: number])[] = [];
  for (const part of text.split(",")) {
    const [, whole, hundred, from, to] = /^(?:(\d{1,3})|([0-9])xx|(\d{3})-(\d{3}))$/.exec(part.trim()) ?? [];
    if (whole !== undefined) {
      ranges.push([Number(whole), Number(whole)]);
    } else if (hundred !== undefined) {
      ranges.push([Number(hundred) * 100, Number(hundred) * 100 + 99]);
    } else if (from !== undefined && Number(from) <= Number(to)) {
      ranges.push([Number(from), Number(to)]);
    } else {
      return undefined;
    }
  }
  return (status) => ranges.some(([first, last]) => status >= first && status <= last);
}
