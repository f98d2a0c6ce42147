// The plugin host of one worker. The embedder constructs one with its ports, loads plugins into it and makes
// HttpContexts from them. Everything here and below runs on the calling thread and is synchronous.
//
//   PluginRuntime ── VmGroup (by VM key) ── Vm ── RootContext (by plugin) ── HttpContext (by stream)

import { createHash } from "node:crypto";
import type { RootContext } from "./contexts.ts";
import { describeFault } from "./errors.ts";
import type { HookObserver } from "./observer.ts";
import { Plugin } from "./plugin.ts";
import type { PluginSpec } from "./plugin-spec.ts";
import type { RuntimePorts } from "./ports.ts";
import { type PropertyPath, PropertyPaths } from "./property-path.ts";
import { QueueBell } from "./queue-bell.ts";
import { CALL_KINDS, type CallKind, type HostCallListener, type RuntimeHost } from "./runtime-host.ts";
import { createSharedMemory, SharedStore } from "./shared-store.ts";
import { VmGroup } from "./vm-group.ts";

/** Tokens are u32. */
const LAST_CALL = 0x3fff_ffff;

export interface RuntimeOptions {
  readonly ports: RuntimePorts;
  readonly observer?: HookObserver;
  /** For tools that show what a plugin does; slows every host call down. */
  readonly onHostCall?: HostCallListener;
  /**
   * Memory of shared data and queues, made once per process by createSharedMemory() and handed to every worker.
   * Absent: the runtime makes its own, and its plugins share with nobody.
   */
  readonly sharedMemory?: SharedArrayBuffer;
  /** Its plugins are only tried out: they take no queue away from its registrant. Default false. */
  readonly isTrial?: boolean;
}

export type LoadResult =
  | { readonly ok: true; readonly plugin: Plugin }
  /** One line; the plugin left nothing behind. */
  | { readonly ok: false; readonly problem: string };

export class PluginRuntime implements RuntimeHost {
  readonly ports: RuntimePorts;
  observer: HookObserver | undefined;
  readonly onHostCall: HostCallListener | undefined;
  readonly shared: SharedStore;
  readonly isTrial: boolean;
  vmsCreated = 0;
  readonly #groups = new Map<string, VmGroup>();
  readonly #plugins = new Set<Plugin>();
  readonly #paths = new PropertyPaths();
  readonly #bell: QueueBell;
  #lastCall = 0;
  #lastGroup = 0;

  constructor(options: RuntimeOptions) {
    this.ports = options.ports;
    this.observer = options.observer;
    this.onHostCall = options.onHostCall;
    this.isTrial = options.isTrial ?? false;
    this.shared = new SharedStore(options.sharedMemory ?? createSharedMemory());
    this.#bell = new QueueBell(this.shared);
  }

  /** Starts a plugin: VM (new or shared), root context, proxy_on_vm_start, proxy_on_configure. Blocks while it starts. */
  load(spec: PluginSpec): LoadResult {
    const key = vmKey(spec);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new VmGroup(this, ++this.#lastGroup, () => this.#groups.delete(key));
      this.#groups.set(key, group);
    }
    const plugin = new Plugin(spec, group);
    const fault = group.add(plugin);
    if (fault !== undefined) {
      if (group.plugins.size === 0) this.#groups.delete(key);
      return { ok: false, problem: describeFault(fault) };
    }
    this.#plugins.add(plugin);
    return { ok: true, plugin };
  }

  /** Plugins that were loaded and have not ended: those that wait for their last stream are "disposed" among them. */
  get plugins(): ReadonlySet<Plugin> {
    return this.#plugins;
  }

  /** Number of instances alive on this worker. */
  get vmCount(): number {
    return this.#groups.size;
  }

  /** Disposes one plugin; its root context ends after its last stream. */
  unload(plugin: Plugin): void {
    plugin.dispose(() => this.#plugins.delete(plugin));
  }

  /** Stops everything: all plugins are disposed, queue messages are no longer listened for. */
  dispose(): void {
    for (const plugin of this.#plugins) plugin.dispose();
    this.#plugins.clear();
    this.#bell.close();
  }

  nextCallToken(kind: CallKind): number {
    this.#lastCall = this.#lastCall === LAST_CALL ? 1 : this.#lastCall + 1;
    return this.#lastCall * CALL_KINDS + kind;
  }

  propertyPath(path: string): PropertyPath {
    return this.#paths.intern(path);
  }

  listenToQueues(root: RootContext): number {
    return this.#bell.listen(root);
  }

  ringQueue(token: number): void {
    this.#bell.ring(token);
  }
}

/**
 * Plugins with the same key share a VM. Envoy hashes vm_id, VM configuration and code; here everything that makes a
 * difference inside the VM is in it, so that a plugin never gets another one's environment or capabilities.
 */
function vmKey(spec: PluginSpec): string {
  const hash = createHash("sha256");
  const part = (bytes: string | Uint8Array): void => {
    hash.update(`${bytes.length}:`);
    hash.update(bytes);
  };
  part(spec.vmId);
  part(spec.vmConfiguration);
  part(spec.module.key);
  for (const [name, value] of Object.entries(spec.environment).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    part(name);
    part(value);
  }
  part("capabilities");
  for (const name of (spec.capabilities ?? []).toSorted()) part(name);
  return hash.digest("hex");
}
