// Trace context in and out of a request's headers: W3C traceparent and tracestate first, then B3 single, then B3 multi.
// Baggage passes untouched. Called by request-tracing.ts for each request of a listener that traces; hot path, no
// allocation but the ids' strings. Input comes from peers: what is not exactly right counts as absent.
// Sources: W3C Trace Context Level 2 §3, the B3 propagation specification.

import type { HeaderMap } from "../http/headers.ts";

/** What a request brought; reused from one request to the next. */
export class TraceContext {
  /** 32 lower-case hexadecimal digits; empty when there is no parent. */
  traceId = "";
  /** 16 digits: the caller's span. */
  parentId = "";
  /** 1 sampled, 0 not, -1 not decided. B3's bare `b3: 0` decides without giving a parent. */
  sampled = -1;
  /** Flags of traceparent that are kept: 2 when the trace id is random. */
  keptFlags = 0;
  hasB3 = false;
  hasB3Multi = false;

  clear(): void {
    this.traceId = "";
    this.parentId = "";
    this.sampled = -1;
    this.keptFlags = 0;
    this.hasB3 = false;
    this.hasB3Multi = false;
  }
}

/** Longest tracestate that is kept in a span, in characters (W3C asks for at least 512). */
export const MAX_TRACESTATE_LENGTH = 512;

/** Fills `context` from the headers. */
export function extractContext(headers: HeaderMap, context: TraceContext): void {
  context.clear();
  const at = headers.indexOf("traceparent");
  // Two of them are ambiguous: then the trace starts anew.
  const fromW3c =
    at >= 0 && headers.indexOf("traceparent", at + 1) < 0 && parseTraceparent(headers.valueAt(at), context);
  const b3 = headers.get("b3");
  context.hasB3 = b3 !== undefined;
  context.hasB3Multi = headers.has("x-b3-traceid") || headers.has("x-b3-sampled") || headers.has("x-b3-flags");
  if (fromW3c) {
    return;
  }
  if (b3 === undefined || !parseB3(b3, context)) {
    if (context.hasB3Multi) {
      parseB3Multi(headers, context);
    }
  }
}

/** The caller's tracestate for a span; empty when there is none, or it is too long to keep. */
export function traceStateOf(headers: HeaderMap): string {
  const state = headers.getJoined("tracestate");
  return state === undefined || state.length > MAX_TRACESTATE_LENGTH ? "" : state;
}

/**
 * Writes the context of our own span: traceparent always, B3 in the forms that came in. `context` is what was extracted;
 * when the trace is new, a tracestate that came without a valid parent is removed.
 */
export function injectContext(
  headers: HeaderMap,
  context: TraceContext,
  traceId: string,
  spanId: string,
  sampled: boolean,
): void {
  const flags = (sampled ? 1 : 0) | (context.traceId === "" ? 2 : context.keptFlags);
  setHeader(headers, "traceparent", `00-${traceId}-${spanId}-0${flags}`);
  if (context.traceId === "") {
    headers.remove("tracestate");
  }
  if (context.hasB3) {
    setHeader(headers, "b3", `${traceId}-${spanId}-${sampled ? 1 : 0}`);
  }
  if (context.hasB3Multi) {
    setHeader(headers, "x-b3-traceid", traceId);
    setHeader(headers, "x-b3-spanid", spanId);
    setHeader(headers, "x-b3-sampled", sampled ? "1" : "0");
    headers.remove("x-b3-parentspanid");
    headers.remove("x-b3-flags");
  }
}

function setHeader(headers: HeaderMap, name: string, value: string): void {
  const index = headers.indexOf(name);
  if (index < 0) {
    headers.add(name, value);
    return;
  }
  headers.setAt(index, value);
  for (let later = headers.indexOf(name, index + 1); later >= 0; later = headers.indexOf(name, later)) {
    headers.removeAt(later);
  }
}

/**
 * `version "-" trace-id "-" parent-id "-" flags`, all lower-case hexadecimal, e.g.
 * `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. A later version may have more after another dash.
 */
export function parseTraceparent(value: string, context: TraceContext): boolean {
  const length = value.length;
  if (length < 55 || value.charCodeAt(2) !== DASH || value.charCodeAt(35) !== DASH || value.charCodeAt(52) !== DASH) {
    return false;
  }
  if (!isHex(value, 0, 2) || value.startsWith("ff")) {
    return false;
  }
  if (value.startsWith("00") ? length !== 55 : length > 55 && value.charCodeAt(55) !== DASH) {
    return false;
  }
  if (!isId(value, 3, 35) || !isId(value, 36, 52) || !isHex(value, 53, 55)) {
    return false;
  }
  const flags = hexDigit(value.charCodeAt(54));
  context.traceId = value.slice(3, 35);
  context.parentId = value.slice(36, 52);
  context.sampled = flags & 1;
  context.keptFlags = flags & 2;
  return true;
}

/** `trace-id "-" span-id ["-" sampled ["-" parent]]`, or a bare `0`, `1` or `d`. */
export function parseB3(value: string, context: TraceContext): boolean {
  if (value.length === 1) {
    const sampled = b3Sampled(value);
    context.sampled = sampled;
    return sampled >= 0;
  }
  const first = value.indexOf("-");
  if ((first !== 32 && first !== 16) || value.length > 32 + 1 + 16 + 1 + 1 + 1 + 16) {
    return false;
  }
  const end = first + 17;
  if (!isId(value, 0, first) || !isId(value, first + 1, end)) {
    return false;
  }
  let sampled = -1;
  if (value.length > end) {
    // "-1", or "-1-" and the parent's id, which nobody needs.
    sampled = value.charCodeAt(end) === DASH ? b3Sampled(value.charAt(end + 1)) : -1;
    const rest = value.length - end - 2;
    if (
      sampled < 0 ||
      (rest !== 0 && (rest !== 17 || value.charCodeAt(end + 2) !== DASH || !isId(value, end + 3, end + 19)))
    ) {
      return false;
    }
  }
  context.traceId = value.slice(0, first).padStart(32, "0");
  context.parentId = value.slice(first + 1, end);
  context.sampled = sampled;
  return true;
}

function b3Sampled(text: string): number {
  return text === "1" || text === "d" ? 1 : text === "0" ? 0 : -1;
}

function parseB3Multi(headers: HeaderMap, context: TraceContext): void {
  const traceId = headers.get("x-b3-traceid") ?? "";
  const spanId = headers.get("x-b3-spanid") ?? "";
  const sampled = headers.get("x-b3-sampled");
  if (headers.get("x-b3-flags") === "1") {
    context.sampled = 1;
  } else if (sampled === "1" || sampled === "true") {
    context.sampled = 1;
  } else if (sampled === "0" || sampled === "false") {
    context.sampled = 0;
  }
  const length = traceId.length;
  if ((length === 32 || length === 16) && isId(traceId, 0, length) && spanId.length === 16 && isId(spanId, 0, 16)) {
    context.traceId = traceId.padStart(32, "0");
    context.parentId = spanId;
  }
}

const DASH = 45;

function hexDigit(code: number): number {
  return code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : -1;
}

function isHex(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (hexDigit(text.charCodeAt(i)) < 0) {
      return false;
    }
  }
  return true;
}

/** Hexadecimal and not all zeros. */
function isId(text: string, start: number, end: number): boolean {
  let some = 0;
  for (let i = start; i < end; i++) {
    const digit = hexDigit(text.charCodeAt(i));
    if (digit < 0) {
      return false;
    }
    some |= digit;
  }
  return some !== 0;
}
