// The two containers that injection adds: the sidecar, and the init container that sets the rules. What they may do is the least that works:
// the sidecar is uid 1337 without capabilities on a read-only file system; only the init container may change the network.

import type { Json, JsonObject } from "./json-patch.ts";
import { BOOTSTRAP_VOLUME, CA_VOLUME, DATA_VOLUME, INIT_CONTAINER, PROXY_CONTAINER, TOKEN_VOLUME } from "./names.ts";
import type { Pod } from "./pod.ts";
import type { PodSettings } from "./pod-settings.ts";
import { PORTS, PROXY_UID, type Resources } from "./settings.ts";
import { bootstrapOf, type Identity, nodeOf } from "./sidecar-bootstrap.ts";

/** Where a user's bootstrap (annotation `sidecar.istio.io/bootstrapOverride`) is mounted; the key of its ConfigMap is `bootstrap.yaml`. */
const BOOTSTRAP_FOLDER = "/etc/outrigger/bootstrap";
const DATA_FOLDER = "/var/lib/outrigger";
/** The default of Kubernetes. */
const GRACE_SECONDS = 30;
/** What is left of the grace period for exporters and for the exit itself. */
const RESERVE_SECONDS = 5;
/** In which other pods learn that this one ends. */
const MIN_DRAIN_SECONDS = 5;

export interface Extras {
  readonly probers: JsonObject;
  readonly applicationMetrics: string | undefined;
}

export function proxyContainer(pod: Pod, settings: PodSettings, identity: Identity, extras: Extras): JsonObject {
  const { statusPort, nativeSidecar } = settings;
  const ready = { httpGet: { path: "/healthz/ready", port: PORTS.health } };
  const hold = settings.holdApplication && !nativeSidecar;
  return {
    name: PROXY_CONTAINER,
    image: settings.image,
    ...pullPolicy(settings),
    ...(nativeSidecar ? { restartPolicy: "Always" } : {}),
    args: runArgs(pod, settings, identity),
    env: environment(settings, extras),
    ports:
      statusPort === 0
        ? []
        : [
            { name: "http-envoy-prom", containerPort: statusPort, protocol: "TCP" },
            { name: "http-health", containerPort: PORTS.health, protocol: "TCP" },
          ],
    ...lifecycle(hold, nativeSidecar),
    ...(statusPort === 0
      ? {}
      : {
          // 600 tries of a second: a control plane that is slow to come up is no reason to start the pod again.
          ...(nativeSidecar || hold
            ? { startupProbe: { ...ready, periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 600 } }
            : {}),
          readinessProbe: { ...ready, ...settings.readiness, timeoutSeconds: 3 },
        }),
    resources: resources(settings.resources),
    securityContext: proxySecurity(settings),
    volumeMounts: volumeMounts(settings),
  };
}

/** Not needed where nothing is intercepted, and where something else sets the rules. */
export function initContainer(settings: PodSettings): JsonObject {
  const exclude = [PORTS.prometheus, PORTS.health, ...(settings.statusPort === 0 ? [] : [settings.statusPort])].join(
    ",",
  );
  const excludeInbound = settings.excludeInboundPorts === "" ? exclude : `${exclude},${settings.excludeInboundPorts}`;
  const optional = (flag: string, value: string): string[] => (value === "" ? [] : [flag, value]);
  return {
    name: INIT_CONTAINER,
    image: settings.image,
    ...pullPolicy(settings),
    // The flags are istio-iptables'.
    args: [
      "iptables",
      "apply",
      "-p",
      String(PORTS.outbound),
      "-z",
      String(PORTS.inbound),
      "-u",
      String(PROXY_UID),
      "-g",
      String(PROXY_UID),
      "-m",
      settings.interceptionMode,
      "-i",
      settings.includeOutboundIpRanges,
      "-x",
      settings.excludeOutboundIpRanges,
      "-b",
      settings.includeInboundPorts,
      "-d",
      excludeInbound,
      ...optional("-q", settings.includeOutboundPorts),
      ...optional("-o", settings.excludeOutboundPorts),
      ...optional("-k", settings.rerouteInterfaces),
      ...optional("-c", settings.excludeInterfaces),
    ],
    // The lock file of iptables, which the file system would refuse; /dev/shm is the container's own memory.
    env: [{ name: "XTABLES_LOCKFILE", value: "/dev/shm/xtables.lock" }],
    resources: resources(settings.resources),
    securityContext: {
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsGroup: 0,
      runAsNonRoot: false,
      runAsUser: 0,
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
}

export function volumes(settings: PodSettings): JsonObject[] {
  return [
    { name: DATA_VOLUME, emptyDir: {} },
    ...(settings.tokenAudience === ""
      ? []
      : [
          {
            name: TOKEN_VOLUME,
            projected: {
              sources: [
                {
                  serviceAccountToken: {
                    path: "istio-token",
                    audience: settings.tokenAudience,
                    expirationSeconds: 43_200,
                  },
                },
              ],
            },
          },
        ]),
    ...(settings.caConfigMap === ""
      ? []
      : [{ name: CA_VOLUME, configMap: { name: settings.caConfigMap, optional: true } }]),
    ...(settings.bootstrapConfigMap === ""
      ? []
      : [{ name: BOOTSTRAP_VOLUME, configMap: { name: settings.bootstrapConfigMap } }]),
    ...Object.entries(settings.userVolumes).map(([name, volume]) => ({ ...volume, name })),
  ];
}

function volumeMounts(settings: PodSettings): JsonObject[] {
  return [
    { name: DATA_VOLUME, mountPath: DATA_FOLDER },
    ...(settings.tokenAudience === ""
      ? []
      : [{ name: TOKEN_VOLUME, mountPath: "/var/run/secrets/tokens", readOnly: true }]),
    ...(settings.caConfigMap === ""
      ? []
      : [{ name: CA_VOLUME, mountPath: "/var/run/secrets/outrigger", readOnly: true }]),
    ...(settings.bootstrapConfigMap === ""
      ? []
      : [{ name: BOOTSTRAP_VOLUME, mountPath: BOOTSTRAP_FOLDER, readOnly: true }]),
    ...Object.entries(settings.userVolumeMounts).map(([name, mount]) => ({ ...mount, name })),
  ];
}

function runArgs(pod: Pod, settings: PodSettings, identity: Identity): string[] {
  const own = settings.bootstrapConfigMap === "";
  const drain = drainSeconds(pod, settings);
  const bootstrap = own ? bootstrapOf(pod, settings, identity) : { node: nodeOf(pod, settings, identity) };
  return [
    "run",
    ...(own ? [] : ["-c", `${BOOTSTRAP_FOLDER}/bootstrap.yaml`]),
    "--config-yaml",
    JSON.stringify(bootstrap),
    "--log-level",
    settings.logLevel,
    ...(settings.componentLogLevel === "" ? [] : ["--component-log-level", settings.componentLogLevel]),
    "--drain-time-s",
    String(drain),
    "--drain-strategy",
    "immediate",
    // Kubernetes stops a native sidecar when the application is gone; a classic one at the same moment as the application.
    ...(settings.nativeSidecar ? [] : ["--min-drain-time-s", String(Math.min(MIN_DRAIN_SECONDS, drain))]),
    // Where Kubernetes does not end the sidecar of a Job, it sees by itself that the Job is over.
    ...(!settings.nativeSidecar && pod.spec["shareProcessNamespace"] === true && pod.spec["restartPolicy"] === "Never"
      ? ["--exit-with-application"]
      : []),
    ...(settings.concurrency === 0 ? [] : ["--concurrency", String(settings.concurrency)]),
    ...(settings.statusPort === 0
      ? []
      : ["--status-port", String(settings.statusPort), "--health-port", String(PORTS.health)]),
  ];
}

/** One deadline for all: the pod's grace period, less what the exit needs. */
function drainSeconds(pod: Pod, { drainSeconds: asked }: PodSettings): number {
  const grace = pod.spec["terminationGracePeriodSeconds"];
  return asked ?? Math.max(1, (typeof grace === "number" ? grace : GRACE_SECONDS) - RESERVE_SECONDS);
}

/**
 * A classic sidecar that is waited for: the kubelet starts the next container when this hook is over. A native one begins to drain when the pod
 * ends (the kubelet sends SIGTERM only after the application is gone).
 */
function lifecycle(hold: boolean, nativeSidecar: boolean): JsonObject {
  if (hold) {
    return { lifecycle: { postStart: { exec: { command: ["outrigger", "wait"] } } } };
  }
  return nativeSidecar ? { lifecycle: { preStop: { exec: { command: ["outrigger", "drain"] } } } } : {};
}

function environment(settings: PodSettings, { probers, applicationMetrics }: Extras): Json[] {
  const field = (name: string, fieldPath: string): JsonObject => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const value = (name: string, text: string): JsonObject => ({ name, value: text });
  const entries: JsonObject[] = [
    field("POD_NAME", "metadata.name"),
    field("POD_NAMESPACE", "metadata.namespace"),
    field("INSTANCE_IP", "status.podIP"),
    field("INSTANCE_IPS", "status.podIPs"),
    field("HOST_IP", "status.hostIP"),
    field("NODE_NAME", "spec.nodeName"),
    field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
    // Caches: the rest of the file system cannot be written.
    value("XDG_CACHE_HOME", `${DATA_FOLDER}/cache`),
    ...(Object.keys(probers).length === 0 ? [] : [value("ISTIO_KUBE_APP_PROBERS", JSON.stringify(probers))]),
    ...(applicationMetrics === undefined ? [] : [value("ISTIO_PROMETHEUS_ANNOTATIONS", applicationMetrics)]),
  ];
  const own = Object.entries(settings.environment);
  return [
    ...entries.filter(({ name }) => !own.some(([key]) => key === name)),
    ...own.map(([key, text]) => value(key, text)),
  ];
}

function proxySecurity({ interceptionMode, bindsLowPorts }: PodSettings): JsonObject {
  // Kubernetes gives capabilities to root only, so TPROXY needs root with nothing but that one; its group marks its traffic.
  const add = [...(interceptionMode === "TPROXY" ? ["NET_ADMIN"] : []), ...(bindsLowPorts ? ["NET_BIND_SERVICE"] : [])];
  const isRoot = add.length > 0;
  return {
    allowPrivilegeEscalation: false,
    privileged: false,
    capabilities: { ...(isRoot ? { add } : {}), drop: ["ALL"] },
    readOnlyRootFilesystem: true,
    runAsGroup: PROXY_UID,
    runAsNonRoot: !isRoot,
    runAsUser: isRoot ? 0 : PROXY_UID,
    seccompProfile: { type: "RuntimeDefault" },
  };
}

function resources({ cpuRequest, memoryRequest, cpuLimit, memoryLimit }: Resources): JsonObject {
  const of = (cpu: string, memory: string): JsonObject => ({
    ...(cpu === "" ? {} : { cpu }),
    ...(memory === "" ? {} : { memory }),
  });
  const requests = of(cpuRequest, memoryRequest);
  const limits = of(cpuLimit, memoryLimit);
  return {
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

function pullPolicy({ imagePullPolicy }: PodSettings): JsonObject {
  return imagePullPolicy === "" ? {} : { imagePullPolicy };
}
