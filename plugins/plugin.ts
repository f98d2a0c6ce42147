// One loaded plugin on one worker: its identity, its root context in the current VM, its streams.
// plugin-runtime.ts creates and starts it; the embedder makes HttpContexts from it and disposes it.

import type { RootContext } from "./contexts.ts";
import type { PluginFault } from "./errors.ts";
import { HttpContext } from "./http-context.ts";
import { DEFAULT_FUEL, type FuelLimits } from "./metering/fuel-gauge.ts";
import type { PluginIdentity, StreamAccess } from "./ports.ts";
import type { PluginSpec } from "./plugin-spec.ts";
import type { VmGroup } from "./vm-group.ts";

/** What /plugins shows. */
export interface PluginView {
  readonly identity: PluginIdentity;
  readonly language: string;
  /** "held-back": too many faults lately; "disposed": waits for its last stream or its end. */
  readonly state: "running" | "failed" | "held-back" | "disposed";
  /** Number of plugins in the same VM, this one included. */
  readonly sharedBy: number;
  readonly memoryBytes: number;
  readonly openStreams: number;
  readonly faults: number;
  readonly restarts: number;
  readonly lastFault: PluginFault | undefined;
}

export class Plugin {
  readonly identity: PluginIdentity;
  readonly spec: PluginSpec;
  /** May be changed while it runs; the next callback has it. */
  fuel: FuelLimits;
  readonly #group: VmGroup;
  /** The root context in the VM that runs now; undefined before start and after a failed one. */
  root: RootContext | undefined = undefined;
  #openStreams = 0;
  #disposed = false;
  #onEnded: () => void = () => undefined;

  constructor(spec: PluginSpec, group: VmGroup) {
    this.spec = spec;
    this.fuel = spec.fuel ?? DEFAULT_FUEL;
    this.#group = group;
    this.identity = {
      index: spec.index ?? 0,
      name: spec.name,
      rootId: spec.rootId,
      vmId: spec.vmId,
      digest: spec.module.digest,
      abiVersion: spec.module.abi,
    };
  }

  /** The plugin's side of one stream. Nothing runs before its first event; close() must be called in the end. */
  createHttpContext(stream: StreamAccess): HttpContext {
    return new HttpContext(this, stream);
  }

  /** A root context in a live VM, after a fault a fresh one; undefined while the VM is held back. */
  liveRoot(): RootContext | undefined {
    const root = this.root;
    if (root !== undefined && root.vm.fault === undefined) return root;
    return this.#group.revive(this) ? this.root : undefined;
  }

  onStreamOpened(): void {
    this.#openStreams++;
  }

  onStreamClosed(): void {
    this.#openStreams--;
    if (this.#disposed && this.#openStreams === 0) this.#finish();
  }

  /** No new streams will come. The root context ends (proxy_on_done, proxy_on_delete) after the last open one, then `onEnded`. */
  dispose(onEnded: () => void = () => undefined): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#onEnded = onEnded;
    if (this.#openStreams === 0) this.#finish();
  }

  #finish(): void {
    const root = this.root;
    const end = (): void => {
      this.#group.remove(this);
      this.#onEnded();
    };
    if (root === undefined) end();
    else root.finish(end);
  }

  /** A snapshot for people. */
  view(): PluginView {
    const group = this.#group;
    let state: PluginView["state"] = "running";
    if (this.#disposed) state = "disposed";
    else if (group.vm === undefined || group.vm.fault !== undefined || this.root === undefined) {
      state = group.isHeldBack() ? "held-back" : "failed";
    }
    return {
      identity: this.identity,
      language: this.spec.module.language,
      state,
      sharedBy: group.plugins.size,
      memoryBytes: group.vm?.memory.size ?? 0,
      openStreams: this.#openStreams,
      faults: group.faults,
      restarts: group.restarts,
      lastFault: group.lastFault,
    };
  }
}
