// One module twice, as it is and with a fuel gauge: what both do with the same calls, for comparing.

import assert from "node:assert/strict";
import wabt from "wabt";
import { FUEL_EXPORTS, meterModule } from "../../../plugins/metering/instrumenter.ts";

const assembler = await wabt();
const FEATURES = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  multi_memory: true,
};

/** Assembles WAT text with every feature that wabt has and V8 takes. */
export function assemble(text: string): Uint8Array<ArrayBuffer> {
  const parsed = assembler.parseWat("module.wat", text, FEATURES);
  try {
    return Uint8Array.from(parsed.toBinary({ write_debug_names: true }).buffer);
  } finally {
    parsed.destroy();
  }
}

type Exported = (...args: readonly (number | bigint)[]) => unknown;

export interface Instance {
  readonly exports: Readonly<Record<string, unknown>>;
  /** Calls an export: its result, or the trap's message in brackets. */
  call(name: string, ...args: readonly (number | bigint)[]): unknown;
}

export interface MeteredInstance extends Instance {
  fill(fuel: number): void;
  left(): number;
}

export function meteredBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = meterModule(bytes);
  if (!result.ok) assert.fail(result.problem);
  return result.bytes;
}

export function instance(
  bytes: Uint8Array<ArrayBuffer>,
  imports: Record<string, Record<string, unknown>> = {},
): Instance {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  return { exports, call: (name, ...args) => outcome(() => (exports[name] as Exported)(...args)) };
}

/** The metered module, its start function run on `fuel`; by default enough for anything that ends. */
export function metered(
  bytes: Uint8Array,
  imports: Record<string, Record<string, unknown>> = {},
  fuel = 2 ** 52,
): MeteredInstance {
  const made = instance(meteredBytes(bytes), imports);
  const set = made.exports[FUEL_EXPORTS.set] as (fuel: number) => void;
  const get = made.exports[FUEL_EXPORTS.get] as () => number;
  set(fuel);
  (made.exports[FUEL_EXPORTS.start] as (() => void) | undefined)?.();
  return { ...made, fill: set, left: get };
}

function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return `[${error.message}]`;
    // Thrown by wasm code and not caught there.
    return `[${String(Object(error).constructor?.name)}]`;
  }
}
