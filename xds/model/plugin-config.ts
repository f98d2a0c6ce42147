// A proxy-wasm plugin as configuration names it. Source: envoy.extensions.wasm.v3.PluginConfig and VmConfig.
// The main thread loads the code it names; workers receive the compiled module beside this. Types only.

/** Inline data, or where to read it. Source: envoy.config.core.v3.DataSource. */
export type DataSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "environment"; readonly variable: string };

export type PluginCode =
  | DataSource
  | {
      readonly kind: "remote";
      readonly uri: string;
      /** Cluster that HttpUri names. */
      readonly cluster: string;
      readonly timeoutMs: number;
      /** Lower-case hex; empty when the configuration has none. */
      readonly sha256: string;
      /** Attempts after the first; Envoy's default 1. */
      readonly retries: number;
      /** Backoff between attempts; Envoy's default 1,000 and ten times the base. */
      readonly retryBaseMs: number;
      readonly retryMaxMs: number;
    }
  | {
      /** Loaded and compiled already: what workers get, by the key of the module: its sha256 and limits. */
      readonly kind: "module";
      readonly digest: string;
    }
  | {
      /** Could not be loaded, here or by Istio's agent: the plugin's failure policy applies. */
      readonly kind: "missing";
      readonly problem: string;
    };

/** A plugin that runs by itself, without streams. Source: envoy.extensions.wasm.v3.WasmService. */
export interface PluginService {
  readonly plugin: PluginConfig;
  /** Once for the process; otherwise on every worker. */
  readonly singleton: boolean;
}

export type FailurePolicy = "closed" | "open" | "reload";

export interface PluginConfig {
  /** Unique name for traces, statistics and logs; the HTTP filter's own name when the configuration has none. */
  readonly name: string;
  readonly rootId: string;
  readonly vmId: string;
  readonly code: PluginCode;
  /** Buffer 6, what proxy_on_vm_start reads. */
  readonly vmConfiguration: Uint8Array;
  /** Buffer 7, what proxy_on_configure reads. */
  readonly configuration: Uint8Array;
  readonly failurePolicy: FailurePolicy;
  /** The deprecated `fail_open`: also the stream that met the fault passes. */
  readonly failOpenDeprecated: boolean;
  /** Backoff of FAIL_RELOAD; Envoy's default 1,000. */
  readonly reloadBackoffMs: number;
  /** Names of host environment variables to hand through, and fixed ones. */
  readonly hostEnvironmentKeys: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Allowed imports and exports by name; undefined means everything. */
  readonly allowedCapabilities: readonly string[] | undefined;
  readonly allowOnHeadersStopIteration: boolean;
  readonly nackOnCodeCacheMiss: boolean;
}
