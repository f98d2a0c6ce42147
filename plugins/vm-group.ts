// The plugins that share one VM (equal VM key) and that VM's life: first start, faults, fresh instances.
// plugin-runtime.ts keeps one group for each key.
//
// After a fault the next stream gets a fresh instance at once; under "reload" not sooner than its interval after the last
// start, as Envoy's FAIL_RELOAD. A group that faults too often is quarantined (quarantine.ts) under every policy. Envoy
// instead keeps FAIL_CLOSED and FAIL_OPEN plugins dead until their configuration changes.

import { RootContext } from "./contexts.ts";
import { type FaultKind, type PluginFault, describeFault } from "./errors.ts";
import type { Plugin } from "./plugin.ts";
import { Quarantine } from "./quarantine.ts";
import type { RuntimeHost } from "./runtime-host.ts";
import { Vm } from "./vm.ts";

const DEFAULT_MAX_FAULTS = 20;
const DEFAULT_FAULT_WINDOW_MS = 10_000;
/** A reload waits for up to so much more of its interval, as on Envoy. */
const RELOAD_JITTER = 0.5;
const LOG_WARN = 3;
const LOG_ERROR = 4;

export class VmGroup {
  readonly host: RuntimeHost;
  /** Of the groups of one runtime. */
  readonly number: number;
  readonly plugins = new Set<Plugin>();
  readonly quarantine = new Quarantine(DEFAULT_MAX_FAULTS, DEFAULT_FAULT_WINDOW_MS);
  vm: Vm | undefined = undefined;
  faults = 0;
  readonly faultsByKind = new Map<FaultKind, number>();
  restarts = 0;
  lastFault: PluginFault | undefined = undefined;
  /** The stream whose fate decides whether the quarantine ends; nobody else gets the VM meanwhile. */
  trial: object | undefined = undefined;
  /** Until the turn is over. */
  #canary: Vm | undefined = undefined;
  #peakBytes = 0;
  #startedAt = 0;
  /** How many reload intervals lie between the VM's start and the next one's: other workers draw another number. */
  #stretch = 1;
  readonly #onEmpty: () => void;

  constructor(host: RuntimeHost, number: number, onEmpty: () => void) {
    this.host = host;
    this.number = number;
    this.#onEmpty = onEmpty;
  }

  /** Starts a plugin in the group's VM, creating that first. Answers what went wrong; the plugin is in the group only if nothing did. */
  add(plugin: Plugin): PluginFault | undefined {
    this.quarantine.maxFaults = plugin.spec.maxFaults ?? DEFAULT_MAX_FAULTS;
    this.quarantine.windowMs = plugin.spec.faultWindowMs ?? DEFAULT_FAULT_WINDOW_MS;
    if (this.plugins.size > 0) {
      const fault = this.#tryOut(plugin);
      if (fault !== undefined) return fault;
      if (this.vm?.fault !== undefined) this.#reviveAll(plugin);
    }
    let vm = this.vm;
    if (vm === undefined) {
      vm = this.#createVm(plugin);
      this.vm = vm;
    }
    const fault = vm.fault ?? startPlugin(vm, plugin);
    if (fault === undefined) {
      this.plugins.add(plugin);
      if (plugin.spec.isSuspect === true) this.#suspect(plugin);
    } else if (this.plugins.size === 0) this.vm = undefined;
    return fault;
  }

  /**
   * Others live in that VM: a newcomer is tried in another instance first, so that it cannot take them along. Newcomers of
   * one turn share that instance, since a route table can bring hundreds of configurations of one plugin.
   */
  #tryOut(plugin: Plugin): PluginFault | undefined {
    let canary = this.#canary;
    if (canary === undefined || canary.fault !== undefined) {
      canary = new Vm(this.host, plugin, () => {});
      if (this.#canary === undefined) this.host.ports.clock.startTimer(0, () => (this.#canary = undefined));
      this.#canary = canary;
    }
    const fault = startPlugin(canary, plugin);
    plugin.root?.release();
    plugin.root = undefined;
    return fault;
  }

  /** Gives the VM up that has just been started well, and waits for a stream that tries another. */
  #suspect(plugin: Plugin): void {
    plugin.root?.release();
    plugin.root = undefined;
    if (this.plugins.size > 1) return;
    this.vm = undefined;
    this.quarantine.enter(this.host.ports.clock.monotonicMs());
  }

  remove(plugin: Plugin): void {
    this.plugins.delete(plugin);
    if (this.plugins.size > 0) return;
    if (this.vm !== undefined) this.host.ports.memory?.givenUp(this.vm.memory.size);
    this.vm = undefined;
    this.#onEmpty();
  }

  /** Makes sure that the plugin is started in a live VM, for a stream. False while that may not be, or when it will not start. */
  revive(wanted: Plugin, stream: object | undefined): boolean {
    const [first] = this.plugins;
    if (first === undefined) return false;
    const { vm } = this;
    if (vm !== undefined && vm.fault === undefined) {
      if (wanted.root === undefined) this.#restart(vm, wanted);
    } else if (!this.#mayReplace(wanted, stream)) return false;
    else this.#reviveAll(first);
    const isLive = this.vm?.fault === undefined && wanted.root !== undefined;
    if (wanted.spec.failurePolicy === "reload") wanted.reloads[isLive ? "success" : "failure"]++;
    return isLive;
  }

  #mayReplace(wanted: Plugin, stream: object | undefined): boolean {
    const now = this.host.ports.clock.monotonicMs();
    const { failurePolicy, reloadIntervalMs } = wanted.spec;
    if (failurePolicy === "reload" && now - this.#startedAt < (reloadIntervalMs ?? 0) * this.#stretch) {
      wanted.reloads.backoff++;
      return false;
    }
    if (!this.quarantine.mayStart(now)) return false;
    if (!this.quarantine.isClosed) this.trial = stream ?? {};
    return true;
  }

  /** A stream got the VM during a trial: only the trial itself may, until it has lasted long enough. */
  isForTrialOnly(stream: object | undefined): boolean {
    if (this.trial === stream) return false;
    if (!this.quarantine.isTrialLong(this.host.ports.clock.monotonicMs())) return true;
    this.#endTrial();
    return false;
  }

  /** The stream has ended; when it was the trial and the VM lives, the quarantine is over. */
  onStreamClosed(stream: object | undefined): void {
    if (this.trial === stream && this.vm?.fault === undefined) this.#endTrial();
  }

  #endTrial(): void {
    this.trial = undefined;
    this.quarantine.onTrialPassed();
    this.#say(LOG_WARN, "is no longer quarantined: a stream that tried it went well");
  }

  #reviveAll(starter: Plugin): Vm {
    this.restarts++;
    const vm = this.#createVm(starter);
    this.vm = vm;
    for (const plugin of this.plugins) this.#restart(vm, plugin);
    return vm;
  }

  #restart(vm: Vm, plugin: Plugin): void {
    const fault = startPlugin(vm, plugin);
    // A trap has been counted by the VM; an answer of false has not.
    if (fault !== undefined && vm.fault === undefined) this.#onFault(fault);
  }

  /** Bytes of the largest memory that a VM of the group has had. */
  get peakMemoryBytes(): number {
    this.#peakBytes = Math.max(this.#peakBytes, this.vm?.memory.size ?? 0);
    return this.#peakBytes;
  }

  #createVm(starter: Plugin): Vm {
    this.#peakBytes = this.peakMemoryBytes;
    this.#startedAt = this.host.ports.clock.monotonicMs();
    this.#stretch = 1 + (this.host.ports.random ?? Math.random)() * RELOAD_JITTER;
    return new Vm(this.host, starter, (fault, memoryBytes) => this.#onVmFault(fault, memoryBytes));
  }

  /** The VM has no memory any more. */
  #onVmFault(fault: PluginFault, memoryBytes: number): void {
    this.#peakBytes = Math.max(this.#peakBytes, memoryBytes);
    this.#onFault(fault);
  }

  #onFault(fault: PluginFault): void {
    this.faults++;
    this.faultsByKind.set(fault.kind, (this.faultsByKind.get(fault.kind) ?? 0) + 1);
    this.lastFault = fault;
    this.trial = undefined;
    this.#say(LOG_ERROR, describeFault(fault));
    const { entered } = this.quarantine;
    const now = this.host.ports.clock.monotonicMs();
    this.quarantine.onFault(now);
    if (this.quarantine.entered > entered) {
      const seconds = Math.ceil(this.quarantine.waitMs(now)) / 1000;
      this.#say(LOG_ERROR, `is quarantined for ${seconds} s: it failed too often; its failure policy applies`);
    }
  }

  #say(level: number, message: string): void {
    const [first] = this.plugins;
    if (first !== undefined) this.host.ports.log.write(first.identity, level, message, true);
  }
}

function startPlugin(vm: Vm, plugin: Plugin): PluginFault | undefined {
  plugin.root = undefined;
  if (vm.fault !== undefined) return vm.fault;
  const root = new RootContext(vm, plugin, vm.contexts.nextId());
  const fault = root.start();
  if (fault === undefined) plugin.root = root;
  return fault;
}
