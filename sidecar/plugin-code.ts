// Loads plugins' code on the main thread: where a PluginConfig says it is → a checked, compiled module.
// supervisor.ts asks before a configuration is acknowledged; the compiled module is posted to every worker.
// Equal code is compiled once, by digest. A module that no plugin names any more is forgotten.

import { readFile } from "node:fs/promises";
import { loadPluginModule, type PluginModule } from "../plugins/plugin-module.ts";
import type { PluginCode, PluginConfig } from "../xds/model/plugin-config.ts";

export type CodeResult =
  | { readonly ok: true; readonly module: PluginModule }
  | { readonly ok: false; readonly problem: string };

/** Largest module in bytes that is read: four times what a big Go plugin has. */
const MAX_MODULE_BYTES = 64 * 1024 * 1024;

export class PluginCodeLoader {
  readonly #environment: Readonly<Record<string, string>>;
  readonly #memoryMib: (plugin: string) => number;
  /** By the configuration object: the same object was read already. */
  readonly #loaded = new WeakMap<PluginConfig, Promise<CodeResult>>();
  readonly #byKey = new Map<string, WeakRef<PluginModule>>();

  /** `memoryMib` tells the cap of one plugin's VM. */
  constructor(environment: Readonly<Record<string, string>>, memoryMib: (plugin: string) => number) {
    this.#environment = environment;
    this.#memoryMib = memoryMib;
  }

  /** Reads, checks and compiles the code of `plugin`. Never rejects. Files are read anew for each new configuration. */
  load(plugin: PluginConfig): Promise<CodeResult> {
    let result = this.#loaded.get(plugin);
    if (result === undefined) {
      result = this.#load(plugin);
      this.#loaded.set(plugin, result);
    }
    return result;
  }

  async #load(plugin: PluginConfig): Promise<CodeResult> {
    const bytes = await this.#read(plugin.code);
    if (typeof bytes === "string") {
      return { ok: false, problem: bytes };
    }
    const memoryMib = this.#memoryMib(plugin.name);
    const loaded = loadPluginModule(bytes, { memoryMib });
    if (!loaded.ok) {
      return {
        ok: false,
        problem: `Cannot load the module of plugin "${plugin.name}"${where(plugin.code)}: ${loaded.problem}`,
      };
    }
    const key = `${loaded.module.digest}/${memoryMib}`;
    const known = this.#byKey.get(key)?.deref();
    if (known !== undefined) {
      return { ok: true, module: known };
    }
    this.#byKey.set(key, new WeakRef(loaded.module));
    return { ok: true, module: loaded.module };
  }

  /** The bytes, or why there are none. */
  async #read(code: PluginCode): Promise<Uint8Array | string> {
    switch (code.kind) {
      case "file":
        return readModuleFile(code.path);
      case "bytes":
        return code.bytes;
      case "environment": {
        const value = this.#environment[code.variable];
        return value === undefined
          ? `Cannot read a plugin's code: the environment variable "${code.variable}" is not set`
          : Buffer.from(value, "latin1");
      }
      case "remote":
        return `Cannot fetch a plugin's code from "${code.uri}": remote code is not supported yet, use code.local`;
      case "module":
        return `Cannot load a plugin's code: the module ${code.digest} is not a source`;
    }
  }
}

async function readModuleFile(path: string): Promise<Uint8Array | string> {
  try {
    const bytes = await readFile(path);
    return bytes.length > MAX_MODULE_BYTES
      ? `Cannot load the module "${path}": ${bytes.length} bytes, at most ${MAX_MODULE_BYTES} are allowed`
      : bytes;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : String(code);
    return `Cannot read the module "${path}": ${reason}`;
  }
}

function where(code: PluginCode): string {
  return code.kind === "file" ? ` ("${code.path}")` : "";
}
