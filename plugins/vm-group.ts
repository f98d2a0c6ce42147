// The plugins that share one VM (equal VM key) and that VM's life: first start, faults, fresh instances.
// plugin-runtime.ts keeps one group for each key.
//
// After a fault the next stream gets a fresh instance at once, whatever the failure policy. A group that faults
// maxFaults times within faultWindowMs is held back until the window has passed: starting a Go plugin costs 25 ms of
// this thread, so a plugin that fails on every request must not be started for every request. Envoy instead keeps
// FAIL_CLOSED and FAIL_OPEN plugins dead until their configuration changes and waits a second under FAIL_RELOAD.

import { RootContext } from "./contexts.ts";
import { type PluginFault, describeFault } from "./errors.ts";
import type { Plugin } from "./plugin.ts";
import type { RuntimeHost } from "./runtime-host.ts";
import { Vm } from "./vm.ts";

const DEFAULT_MAX_FAULTS = 20;
const DEFAULT_FAULT_WINDOW_MS = 10_000;
const LOG_ERROR = 4;

export class VmGroup {
  readonly host: RuntimeHost;
  readonly plugins = new Set<Plugin>();
  vm: Vm | undefined = undefined;
  faults = 0;
  restarts = 0;
  lastFault: PluginFault | undefined = undefined;
  /** Times of the latest faults, oldest first, at most maxFaults of them. */
  readonly #faultTimes: number[] = [];
  readonly #onEmpty: () => void;
  #maxFaults = DEFAULT_MAX_FAULTS;
  #faultWindowMs = DEFAULT_FAULT_WINDOW_MS;

  constructor(host: RuntimeHost, onEmpty: () => void) {
    this.host = host;
    this.#onEmpty = onEmpty;
  }

  /** Starts a plugin in the group's VM, creating that first. Answers what went wrong; the plugin is in the group only if nothing did. */
  add(plugin: Plugin): PluginFault | undefined {
    this.#maxFaults = plugin.spec.maxFaults ?? DEFAULT_MAX_FAULTS;
    this.#faultWindowMs = plugin.spec.faultWindowMs ?? DEFAULT_FAULT_WINDOW_MS;
    if (this.plugins.size > 0) {
      // Others live in that VM: try the newcomer in an instance of its own first, so that it cannot take them along.
      const canary = new Vm(this.host, plugin, () => {});
      const fault = startPlugin(canary, plugin);
      plugin.root?.release();
      plugin.root = undefined;
      if (fault !== undefined) return fault;
      if (this.vm?.fault !== undefined) this.#reviveAll(plugin);
    }
    let vm = this.vm;
    if (vm === undefined) {
      vm = this.#createVm(plugin);
      this.vm = vm;
    }
    const fault = vm.fault ?? startPlugin(vm, plugin);
    if (fault === undefined) this.plugins.add(plugin);
    else if (this.plugins.size === 0) this.vm = undefined;
    return fault;
  }

  remove(plugin: Plugin): void {
    this.plugins.delete(plugin);
    if (this.plugins.size > 0) return;
    this.vm = undefined;
    this.#onEmpty();
  }

  /** Makes sure that the plugin is started in a live VM. False while held back, or when it will not start. */
  revive(wanted: Plugin): boolean {
    const [first] = this.plugins;
    if (first === undefined || this.isHeldBack()) return false;
    let vm = this.vm;
    if (vm === undefined || vm.fault !== undefined) {
      vm = this.#reviveAll(first);
    } else if (wanted.root === undefined) this.#restart(vm, wanted);
    return vm.fault === undefined && wanted.root !== undefined;
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

  /** Whether the VM is dead and may not be replaced yet. */
  isHeldBack(): boolean {
    if (this.#faultTimes.length < this.#maxFaults) return false;
    const oldest = this.#faultTimes[0] as number;
    return this.host.ports.clock.monotonicMs() - oldest < this.#faultWindowMs;
  }

  #createVm(starter: Plugin): Vm {
    return new Vm(this.host, starter, (fault) => this.#onFault(fault));
  }

  #onFault(fault: PluginFault): void {
    this.faults++;
    this.lastFault = fault;
    this.#faultTimes.push(this.host.ports.clock.monotonicMs());
    if (this.#faultTimes.length > this.#maxFaults) this.#faultTimes.shift();
    const [first] = this.plugins;
    if (first !== undefined) this.host.ports.log.write(first.identity, LOG_ERROR, describeFault(fault));
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
