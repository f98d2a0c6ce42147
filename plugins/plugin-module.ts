// Module bytes → a compiled module that is known to be a Proxy-Wasm plugin, or one line that says why not.
// Runs on the embedder's main thread; the result is plain data with a WebAssembly.Module in it, so it can be posted to
// workers (V8 shares the machine code). plugin-runtime.ts instantiates it. Uses wasm-binary.ts to look inside.
//
// Two things are rewritten here, because no engine setting limits a single instance: the declared maximum of the memory, and
// the code, which gets a fuel gauge (metering/).

import { createHash } from "node:crypto";
import type { AbiVersion } from "./abi/constants.ts";
import { V0_1_0 } from "./abi/v0-1-0.ts";
import { CALLBACK_TYPES, hostFunctionType, typeCode, typeText } from "./abi/function-types.ts";
import { V0_2_1 } from "./abi/v0-2-1.ts";
import { engineMessage, listNames, printableName } from "./inspection/name-list.ts";
import { readLanguage } from "./inspection/toolchain.ts";
import { meterModule } from "./metering/instrumenter.ts";
import { meteringRevision } from "./metering/revision.ts";
import { type BinaryOutline, type FunctionImport, readOutline, startsLikeModule, withMaxima } from "./wasm-binary.ts";

/** A checked and compiled plugin module. Structured-cloneable. */
export interface PluginModule {
  /** sha256 of the bytes as given, before the host rewrote anything; 64 hexadecimal digits. */
  readonly digest: string;
  /** The same for two modules only if they were compiled from the same bytes under the same limits. */
  readonly key: string;
  readonly abi: AbiVersion;
  readonly module: WebAssembly.Module;
  readonly sizeBytes: number;
  /** What it seems to be built with, for people: "go", "rust", "assemblyscript", "c++", "tinygo", "zig" or "unknown". */
  readonly language: string;
  readonly allocator: "proxy_on_memory_allocate" | "malloc";
  readonly imports: readonly FunctionImport[];
  readonly exports: readonly string[];
  /** Imports that the host does not know but can answer with Unimplemented, as "env.proxy_x". */
  readonly stubbedImports: readonly string[];
  readonly maximumMemoryPages: number;
  /** Whether its callbacks use fuel; without it nothing ends one that loops. */
  readonly isMetered: boolean;
}

export type ModuleResult =
  /** `metered`: its code as it was rewritten now, for `ModuleOptions.metered` of a later load. */
  | { readonly ok: true; readonly module: PluginModule; readonly metered?: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly problem: string };

export interface ModuleOptions {
  /** Most memory that one instance may have, in MiB. Default 128: a Go plugin starts at 8 and rarely passes 40. */
  readonly memoryMib?: number;
  /** Whether callbacks use fuel. Default true. */
  readonly metering?: boolean;
  /**
   * What an earlier load of the same bytes gave as `metered`, known by `meteredKey`: it is compiled as it is, which spares the 100
   * to 200 ms that rewriting a Go plugin takes.
   */
  readonly metered?: Uint8Array<ArrayBuffer>;
}

/** How a problem begins that `metering: false` would take away. */
export const CANNOT_BE_METERED = "the module cannot be metered: ";
export const PAGE_BYTES = 65_536;
const PAGES_PER_MIB = 16;
export const DEFAULT_MEMORY_MIB = 128;
/** A big C++ plugin has 20,000 functions in one table. An entry takes about 24 bytes. */
export const MAX_TABLE_ENTRIES = 250_000;
const MAX_TABLES = 8;
/** Kinds of exports. */
const [FUNCTION, MEMORY] = [0, 2];
const ALLOCATORS: readonly string[] = ["proxy_on_memory_allocate", "malloc"];
const ALLOCATOR_TYPES: ReadonlyMap<string, readonly string[]> = new Map(ALLOCATORS.map((name) => [name, ["i:i"]]));
/** Exports that say the ABI version. */
const MARKERS: ReadonlyMap<string, AbiVersion> = new Map([
  ["proxy_abi_version_0_1_0", "0.1.0"],
  ["proxy_abi_version_0_2_0", "0.2.0"],
  ["proxy_abi_version_0_2_1", "0.2.1"],
]);
/** Imports of module "env" that are not proxy_* and that the host offers all the same. */
export const ENV_EXTRAS: ReadonlySet<string> = new Set(["emscripten_notify_memory_growth", "pthread_equal"]);

/** proxy_* functions of any version; another one is linked to a stub. */
const KNOWN: ReadonlySet<string> = new Set([...V0_1_0.hostFunctions, ...V0_2_1.hostFunctions]);

/** Checks and compiles a module. Synchronous: about 11 ms for a Go plugin of 2.5 MB, V8 compiles functions lazily. */
export function loadPluginModule(bytes: Uint8Array, options: ModuleOptions = {}): ModuleResult {
  if (!startsLikeModule(bytes)) return refuse(describeNonModule(bytes));
  const outline = readOutline(bytes);
  if (outline === undefined) return refuse("not a WebAssembly module: its sections are damaged or cut short");
  const maximumPages = maximumPagesOf(options.memoryMib);
  const [problem] = outlineProblems(outline, maximumPages);
  const [abi] = markedVersions(outline);
  if (problem !== undefined || abi === undefined) return refuse(problem ?? "no ABI version");
  const isMetered = options.metering ?? true;
  const compiled =
    recompile(isMetered ? options.metered : undefined) ??
    compile(withMaxima(bytes, outline, maximumPages, MAX_TABLE_ENTRIES), isMetered);
  if (typeof compiled === "string") return refuse(compiled);
  const { module, metered } = compiled;
  const digest = createHash("sha256").update(bytes).digest("hex");
  return {
    ok: true,
    module: {
      digest,
      key: `${digest}/${maximumPages}/${isMetered ? "metered" : "free"}`,
      abi,
      module,
      sizeBytes: bytes.length,
      language: readLanguage(module, bytes),
      allocator: hasFunction(outline, "proxy_on_memory_allocate") ? "proxy_on_memory_allocate" : "malloc",
      imports: outline.imports,
      exports: outline.exports.map(({ name }) => name),
      stubbedImports: outline.imports.filter(isStubbed).map(importName),
      maximumMemoryPages: maximumPages,
      isMetered,
    },
    ...(metered === undefined ? {} : { metered }),
  };
}

/**
 * Under which name the metered code of a module (its sha256) can be kept, 64 hexadecimal digits; undefined when it cannot be. Whoever
 * gives code back under it answers for it: the code is run without another look.
 */
export function meteredKey(digest: string, memoryMib?: number): string | undefined {
  const revision = meteringRevision();
  return revision === ""
    ? undefined
    : createHash("sha256")
        .update(`${digest}/${maximumPagesOf(memoryMib)}/${revision}`)
        .digest("hex");
}

/** Pages of 64 KiB that one instance may have. */
export function maximumPagesOf(memoryMib: number = DEFAULT_MEMORY_MIB): number {
  return Math.max(1, Math.floor(memoryMib * PAGES_PER_MIB));
}

/** The versions that a module says it is written for, in the order of its exports. As on Envoy the first one counts. */
export function markedVersions({ exports }: BinaryOutline): AbiVersion[] {
  return exports.flatMap(({ name, kind }) => (kind === FUNCTION ? (MARKERS.get(name) ?? []) : []));
}

/** All that keeps a module from being loaded, as far as its outline tells; its code may still be invalid. */
export function outlineProblems(outline: BinaryOutline, maximumPages: number): string[] {
  return [
    markedVersions(outline).length === 0 ? describeMissingAbi(outline) : undefined,
    checkExports(outline),
    checkTypes(outline),
    checkImports(outline),
    checkMemories(outline, maximumPages),
    checkTables(outline),
  ].filter((problem) => problem !== undefined);
}

interface Compiled {
  readonly module: WebAssembly.Module;
  readonly metered?: Uint8Array<ArrayBuffer>;
}

/** From code that was metered before; undefined when there is none, or it is none. */
function recompile(metered: Uint8Array<ArrayBuffer> | undefined): Compiled | undefined {
  try {
    return metered === undefined ? undefined : { module: new WebAssembly.Module(metered) };
  } catch {
    return undefined;
  }
}

/** The compiled module, or why there is none. */
function compile(bytes: Uint8Array<ArrayBuffer>, isMetered: boolean): Compiled | string {
  try {
    if (!isMetered) return { module: new WebAssembly.Module(bytes) };
    // Only what is valid as it came is metered: nothing of the guest's may name what metering appends. Compiling says why not.
    if (!WebAssembly.validate(bytes)) {
      void new WebAssembly.Module(bytes);
      return "not a valid WebAssembly module";
    }
    const metered = meterModule(bytes);
    return metered.ok
      ? { module: new WebAssembly.Module(metered.bytes), metered: metered.bytes }
      : `${CANNOT_BE_METERED}${metered.problem}`;
  } catch (error) {
    return `not a valid WebAssembly module: ${engineMessage(error)}`;
  }
}

/** Whether the host does not know the function, and answers a call of it with Unimplemented. */
function isStubbed({ name }: FunctionImport): boolean {
  return name.startsWith("proxy_") && !KNOWN.has(name);
}

function importName(from: FunctionImport): string {
  return `${from.module}.${from.name}`;
}

function refuse(problem: string): ModuleResult {
  return { ok: false, problem };
}

function describeNonModule(bytes: Uint8Array): string {
  if (bytes.length === 0) return "not a WebAssembly module: the file is empty";
  const head = Buffer.from(bytes.subarray(0, 8));
  if (head.toString("latin1", 0, 4) === "\0asm") {
    if (head.length < 8) return `not a WebAssembly module: cut short after ${head.length} bytes`;
    if (head[6] === 1) return "a WebAssembly component, not a core module: build the plugin as a core module (wasip1)";
    return `not a WebAssembly module: unknown binary version ${head.toString("hex", 4)} (expected 01000000)`;
  }
  if (head[0] === 0x1f && head[1] === 0x8b) return "not a WebAssembly module: the bytes are gzip-compressed";
  const text = head.toString("latin1").trimStart();
  if (text.startsWith("(module")) return "not a WebAssembly module: its text form (WAT), which wat2wasm assembles";
  return `not a WebAssembly module: starts with ${head.toString("hex", 0, 4)} (expected 0061736d)`;
}

function describeMissingAbi(outline: BinaryOutline): string {
  const other = outline.exports.find(({ name, kind }) => kind === FUNCTION && name.startsWith("proxy_abi_version_"));
  if (other !== undefined) {
    return `unknown Proxy-Wasm ABI version: the module exports "${printableName(other.name)}" (known: 0.1.0, 0.2.0, 0.2.1)`;
  }
  return 'not a Proxy-Wasm plugin: no export "proxy_abi_version_0_2_1" (or 0_2_0, 0_1_0)';
}

function checkExports(outline: BinaryOutline): string | undefined {
  if (outline.memories.length === 0 && !outline.otherImports.some((name) => name.endsWith("memory"))) {
    return "the module has no memory";
  }
  if (!outline.exports.some(({ name, kind }) => name === "memory" && kind === MEMORY)) {
    return 'the module does not export its memory as "memory"';
  }
  if (!ALLOCATORS.some((name) => hasFunction(outline, name))) {
    return 'missing allocator: the module exports neither a function "proxy_on_memory_allocate" nor "malloc"';
  }
  return undefined;
}

/**
 * As Envoy does: what the host calls has the ABI's type; JavaScript would call anything, and each call might fail. Imports may have
 * more or fewer parameters, which Envoy refuses, but not others: older SDKs declare some so.
 */
function checkTypes({ exports, imports }: BinaryOutline): string | undefined {
  const wrong = exports.flatMap(({ name, type }) => {
    const wanted = Object.hasOwn(CALLBACK_TYPES, name) ? CALLBACK_TYPES[name] : ALLOCATOR_TYPES.get(name);
    const got = type === undefined ? undefined : typeCode(type);
    return got === undefined || wanted === undefined || wanted.includes(got)
      ? []
      : `${name} as ${typeText(got)}, which has to be ${typeText(wanted[0] ?? ":")}`;
  });
  const unusable = imports.flatMap(({ module, name, ...type }) => {
    const wanted = hostFunctionType(module, name);
    const got = typeCode(type);
    return wanted === undefined || isCallable(got, wanted)
      ? []
      : `${module}.${name} as ${typeText(got)}, which has to be ${typeText(wanted)}`;
  });
  if (wrong.length > 0) return `the module exports ${wrong.join("; ")}`;
  return unusable.length === 0 ? undefined : `the module imports ${unusable.join("; ")}`;
}

/** Whether what both types have is the same: 64-bit numbers are other values in JavaScript than all others. */
function isCallable(got: string, wanted: string): boolean {
  const [a = [], b = []] = [got, wanted].map((type) => type.split(":"));
  return a.every((letters, i) => Array.from(letters).every((letter, at) => letter === (b[i]?.[at] ?? letter)));
}

function hasFunction({ exports }: BinaryOutline, wanted: string): boolean {
  return exports.some(({ name, kind }) => name === wanted && kind === FUNCTION);
}

/** Whether the host can link a function import: with a real function, or with one that says "unimplemented". */
export function isLinkable(module: string, name: string): boolean {
  if (module === "env") return name.startsWith("proxy_") || ENV_EXTRAS.has(name);
  return module.startsWith("wasi_");
}

function checkImports(outline: BinaryOutline): string | undefined {
  const unknown = outline.imports.filter((i) => !isLinkable(i.module, i.name)).map(importName);
  unknown.push(...outline.otherImports);
  if (unknown.length === 0) return undefined;
  return `unknown imports: ${listNames([...new Set(unknown)])} (a plugin may import env.proxy_* and wasi_snapshot_preview1.*)`;
}

/** Tables are outside the memory and count for nothing there, so they have limits of their own. */
function checkTables({ tables }: BinaryOutline): string | undefined {
  if (tables === undefined) return "tables with an initial value are not supported";
  if (tables.length > MAX_TABLES) return `the module has ${tables.length} tables, at most ${MAX_TABLES} are allowed`;
  for (const { flags, initialEntries } of tables) {
    if ((flags & ~1) !== 0) return "shared and 64-bit tables are not supported";
    if (initialEntries > MAX_TABLE_ENTRIES) {
      return `the module starts with a table of ${initialEntries} entries, more than the limit of ${MAX_TABLE_ENTRIES}`;
    }
  }
  return undefined;
}

function checkMemories(outline: BinaryOutline, maximumPages: number): string | undefined {
  if (outline.memories.length > 1) return "several memories are not supported: each would have the limit of one";
  for (const memory of outline.memories) {
    if ((memory.flags & ~1) !== 0) return "shared and 64-bit memories are not supported";
    if (memory.initialPages > maximumPages) {
      const needs = memory.initialPages / PAGES_PER_MIB;
      return `the module starts with ${needs} MiB of memory, more than the limit of ${maximumPages / PAGES_PER_MIB} MiB`;
    }
  }
  return undefined;
}
