// Plugin code on the main thread: where a PluginConfig says it is → a checked, compiled module, or one line that says why not.
// supervisor.ts asks before a configuration is acknowledged, publisher.ts before workers hear of it. Equal code is compiled
// once, by digest, and never on a request's way; a module that no plugin names any more is forgotten.
//
//   local ─────────────────────────────┐
//   http(s) ─▶ memory ─▶ disk ─▶ fetch ─┼─▶ sha256 ─▶ compiled already? ─▶ metered code on disk? ─▶ loadPluginModule ─▶ workers
//   oci ─────▶ memory ─▶ disk ─▶ pull ──┘

import { setTimeout as delay } from "node:timers/promises";
import {
  CANNOT_BE_METERED,
  loadPluginModule,
  meteredKey,
  type ModuleOptions,
  type PluginModule,
} from "../../plugins/plugin-module.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import { isMetered, numberSetting, type RuntimeSettings } from "../runtime-settings.ts";
import type { StatsScope } from "../stats/scope.ts";
import type { Log } from "../telemetry/log-level.ts";
import { CodeCache, sha256Of } from "./code-cache.ts";
import { cachedCode, type CodeEndpoint, fetchCode, type FetchContext, type FetchedCode } from "./code-fetch.ts";
import type { RemotePluginCode } from "./code-fetch.ts";
import { type CodeSettings, codeSettings } from "./code-settings.ts";
import { readLocalCode } from "./local-code.ts";
import { RemoteCode } from "./remote-code.ts";
import { readPullSecrets, SECRET_VARIABLE } from "./secret-sources.ts";

export type CodeResult =
  | { readonly ok: true; readonly module: PluginModule }
  | { readonly ok: false; readonly problem: string };

export interface CodeLoaderDeps {
  readonly environment: Readonly<Record<string, string>>;
  readonly settings: () => RuntimeSettings;
  readonly stats: StatsScope;
  readonly log?: Log;
  /** Endpoints of a cluster by name; undefined when there is no such cluster. `isSecure`: TLS is spoken to them. */
  readonly endpointsOf: (cluster: string, isSecure: boolean) => readonly CodeEndpoint[] | undefined;
  /**
   * Makes modules and tries plugins elsewhere, once it is there; until then, and without it, modules are compiled here and
   * plugins are not tried. Never rejects.
   */
  readonly workshop?: () => ModuleWorkshop | undefined;
  /** PEM of the authorities to trust for https instead of Node's own. */
  readonly ca?: string;
}

export interface ModuleWorkshop {
  /** From bytes, or with a module that was made before. A problem with the module: the plugin does not start. */
  make(
    plugin: PluginConfig,
    code: PluginModule | Uint8Array,
    options: ModuleOptions,
  ): Promise<
    CodeResult & { readonly module?: PluginModule | undefined; readonly metered?: Uint8Array<ArrayBuffer> | undefined }
  >;
}

interface CompileJob {
  readonly plugin: PluginConfig;
  /** For messages: the source, in brackets. */
  readonly where: string;
  readonly bytes: Uint8Array;
  /** Of #byKey. */
  readonly key: string;
  readonly memoryMib: number;
  readonly metering: boolean;
}

const AGENT_VARIABLE = /^ISTIO_META_WASM_/;
const DEFAULT_MEMORY_MIB = 128;
/** In a start the rewriter is cold: 130 KiB take 40 ms, a file 1. What is smaller takes no longer than a file. */
const WORTH_KEEPING_BYTES = 16 * 1024;

export class PluginCodeLoader {
  readonly #deps: CodeLoaderDeps;
  readonly #remote: RemoteCode;
  /** By the configuration object: the same object was read already. Local code only. */
  readonly #local = new WeakMap<PluginConfig, Promise<CodeResult>>();
  readonly #counted = new WeakSet<PluginConfig>();
  /** What the workshop answered, or will. Remote code only: what is local stays in #local. */
  readonly #made = new WeakMap<PluginConfig, CodeResult | Promise<CodeResult>>();
  readonly #byKey = new Map<string, WeakRef<PluginModule>>();
  /** The pull secret of a remote code's own plugin. */
  readonly #ownSecrets = new WeakMap<RemotePluginCode, string>();
  #cache: { readonly folder: string; readonly bytes: number; readonly cache: CodeCache } | undefined = undefined;

  constructor(deps: CodeLoaderDeps) {
    this.#deps = deps;
    const { stats } = deps;
    this.#remote = new RemoteCode({
      stats,
      fetch: async (code, attempt, signal) => fetchCode(code, await this.#context(code, attempt, signal)),
      cached: async (code) => cachedCode(code, await this.#context(code, 0, AbortSignal.abort())),
      deadlineMs: () => this.#settings().deadlineMs,
      now: () => performance.now(),
      random: Math.random,
      delay: (ms, signal) => delay(ms, undefined, { signal, ref: false }).catch(() => undefined),
    });
  }

  /** Reads, checks and compiles the code of `plugin`. Never rejects. Files are read anew for each new configuration. */
  async load(plugin: PluginConfig): Promise<CodeResult> {
    return this.poll(plugin);
  }

  /** Like `load`, without a promise when remote code is known already, or known to be missing for now. */
  poll(plugin: PluginConfig): CodeResult | Promise<CodeResult> {
    const { code } = plugin;
    if (code.kind !== "remote") {
      let result = this.#local.get(plugin);
      if (result === undefined) {
        result = this.#loadLocal(plugin);
        this.#local.set(plugin, result);
      }
      return result;
    }
    const secret = plugin.environment[SECRET_VARIABLE];
    if (secret !== undefined) {
      this.#ownSecrets.set(code, secret);
    }
    const isNew = !this.#counted.has(plugin);
    this.#counted.add(plugin);
    const fetched = this.#remote.poll(code, isNew);
    return fetched instanceof Promise
      ? fetched.then((each) => this.#compileRemote(plugin, code, each))
      : this.#compileRemote(plugin, code, fetched);
  }

  /**
   * Why a configuration with this plugin is refused, or undefined. As on Envoy, local code has to load; remote code has to be
   * at hand only with `nack_on_code_cache_miss`, and is then fetched for the next time.
   */
  async problemOf(plugin: PluginConfig): Promise<string | undefined> {
    const { code } = plugin;
    if (code.kind === "missing") {
      return undefined;
    }
    if (code.kind === "remote") {
      if (!plugin.nackOnCodeCacheMiss) {
        return undefined;
      }
      const known = await this.#remote.peek(code);
      if (known === undefined) {
        void this.load(plugin);
        return `The module of plugin "${plugin.name}" is not in the code cache yet; it is being fetched from ${code.uri}`;
      }
    }
    const loaded = await this.load(plugin);
    return loaded.ok ? undefined : loaded.problem;
  }

  /** The plugin's own environment, without what was meant for whoever loads its code. */
  environmentOf(plugin: PluginConfig): Readonly<Record<string, string>> {
    const entries = Object.entries(plugin.environment);
    return entries.some(([name]) => AGENT_VARIABLE.test(name))
      ? Object.fromEntries(entries.filter(([name]) => !AGENT_VARIABLE.test(name)))
      : plugin.environment;
  }

  /** Ends fetches that are under way. */
  close(): void {
    this.#remote.close();
  }

  async #loadLocal(plugin: PluginConfig): Promise<CodeResult> {
    const { code } = plugin;
    if (code.kind === "remote" || code.kind === "module" || code.kind === "missing") {
      return { ok: false, problem: `Cannot load the code of plugin "${plugin.name}": ${code.kind} is not a source` };
    }
    const bytes = await readLocalCode(code, this.#deps.environment, this.#settings().maxBytes);
    return typeof bytes === "string"
      ? { ok: false, problem: bytes }
      : this.#compile(plugin, bytes, code.kind === "file" ? ` ("${code.path}")` : "");
  }

  #compileRemote(plugin: PluginConfig, code: RemotePluginCode, fetched: FetchedCode): CodeResult | Promise<CodeResult> {
    if (!fetched.ok) {
      const problem = `Cannot fetch the module of plugin "${plugin.name}" from "${code.uri}": ${fetched.problem}`;
      return { ok: false, problem };
    }
    let made = this.#made.get(plugin);
    if (made === undefined) {
      made = this.#compile(plugin, fetched.bytes, ` ("${code.uri}")`);
      this.#made.set(plugin, made);
      if (made instanceof Promise) {
        void made.then((result) => this.#made.set(plugin, result));
      }
    }
    return made;
  }

  #compile(plugin: PluginConfig, bytes: Uint8Array, where: string): CodeResult | Promise<CodeResult> {
    const memoryMib = numberSetting(
      this.#deps.settings(),
      "outrigger.wasm.memory_mib",
      plugin.name,
      DEFAULT_MEMORY_MIB,
    );
    const metering = isMetered(this.#deps.settings(), plugin.name);
    const digest = sha256Of(bytes);
    const job: CompileJob = { plugin, where, bytes, key: `${digest}/${memoryMib}/${metering}`, memoryMib, metering };
    const kept = metering && bytes.length >= WORTH_KEEPING_BYTES ? meteredKey(digest, memoryMib) : undefined;
    return kept === undefined || this.#byKey.get(job.key)?.deref() !== undefined
      ? this.#finish(job, undefined, () => {})
      : this.#compileKept(job, kept);
  }

  /** With the metered code of an earlier start, or so that a later one has it. */
  async #compileKept(job: CompileJob, kept: string): Promise<CodeResult> {
    const cache = this.#cacheFor(this.#settings());
    const metered = await cache.readMetered(kept);
    return this.#finish(job, metered, (code) => void cache.writeMetered(kept, code));
  }

  /** `keep` gets what was metered now. */
  #finish(
    { plugin, where, bytes, key, memoryMib, metering }: CompileJob,
    metered: Uint8Array<ArrayBuffer> | undefined,
    keep: (metered: Uint8Array) => void,
  ): CodeResult | Promise<CodeResult> {
    const known = this.#byKey.get(key)?.deref();
    const options = { memoryMib, metering, ...(metered === undefined ? {} : { metered }) };
    const workshop = this.#deps.workshop?.();
    if (workshop !== undefined) {
      return this.#make(workshop, plugin, known ?? bytes, options, { key, where, keep });
    }
    if (known !== undefined) {
      return { ok: true, module: known };
    }
    const loaded = loadPluginModule(bytes, options);
    if (!loaded.ok) {
      return { ok: false, problem: loadProblem(plugin, where, loaded.problem) };
    }
    this.#byKey.set(key, new WeakRef(loaded.module));
    if (loaded.metered !== undefined) {
      keep(loaded.metered);
    }
    return { ok: true, module: loaded.module };
  }

  async #make(
    workshop: ModuleWorkshop,
    plugin: PluginConfig,
    code: PluginModule | Uint8Array,
    options: ModuleOptions,
    { key, where, keep }: Pick<CompileJob, "key" | "where"> & { readonly keep: (metered: Uint8Array) => void },
  ): Promise<CodeResult> {
    const made = await workshop.make({ ...plugin, environment: this.environmentOf(plugin) }, code, options);
    if (made.metered !== undefined) {
      keep(made.metered);
    }
    // Equal code that was made meanwhile for another plugin: workers are given one of the two.
    const module = this.#byKey.get(key)?.deref() ?? made.module;
    if (module !== undefined) {
      this.#byKey.set(key, new WeakRef(module));
    }
    if (made.ok) {
      return { ok: true, module: module ?? made.module };
    }
    return {
      ok: false,
      problem: module === undefined ? loadProblem(plugin, where, made.problem) : startProblem(plugin, made.problem),
    };
  }

  #settings(): CodeSettings {
    return codeSettings(this.#deps.settings(), this.#deps.environment);
  }

  async #context(code: RemotePluginCode, attempt: number, signal: AbortSignal): Promise<FetchContext> {
    const settings = this.#settings();
    return {
      settings,
      cache: this.#cacheFor(settings),
      endpointsOf: this.#deps.endpointsOf,
      secrets: await readPullSecrets(settings, this.#ownSecrets.get(code), (from, problem) => {
        this.#deps.log?.warn({ from, problem }, "pull secrets cannot be read");
      }),
      signal,
      attempt,
      ca: this.#deps.ca,
    };
  }

  #cacheFor({ cacheFolder: folder, cacheBytes: bytes }: CodeSettings): CodeCache {
    if (this.#cache?.folder !== folder || this.#cache.bytes !== bytes) {
      const { stats, log } = this.#deps;
      const onUnusable = (problem: string): void => log?.warn({ problem }, "plugin modules are not kept on disk");
      this.#cache = { folder, bytes, cache: new CodeCache({ folder, maxBytes: bytes, stats, onUnusable }) };
    }
    return this.#cache.cache;
  }
}

function loadProblem({ name }: PluginConfig, where: string, problem: string): string {
  const key = `outrigger.wasm.plugin.${name}`;
  const way = problem.startsWith(CANNOT_BE_METERED)
    ? `; with the runtime keys ${key}.fuel_per_callback and ${key}.start_fuel both 0 it loads without a limit on its processor time`
    : "";
  return `Cannot load the module of plugin "${name}"${where}: ${problem}${way}`;
}

function startProblem(plugin: PluginConfig, problem: string): string {
  return problem.startsWith("plugin ") ? problem : `plugin "${plugin.name}": ${problem}`;
}
