// The little that the host must know about the wasm binary format: which imports and exports with which arity, and where the
// declared limits of memories and tables are, so that caps can be written in before the module is compiled.
// plugin-module.ts is the only caller. Input is hostile: every read is bounds-checked, a malformed module is a result.
// Source: WebAssembly Core Specification 2.0, chapter 5 (binary format).

import { ByteReader } from "./metering/byte-reader.ts";

/** Arity of a function import. Value types are their binary codes (0x7f i32, 0x7e i64 …). */
export interface FunctionImport {
  readonly module: string;
  readonly name: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

/** One export. */
export interface ExportedItem {
  readonly name: string;
  /** 0: a function, 1: a table, 2: a memory, 3: a global, 4: a tag. */
  readonly kind: number;
  /** Of a function; undefined when its type is of a kind that is not known here. */
  readonly type: FunctionType | undefined;
}

/** One declared (not imported) memory. */
export interface MemoryDeclaration {
  readonly flags: number;
  readonly initialPages: number;
  readonly maximumPages: number | undefined;
}

/** One declared table; its type stands in the binary from `start` to `end`. */
export interface TableDeclaration {
  readonly flags: number;
  readonly initialEntries: number;
  readonly maximumEntries: number | undefined;
  readonly start: number;
  readonly end: number;
}

/** Where a section is: its content, and the start of its header. */
interface SectionRange {
  readonly header: number;
  readonly end: number;
}

export interface BinaryOutline {
  readonly imports: readonly FunctionImport[];
  /** Imports that are not functions, as "module.name". */
  readonly otherImports: readonly string[];
  readonly exports: readonly ExportedItem[];
  readonly memories: readonly MemoryDeclaration[];
  /** Undefined: there is a table of a form that is not known here. */
  readonly tables: readonly TableDeclaration[] | undefined;
  readonly memorySection: SectionRange | undefined;
  readonly tableSection: SectionRange | undefined;
}

/** Lists longer than this are refused: no real plugin comes near, and it bounds the work on hostile input. */
const MAX_ENTRIES = 1_000_000;

class Cursor extends ByteReader {
  /** A list's length, within reason. */
  override count(): number {
    const count = super.count();
    if (count > MAX_ENTRIES) this.failed = true;
    return this.failed ? 0 : count;
  }

  name(): string {
    const length = this.u32();
    if (length > this.end - this.at) {
      this.failed = true;
      return "";
    }
    const text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + this.at, length).toString("utf8");
    this.at += length;
    return text;
  }
}

export interface FunctionType {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

interface Limits {
  readonly flags: number;
  readonly initial: number;
  readonly maximum: number | undefined;
}

function readLimits(cursor: Cursor): Limits {
  const flags = cursor.byte();
  const initial = cursor.u32();
  const maximum = (flags & 1) !== 0 ? cursor.u32() : undefined;
  return { flags, initial, maximum };
}

function readValueTypes(cursor: Cursor): number[] {
  const types: number[] = [];
  for (let left = cursor.count(); left > 0 && !cursor.failed; left--) {
    const type = cursor.byte();
    // A typed reference carries a heap type after its code.
    if (type === 0x63 || type === 0x64) cursor.u32();
    types.push(type);
  }
  return types;
}

/** Function types; stops quietly at a form that it does not know (GC types), whose functions then have no arity. */
function readTypes(cursor: Cursor): FunctionType[] {
  const types: FunctionType[] = [];
  for (let left = cursor.count(); left > 0 && !cursor.failed; left--) {
    if (cursor.byte() !== 0x60) break;
    types.push({ parameters: readValueTypes(cursor), results: readValueTypes(cursor) });
  }
  return types;
}

/** `functions` gets the type of each imported one. */
function readImports(
  cursor: Cursor,
  types: readonly FunctionType[],
  into: FunctionImport[],
  others: string[],
  functions: (FunctionType | undefined)[],
): void {
  for (let left = cursor.count(); left > 0 && !cursor.failed; left--) {
    const module = cursor.name();
    const name = cursor.name();
    const kind = cursor.byte();
    if (kind === 0) {
      const type = types[cursor.u32()];
      functions.push(type);
      into.push({ module, name, parameters: type?.parameters ?? [], results: type?.results ?? [] });
      continue;
    }
    others.push(`${module}.${name}`);
    if (kind === 1) {
      cursor.byte();
      readLimits(cursor);
    } else if (kind === 2) {
      readLimits(cursor);
    } else if (kind === 3 || kind === 4) {
      cursor.byte();
      cursor.u32();
    } else {
      cursor.failed = true;
    }
  }
}

function readMemories(cursor: Cursor): MemoryDeclaration[] {
  const memories: MemoryDeclaration[] = [];
  for (let left = cursor.count(); left > 0 && !cursor.failed; left--) {
    const { flags, initial, maximum } = readLimits(cursor);
    memories.push({ flags, initialPages: initial, maximumPages: maximum });
  }
  return memories;
}

/** Undefined at a table with an initial value, which no toolchain of plugins makes. */
function readTables(cursor: Cursor): TableDeclaration[] | undefined {
  const tables: TableDeclaration[] = [];
  for (let left = cursor.count(); left > 0 && !cursor.failed; left--) {
    const start = cursor.at;
    const type = cursor.byte();
    if (type === 0x40) return undefined;
    if (type === 0x63 || type === 0x64) cursor.u32();
    const end = cursor.at;
    const { flags, initial, maximum } = readLimits(cursor);
    tables.push({ flags, initialEntries: initial, maximumEntries: maximum, start, end });
  }
  return tables;
}

function readFunctions(cursor: Cursor, types: readonly FunctionType[], functions: (FunctionType | undefined)[]): void {
  for (let left = cursor.count(); left > 0 && !cursor.failed; left--) functions.push(types[cursor.u32()]);
}

function readExports(cursor: Cursor, functions: readonly (FunctionType | undefined)[]): ExportedItem[] {
  const items: ExportedItem[] = [];
  for (let left = cursor.count(); left > 0 && !cursor.failed; left--) {
    const name = cursor.name();
    const kind = cursor.byte();
    const index = cursor.u32();
    items.push({ name, kind, type: kind === 0 ? functions[index] : undefined });
  }
  return items;
}

/** Reads the sections that matter. Undefined when the bytes are not a well-formed core module. */
export function readOutline(bytes: Uint8Array): BinaryOutline | undefined {
  if (!startsLikeModule(bytes)) return undefined;
  const file = new Cursor(bytes, 8, bytes.length);
  let types: FunctionType[] = [];
  const imports: FunctionImport[] = [];
  const otherImports: string[] = [];
  const functions: (FunctionType | undefined)[] = [];
  let exports: readonly ExportedItem[] = [];
  let memories: MemoryDeclaration[] = [];
  let tables: TableDeclaration[] | undefined = [];
  let memorySection: SectionRange | undefined;
  let tableSection: SectionRange | undefined;
  while (file.at < file.end) {
    const header = file.at;
    const id = file.byte();
    const size = file.u32();
    const start = file.at;
    if (file.failed || size > file.end - start) return undefined;
    const section = new Cursor(bytes, start, start + size);
    if (id === 1) types = readTypes(section);
    else if (id === 2) readImports(section, types, imports, otherImports, functions);
    else if (id === 3) readFunctions(section, types, functions);
    else if (id === 4) {
      tables = readTables(section);
      tableSection = { header, end: start + size };
    } else if (id === 5) {
      memories = readMemories(section);
      memorySection = { header, end: start + size };
    } else if (id === 7) exports = readExports(section, functions);
    if (section.failed) return undefined;
    file.at = start + size;
  }
  return { imports, otherImports, exports, memories, tables, memorySection, tableSection };
}

/** Magic number and version 1 of a core module. */
export function startsLikeModule(bytes: Uint8Array): boolean {
  const head = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  return bytes.length >= 8 && head.every((byte, i) => bytes[i] === byte);
}

function leb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return out;
}

/**
 * A copy of the module whose memories cannot grow beyond maximumPages (64 KiB each) and whose tables not beyond
 * maximumEntries. Those that declare less keep it. The caller has checked that none starts larger and none is 64-bit or
 * shared, and that all tables are known.
 */
export function withMaxima(
  bytes: Uint8Array,
  outline: BinaryOutline,
  maximumPages: number,
  maximumEntries: number,
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let from = 0;
  const replace = (section: SectionRange | undefined, id: number, content: readonly number[]): void => {
    if (section === undefined) return;
    parts.push(bytes.subarray(from, section.header), Uint8Array.from([id, ...leb(content.length), ...content]));
    from = section.end;
  };
  const tables = outline.tables ?? [];
  const tableContent = tables.flatMap((table) => {
    const maximum = Math.min(table.maximumEntries ?? maximumEntries, maximumEntries);
    return [...bytes.subarray(table.start, table.end), table.flags | 1, ...leb(table.initialEntries), ...leb(maximum)];
  });
  const memoryContent = outline.memories.flatMap((memory) => {
    const maximum = Math.min(memory.maximumPages ?? maximumPages, maximumPages);
    return [memory.flags | 1, ...leb(memory.initialPages), ...leb(maximum)];
  });
  replace(outline.tableSection, 4, [...leb(tables.length), ...tableContent]);
  replace(outline.memorySection, 5, [...leb(outline.memories.length), ...memoryContent]);
  parts.push(bytes.subarray(from));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
