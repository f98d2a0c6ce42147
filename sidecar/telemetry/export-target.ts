// Where spans go, as plain data: from a connection manager's provider, or from the OTEL_* environment variables
// (OpenTelemetry specification, "OTLP Exporter Configuration" and "General SDK Configuration").
// Used by tracing.ts, which builds the exporters. Pure; the environment is handed in.

import type { TracingProvider } from "../../xds/model/tracing.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Address of a cluster's collector. */
export interface CollectorEndpoint {
  /** IP literal or name. */
  readonly host: string;
  readonly port: number;
}

export interface ExportTarget {
  readonly protocol: "grpc" | "http";
  /** gRPC: `http://host:port`; HTTP: the full URL. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** OTLP's default for one export. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** The target that the environment names; undefined for nowhere: no endpoint, `none`, or the SDK turned off. */
export function targetFromEnvironment(environment: Environment): ExportTarget | undefined {
  const exporter = environment["OTEL_TRACES_EXPORTER"] ?? "";
  if (environment["OTEL_SDK_DISABLED"]?.toLowerCase() === "true" || (exporter !== "" && exporter !== "otlp")) {
    return undefined;
  }
  const variable = (name: string): string | undefined =>
    nonEmpty(environment[`OTEL_EXPORTER_OTLP_TRACES_${name}`]) ?? nonEmpty(environment[`OTEL_EXPORTER_OTLP_${name}`]);
  const endpoint = variable("ENDPOINT");
  if (endpoint === undefined && exporter !== "otlp") {
    return undefined;
  }
  const protocol = variable("PROTOCOL") === "grpc" ? "grpc" : "http";
  const timeout = Number(variable("TIMEOUT"));
  return {
    protocol,
    url: protocol === "grpc" ? (endpoint ?? "http://localhost:4317") : httpUrl(environment),
    headers: parseHeaders(variable("HEADERS") ?? ""),
    timeoutMs: timeout > 0 ? timeout : DEFAULT_TIMEOUT_MS,
  };
}

/** The signal's own endpoint is taken as it is; the general one gets the path. */
function httpUrl(environment: Environment): string {
  const own = nonEmpty(environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);
  if (own !== undefined) {
    return own;
  }
  const general = nonEmpty(environment["OTEL_EXPORTER_OTLP_ENDPOINT"]) ?? "http://localhost:4318";
  return `${general.replace(/\/$/, "")}/v1/traces`;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === "" ? undefined : text.trim();
}

/** `key=value,key=value`, percent-encoded, as in W3C baggage. Broken pairs are left out. */
export function parseHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const pair of text.split(",")) {
    const equals = pair.indexOf("=");
    const key = pair.slice(0, equals).trim();
    if (equals > 0 && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(key)) {
      headers[key] = decoded(pair.slice(equals + 1).trim());
    }
  }
  return headers;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The target of a provider at its cluster's address. */
export function targetOfProvider(provider: TracingProvider, endpoint: CollectorEndpoint): ExportTarget {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  const at = `${host}:${endpoint.port}`;
  const to = provider.export;
  const timeoutMs = to.timeoutMs > 0 ? to.timeoutMs : DEFAULT_TIMEOUT_MS;
  if (to.kind === "grpc") {
    return { protocol: "grpc", url: `http://${at}`, headers: {}, timeoutMs };
  }
  // The connection goes to the cluster, the Host field names what the URI names.
  const uri = URL.canParse(to.uri) ? new URL(to.uri) : new URL("/v1/traces", `http://${at}`);
  const headers: Record<string, string> = { Host: uri.host };
  for (const { key, value } of to.headers) {
    headers[key] = value;
  }
  return {
    protocol: "http",
    url: `${uri.protocol}//${at}${uri.pathname}${uri.search}`,
    headers,
    timeoutMs,
  };
}

/** Attributes of the resource, the most specific last: SDK, defaults, environment, provider. */
export function resourceAttributes(
  environment: Environment,
  provider: TracingProvider | undefined,
  defaultServiceName: string,
): Record<string, string> {
  const attributes: Record<string, string> = {
    "service.name": defaultServiceName === "" ? "unknown_service:outrigger" : defaultServiceName,
    ...parseHeaders(environment["OTEL_RESOURCE_ATTRIBUTES"] ?? ""),
  };
  const serviceName = nonEmpty(environment["OTEL_SERVICE_NAME"]);
  if (serviceName !== undefined) {
    attributes["service.name"] = serviceName;
  }
  if (provider !== undefined) {
    Object.assign(attributes, provider.resourceAttributes);
    if (provider.serviceName !== "") {
      attributes["service.name"] = provider.serviceName;
    }
  }
  return attributes;
}
