// The instructions that random-module.ts writes, by what they leave on the stack. Left out is what shows the bits of a NaN, which the
// engine may choose: copysign, reinterpreting floats, floats in memory or in vectors.
// Source: WebAssembly Core Specification 3.0, §5.4.

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

export interface Operation {
  readonly takes: readonly ValueType[];
  readonly gives: ValueType | undefined;
  /** Opcode and immediates. */
  readonly code: readonly number[];
}

export const TYPE_CODES: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

const VECTOR = 0xfd;
const MISC = 0xfc;
/** Of all accesses: aligned as bytes, so that it is valid for every width, at a small offset. */
const MEMORY = [0, 3];

function range(from: number, to: number, takes: readonly ValueType[], gives: ValueType): Operation[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({ takes, gives, code: [from + i] }));
}

function accesses(from: number, to: number, takes: readonly ValueType[], gives: ValueType | undefined): Operation[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({ takes, gives, code: [from + i, ...MEMORY] }));
}

function vector(sub: number, takes: readonly ValueType[], gives: ValueType | undefined, ...rest: number[]): Operation {
  const code = sub < 0x80 ? [sub] : [(sub & 0x7f) | 0x80, sub >> 7];
  return { takes, gives, code: [VECTOR, ...code, ...rest] };
}

const SIXTEEN = Array.from({ length: 16 }, (_, i) => (i * 5) % 32);

export const OPERATIONS: readonly Operation[] = [
  ...range(0x45, 0x45, ["i32"], "i32"),
  ...range(0x46, 0x4f, ["i32", "i32"], "i32"),
  ...range(0x50, 0x50, ["i64"], "i32"),
  ...range(0x51, 0x5a, ["i64", "i64"], "i32"),
  ...range(0x5b, 0x60, ["f32", "f32"], "i32"),
  ...range(0x61, 0x66, ["f64", "f64"], "i32"),
  ...range(0x67, 0x69, ["i32"], "i32"),
  ...range(0x6a, 0x78, ["i32", "i32"], "i32"),
  ...range(0x79, 0x7b, ["i64"], "i64"),
  ...range(0x7c, 0x8a, ["i64", "i64"], "i64"),
  ...range(0x8b, 0x91, ["f32"], "f32"),
  ...range(0x92, 0x97, ["f32", "f32"], "f32"),
  ...range(0x99, 0x9f, ["f64"], "f64"),
  ...range(0xa0, 0xa5, ["f64", "f64"], "f64"),
  ...range(0xa7, 0xa7, ["i64"], "i32"),
  ...range(0xa8, 0xa9, ["f32"], "i32"),
  ...range(0xaa, 0xab, ["f64"], "i32"),
  ...range(0xac, 0xad, ["i32"], "i64"),
  ...range(0xae, 0xaf, ["f32"], "i64"),
  ...range(0xb0, 0xb1, ["f64"], "i64"),
  ...range(0xb2, 0xb3, ["i32"], "f32"),
  ...range(0xb4, 0xb5, ["i64"], "f32"),
  ...range(0xb6, 0xb6, ["f64"], "f32"),
  ...range(0xb7, 0xb8, ["i32"], "f64"),
  ...range(0xb9, 0xba, ["i64"], "f64"),
  ...range(0xbb, 0xbb, ["f32"], "f64"),
  ...range(0xbe, 0xbe, ["i32"], "f32"),
  ...range(0xbf, 0xbf, ["i64"], "f64"),
  ...range(0xc0, 0xc1, ["i32"], "i32"),
  ...range(0xc2, 0xc4, ["i64"], "i64"),
  ...[0, 1].map((sub): Operation => ({ takes: ["f32"], gives: "i32", code: [MISC, sub] })),
  ...[2, 3].map((sub): Operation => ({ takes: ["f64"], gives: "i32", code: [MISC, sub] })),
  ...[4, 5].map((sub): Operation => ({ takes: ["f32"], gives: "i64", code: [MISC, sub] })),
  ...[6, 7].map((sub): Operation => ({ takes: ["f64"], gives: "i64", code: [MISC, sub] })),
  ...accesses(0x28, 0x28, ["i32"], "i32"),
  ...accesses(0x29, 0x29, ["i32"], "i64"),
  ...accesses(0x2a, 0x2a, ["i32"], "f32"),
  ...accesses(0x2b, 0x2b, ["i32"], "f64"),
  ...accesses(0x2c, 0x2f, ["i32"], "i32"),
  ...accesses(0x30, 0x35, ["i32"], "i64"),
  { takes: [], gives: "i32", code: [0x3f, 0] },
  { takes: ["i32"], gives: "i32", code: [0x40, 0] },
  // table.get, ref.is_null; table.size; table.grow with a null
  { takes: ["i32"], gives: "i32", code: [0x25, 0, 0xd1] },
  { takes: [], gives: "i32", code: [MISC, 16, 0] },
  vector(0, ["i32"], "v128", ...MEMORY),
  vector(12, [], "v128", ...SIXTEEN),
  vector(13, ["v128", "v128"], "v128", ...SIXTEEN),
  vector(14, ["v128", "v128"], "v128"),
  vector(15, ["i32"], "v128"),
  vector(17, ["i32"], "v128"),
  vector(18, ["i64"], "v128"),
  vector(21, ["v128"], "i32", 9),
  vector(27, ["v128"], "i32", 2),
  vector(29, ["v128"], "i64", 1),
  vector(28, ["v128", "i32"], "v128", 3),
  vector(35, ["v128", "v128"], "v128"),
  vector(78, ["v128", "v128"], "v128"),
  vector(82, ["v128", "v128", "v128"], "v128"),
  vector(83, ["v128"], "i32"),
  vector(84, ["i32", "v128"], "v128", ...MEMORY, 5),
  vector(100, ["v128"], "i32"),
  vector(110, ["v128", "v128"], "v128"),
  vector(171, ["v128", "i32"], "v128"),
  vector(174, ["v128", "v128"], "v128"),
  vector(213, ["v128", "v128"], "v128"),
];

/** Those that leave nothing. `f32.store` and `f64.store` are not among them. */
export const STORES: readonly Operation[] = [
  ...accesses(0x36, 0x36, ["i32", "i32"], undefined),
  ...accesses(0x37, 0x37, ["i32", "i64"], undefined),
  ...accesses(0x3a, 0x3b, ["i32", "i32"], undefined),
  ...accesses(0x3c, 0x3e, ["i32", "i64"], undefined),
  vector(11, ["i32", "v128"], undefined, ...MEMORY),
  vector(88, ["i32", "v128"], undefined, ...MEMORY, 7),
  // memory.fill, memory.copy and memory.init of segment 0, table.fill with nulls
  { takes: ["i32", "i32", "i32"], gives: undefined, code: [MISC, 11, 0] },
  { takes: ["i32", "i32", "i32"], gives: undefined, code: [MISC, 10, 0, 0] },
  { takes: ["i32", "i32", "i32"], gives: undefined, code: [MISC, 8, 0, 0] },
  { takes: ["i32", "i32", "i32"], gives: undefined, code: [MISC, 14, 0, 0] },
];

/** The code of a constant 0. */
export function zero(type: ValueType): number[] {
  switch (type) {
    case "i32":
      return [0x41, 0];
    case "i64":
      return [0x42, 0];
    case "f32":
      return [0x43, 0, 0, 0, 0];
    case "f64":
      return [0x44, 0, 0, 0, 0, 0, 0, 0, 0];
    case "v128":
      return [0xfd, 12, ...Array.from({ length: 16 }, () => 0)];
  }
}

export function vectorOf(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()];
}

export function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(Math.floor(value / 0x80))];
}

export function signed(value: number): number[] {
  const out: number[] = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    const byte = Number(rest & 0x7fn);
    if (rest >= -64n && rest < 64n) return [...out, byte];
    out.push(byte | 0x80);
  }
}
