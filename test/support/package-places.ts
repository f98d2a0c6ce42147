// From where packages are imported, as data, for layers.test.ts.

/** A package is imported from one place, so that it can be replaced there. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "@bufbuild/protobuf": [
    "xds/decode/",
    "xds/descriptors/",
    "xds/gen/",
    "xds/discovery-wire.ts",
    "xds/client-status-wire.ts",
    "xds/load-report-wire.ts",
  ],
  "@grpc/grpc-js": ["xds/ads-stream.ts", "xds/server/client-status.ts", "xds/server/grpc-server.ts"],
  "@opentelemetry/api": [],
  "@opentelemetry/core": ["sidecar/telemetry/span-pipeline.ts"],
  "@opentelemetry/otlp-exporter-base": ["sidecar/telemetry/span-pipeline.ts"],
  "@opentelemetry/otlp-grpc-exporter-base": ["sidecar/telemetry/span-pipeline.ts"],
  "@opentelemetry/otlp-transformer": ["sidecar/telemetry/span-pipeline.ts"],
  "@opentelemetry/resources": ["sidecar/telemetry/tracing.ts"],
  pino: ["sidecar/telemetry/log.ts"],
  re2js: ["xds/decode/regex.ts", "sidecar/route/re2-engine.ts"],
  undici: ["sidecar/plugin/plugin-calls.ts"],
  yaml: ["xds/decode/yaml-document.ts", "sidecar/inject/"],
};
