// A valid module for any list of numbers: each number is a choice of what stands next, and 0 the simplest, so that fast-check shrinks
// modules by shrinking the list. All number types, vectors, blocks with parameters and several results, every kind of branch, calls,
// tail calls, exceptions of the older or the newer kind, tables and memory; some of it never runs, much of it traps.
//
// What runs ends: functions and loops count down the global "turns". `f0`, `f1` … take and answer numbers; imports are `h.see`
// and `h.hear`. random-body.ts writes the functions.

import { Body } from "./random-body.ts";
import { Choices, type FunctionType, GLOBALS, IMPORTS, SIGNATURES, TAG, TypeTable } from "./random-choices.ts";
import { TYPE_CODES, unsigned, type ValueType, vectorOf, zero } from "./random-operations.ts";

export interface RandomFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
}

export interface RandomModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly functions: readonly RandomFunction[];
}

export function randomModule(choices: readonly number[]): RandomModule {
  const from = new Choices(choices);
  const isLegacy = from.pick(2) === 1;
  const types = new TypeTable();
  const shapes = SIGNATURES.map((type) => ({ type, index: types.indexOf(type) }));
  const imports = IMPORTS.map((type) => types.indexOf(type));
  const tag = types.indexOf({ parameters: TAG, results: [] });
  const bodies = SIGNATURES.map((type) => new Body(from, types, type, isLegacy).finish());
  const hasStart = from.pick(4) === 3;
  const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];
  const named = (name: string): number[] => [...unsigned(name.length), ...Buffer.from(name)];
  const functionNames = SIGNATURES.map((_, i) => `f${i}`);
  const bytes = [
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, vectorOf(types.all.map(typeBytes))),
    ...section(
      2,
      vectorOf(["see", "hear"].map((name, i) => [...named("h"), ...named(name), 0, ...unsigned(imports[i] as number)])),
    ),
    ...section(3, vectorOf(shapes.map(({ index }) => unsigned(index)))),
    ...section(4, vectorOf([[0x70, 1, 8, 20]])),
    ...section(5, vectorOf([[1, 1, 3]])),
    ...section(13, vectorOf([[0, ...unsigned(tag)]])),
    ...section(
      6,
      vectorOf([
        ...GLOBALS.map((type) => [TYPE_CODES[type], 1, ...zero(type), 0x0b]),
        [TYPE_CODES.i32, 1, 0x41, ...unsigned(40), 0x0b],
      ]),
    ),
    ...section(
      7,
      vectorOf([
        ...functionNames.map((name, i) => [...named(name), 0, ...unsigned(IMPORTS.length + i)]),
        [...named("memory"), 2, 0],
        ...[...GLOBALS, "turns"].map((name, i) => [...named(name), 3, ...unsigned(i)]),
      ]),
    ),
    ...(hasStart ? section(8, unsigned(IMPORTS.length + 1)) : []),
    // Entries 0 to 4 of the table are the module's functions, 5 to 7 are null.
    ...section(
      9,
      vectorOf([[0, 0x41, 0, 0x0b, ...vectorOf(functionNames.map((_, i) => unsigned(IMPORTS.length + i)))]]),
    ),
    ...section(12, [1]),
    ...section(10, vectorOf(bodies.map((body) => [...unsigned(body.length), ...body]))),
    ...section(11, vectorOf([[1, ...vectorOf(Array.from(Buffer.from("a passive segment"), (byte) => [byte]))]])),
  ];
  return {
    bytes: Uint8Array.from(bytes),
    functions: functionNames.map((name, i) => ({ name, parameters: SIGNATURES[i]?.parameters ?? [] })),
  };
}

function typeBytes({ parameters, results }: FunctionType): number[] {
  const codes = (types: readonly ValueType[]): number[] => vectorOf(types.map((type) => [TYPE_CODES[type]]));
  return [0x60, ...codes(parameters), ...codes(results)];
}
