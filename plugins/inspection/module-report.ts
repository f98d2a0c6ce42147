// Bytes that somebody says are a plugin → everything that can be said of them without running them: would they load here and on
// Envoy, what is in them, what can they do. `outrigger plugin inspect` prints it. Never throws.
//
//   bytes ─┬─ plugin-module.ts: what loading says, every problem
//          ├─ anatomy.ts: sections, imports, exports ─► host-support.ts, abilities.ts, constant-body.ts
//          └─ toolchain.ts: language, compiler, SDK

import { createHash } from "node:crypto";
import { typeText } from "../abi/function-types.ts";
import type { AbiVersion } from "../abi/constants.ts";
import { meterModule } from "../metering/instrumenter.ts";
import {
  loadPluginModule,
  markedVersions,
  MAX_TABLE_ENTRIES,
  maximumPagesOf,
  outlineProblems,
  PAGE_BYTES,
} from "../plugin-module.ts";
import { readOutline, startsLikeModule } from "../wasm-binary.ts";
import { abilitiesOf, hasWayOut, holdersOf, type Pausing, pausingOf } from "./abilities.ts";
import { functionNames } from "./function-names.ts";
import { goFunctions } from "./go-functions.ts";
import { readMemoryImage } from "./memory-image.ts";
import { engineMessage, listNames } from "./name-list.ts";
import { isOwn, ownCallbacks } from "./own-callbacks.ts";
import { type ModuleAnatomy, readAnatomy, type SectionEntry } from "./anatomy.ts";
import { constantResult } from "./constant-body.ts";
import { expectedType, isCalled, type Support, supportOf } from "./host-support.ts";
import { readToolchain, type Toolchain } from "./toolchain.ts";

export interface ImportReport {
  readonly module: string;
  readonly name: string;
  /** "(i32, i32) → i32"; of other things than functions their kind. */
  readonly type: string;
  readonly support: Support;
}

export interface CallbackReport {
  readonly name: string;
  readonly type: string;
  /** Whether this host ever calls it. */
  readonly isCalled: boolean;
  /** Whether its code does anything. What an SDK exports for every plugin usually looks as if it did. */
  readonly doesNothing: boolean;
  /** What it answers always; undefined when that is not always the same, or nothing. */
  readonly result: number | undefined;
  /** Whether the plugin's author wrote it; false: it is what the SDK does by default. Undefined: that cannot be told. */
  readonly isOwn: boolean | undefined;
}

export interface MemoryReport {
  readonly initialBytes: number;
  /** Undefined: it declares none. */
  readonly maximumBytes: number | undefined;
  /** What it may have here. */
  readonly limitBytes: number;
}

export interface TableReport {
  readonly initialEntries: number;
  readonly maximumEntries: number | undefined;
  readonly limitEntries: number;
}

export type MeteringReport =
  | { readonly works: true; readonly sizeBytes: number; readonly growthPercent: number }
  | { readonly works: false; readonly problem: string };

export interface ModuleReport {
  readonly sizeBytes: number;
  /** sha256, 64 hexadecimal digits: what `code.remote.sha256` wants. */
  readonly digest: string;
  readonly loads: boolean;
  /** Why it does not load: the first is what the sidecar would say. Empty exactly when it loads. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** The version that counts; undefined when no known one is marked. */
  readonly abi: AbiVersion | undefined;
  readonly markedVersions: readonly AbiVersion[];
  readonly toolchain: Toolchain;
  /** What runs when an instance starts, in order. */
  readonly start: readonly string[];
  readonly allocator: string | undefined;
  readonly functions: number;
  readonly memory: MemoryReport | undefined;
  readonly tables: readonly TableReport[];
  /** Undefined: its code is not valid. */
  readonly metering: MeteringReport | undefined;
  readonly pausing: Pausing;
  /** Names of the callbacks that do or may pause. */
  readonly pausesIn: readonly string[];
  readonly abilities: readonly string[];
  readonly callbacks: readonly CallbackReport[];
  readonly imports: readonly ImportReport[];
  /** Exports that are no callbacks, with their types or kinds. */
  readonly exports: readonly { readonly name: string; readonly type: string }[];
  readonly sections: readonly SectionEntry[];
}

export interface InspectOptions {
  /** The limit that the plugin would have, in MiB. Default 128. */
  readonly memoryMib?: number;
}

/** Debugging information beyond this part of the file is worth a word: each worker holds the file while it loads. */
const MUCH_DEBUG = 0.25;
const DEBUG_SECTION = /^(?:\.debug_|sourceMappingURL|external_debug_info|name$)/;

/** About 0.3 s for a Go plugin of 2.7 MB: it is compiled and metered. */
export function inspectModule(bytes: Uint8Array, { memoryMib }: InspectOptions = {}): ModuleReport {
  const options = memoryMib === undefined ? {} : { memoryMib };
  const loaded = loadPluginModule(bytes, options);
  const maximumPages = maximumPagesOf(memoryMib);
  const anatomy = readAnatomy(startsLikeModule(bytes) ? bytes : new Uint8Array(0));
  const outline = readOutline(bytes);
  const versions = outline === undefined ? [] : markedVersions(outline);
  const module = loaded.ok ? loaded.module.module : undefined;
  const toolchain = readToolchain(module, bytes);
  const callbacks = callbacksOf(
    anatomy,
    bytes,
    ownCallbacks(toolchain.language, functionsOf(module, bytes, toolchain)),
  );
  const imports = new Set(anatomy.imports.map(({ name }) => name));
  const pausing = pausingOf(callbacks);
  const exportNames = new Set(anatomy.exports.filter(({ kind }) => kind === "function").map(({ name }) => name));
  const report = {
    sizeBytes: bytes.length,
    digest: createHash("sha256").update(bytes).digest("hex"),
    loads: loaded.ok,
    problems: loaded.ok ? [] : problemsOf(bytes, loaded.problem, maximumPages, anatomy),
    abi: versions[0],
    markedVersions: versions,
    toolchain,
    start: startOf(anatomy.hasStartFunction, exportNames),
    allocator: ["proxy_on_memory_allocate", "malloc"].find((name) => exportNames.has(name)),
    functions: anatomy.functions,
    memory: memoryOf(anatomy, maximumPages),
    tables: anatomy.tables.map(({ initial, maximum }) => ({
      initialEntries: initial,
      maximumEntries: maximum,
      limitEntries: Math.min(maximum ?? MAX_TABLE_ENTRIES, MAX_TABLE_ENTRIES),
    })),
    metering: meteringOf(bytes),
    pausing,
    pausesIn: holdersOf(callbacks).map(({ name }) => name),
    abilities: abilitiesOf(imports),
    callbacks,
    imports: anatomy.imports.map((each) => ({
      module: each.module,
      name: each.name,
      type: each.type === undefined ? each.kind : typeText(each.type),
      support: supportOf(each),
    })),
    exports: anatomy.exports
      .filter(({ name }) => !isCallback(name))
      .map(({ name, kind, type }) => ({ name, type: type === undefined ? kind : typeText(type) })),
    sections: anatomy.sections,
  };
  return { ...report, warnings: [...warningsOf(report, hasWayOut(imports)), ...typeWarnings(anatomy)] };
}

function problemsOf(bytes: Uint8Array, first: string, maximumPages: number, anatomy: ModuleAnatomy): string[] {
  const outline = readOutline(bytes);
  if (outline === undefined) return [anatomy.damage === undefined ? first : `${first} (${anatomy.damage})`];
  return [...new Set([first, ...outlineProblems(outline, maximumPages), ...codeProblems(bytes)])];
}

/** What the engine says of the code as it came; nothing when loading has said it. */
function codeProblems(bytes: Uint8Array): string[] {
  if (WebAssembly.validate(new Uint8Array(bytes))) return [];
  try {
    void new WebAssembly.Module(new Uint8Array(bytes));
    return [];
  } catch (error) {
    return [`not a valid WebAssembly module: ${engineMessage(error)}`];
  }
}

function isCallback(name: string): boolean {
  return /^proxy_on_(?!memory_allocate$)/.test(name) || name === "proxy_validate_configuration";
}

/** Names of its functions, as far as it has them. */
function functionsOf(module: WebAssembly.Module | undefined, bytes: Uint8Array, { language }: Toolchain): string[] {
  if (module === undefined) return [];
  const image = language === "go" ? readMemoryImage(bytes) : undefined;
  return image === undefined ? functionNames(module) : goFunctions(image);
}

function callbacksOf(anatomy: ModuleAnatomy, bytes: Uint8Array, own: ReadonlySet<string>): CallbackReport[] {
  return anatomy.exports
    .filter(({ name, kind }) => kind === "function" && isCallback(name))
    .map(({ name, type, index }) => {
      const body = anatomy.bodyOf(index);
      const result = body === undefined ? undefined : constantResult(bytes, body.start, body.end);
      return {
        name,
        type: type === undefined ? "function" : typeText(type),
        isCalled: isCalled(name),
        doesNothing: result !== undefined,
        result: typeof result === "number" ? result : undefined,
        isOwn: isOwn(name, own),
      };
    });
}

/** As Vm does it. */
function startOf(hasStartFunction: boolean, exports: ReadonlySet<string>): string[] {
  const start = hasStartFunction ? ["the start function"] : [];
  if (!exports.has("_initialize")) return exports.has("_start") ? [...start, "_start"] : start;
  const main = ["main", "__main_void"].find((name) => exports.has(name));
  return [...start, "_initialize", ...(main === undefined ? [] : [main])];
}

function memoryOf({ memories }: ModuleAnatomy, maximumPages: number): MemoryReport | undefined {
  const [memory] = memories;
  if (memory === undefined) return undefined;
  return {
    initialBytes: memory.initial * PAGE_BYTES,
    maximumBytes: memory.maximum === undefined ? undefined : memory.maximum * PAGE_BYTES,
    limitBytes: Math.min(memory.maximum ?? maximumPages, maximumPages) * PAGE_BYTES,
  };
}

function meteringOf(bytes: Uint8Array): MeteringReport | undefined {
  if (!WebAssembly.validate(new Uint8Array(bytes))) return undefined;
  const metered = meterModule(bytes);
  if (!metered.ok) return { works: false, problem: metered.problem };
  const sizeBytes = metered.bytes.length;
  return { works: true, sizeBytes, growthPercent: Math.round((sizeBytes / bytes.length - 1) * 1000) / 10 };
}

type Facts = Omit<ModuleReport, "warnings">;

function warningsOf(report: Facts, canGoOn: boolean): string[] {
  const { abi, markedVersions: versions, imports, callbacks, sections, sizeBytes } = report;
  const warnings: string[] = [];
  if (versions.length > 1) {
    warnings.push(`it marks the ABI versions ${versions.join(", ")}; as on Envoy the first one counts, ${abi}`);
  }
  const stubs = imports.filter((each) => each.support === "stubbed").map(({ module, name }) => `${module}.${name}`);
  if (stubs.length > 0) {
    const answer = "which nobody knows: a call answers Unimplemented (12; of WASI 52)";
    warnings.push(`it imports ${listNames(stubs)}, ${answer}`);
  }
  if (abi !== undefined && !callbacks.some((each) => each.isCalled && !each.doesNothing)) {
    warnings.push("it exports no callback that does anything");
  }
  if (report.pausing === "always" && !canGoOn) {
    warnings.push("it pauses streams, and imports nothing that lets one go on: they wait until a timeout ends them");
  }
  if (report.memory !== undefined && (report.memory.maximumBytes ?? 0) > report.memory.limitBytes) {
    const [declared, limit] = [report.memory.maximumBytes ?? 0, report.memory.limitBytes].map((each) => each / MIB);
    warnings.push(`it declares a maximum of ${declared} MiB of memory, and gets at most ${limit} MiB`);
  }
  const debug = sections
    .filter(({ name, isCustom }) => isCustom && DEBUG_SECTION.test(name))
    .reduce((sum, each) => sum + each.bytes, 0);
  if (debug > sizeBytes * MUCH_DEBUG) {
    warnings.push(`${Math.round((debug / sizeBytes) * 100)} % of it are names and debugging information: strip it`);
  }
  return warnings;
}

/** Functions with more or fewer parameters link here. Envoy, and other hosts, refuse to load a module that declares one. */
function typeWarnings(anatomy: ModuleAnatomy): string[] {
  return anatomy.imports.flatMap((each) => {
    const wanted = expectedType(each);
    const type = typeText(each.type ?? ":");
    return wanted === undefined
      ? []
      : [`it imports ${each.module}.${each.name} as ${type}, and the ABI has ${typeText(wanted)}: Envoy refuses it`];
  });
}

const MIB = 1024 * 1024;
