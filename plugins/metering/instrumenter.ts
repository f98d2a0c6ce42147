// A plugin module's bytes → the same module with a fuel gauge built in. plugin-module.ts calls it between cutting the memory to
// its limit and compiling; vm.ts sets the fuel before each callback and reads it after.
//
// One mutable i64 global, the fuel, is appended, with two functions that set and read it, and code that takes from it and
// executes `unreachable` when it is below zero. Everything is appended, so no index of the guest's changes. The guest cannot
// reach the global: its code was valid without it. The start function becomes an export, so that it runs on fuel that the host
// has set. Names stay; debug information and branch hints go, for they speak of places in code that has moved.

import { BodyRewriter } from "./body-rewriter.ts";
import { BodyScan } from "./body-scan.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { ChargePlan, chooseMode } from "./charge-plan.ts";
import { FreeFunctions } from "./free-functions.ts";
import { type FunctionShape, type ModuleShape, readShape, type Section, SectionId } from "./module-shape.ts";
import { Op } from "./opcodes.ts";

/** Exports of a metered module: `(f64) → ()`, `() → f64`, and what was its start function. */
export const FUEL_EXPORTS = { set: "outrigger.fuel.set", get: "outrigger.fuel.get", start: "outrigger.start" } as const;

export type MeteringResult =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  /** One line that continues "the module cannot be metered: ". */
  | { readonly ok: false; readonly problem: string };

/** Fuel of one call of the host, besides what the host charges for bytes: it costs about 150 ns. */
const HOST_CALL_COST = 800;
/** A metered module is at most this many times as large, and some more: code that is all branches would grow beyond use. */
const MAX_GROWTH = 6;
const GROWTH_ALLOWED_BYTES = 64 * 1024;
/** Order of the sections in a module. */
const ORDER: readonly number[] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
const DROPPED_CUSTOM = /^(\.debug_|metadata\.code\.|sourceMappingURL|external_debug_info)/;
const F64 = 0x7c;
const FUNCTION_TYPE = 0x60;
const FUNCTION = 0;

/** Meters a module. The caller has made sure that the bytes are a valid module, so that no code of the guest names the gauge. */
export function meterModule(bytes: Uint8Array): MeteringResult {
  const shape = readShape(bytes);
  if (typeof shape === "string") return { ok: false, problem: shape };
  const writer = new ModuleWriter(bytes, shape);
  const problem = writer.write();
  return problem === undefined ? { ok: true, bytes: writer.finish() } : { ok: false, problem };
}

class ModuleWriter {
  readonly #bytes: Uint8Array;
  readonly #shape: ModuleShape;
  readonly #out: ByteWriter;
  readonly #limit: number;
  readonly #scan = new BodyScan();
  readonly #plan = new ChargePlan();
  readonly #free: FreeFunctions;

  constructor(bytes: Uint8Array, shape: ModuleShape) {
    this.#bytes = bytes;
    this.#shape = shape;
    this.#free = new FreeFunctions(shape.functionTypes.length);
    this.#limit = bytes.length * MAX_GROWTH + GROWTH_ALLOWED_BYTES;
    this.#out = new ByteWriter(Math.ceil(bytes.length * 1.5));
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#out.finish();
  }

  /** Writes the module; what is wrong with it otherwise. */
  write(): string | undefined {
    this.#out.copy(this.#bytes, 0, 8);
    for (const id of ORDER) {
      const section = this.#shape.sections.find((each) => each.id === id);
      const problem = this.#writeSection(id, section);
      if (problem !== undefined) return problem;
    }
    for (const section of this.#shape.sections) {
      if (section.id === SectionId.Custom && !this.#isDropped(section)) this.#copySection(section);
    }
    return undefined;
  }

  #writeSection(id: number, section: Section | undefined): string | undefined {
    const { types, globals, importedFunctions } = this.#shape;
    switch (id) {
      case SectionId.Type:
        return this.#append(id, section, 2, () => this.#writeTypes());
      case SectionId.Function:
        return this.#append(id, section, 2, () => {
          this.#out.u32(types.length);
          this.#out.u32(types.length + 1);
        });
      case SectionId.Global:
        // (global (mut i64) (i64.const 0))
        return this.#append(id, section, 1, () => this.#out.bytes(0x7e, 1, Op.I64Const, 0, Op.End));
      case SectionId.Export:
        return this.#append(id, section, this.#shape.startFunction === undefined ? 2 : 3, () => this.#writeExports());
      case SectionId.Start:
        return undefined;
      case SectionId.Code: {
        const code = section ?? { id, start: 0, end: 0 };
        return this.#writeCode(code, this.#shape.functionTypes.length - importedFunctions, globals);
      }
      default:
        if (section !== undefined) this.#copySection(section);
        return undefined;
    }
  }

  #copySection(section: Section): void {
    this.#out.byte(section.id);
    this.#out.u32(section.end - section.start);
    this.#out.copy(this.#bytes, section.start, section.end);
  }

  #isDropped(section: Section): boolean {
    const reader = new ByteReader(this.#bytes, section.start, section.end);
    const length = Math.min(reader.u32(), 64);
    const name = Buffer.from(
      this.#bytes.buffer,
      this.#bytes.byteOffset + reader.at,
      Math.min(length, section.end - reader.at),
    );
    return DROPPED_CUSTOM.test(name.toString("latin1"));
  }

  /** A list section with more entries at its end. */
  #append(id: number, section: Section | undefined, added: number, write: () => void): string | undefined {
    const out = this.#out;
    out.byte(id);
    const place = out.open();
    if (section === undefined) out.u32(added);
    else {
      const reader = new ByteReader(this.#bytes, section.start, section.end);
      out.u32(reader.u32() + added);
      out.copy(this.#bytes, reader.at, section.end);
    }
    write();
    out.close(place);
    return undefined;
  }

  #writeTypes(): void {
    this.#out.bytes(FUNCTION_TYPE, 1, F64, 0, FUNCTION_TYPE, 0, 1, F64);
  }

  #writeExports(): void {
    const { functionTypes, startFunction } = this.#shape;
    const out = this.#out;
    out.name(FUEL_EXPORTS.set);
    out.op(FUNCTION, functionTypes.length);
    out.name(FUEL_EXPORTS.get);
    out.op(FUNCTION, functionTypes.length + 1);
    if (startFunction !== undefined) {
      out.name(FUEL_EXPORTS.start);
      out.op(FUNCTION, startFunction);
    }
  }

  #writeCode(section: Section, declared: number, global: number): string | undefined {
    const bodies = readBodies(this.#bytes, section, declared);
    if (bodies === undefined) return "its code section is damaged";
    const problem = this.#classify(bodies);
    if (problem !== undefined) return problem;
    const out = this.#out;
    out.byte(SectionId.Code);
    const place = out.open();
    out.u32(declared + 2);
    const rewriter = new BodyRewriter(out, global);
    for (let i = 0; i < declared; i++) {
      const bodyProblem = this.#writeBody(bodies, i, rewriter);
      if (bodyProblem !== undefined) return bodyProblem;
      if (out.length > this.#limit) return "its code would grow too much: it is made of too many branches";
    }
    this.#writeAccessors(global);
    out.close(place);
    return undefined;
  }

  /** Finds the functions whose callers pay for them, so that every call knows what it costs. */
  #classify(bodies: Bodies): string | undefined {
    const { importedFunctions } = this.#shape;
    const free = this.#free;
    const scan = this.#scan;
    scan.setCallees(new Float64Array(0), new Uint8Array(0));
    for (let i = 0; i < bodies.starts.length; i++) {
      if (!scan.scan(this.#bytes, bodies.starts[i] as number, bodies.ends[i] as number)) return scan.problem;
      free.consider(importedFunctions + i, scan);
    }
    free.settle();
    const costs = Float64Array.from(free.costs);
    costs.fill(HOST_CALL_COST, 0, importedFunctions);
    scan.setCallees(costs, free.isFree);
    return undefined;
  }

  #writeBody(bodies: Bodies, i: number, rewriter: BodyRewriter): string | undefined {
    const { types, functionTypes, importedFunctions } = this.#shape;
    const shape: FunctionShape | undefined = types[functionTypes[importedFunctions + i] as number];
    if (shape === undefined) return "a function has no type";
    const scan = this.#scan;
    const start = bodies.starts[i] as number;
    const end = bodies.ends[i] as number;
    if (!scan.scan(this.#bytes, start, end)) return scan.problem;
    const mode = chooseMode(scan, shape.results);
    if (this.#free.isFree[importedFunctions + i] === 1) {
      this.#out.u32(end - start);
      this.#out.copy(this.#bytes, start, end);
      return undefined;
    }
    this.#plan.decide(scan);
    const { parameters, resultStart, resultEnd } = shape;
    const { charges } = this.#plan;
    rewriter.write({ bytes: this.#bytes, end, scan, charges, mode, parameters, resultStart, resultEnd });
    return undefined;
  }

  #writeAccessors(global: number): void {
    const out = this.#out;
    let place = out.open();
    out.bytes(0, Op.LocalGet, 0, Op.I64FromF64);
    out.op(Op.GlobalSet, global);
    out.byte(Op.End);
    out.close(place);
    place = out.open();
    out.byte(0);
    out.op(Op.GlobalGet, global);
    out.bytes(Op.F64FromI64, Op.End);
    out.close(place);
  }
}

interface Bodies {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

function readBodies(bytes: Uint8Array, section: Section, declared: number): Bodies | undefined {
  const reader = new ByteReader(bytes, section.start, section.end);
  const count = section.start === section.end ? 0 : reader.count();
  if (count !== declared || reader.failed) return undefined;
  const starts: number[] = [];
  const ends: number[] = [];
  for (let i = 0; i < count; i++) {
    const size = reader.u32();
    starts.push(reader.at);
    reader.skip(size);
    ends.push(reader.at);
    if (reader.failed) return undefined;
  }
  return reader.at === section.end ? { starts, ends } : undefined;
}
