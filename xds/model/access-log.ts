// Access logs as configuration names them. Source: envoy.config.accesslog.v3 and the file, stream and wasm loggers.
// sidecar/telemetry/access-log.ts compiles them. Types only.

import type { HeaderMatcher } from "./route.ts";
import type { PluginConfig } from "./plugin-config.ts";
import type { RuntimeFraction } from "./matcher.ts";

export type AccessLogFilter =
  | {
      readonly kind: "status_code" | "duration";
      readonly op: "EQ" | "GE" | "LE" | "NE";
      /** HTTP status, or milliseconds. */
      readonly value: number;
    }
  | { readonly kind: "not_health_check" | "traceable" }
  | { readonly kind: "runtime"; readonly fraction: RuntimeFraction }
  | { readonly kind: "and" | "or"; readonly filters: readonly AccessLogFilter[] }
  | { readonly kind: "header"; readonly header: HeaderMatcher }
  | { readonly kind: "response_flag"; readonly flags: readonly string[] };

export interface AccessLog {
  readonly name: string;
  readonly sink:
    | { readonly kind: "file"; readonly path: string }
    | { readonly kind: "stdout" | "stderr" }
    /** proxy_on_log of the plugin's root context. */
    | { readonly kind: "wasm"; readonly plugin: PluginConfig };
  /** Of files and streams. Envoy's default format when undefined; JSON values are format strings, nested objects allowed. */
  readonly format: FormatString | undefined;
  readonly filter: AccessLogFilter | undefined;
}

/** Absent values are `-` and null, or left out with `omitEmptyValues`. */
export type FormatString =
  | { readonly kind: "text"; readonly text: string; readonly omitEmptyValues: boolean }
  | { readonly kind: "json"; readonly fields: JsonFormat; readonly omitEmptyValues: boolean };

export interface JsonFormat {
  readonly [field: string]: string | number | boolean | null | JsonFormat | readonly (string | number | JsonFormat)[];
}
