// One host call from its raw arguments to what it means: texts, bytes, pairs and numbers by name, from the guest's memory
// after the call. Used by transcript.ts.
// Reads the memory past GuestMemory's own methods, because those count as work that the guest pays for with its fuel.

import { Errno, STATUS_NAMES, Status } from "../abi/constants.ts";
import { decodePairs } from "../abi/pairs.ts";
import type { GuestMemory } from "../memory.ts";
import { hostFunctionShape, type Parameter, type ParameterKind } from "./call-shapes.ts";

/** Bytes that are no UTF-8 text come as hexadecimal digits; `length` is there when only the beginning is shown. */
export interface HexValue {
  readonly hex: string;
  readonly length?: number;
}

/** What an argument or an answer is, fit for JSON. Pairs are [name, value] lists; numbers above 2^53 are texts. */
export type CallValue = string | number | boolean | HexValue | readonly (readonly [string, string])[];
export type CallValues = Readonly<Record<string, CallValue>>;

export interface ReadCall {
  readonly arguments: CallValues;
  /** "Ok", "NotFound" …; for WASI "Success" or "errno 8". Undefined when the call ended the guest. */
  readonly status: string | undefined;
  /** What the host wrote; empty when the status is not Ok. */
  readonly answers: CallValues;
}

/** A value longer than this is cut in transcripts. */
const MAX_VALUE_BYTES = 64 * 1024;
const MAX_RANGES = 1024;
const OUT_OF_BOUNDS = "(out of bounds)";

const NAMES: Readonly<Partial<Record<ParameterKind, readonly string[]>>> = {
  level: ["trace", "debug", "info", "warn", "error", "critical"],
  map: [
    "request headers",
    "request trailers",
    "response headers",
    "response trailers",
    "gRPC initial metadata",
    "gRPC trailing metadata",
    "call response headers",
    "call response trailers",
  ],
  buffer: [
    "request body",
    "response body",
    "downstream data",
    "upstream data",
    "call response body",
    "gRPC message",
    "VM configuration",
    "plugin configuration",
    "foreign call data",
  ],
  stream: ["request", "response", "downstream", "upstream"],
  metric: ["counter", "gauge", "histogram"],
};

/** The texts are copies; nothing of the guest's memory is kept. */
export function readHostCall(
  memory: GuestMemory,
  name: string,
  args: readonly unknown[],
  result: number | undefined,
): ReadCall {
  memory.ensure();
  const isWasi = !name.startsWith("proxy_");
  const read: Record<string, CallValue> = {};
  const answers: Record<string, CallValue> = {};
  const shape = hostFunctionShape(name);
  let at = 0;
  for (const parameter of shape ?? []) {
    const first = args[at] as number | bigint | undefined;
    const second = args[at + 1] as number | bigint | undefined;
    at += width(parameter);
    if (first === undefined) break;
    const value = parameter.isAnswer ? undefined : argument(memory, parameter.kind, first, Number(second ?? 0) >>> 0);
    if (value !== undefined) read[parameter.name] = value;
    else if (result === Status.Ok) {
      answers[parameter.name] = answer(memory, parameter.kind, Number(first) >>> 0, Number(second ?? 0) >>> 0);
    }
  }
  if (shape === undefined) args.forEach((value, i) => (read[`argument_${i}`] = plainNumber(value as number | bigint)));
  const status = result === undefined ? undefined : isWasi ? errnoName(result) : (STATUS_NAMES[result] ?? `${result}`);
  return { arguments: read, status, answers };
}

/** How many raw arguments a parameter takes. */
function width({ kind, isAnswer }: Parameter): number {
  const isRange = kind === "text" || kind === "bytes" || kind === "pairs" || kind === "path" || kind === "lines";
  return isRange || (isAnswer && kind !== "u32" && kind !== "u64") ? 2 : 1;
}

function argument(memory: GuestMemory, kind: ParameterKind, first: number | bigint, length: number): CallValue {
  switch (kind) {
    case "u32":
      return Number(first) >>> 0;
    case "i32":
      return Number(first) | 0;
    case "u64":
      return plainNumber(BigInt.asUintN(64, BigInt(first)));
    case "i64":
      return plainNumber(first);
    case "level":
    case "map":
    case "buffer":
    case "stream":
    case "metric":
      return NAMES[kind]?.[Number(first)] ?? Number(first);
    case "lines":
      return gathered(memory, Number(first) >>> 0, length);
    case "text":
    case "bytes":
    case "pairs":
    case "path":
      return range(memory, kind, Number(first) >>> 0, length);
  }
}

/** What the host wrote at `pointer`: a number, or the pointer to a range whose length is at `lengthPointer`. */
function answer(memory: GuestMemory, kind: ParameterKind, pointer: number, lengthPointer: number): CallValue {
  if (!memory.contains(pointer, kind === "u64" ? 8 : 4)) return OUT_OF_BOUNDS;
  if (kind === "u32") return memory.u32(pointer);
  if (kind === "u64") return plainNumber(memory.view.getBigUint64(pointer, true));
  if (!memory.contains(lengthPointer, 4)) return OUT_OF_BOUNDS;
  return range(memory, kind, memory.u32(pointer), memory.u32(lengthPointer));
}

function range(memory: GuestMemory, kind: ParameterKind, pointer: number, length: number): CallValue {
  if (!memory.contains(pointer, length)) return OUT_OF_BOUNDS;
  if (kind === "pairs") {
    const flat = decodePairs(memory.bytes, pointer, length);
    if (flat === undefined) return describeBytes(memory.bytes.subarray(pointer, pointer + length));
    const pairs: [string, string][] = [];
    for (let i = 0; i < flat.length; i += 2) pairs.push([utf8(flat[i] as string), utf8(flat[i + 1] as string)]);
    return pairs;
  }
  const bytes = memory.bytes.subarray(pointer, pointer + length);
  if (kind === "path") return bytes.toString("utf8").replace(/\0$/, "").replaceAll("\0", ".");
  return describeBytes(bytes);
}

/** The texts of an array of ranges, as one. */
function gathered(memory: GuestMemory, pointer: number, count: number): CallValue {
  if (count > MAX_RANGES || !memory.contains(pointer, count * 8)) return OUT_OF_BOUNDS;
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const start = memory.u32(pointer + i * 8);
    const length = memory.u32(pointer + i * 8 + 4);
    if (!memory.contains(start, length)) return OUT_OF_BOUNDS;
    parts.push(memory.bytes.subarray(start, start + Math.min(length, MAX_VALUE_BYTES)));
  }
  return describeBytes(Buffer.concat(parts));
}

/** UTF-8 as text, anything else as hexadecimal digits; cut after 64 KiB. */
export function describeBytes(bytes: Uint8Array): string | HexValue {
  const shown = Buffer.from(bytes.subarray(0, MAX_VALUE_BYTES));
  const isCut = bytes.length > MAX_VALUE_BYTES;
  const text = shown.toString("utf8");
  // The last character may have been cut in two.
  const isText = isCut ? !text.slice(0, -4).includes("\ufffd") : Buffer.from(text, "utf8").equals(shown);
  if (!isText || text.includes("\0")) return { hex: shown.toString("hex"), ...(isCut ? { length: bytes.length } : {}) };
  return isCut ? `${text}… (${bytes.length} bytes)` : text;
}

/** Header names and values travel as latin1, one char a byte; people read them as UTF-8. */
function utf8(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8");
}

function plainNumber(value: number | bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) || typeof value === "number" ? number : String(value);
}

function errnoName(errno: number): string {
  return Object.entries(Errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}
