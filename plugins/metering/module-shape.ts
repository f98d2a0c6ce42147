// Where the sections of a module are and what its index spaces hold: as much as metering has to know. instrumenter.ts asks.
// The module has been validated by V8 before; this reads it strictly all the same and never throws.
// Source: WebAssembly Core Specification 3.0, §5.5.

import { ByteReader } from "./byte-reader.ts";

export interface Section {
  readonly id: number;
  /** Range of its content. */
  readonly start: number;
  readonly end: number;
}

/** What a function's type says. */
export interface FunctionShape {
  readonly parameters: number;
  readonly results: number;
  /** The bytes of its result types. */
  readonly resultStart: number;
  readonly resultEnd: number;
}

export interface ModuleShape {
  readonly sections: readonly Section[];
  readonly types: readonly FunctionShape[];
  /** Type of each function, imported ones first. */
  readonly functionTypes: readonly number[];
  readonly importedFunctions: number;
  /** Imported and declared. */
  readonly globals: number;
  readonly startFunction: number | undefined;
}

export const SectionId = {
  Custom: 0,
  Type: 1,
  Import: 2,
  Function: 3,
  Table: 4,
  Memory: 5,
  Global: 6,
  Export: 7,
  Start: 8,
  Element: 9,
  Code: 10,
  Data: 11,
  DataCount: 12,
  Tag: 13,
} as const;

/** V8 takes no more types or functions than this. */
const MAX_ENTRIES = 1_000_000;
const FUNCTION_TYPE = 0x60;

class Shape implements ModuleShape {
  readonly sections: Section[] = [];
  readonly types: FunctionShape[] = [];
  readonly functionTypes: number[] = [];
  importedFunctions = 0;
  globals = 0;
  startFunction: number | undefined = undefined;
}

/** The shape of a module, or one line that says why there is none. */
export function readShape(bytes: Uint8Array): ModuleShape | string {
  const shape = new Shape();
  const file = new ByteReader(bytes, Math.min(8, bytes.length), bytes.length);
  while (file.at < file.end) {
    const id = file.byte();
    const size = file.u32();
    const start = file.at;
    file.skip(size);
    if (file.failed) return "its sections are damaged or cut short";
    shape.sections.push({ id, start, end: file.at });
    const problem = readSection(shape, id, new ByteReader(bytes, start, file.at));
    if (problem !== undefined) return problem;
  }
  return shape;
}

function readSection(shape: Shape, id: number, section: ByteReader): string | undefined {
  let problem: string | undefined;
  if (id === SectionId.Type) problem = readTypes(shape, section);
  else if (id === SectionId.Import) problem = readImports(shape, section);
  else if (id === SectionId.Function) readFunctions(shape, section);
  else if (id === SectionId.Global) shape.globals += section.u32();
  else if (id === SectionId.Start) shape.startFunction = section.u32();
  else if (id > SectionId.Tag) problem = `it has a section of the unknown kind ${id}`;
  return section.failed ? "its sections are damaged or cut short" : problem;
}

function readTypes(shape: Shape, section: ByteReader): string | undefined {
  for (let left = bounded(section); left > 0 && !section.failed; left--) {
    if (section.byte() !== FUNCTION_TYPE) return "it has types that are not functions (garbage collection)";
    const parameters = section.count();
    for (let i = 0; i < parameters; i++) section.skipValueType();
    const results = section.count();
    const resultStart = section.at;
    for (let i = 0; i < results; i++) section.skipValueType();
    shape.types.push({ parameters, results, resultStart, resultEnd: section.at });
  }
  return undefined;
}

function readImports(shape: Shape, section: ByteReader): string | undefined {
  for (let left = bounded(section); left > 0 && !section.failed; left--) {
    section.skipBytes();
    section.skipBytes();
    const kind = section.byte();
    if (kind === 0) {
      shape.functionTypes.push(section.u32());
      shape.importedFunctions++;
    } else if (kind === 1) {
      section.skipValueType();
      section.skipLimits();
    } else if (kind === 2) section.skipLimits();
    else if (kind === 3) {
      section.skipValueType();
      section.byte();
      shape.globals++;
    } else if (kind === 4) {
      section.byte();
      section.u32();
    } else return `it has an import of the unknown kind ${kind}`;
  }
  return undefined;
}

function readFunctions(shape: Shape, section: ByteReader): void {
  for (let left = bounded(section); left > 0 && !section.failed; left--) shape.functionTypes.push(section.u32());
}

function bounded(section: ByteReader): number {
  const count = section.count();
  if (count > MAX_ENTRIES) section.failed = true;
  return section.failed ? 0 : count;
}
