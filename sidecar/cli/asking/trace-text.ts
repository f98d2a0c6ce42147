// Requests of /traces for people: two lines that say what became of each, and under them in the order of time what happened, a line each.
// Pure. What peers said comes without control characters, and cut where it is long.

import { printable } from "../../control/text-table.ts";
import type { Colour, Paint } from "./paint.ts";
import type { Callout, Hook, Trace } from "./traces.ts";

const MAX_PATH_CHARS = 120;
const MAX_TEXT_CHARS = 200;
/** Lines under a request; the sidecar keeps fewer. */
const MAX_ROWS = 1_000;

/** A line under a request. */
interface Row {
  readonly at: number;
  readonly took: number | undefined;
  /** Of a callback: who and what; of others one text. */
  readonly who: string;
  readonly what: string;
  readonly notes: readonly string[];
  readonly colour: Colour | undefined;
  /** A call, under the callback that made it. */
  readonly isUnder: boolean;
}

export function traceText(trace: Trace, paint: Paint): string {
  const rows = rowsOf(trace);
  const width = (of: (row: Row) => string): number => Math.max(0, ...rows.map((row) => of(row).length));
  const [at, took] = [width(({ at: ms }) => msText(ms)), width((row) => msText(row.took))];
  const named = rows.filter(({ what }) => what !== "");
  const who = Math.max(0, ...named.map((row) => row.who.length));
  const what = Math.max(0, ...named.map((row) => row.what.length));
  const lines = rows.map((row) => {
    const times = paint("dim", `${msText(row.at).padStart(at)}  ${msText(row.took).padStart(took)}`);
    const name = row.what === "" ? row.who : `${row.who.padEnd(who)}  ${row.what.padEnd(what)}`;
    const rest = [name, ...row.notes].join("  ").trimEnd();
    return `  ${times}  ${row.isUnder ? "└ " : ""}${row.colour === undefined ? rest : paint(row.colour, rest)}\n`;
  });
  return `${headText(trace, paint)}${lines.join("")}`;
}

function headText(trace: Trace, paint: Paint): string {
  const { method, authority, path, status, response_flags: flags, response_details: details } = trace;
  const time = new Date(trace.started_at).toISOString().slice(11, 23);
  const what = status === 0 ? (method === "TCP" ? "" : "no response") : String(status);
  const outcome = [what, flags === "-" ? "" : flags, details].filter((text) => text !== "").map(short);
  const colour = status >= 500 || (status === 0 && method !== "TCP") ? "red" : status >= 400 ? "yellow" : "green";
  const target = `${short(method)} ${short(authority)}${cut(printable(path), MAX_PATH_CHARS)}`;
  const way = [
    trace.route === "" ? "" : `route ${trace.route}`,
    trace.cluster === "" ? "no cluster" : `cluster ${trace.cluster}`,
    trace.upstream_host === "" ? "" : `host ${trace.upstream_host}`,
    trace.request_id === "" ? "" : `id ${trace.request_id}`,
    trace.trace_id === "" ? "" : `trace ${trace.trace_id}${trace.sampled ? "" : " (not sampled)"}`,
    `worker ${trace.worker}`,
  ];
  const facts = way.filter((text) => text !== "").map(short);
  return (
    `${paint("dim", time)}  ${paint("bold", target)}  ${paint(colour, outcome.join(" "))}  ${msText(trace.duration_ms)} ms\n` +
    `  ${paint("dim", facts.join(", "))}\n`
  );
}

/** In the order of time; calls stand under the callback that made them. */
function rowsOf({ hooks, callouts, upstream, upstream_host: host, hooks_dropped: dropped }: Trace): readonly Row[] {
  const rows: Row[] = [];
  const events: Row[][] = hooks.slice(0, MAX_ROWS).map((hook) => [hookRow(hook)]);
  for (const [i, call] of callouts.slice(0, MAX_ROWS).entries()) {
    const maker = call.by_hook < hooks.length ? events[call.by_hook] : undefined;
    if (maker === undefined) {
      events.push([{ ...calloutRow(call, i), isUnder: false }]);
    } else {
      maker.push(calloutRow(call, i));
    }
  }
  if (upstream !== undefined) {
    events.push([event(upstream.sent_ms, `▶ request goes to ${short(host)}`)]);
    if (upstream.first_byte_ms !== undefined) {
      events.push([event(upstream.first_byte_ms, "◀ answer begins")]);
    }
  }
  rows.push(...events.toSorted(([a], [b]) => (a?.at ?? 0) - (b?.at ?? 0)).flat());
  if (dropped > 0) {
    rows.push({
      ...event(undefined, `${dropped} more callbacks, which found no room in the record`),
      colour: "yellow",
    });
  }
  return rows;
}

function event(at: number | undefined, who: string): Row {
  const isLast = at === undefined;
  return { at: isLast ? Number.NaN : at, took: undefined, who, what: "", notes: [], colour: undefined, isUnder: false };
}

function hookRow(hook: Hook): Row {
  const { action, paused_ms: paused, fault } = hook;
  const notes = [
    action === undefined ? "" : action === "pause" && paused !== undefined ? `pause, for ${msText(paused)} ms` : action,
    hook.body_bytes === undefined ? "" : `${hook.body_bytes} bytes`,
    headersText(hook),
    hook.end_of_stream === true ? "end of stream" : "",
    hook.host_calls === 0 ? "" : `${hook.host_calls} host call${hook.host_calls === 1 ? "" : "s"}`,
    hook.fuel === undefined ? "" : `fuel ${hook.fuel}`,
    hook.answers_callout === undefined ? "" : `answer of call ${hook.answers_callout + 1}`,
    fault === undefined ? "" : `FAULT ${short(fault)}`,
  ];
  return {
    at: hook.start_ms,
    took: hook.duration_ms,
    who: short(hook.plugin),
    what: short(hook.callback),
    notes: notes.filter((note) => note !== ""),
    colour: fault !== undefined ? "red" : action === "pause" ? "yellow" : undefined,
    isUnder: false,
  };
}

/** `+1 ~2 -1 headers`: added, replaced, removed. */
function headersText(hook: Hook): string {
  const { headers_added: added = 0, headers_replaced: replaced = 0, headers_removed: removed = 0 } = hook;
  const parts = [added > 0 ? `+${added}` : "", replaced > 0 ? `~${replaced}` : "", removed > 0 ? `-${removed}` : ""];
  const changes = parts.filter((part) => part !== "");
  return changes.length === 0 ? "" : `${changes.join(" ")} header${added + replaced + removed === 1 ? "" : "s"}`;
}

function calloutRow(call: Callout, index: number): Row {
  const { rpc, cluster, method, authority, path, status, error, duration_ms: took } = call;
  const target = `${short(method)} ${short(authority)}${cut(printable(path), MAX_PATH_CHARS)}`;
  const outcome =
    error === undefined
      ? status === undefined
        ? "not answered"
        : `${rpc === "grpc" ? "status " : ""}${status}`
      : short(error);
  const isBad = error !== undefined || status === undefined || (rpc === "http" ? status >= 500 : status !== 0);
  return {
    at: call.start_ms,
    took,
    who: `call ${index + 1} (${rpc === "grpc" ? "gRPC" : "HTTP"}) to ${short(cluster)}: ${target}  ${outcome}`,
    what: "",
    notes: [],
    colour: isBad ? "red" : undefined,
    isUnder: true,
  };
}

function short(text: string): string {
  return cut(printable(text), MAX_TEXT_CHARS);
}

function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;
}

/** Milliseconds with three digits after the point, which are microseconds. */
function msText(ms: number | undefined): string {
  return ms === undefined || Number.isNaN(ms) ? "" : ms.toFixed(3);
}
