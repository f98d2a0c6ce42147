// One loaded plugin on one worker: its identity, its root context in the current VM, its streams.
// plugin-runtime.ts creates and starts it; the embedder makes HttpContexts from it and disposes it.

import type { RootContext } from "./contexts.ts";
import type { FaultKind, PluginFault } from "./errors.ts";
import { HttpContext } from "./http-context.ts";
import { DEFAULT_FUEL, type FuelLimits } from "./metering/fuel-gauge.ts";
import type { ConnectionAccess, LoggedStream, PluginIdentity, StreamAccess } from "./ports.ts";
import type { PluginSpec } from "./plugin-spec.ts";
import { TcpContext } from "./tcp-context.ts";
import type { VmGroup } from "./vm-group.ts";

/** What /plugins shows. */
export interface PluginView {
  readonly identity: PluginIdentity;
  readonly language: string;
  /**
   * "failed": waits for a stream that has it started again; "quarantined": failed too often, no stream gets it but one that
   * tries it; "disposed": waits for its last stream or its end.
   */
  readonly state: "running" | "failed" | "quarantined" | "disposed";
  /** Until a stream may try a quarantined plugin; 0 when one may, or does. */
  readonly quarantinedForMs: number;
  /** How often it has been quarantined. */
  readonly quarantines: number;
  /** Which VM of the runtime it lives in: those that share one have the same number. */
  readonly vm: number;
  /** Number of plugins in the same VM, this one included. */
  readonly sharedBy: number;
  readonly memoryBytes: number;
  /** Of all VMs that it has had. */
  readonly peakMemoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly openStreams: number;
  /** Streams that its failure policy was applied to because it had no VM. */
  readonly streamsWithout: number;
  readonly faults: number;
  readonly faultsByKind: Readonly<Partial<Record<FaultKind, number>>>;
  readonly restarts: number;
  /** Only under the failure policy "reload". */
  readonly reloads: Readonly<ReloadCounts>;
  readonly lastFault: PluginFault | undefined;
}

/** Streams that found a dead VM: it was too soon to start a fresh one, one was started, or that failed. */
export interface ReloadCounts {
  backoff: number;
  success: number;
  failure: number;
}

const PAGE_BYTES = 64 * 1024;

export class Plugin {
  readonly identity: PluginIdentity;
  readonly spec: PluginSpec;
  /** May be changed while it runs; the next callback has it. */
  fuel: FuelLimits;
  deadlineMs: number;
  readonly #group: VmGroup;
  /** The root context in the VM that runs now; undefined before start and after a failed one. */
  root: RootContext | undefined = undefined;
  readonly reloads: ReloadCounts = { backoff: 0, success: 0, failure: 0 };
  #openStreams = 0;
  #streamsWithout = 0;
  #disposed = false;
  #onEnded: () => void = () => undefined;

  constructor(spec: PluginSpec, group: VmGroup) {
    this.spec = spec;
    this.fuel = spec.fuel ?? DEFAULT_FUEL;
    this.deadlineMs = spec.deadlineMs ?? 0;
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

  /** The plugin's side of one TCP connection. Nothing runs before onNewConnection(); onDownstreamClose() ends it. */
  createTcpContext(connection: ConnectionAccess): TcpContext {
    return new TcpContext(this, connection);
  }

  /**
   * The plugin as an access logger: proxy_on_log on its root context, which reads the stream that is over. As in Envoy there
   * is no stream context. Nothing happens while the plugin may not run.
   */
  log(stream: LoggedStream): void {
    this.onStreamOpened();
    this.liveRoot(stream)?.log(stream);
    this.onStreamClosed(stream);
  }

  /** A root context in a live VM for a stream, after a fault in a fresh one; undefined while the plugin may not run. */
  liveRoot(stream?: object): RootContext | undefined {
    const group = this.#group;
    const isLive = this.#isAlive
      ? group.trial === undefined || !group.isForTrialOnly(stream)
      : group.revive(this, stream);
    const root = isLive ? this.root : undefined;
    if (root === undefined) this.#streamsWithout++;
    return root;
  }

  get #isAlive(): boolean {
    return this.root !== undefined && this.root.vm.fault === undefined;
  }

  /** For a plugin that runs without streams, now and then: after a fault it is started again, when that may be. */
  keepRunning(): void {
    const group = this.#group;
    if (!this.#isAlive) group.revive(this, undefined);
    else if (group.trial !== undefined) group.isForTrialOnly(undefined);
  }

  onStreamOpened(): void {
    this.#openStreams++;
  }

  onStreamClosed(stream?: object): void {
    this.#openStreams--;
    if (this.#group.trial !== undefined) this.#group.onStreamClosed(stream);
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
    else if (!group.quarantine.isClosed) state = "quarantined";
    else if (group.vm === undefined || group.vm.fault !== undefined || this.root === undefined) state = "failed";
    return {
      identity: this.identity,
      language: this.spec.module.language,
      state,
      quarantinedForMs: group.quarantine.waitMs(group.host.ports.clock.monotonicMs()),
      quarantines: group.quarantine.entered,
      vm: group.number,
      sharedBy: group.plugins.size,
      memoryBytes: group.vm?.memory.size ?? 0,
      peakMemoryBytes: group.peakMemoryBytes,
      memoryLimitBytes: this.spec.module.maximumMemoryPages * PAGE_BYTES,
      openStreams: this.#openStreams,
      streamsWithout: this.#streamsWithout,
      faults: group.faults,
      faultsByKind: Object.fromEntries(group.faultsByKind),
      restarts: group.restarts,
      reloads: { ...this.reloads },
      lastFault: group.lastFault,
    };
  }
}
