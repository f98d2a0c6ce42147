// What the embedder says about one plugin: Envoy's PluginConfig in the host's words, plus our limits.
// plugin-runtime.ts takes it; nothing in it is changed after that.

import type { FuelLimits } from "./metering/fuel-gauge.ts";
import type { PluginModule } from "./plugin-module.ts";

/**
 * What happens to a stream whose plugin cannot run (it trapped, or it is quarantined after too many faults).
 * "closed": 503 with details "wasm_fail_stream". "open": the stream goes on without the plugin. "reload": as "closed".
 * A fault leads to a fresh VM for the streams that come after it, whatever the policy; under "reload" not sooner than
 * `reloadIntervalMs` after the last start.
 */
export type FailurePolicy = "closed" | "open" | "reload";

export interface PluginSpec {
  /** The embedder's number for the plugin; comes back in PluginIdentity.index. */
  readonly index?: number;
  readonly name: string;
  readonly rootId: string;
  readonly vmId: string;
  readonly module: PluginModule;
  /** Buffer 6, for proxy_on_vm_start. */
  readonly vmConfiguration: Uint8Array;
  /** Buffer 7, for proxy_on_configure. */
  readonly pluginConfiguration: Uint8Array;
  /** What the plugin sees as its environment variables. */
  readonly environment: Readonly<Record<string, string>>;
  /** Default "closed". */
  readonly failurePolicy?: FailurePolicy;
  /** Of the failure policy "reload". Default 0. */
  readonly reloadIntervalMs?: number;
  /** Names of allowed imports and callbacks ("proxy_log", "fd_write", "proxy_on_log"), as in Envoy; absent or empty: all. */
  readonly capabilities?: readonly string[];
  /** Envoy's allow_on_headers_stop_iteration: Pause from a headers callback still delivers the body. Default false. */
  readonly allowOnHeadersStopIteration?: boolean;
  /** Default: about 50 ms of a processor for a callback, half a second for the start. */
  readonly fuel?: FuelLimits;
  /** For RuntimePorts.watch: how long a callback may run, in milliseconds; 0, the default: as long as it likes. */
  readonly deadlineMs?: number;
  /** The plugin begins in quarantine: it has ended a worker. Default false. */
  readonly isSuspect?: boolean;
  /** How the embedder calls the limit of the module's memory: faults name it. */
  readonly memoryLimitName?: string;
  /** Faults within faultWindowMs after which the plugin is quarantined; 0: never. Default 20. */
  readonly maxFaults?: number;
  /** Default 10 s: with maxFaults, at most two restarts a second in the long run. Also how long the first quarantine lasts. */
  readonly faultWindowMs?: number;
}
