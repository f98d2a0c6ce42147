// Probes of the application, sent through the sidecar. The kubelet's connections would be captured (and, under mTLS, refused), so each
// probe and each HTTP or TCP lifecycle handler asks the sidecar's status port instead, which asks the application over loopback:
//
//   kubelet ── GET :15020/app-health/web/readyz ──▶ sidecar ── the original probe ──▶ application
//
// Paths and the form of the originals are Istio's (pkg/kube/inject/app_probe.go): ISTIO_KUBE_APP_PROBERS, JSON, path → probe.

import { isObject, type Json, type JsonObject, type Path } from "./json-patch.ts";
import { type Container, isNativeSidecar } from "./pod.ts";

/** A handler that is replaced: at `path` in the spec (a probe, or a lifecycle hook) `kind` becomes an httpGet to `url` on the status port. */
export interface ProbeEdit {
  readonly path: Path;
  readonly kind: "httpGet" | "tcpSocket" | "grpc";
  readonly url: string;
}

export interface ProbeRewrite {
  readonly edits: readonly ProbeEdit[];
  /** What the sidecar is to ask, by path. */
  readonly probers: JsonObject;
  /** Probes that are left as they are, and why. */
  readonly remarks: readonly string[];
}

const PROBES = [
  ["readinessProbe", "app-health", "readyz"],
  ["livenessProbe", "app-health", "livez"],
  ["startupProbe", "app-health", "startupz"],
] as const;
const HOOKS = [
  ["preStop", "app-lifecycle", "prestopz"],
  ["postStart", "app-lifecycle", "poststartz"],
] as const;

export function rewriteProbes(containers: readonly Container[], statusPort: number): ProbeRewrite {
  const edits: ProbeEdit[] = [];
  const probers: JsonObject = {};
  const remarks: string[] = [];
  const consider = (container: Container, path: Path, handler: Json | undefined, url: string): void => {
    if (!isObject(handler)) {
      return;
    }
    const kind = (["httpGet", "tcpSocket", "grpc"] as const).find((each) => isObject(handler[each]));
    if (kind === undefined) {
      return;
    }
    const name = `${container.name}: ${path.slice(2).join(".")}`;
    const action = handler[kind] as JsonObject;
    if (typeof action["host"] === "string" && action["host"] !== "") {
      remarks.push(`${name} asks the host ${action["host"]}, not the pod: left as it is`);
      return;
    }
    const port = portOf(action["port"], container);
    if (port === undefined) {
      remarks.push(
        `${name} names port ${JSON.stringify(action["port"] ?? null)}, which the container does not declare: left as it is`,
      );
      return;
    }
    if (port === statusPort) {
      return;
    }
    const timeout = handler["timeoutSeconds"];
    edits.push({ path, kind, url });
    probers[url] = { [kind]: { ...action, port }, ...(typeof timeout === "number" ? { timeoutSeconds: timeout } : {}) };
  };
  for (const container of containers) {
    // Kubernetes allows neither on init containers that end.
    if (container.list === "initContainers" && !isNativeSidecar(container)) {
      continue;
    }
    const at: Path = [container.list, container.index];
    for (const [field, prefix, suffix] of PROBES) {
      consider(container, [...at, field], container.json[field], `/${prefix}/${container.name}/${suffix}`);
    }
    const lifecycle = container.json["lifecycle"];
    for (const [field, prefix, suffix] of isObject(lifecycle) ? HOOKS : []) {
      consider(
        container,
        [...at, "lifecycle", field],
        isObject(lifecycle) ? lifecycle[field] : undefined,
        `/${prefix}/${container.name}/${suffix}`,
      );
    }
  }
  return { edits, probers, remarks };
}

/** A port's number: given, by the name that the container declares, or as digits in quotes, as the kubelet reads it. */
function portOf(port: Json | undefined, { ports }: Container): number | undefined {
  if (typeof port === "number") {
    return port;
  }
  if (typeof port !== "string") {
    return undefined;
  }
  const named = ports.find(({ name }) => name === port)?.containerPort;
  return named ?? (/^\d{1,5}$/.test(port) ? Number(port) : undefined);
}
