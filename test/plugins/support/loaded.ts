// A runtime with fakes and one loaded guest: what most tests of the plugin host start from.

import { CALLBACK_NAMES } from "../../../plugins/abi/callbacks.ts";
import type { HookRecord } from "../../../plugins/observer.ts";
import type { Plugin } from "../../../plugins/plugin.ts";
import { PluginRuntime } from "../../../plugins/plugin-runtime.ts";
import type { PluginSpec } from "../../../plugins/plugin-spec.ts";
import { fakePorts, type FakePorts } from "./fake-ports.ts";
import { goodModule, specOf } from "./specs.ts";
import type { WatGuest } from "./wat-guest.ts";

export interface Loaded {
  readonly runtime: PluginRuntime;
  readonly plugin: Plugin;
  readonly ports: FakePorts;
  /** Copies of all hook records so far. */
  readonly hooks: HookRecord[];
  /** Log lines of the guest, without its name. */
  readonly lines: () => string[];
  /** Names of the callbacks that ran, with their context: "proxy_on_tick 1". */
  readonly callbacks: () => string[];
}

export function loaded(guest: WatGuest | Uint8Array, changes: Partial<PluginSpec> = {}): Loaded {
  const ports = fakePorts();
  const hooks: HookRecord[] = [];
  const runtime = new PluginRuntime({
    ports,
    observer: { hook: (record) => hooks.push({ ...record, callTokens: [...record.callTokens] }) },
  });
  const bytes = guest instanceof Uint8Array ? guest : guest.bytes();
  const result = runtime.load(specOf(goodModule(bytes), changes));
  if (!result.ok) throw new Error(`${result.problem}\n${ports.log.lines.join("\n")}`);
  return {
    runtime,
    plugin: result.plugin,
    ports,
    hooks,
    lines: () => ports.log.lines.map((line) => line.replace(/^guest \d /, "")),
    callbacks: () => hooks.map((hook) => `${CALLBACK_NAMES[hook.callback]} ${hook.contextId}`),
  };
}
