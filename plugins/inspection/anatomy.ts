// A module taken apart for people: every section with its place and size, imports and exports with their types, and where the
// bodies of functions are. More than wasm-binary.ts reads for loading, and forgiving: what was read before the damage is kept,
// with a line that says where the damage is. module-report.ts asks. Input is hostile: reads are checked, lists have an end.
// Source: WebAssembly Core Specification 3.0, chapter 5 (binary format).

import { typeLetter } from "../abi/function-types.ts";
import { ByteReader } from "../metering/byte-reader.ts";
import { SectionId } from "../metering/module-shape.ts";

export type ExternKind = "function" | "table" | "memory" | "global" | "tag";

export interface ImportEntry {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternKind;
  /** Of a function, as in abi/function-types.ts; undefined for other kinds and unknown types. */
  readonly type: string | undefined;
}

export interface ExportEntry {
  readonly name: string;
  readonly kind: ExternKind;
  readonly index: number;
  readonly type: string | undefined;
}

export interface SectionEntry {
  /** `code`, `data` …; of a custom section its own name. */
  readonly name: string;
  readonly isCustom: boolean;
  readonly bytes: number;
}

export interface LimitsEntry {
  readonly initial: number;
  readonly maximum: number | undefined;
}

export interface ModuleAnatomy {
  readonly sections: readonly SectionEntry[];
  readonly imports: readonly ImportEntry[];
  readonly exports: readonly ExportEntry[];
  /** In pages of 64 KiB; declared ones. */
  readonly memories: readonly LimitsEntry[];
  readonly tables: readonly LimitsEntry[];
  /** How many functions have a body. */
  readonly functions: number;
  readonly hasStartFunction: boolean;
  /** Undefined: the file is whole. Else one line that says where it is not. */
  readonly damage: string | undefined;
  /** The range of a function's body, its locals first; undefined for imported functions. */
  bodyOf(index: number): { readonly start: number; readonly end: number } | undefined;
}

const KINDS: readonly ExternKind[] = ["function", "table", "memory", "global", "tag"];
const SECTION_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(SectionId).map(([name, id]) => [id, name.toLowerCase()]),
);
/** V8 takes no longer lists of imports, exports, types and functions. */
const MAX_ENTRIES = 1_000_000;
const MAX_NAME_BYTES = 4_096;
const HEADER_BYTES = 8;
const FUNCTION_TYPE = 0x60;

/** Takes apart what begins like a module. Never throws. */
export function readAnatomy(bytes: Uint8Array): ModuleAnatomy {
  const anatomy = new Anatomy(bytes);
  anatomy.read();
  return anatomy;
}

class Anatomy implements ModuleAnatomy {
  readonly sections: SectionEntry[] = [];
  readonly imports: ImportEntry[] = [];
  readonly exports: ExportEntry[] = [];
  readonly memories: LimitsEntry[] = [];
  readonly tables: LimitsEntry[] = [];
  functions = 0;
  hasStartFunction = false;
  damage: string | undefined = undefined;
  readonly #bytes: Uint8Array;
  readonly #types: string[] = [];
  /** Type of each function, imported ones first. */
  readonly #functionTypes: number[] = [];
  #imported = 0;
  #bodies: { readonly start: number; readonly end: number }[] | undefined = undefined;
  #code: { readonly start: number; readonly end: number } | undefined = undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): void {
    const bytes = this.#bytes;
    const file = new ByteReader(bytes, Math.min(HEADER_BYTES, bytes.length), bytes.length);
    while (file.at < file.end && this.damage === undefined) {
      const header = file.at;
      const id = file.byte();
      const size = file.u32();
      const start = file.at;
      const name = SECTION_NAMES[id];
      if (file.failed || size > file.end - start) {
        this.damage = cutShort(name, header, size, file.end - start);
        return;
      }
      if (name === undefined) {
        this.damage = `a section of the unknown kind ${id} at byte ${header}`;
        return;
      }
      const section = new ByteReader(bytes, start, start + size);
      const isCustom = id === SectionId.Custom;
      this.sections.push({ name: isCustom ? nameOf(section) : name, isCustom, bytes: size });
      if (!isCustom) this.#readSection(id, section);
      if (section.failed) this.damage = `the ${name} section at byte ${header} is damaged`;
      file.at = start + size;
    }
  }

  bodyOf(index: number): { readonly start: number; readonly end: number } | undefined {
    this.#bodies ??= this.#readBodies();
    return this.#bodies[index - this.#imported];
  }

  /** Read once: a hostile module exports all its functions. */
  #readBodies(): { readonly start: number; readonly end: number }[] {
    const bodies: { readonly start: number; readonly end: number }[] = [];
    const code = this.#code;
    if (code === undefined) return bodies;
    const reader = new ByteReader(this.#bytes, code.start, code.end);
    eachEntry(reader, () => {
      const size = reader.u32();
      const start = reader.at;
      reader.skip(size);
      if (!reader.failed) bodies.push({ start, end: reader.at });
    });
    return bodies;
  }

  #readSection(id: number, section: ByteReader): void {
    if (id === SectionId.Type) this.#readTypes(section);
    else if (id === SectionId.Import) this.#readImports(section);
    else if (id === SectionId.Function) eachEntry(section, () => this.#functionTypes.push(section.u32()));
    else if (id === SectionId.Table) this.#readTables(section);
    else if (id === SectionId.Memory) eachEntry(section, () => this.memories.push(readLimits(section)));
    else if (id === SectionId.Export) this.#readExports(section);
    else if (id === SectionId.Start) this.hasStartFunction = true;
    else if (id === SectionId.Code) {
      this.#code = { start: section.at, end: section.end };
      this.functions = section.count();
    }
  }

  /** Ends at the first type that is no function; functions of later types have an unknown type. */
  #readTypes(section: ByteReader): void {
    let isKnown = true;
    eachEntry(section, () => {
      if (!isKnown || section.byte() !== FUNCTION_TYPE) {
        isKnown = false;
        return;
      }
      this.#types.push(`${readValueTypes(section)}:${readValueTypes(section)}`);
    });
  }

  #readImports(section: ByteReader): void {
    eachEntry(section, () => {
      const [module, name] = [readName(section), readName(section)];
      const code = section.byte();
      const kind = KINDS[code];
      if (kind === undefined) section.failed = true;
      else if (kind === "function") {
        const type = section.u32();
        this.#functionTypes.push(type);
        this.#imported++;
        this.imports.push({ module, name, kind, type: this.#types[type] });
        return;
      } else if (kind === "table") {
        section.skipValueType();
        section.skipLimits();
      } else if (kind === "memory") section.skipLimits();
      else if (kind === "global") {
        section.skipValueType();
        section.byte();
      } else {
        section.byte();
        section.u32();
      }
      if (kind !== undefined) this.imports.push({ module, name, kind, type: undefined });
    });
  }

  /** A table with an initial value ends the list: no toolchain of plugins makes one, and loading refuses it. */
  #readTables(section: ByteReader): void {
    let isKnown = true;
    eachEntry(section, () => {
      const type = isKnown ? section.byte() : 0;
      isKnown &&= type !== 0x40;
      if (!isKnown) return;
      if (type === 0x63 || type === 0x64) section.skipLeb();
      this.tables.push(readLimits(section));
    });
  }

  #readExports(section: ByteReader): void {
    eachEntry(section, () => {
      const name = readName(section);
      const kind = KINDS[section.byte()];
      const index = section.u32();
      if (kind === undefined) section.failed = true;
      else {
        const type = kind === "function" ? this.#types[this.#functionTypes[index] ?? -1] : undefined;
        this.exports.push({ name, kind, index, type });
      }
    });
  }
}

function eachEntry(section: ByteReader, read: () => void): void {
  const count = section.count();
  if (count > MAX_ENTRIES) section.failed = true;
  for (let left = count; left > 0 && !section.failed; left--) read();
}

function readLimits(section: ByteReader): LimitsEntry {
  const flags = section.byte();
  const initial = section.u32();
  return { initial, maximum: (flags & 1) !== 0 ? section.u32() : undefined };
}

function readValueTypes(section: ByteReader): string {
  let letters = "";
  eachEntry(section, () => {
    const code = section.bytes[section.at] ?? 0;
    section.skipValueType();
    letters += typeLetter(code);
  });
  return letters;
}

function readName(section: ByteReader): string {
  const length = section.u32();
  const start = section.at;
  section.skip(length);
  const { buffer, byteOffset } = section.bytes;
  return section.failed
    ? ""
    : Buffer.from(buffer, byteOffset + start, Math.min(length, MAX_NAME_BYTES)).toString("utf8");
}

/** Of a custom section. A damaged name damages nothing else. */
function nameOf(section: ByteReader): string {
  const name = readName(section);
  section.failed = false;
  return name;
}

function cutShort(name: string | undefined, header: number, size: number, left: number): string {
  const what = name === undefined ? "a section" : `the ${name} section`;
  return `cut short: ${what} at byte ${header} says that it has ${size} bytes, and the file ends after ${left}`;
}
