// The plugins of one worker: each distinct configuration is started once and shared by every filter that names it.
// live-config.ts takes and releases them; a released plugin ends after its last stream (plugins/plugin.ts).
// Starting a plugin runs the guest: about 25 ms for a Go module, and it blocks the worker meanwhile.

import { createHash } from "node:crypto";
import type { Plugin } from "../../plugins/plugin.ts";
import type { PluginModule } from "../../plugins/plugin-module.ts";
import type { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import { pluginSettings } from "./plugin-settings.ts";
import { deadlineMs, fuelLimits, type RuntimeSettings } from "../runtime-settings.ts";

export type PluginResult =
  | { readonly ok: true; readonly lease: PluginLease }
  | { readonly ok: false; readonly problem: string };

/** One use of a plugin. Give it back exactly once. */
export interface PluginLease {
  readonly plugin: Plugin;
  readonly config: PluginConfig;
  release(): void;
}

interface Entry {
  readonly plugin: Plugin;
  uses: number;
}

export class PluginPool {
  readonly #runtime: PluginRuntime;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #modules = new Map<string, PluginModule>();
  readonly #entries = new Map<string, Entry>();
  readonly #keys = new WeakMap<PluginConfig, string>();
  readonly #suspects: Set<string>;
  #settings: RuntimeSettings;
  #nextIndex = 1;

  /** `environment` is the host's, for `host_env_keys`; `suspects`: names of plugins that have ended a worker. */
  constructor(
    runtime: PluginRuntime,
    environment: Readonly<Record<string, string>>,
    settings: RuntimeSettings,
    suspects: readonly string[] = [],
  ) {
    this.#runtime = runtime;
    this.#suspects = new Set(suspects);
    this.#environment = environment;
    this.#settings = settings;
  }

  set settings(settings: RuntimeSettings) {
    this.#settings = settings;
    for (const { plugin } of this.#entries.values()) {
      plugin.fuel = fuelLimits(settings, plugin.identity.name);
      plugin.deadlineMs = deadlineMs(settings, plugin.identity.name);
    }
  }

  addModule(module: PluginModule): void {
    this.#modules.set(module.key, module);
  }

  removeModule(key: string): void {
    this.#modules.delete(key);
  }

  /** The plugin of this configuration, started now unless it runs already. */
  take(config: PluginConfig): PluginResult {
    const key = this.#keyOf(config);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const module = config.code.kind === "module" ? this.#modules.get(config.code.digest) : undefined;
      if (module === undefined) {
        return { ok: false, problem: `plugin "${config.name}": its module has not been loaded` };
      }
      const loaded = this.#runtime.load({
        ...pluginSettings(config, this.#settings, this.#environment),
        index: this.#nextIndex++,
        module,
        isSuspect: this.#suspects.delete(config.name),
      });
      if (!loaded.ok) {
        return loaded;
      }
      entry = { plugin: loaded.plugin, uses: 0 };
      this.#entries.set(key, entry);
    }
    entry.uses++;
    return { ok: true, lease: this.#lease(key, entry, config) };
  }

  #lease(key: string, entry: Entry, config: PluginConfig): PluginLease {
    let released = false;
    return {
      plugin: entry.plugin,
      config,
      release: () => {
        if (released) {
          return;
        }
        released = true;
        if (--entry.uses === 0) {
          this.#entries.delete(key);
          this.#runtime.unload(entry.plugin);
        }
      },
    };
  }

  #keyOf(config: PluginConfig): string {
    let key = this.#keys.get(config);
    if (key === undefined) {
      const { vmConfiguration, configuration, ...rest } = config;
      key = createHash("sha256")
        .update(JSON.stringify(rest))
        .update(vmConfiguration)
        .update("\0")
        .update(configuration)
        .digest("base64");
      this.#keys.set(config, key);
    }
    return key;
  }
}
