// The application's probes, as injection left them for the sidecar: ISTIO_KUBE_APP_PROBERS, JSON, path → the original probe
// (inject/probes.ts writes it; the form is Istio's). pod-server.ts answers a path by asking the application.

export interface HttpProbe {
  readonly kind: "http";
  readonly isTls: boolean;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export type ProbeTarget =
  | HttpProbe
  | { readonly kind: "tcp"; readonly port: number }
  | { readonly kind: "grpc"; readonly port: number; readonly service: string };

export interface AppProbe {
  readonly target: ProbeTarget;
  readonly timeoutMs: number;
}

export type AppProbes = ReadonlyMap<string, AppProbe>;

/** Kubernetes' default is a second; Istio gives ten, because the kubelet ends the question itself. */
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
const PATH = /^\/app-(?:health|lifecycle)\/[^/]+\/(?:readyz|livez|startupz|prestopz|poststartz)$/;

/** Undefined or empty: no probes. A text says what is wrong. */
export function parseAppProbes(text: string | undefined): AppProbes | string {
  if (text === undefined || text === "") {
    return new Map();
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `is no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  const probes = new Map<string, AppProbe>();
  for (const [path, probe] of Object.entries(fieldsOf(value))) {
    const target = PATH.test(path) ? targetOf(fieldsOf(probe)) : "is no path of a probe";
    if (typeof target === "string") {
      return `${path}: ${target}`;
    }
    const seconds = fieldsOf(probe)["timeoutSeconds"];
    const timeoutMs =
      typeof seconds === "number" && seconds > 0 ? Math.min(seconds * 1_000, MAX_TIMEOUT_MS) : DEFAULT_TIMEOUT_MS;
    probes.set(path, { target, timeoutMs });
  }
  return probes;
}

function targetOf({ httpGet, tcpSocket, grpc }: Fields): ProbeTarget | string {
  const { port, scheme, path, httpHeaders, service } = fieldsOf(httpGet ?? tcpSocket ?? grpc);
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) {
    return "needs an httpGet, tcpSocket or grpc with a port";
  }
  if (httpGet !== undefined) {
    const headers = (Array.isArray(httpHeaders) ? httpHeaders : [])
      .map(fieldsOf)
      .map(({ name, value }) => [String(name), String(value)] as const);
    const text = typeof path === "string" && path !== "" ? path : "/";
    return { kind: "http", isTls: scheme === "HTTPS", port, path: text.startsWith("/") ? text : `/${text}`, headers };
  }
  return tcpSocket === undefined
    ? { kind: "grpc", port, service: typeof service === "string" ? service : "" }
    : { kind: "tcp", port };
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
