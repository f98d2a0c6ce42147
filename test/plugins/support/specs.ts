// Plugin specifications for tests: WAT text or bytes of a module in, PluginSpec out.

import { readFileSync } from "node:fs";
import wabt from "wabt";
import { loadPluginModule, type PluginModule } from "../../../plugins/plugin-module.ts";
import type { PluginSpec } from "../../../plugins/plugin-spec.ts";

const assembler = await wabt();

/** Assembles WAT text. */
export function watBytes(text: string): Uint8Array {
  const parsed = assembler.parseWat("guest.wat", text, { mutable_globals: true, bulk_memory: true });
  const { buffer } = parsed.toBinary({});
  parsed.destroy();
  return buffer;
}

/** Loads module bytes that must be a good plugin. */
export function goodModule(bytes: Uint8Array): PluginModule {
  const result = loadPluginModule(bytes);
  if (!result.ok) throw new Error(result.problem);
  return result.module;
}

/** The bytes of a built example plugin. */
export function exampleBytes(name: "go" | "rust" | "assemblyscript" | "cpp"): Uint8Array {
  return readFileSync(new URL(`../../../plugins/examples/${name}/plugin.wasm`, import.meta.url));
}

export function specOf(module: PluginModule, changes: Partial<PluginSpec> = {}): PluginSpec {
  return {
    name: "guest",
    rootId: "",
    vmId: "",
    module,
    vmConfiguration: new Uint8Array(0),
    pluginConfiguration: new Uint8Array(0),
    environment: {},
    ...changes,
  };
}
