// The functions and operators of CEL's standard library, by name: `_+_` binary, `-_` unary, `.name` a method (its target is
// the first argument), `name` a function. evaluate.ts calls them with values; what does not fit throws CelError.
// Source: cel-spec's list of standard definitions.

import type { PropertyItem } from "../property-value.ts";
import { partOf } from "../property-value.ts";
import { bytesOf, CelError, compare, equals, isList, isMap, isNumber, isObject, timeOf, typeOf } from "./values.ts";

/** What a function may use: it pays for its work, and regular expressions are the embedder's. */
export interface CelCosts {
  /** Throws CelError when the budget is used up. */
  spend(steps: number): void;
  /** Whether a regular expression in RE2 syntax matches somewhere; undefined: it is none. */
  matches(text: string, pattern: string): boolean | undefined;
}

export interface CelFunction {
  /** How many arguments it takes, targets included. */
  readonly arity: readonly number[];
  run(args: readonly PropertyItem[], costs: CelCosts): PropertyItem;
}

const MIN_INT = -(2n ** 63n);
const MAX_INT = 2n ** 63n - 1n;
const MAX_UINT = 2n ** 64n - 1n;
/** Steps of looking into a map or an object, which may have to be made for it. */
export const PART_STEPS = 10;
/** Longest string, bytes or list that an expression may make. */
const MAX_LENGTH = 1024 * 1024;
const MAX_DURATION_MS = 315_576_000_000_000;

function int(value: bigint): PropertyItem {
  if (value < MIN_INT || value > MAX_INT) throw new CelError("int overflow");
  return { kind: "int", value };
}

function uint(value: bigint): PropertyItem {
  if (value < 0n || value > MAX_UINT) throw new CelError("uint overflow");
  return { kind: "uint", value };
}

const double = (value: number): PropertyItem => ({ kind: "double", value });

function duration(ms: number): PropertyItem {
  if (!(Math.abs(ms) <= MAX_DURATION_MS)) throw new CelError("duration overflow");
  return { kind: "duration", ms };
}

function timestamp(ms: number): PropertyItem {
  if (!(ms >= Date.UTC(1, 0, 1) - 62_135_596_800_000 - 1e15 && Number.isFinite(ms) && Math.abs(ms) <= 8.64e15)) {
    throw new CelError("timestamp overflow");
  }
  return { kind: "timestamp", ms };
}

function misfit(name: string, args: readonly PropertyItem[]): never {
  throw new CelError(`no such overload: ${name}(${args.map(typeOf).join(", ")})`);
}

type Arithmetic = (a: bigint, b: bigint) => bigint;

function arithmetic(
  name: string,
  whole: Arithmetic,
  real: ((a: number, b: number) => number) | undefined,
  others?: (a: PropertyItem, b: PropertyItem, costs: CelCosts) => PropertyItem | undefined,
): CelFunction {
  return {
    arity: [2],
    run(args, costs) {
      const [a = null, b = null] = args;
      if (isNumber(a) && isNumber(b) && a.kind === b.kind) {
        if (a.kind === "double" || b.kind === "double") {
          if (real === undefined) return misfit(name, args);
          return double(real(Number(a.value), Number(b.value)));
        }
        const value = whole(BigInt(a.value), BigInt(b.value));
        return a.kind === "int" ? int(value) : uint(value);
      }
      return others?.(a, b, costs) ?? misfit(name, args);
    },
  };
}

function nonZero(divide: Arithmetic): Arithmetic {
  return (a, b) => {
    if (b === 0n) throw new CelError("divide by zero");
    return divide(a, b);
  };
}

function add(a: PropertyItem, b: PropertyItem, costs: CelCosts): PropertyItem | undefined {
  if (typeof a === "string" && typeof b === "string") return (grown(a.length + b.length, costs), a + b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    grown(a.length + b.length, costs);
    return Buffer.concat([a, b]);
  }
  if (isList(a) && isList(b)) {
    grown((a.items.length + b.items.length) * 16, costs);
    return { kind: "list", items: [...a.items, ...b.items] };
  }
  const [left, right] = [timeOf(a), timeOf(b)];
  if (left === undefined || right === undefined) return undefined;
  const types = [typeOf(a), typeOf(b)];
  if (types.every((type) => type === "google.protobuf.Duration")) return duration(left + right);
  return types.includes("google.protobuf.Duration") ? timestamp(left + right) : undefined;
}

function subtract(a: PropertyItem, b: PropertyItem): PropertyItem | undefined {
  const [left, right] = [timeOf(a), timeOf(b)];
  if (left === undefined || right === undefined) return undefined;
  if (typeOf(a) === typeOf(b)) return duration(left - right);
  return typeOf(a) === "google.protobuf.Timestamp" ? timestamp(left - right) : undefined;
}

/** What is made costs; too much is refused before it is made. */
function grown(length: number, costs: CelCosts): void {
  if (length > MAX_LENGTH) throw new CelError("too large");
  costs.spend(length >> 4);
}

function relation(test: (order: number) => boolean): CelFunction {
  return {
    arity: [2],
    run: ([a = null, b = null], costs) => {
      costs.spend(sizeCost(a) + sizeCost(b));
      const order = compare(a, b);
      // NaN has no order, and that is no error.
      return order !== undefined && test(order);
    },
  };
}

function sizeCost(value: PropertyItem): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length >> 6 : 0;
}

function equality(wanted: boolean): CelFunction {
  return {
    arity: [2],
    run: ([a = null, b = null], costs) => {
      costs.spend(sizeCost(a));
      return equals(a, b, () => costs.spend(1)) === wanted;
    },
  };
}

const contains: CelFunction = {
  arity: [2],
  run(args, costs) {
    const [item = null, range = null] = args;
    if (isList(range)) return range.items.some((each) => equals(item, each, () => costs.spend(1)));
    if (typeof item !== "string") return isMap(range) ? false : misfit("in", args);
    costs.spend(PART_STEPS);
    if (isMap(range) || isObject(range)) return partOf(range, item) !== undefined;
    return misfit("in", args);
  },
};

function textTest(name: string, test: (text: string, other: string) => boolean): CelFunction {
  return {
    arity: [2],
    run(args, costs) {
      const [text, other] = args;
      if (typeof text !== "string" || typeof other !== "string") return misfit(name, args);
      costs.spend(text.length >> 4);
      return test(text, other);
    },
  };
}

const matches: CelFunction = {
  arity: [2],
  run(args, costs) {
    const [text, pattern] = args;
    if (typeof text !== "string" || typeof pattern !== "string") return misfit("matches", args);
    costs.spend(100 + text.length + pattern.length * 10);
    return costs.matches(text, pattern) ?? misfit("matches (no regular expression)", args);
  },
};

const size: CelFunction = {
  arity: [1],
  run(args, costs) {
    const [value = null] = args;
    if (typeof value === "string") {
      costs.spend(value.length >> 4);
      return int(BigInt(codePoints(value)));
    }
    if (value instanceof Uint8Array) return int(BigInt(value.length));
    if (isList(value)) return int(BigInt(value.items.length));
    if (isMap(value)) {
      const { length } = value.entries;
      costs.spend(PART_STEPS + length);
      return int(BigInt(length));
    }
    return misfit("size", args);
  },
};

/** Bytes that begin a character. */
function codePoints(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xc0) !== 0x80) count++;
  return count;
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8");
}

const toInt: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (isNumber(value)) {
      if (value.kind !== "double") return int(BigInt(value.value));
      if (!(Math.abs(value.value) < 2 ** 63)) throw new CelError("int overflow");
      return int(BigInt(Math.trunc(value.value)));
    }
    if (typeof value === "string" && /^[+-]?\d{1,19}$/.test(value)) return int(BigInt(value.replace("+", "")));
    const time = typeOf(value) === "google.protobuf.Timestamp" ? timeOf(value) : undefined;
    return time === undefined ? misfit("int", args) : int(BigInt(Math.floor(time / 1_000)));
  },
};

const toUint: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (isNumber(value)) {
      if (value.kind !== "double") return uint(BigInt(value.value));
      if (!(value.value > -1 && value.value < 2 ** 64)) throw new CelError("uint overflow");
      return uint(BigInt(Math.trunc(value.value)));
    }
    return typeof value === "string" && /^\d{1,20}$/.test(value) ? uint(BigInt(value)) : misfit("uint", args);
  },
};

const toDouble: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (isNumber(value)) return double(Number(value.value));
    const isText = typeof value === "string" && /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value);
    return isText ? double(Number(value)) : misfit("double", args);
  },
};

const toText: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (typeof value === "string") return value;
    if (typeof value === "boolean") return String(value);
    if (isNumber(value)) return String(value.value);
    if (value instanceof Uint8Array) {
      const text = bytesOf(value).toString("latin1");
      if (Buffer.from(utf8(text)).equals(bytesOf(value))) return text;
      throw new CelError("bytes that are not UTF-8");
    }
    const time = timeOf(value);
    if (time === undefined) return misfit("string", args);
    return typeOf(value) === "google.protobuf.Duration"
      ? `${time / 1_000}s`
      : new Date(time).toISOString().replace(".000Z", "Z");
  },
};

const toBytes: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (value instanceof Uint8Array) return value;
    return typeof value === "string" ? Buffer.from(value, "latin1") : misfit("bytes", args);
  },
};

const toBool: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (typeof value === "boolean") return value;
    if (typeof value === "string" && /^(1|t|T|TRUE|true|True)$/.test(value)) return true;
    return typeof value === "string" && /^(0|f|F|FALSE|false|False)$/.test(value) ? false : misfit("bool", args);
  },
};

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 1e-3, ns: 1e-6 };

const toDuration: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (typeOf(value) === "google.protobuf.Duration") return value;
    const found = typeof value === "string" ? /^([+-]?)((?:\d+(?:\.\d+)?(?:h|ms|us|ns|m|s))+|0)$/.exec(value) : null;
    if (found === null) return misfit("duration", args);
    let ms = 0;
    for (const [, number, unit] of (found[2] as string).matchAll(/(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)/g)) {
      ms += Number(number) * (UNIT_MS[unit as string] as number);
    }
    return duration(found[1] === "-" ? -ms : ms);
  },
};

const toTimestamp: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (typeOf(value) === "google.protobuf.Timestamp") return value;
    if (isNumber(value) && value.kind === "int") return timestamp(Number(value.value) * 1_000);
    const isTime =
      typeof value === "string" && /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value);
    return isTime ? timestamp(Date.parse(value)) : misfit("timestamp", args);
  },
};

/** Parts of a timestamp, in UTC or at a fixed offset; of a duration, whole units. */
function timePart(name: string, ofTime: (date: Date) => number, unitMs = 0, modulo = 0): CelFunction {
  return {
    arity: [1, 2],
    run(args) {
      const [value = null, zone] = args;
      const ms = timeOf(value);
      if (ms === undefined) return misfit(name, args);
      if (typeOf(value) === "google.protobuf.Duration") {
        if (unitMs === 0 || zone !== undefined) return misfit(name, args);
        const units = Math.trunc(ms / unitMs);
        return int(BigInt(modulo === 0 ? units : units % modulo));
      }
      return int(BigInt(ofTime(new Date(Math.floor(ms) + offsetMs(zone, args)))));
    },
  };
}

function offsetMs(zone: PropertyItem | undefined, args: readonly PropertyItem[]): number {
  if (zone === undefined || zone === "UTC") return 0;
  const found = typeof zone === "string" ? /^([+-]?)(\d\d):(\d\d)$/.exec(zone) : null;
  if (found === null) return misfit("time zones other than UTC and +hh:mm", args);
  return (found[1] === "-" ? -1 : 1) * (Number(found[2]) * 60 + Number(found[3])) * 60_000;
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000);
}

const negate: CelFunction = {
  arity: [1],
  run(args) {
    const [value = null] = args;
    if (!isNumber(value) || value.kind === "uint") return misfit("-", args);
    return value.kind === "int" ? int(-BigInt(value.value)) : double(-value.value);
  },
};

const not: CelFunction = {
  arity: [1],
  run: (args) => (typeof args[0] === "boolean" ? !args[0] : misfit("!", args)),
};

export const FUNCTIONS: ReadonlyMap<string, CelFunction> = new Map<string, CelFunction>([
  [
    "_+_",
    arithmetic(
      "+",
      (a, b) => a + b,
      (a, b) => a + b,
      add,
    ),
  ],
  [
    "_-_",
    arithmetic(
      "-",
      (a, b) => a - b,
      (a, b) => a - b,
      subtract,
    ),
  ],
  [
    "_*_",
    arithmetic(
      "*",
      (a, b) => a * b,
      (a, b) => a * b,
    ),
  ],
  [
    "_/_",
    arithmetic(
      "/",
      nonZero((a, b) => a / b),
      (a, b) => a / b,
    ),
  ],
  [
    "_%_",
    arithmetic(
      "%",
      nonZero((a, b) => a % b),
      undefined,
    ),
  ],
  ["-_", negate],
  ["!_", not],
  ["_==_", equality(true)],
  ["_!=_", equality(false)],
  ["_<_", relation((order) => order < 0)],
  ["_<=_", relation((order) => order <= 0)],
  ["_>_", relation((order) => order > 0)],
  ["_>=_", relation((order) => order >= 0)],
  ["_in_", contains],
  ["size", size],
  [".size", size],
  [".contains", textTest("contains", (text, other) => text.includes(other))],
  [".startsWith", textTest("startsWith", (text, other) => text.startsWith(other))],
  [".endsWith", textTest("endsWith", (text, other) => text.endsWith(other))],
  ["matches", matches],
  [".matches", matches],
  ["int", toInt],
  ["uint", toUint],
  ["double", toDouble],
  ["string", toText],
  ["bytes", toBytes],
  ["bool", toBool],
  ["duration", toDuration],
  ["timestamp", toTimestamp],
  ["dyn", { arity: [1], run: ([value = null]) => value }],
  [".getFullYear", timePart("getFullYear", (date) => date.getUTCFullYear())],
  [".getMonth", timePart("getMonth", (date) => date.getUTCMonth())],
  [".getDate", timePart("getDate", (date) => date.getUTCDate())],
  [".getDayOfMonth", timePart("getDayOfMonth", (date) => date.getUTCDate() - 1)],
  [".getDayOfWeek", timePart("getDayOfWeek", (date) => date.getUTCDay())],
  [".getDayOfYear", timePart("getDayOfYear", dayOfYear)],
  [".getHours", timePart("getHours", (date) => date.getUTCHours(), 3_600_000)],
  [".getMinutes", timePart("getMinutes", (date) => date.getUTCMinutes(), 60_000)],
  [".getSeconds", timePart("getSeconds", (date) => date.getUTCSeconds(), 1_000)],
  [".getMilliseconds", timePart("getMilliseconds", (date) => date.getUTCMilliseconds(), 1, 1_000)],
]);
