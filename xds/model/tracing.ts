// Tracing of one connection manager. Source: HttpConnectionManager.Tracing and envoy.config.trace.v3.OpenTelemetryConfig.
// sidecar/telemetry/tracing.ts builds exporters from it. Types only.

export interface CustomTag {
  readonly tag: string;
  readonly value:
    | { readonly kind: "literal"; readonly value: string }
    | { readonly kind: "request_header"; readonly header: string; readonly defaultValue: string }
    | { readonly kind: "environment"; readonly variable: string; readonly defaultValue: string }
    | {
        readonly kind: "metadata";
        /** `request` is dynamic metadata; `nothing` that the configuration does not say. */
        readonly of: "request" | "route" | "cluster" | "host" | "nothing";
        /** The namespace, then keys. */
        readonly path: readonly string[];
        readonly defaultValue: string;
      };
}

export interface TracingProvider {
  readonly kind: "opentelemetry";
  readonly serviceName: string;
  readonly export:
    | { readonly kind: "grpc"; readonly cluster: string; readonly timeoutMs: number }
    | {
        readonly kind: "http";
        readonly uri: string;
        readonly cluster: string;
        readonly timeoutMs: number;
        readonly headers: readonly { readonly key: string; readonly value: string }[];
      };
  readonly resourceAttributes: Readonly<Record<string, string>>;
}

export interface Tracing {
  /** Percentages 0 to 100, Envoy's defaults 100. */
  readonly clientSampling: number;
  readonly randomSampling: number;
  readonly overallSampling: number;
  readonly verbose: boolean;
  readonly maxPathTagLength: number;
  readonly customTags: readonly CustomTag[];
  readonly spawnUpstreamSpan: boolean;
  /** undefined: the standard OTEL_* environment variables decide. */
  readonly provider: TracingProvider | undefined;
}
