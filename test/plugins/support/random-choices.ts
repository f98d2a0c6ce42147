// What random modules are made of besides instructions: the types of their functions, and the choices that make them.

import type { ValueType } from "./random-operations.ts";

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

export const NUMBERS: readonly ValueType[] = ["i32", "i64", "f64", "f32"];
export const ALL_TYPES: readonly ValueType[] = [...NUMBERS, "v128"];
/** Of the functions in the module: no vectors, which JavaScript cannot pass. The first one is called through the table. */
export const SIGNATURES: readonly FunctionType[] = [
  { parameters: ["i32"], results: ["i32"] },
  { parameters: [], results: [] },
  { parameters: ["i64", "f64"], results: ["i64"] },
  { parameters: ["i32", "i32"], results: ["i32", "f64"] },
  { parameters: ["f32"], results: ["f32"] },
];
/** h.see and h.hear. */
export const IMPORTS: readonly FunctionType[] = [
  { parameters: ["i32"], results: ["i32"] },
  { parameters: ["i64", "f64"], results: [] },
];
/** What exceptions carry. */
export const TAG: readonly ValueType[] = ["i32"];
export const GLOBALS: readonly ValueType[] = ["i32", "i64", "f64"];
/** Behind GLOBALS: how many turns are left. */
export const TURNS = GLOBALS.length;
export const LOCALS: readonly ValueType[] = ["i32", "i64", "f64", "v128", "f32"];

/** The numbers that say what comes next; zeros when they are used up. */
export class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get isUsedUp(): boolean {
    return this.#at >= this.#numbers.length;
  }

  /** From 0 to below `count`. */
  pick(count: number): number {
    return (this.#numbers[this.#at++] ?? 0) % count;
  }

  of<T>(list: readonly T[]): T {
    return list[this.pick(list.length)] as T;
  }
}

export class TypeTable {
  readonly all: FunctionType[] = [];

  indexOf(type: FunctionType): number {
    const key = (each: FunctionType): string => `${each.parameters.join()}:${each.results.join()}`;
    const known = this.all.findIndex((each) => key(each) === key(type));
    return known >= 0 ? known : this.all.push(type) - 1;
  }
}
