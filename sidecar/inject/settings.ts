// What an injection is told from outside: one type, and every default with its reason. The flags of `inject` and `webhook`
// (cli/inject-flags.ts) and a settings file fill it; a pod's annotations change it for that pod (pod-settings.ts).

export type InterceptionMode = "REDIRECT" | "TPROXY" | "NONE";

export interface Resources {
  readonly cpuRequest: string;
  readonly memoryRequest: string;
  readonly cpuLimit: string;
  readonly memoryLimit: string;
}

export interface InjectSettings {
  readonly image: string;
  readonly imagePullPolicy: "" | "Always" | "IfNotPresent" | "Never";
  readonly imagePullSecrets: readonly string[];
  /** `enabled`: every pod that does not say no; `disabled`: only pods that say yes. */
  readonly policy: "enabled" | "disabled";
  readonly excludedNamespaces: readonly string[];
  /** `host:port` of the xDS server. */
  readonly controlPlane: string;
  readonly clusterDomain: string;
  readonly clusterId: string;
  /** Node metadata `MESH_ID` and `NETWORK`; empty: not said. */
  readonly meshId: string;
  readonly network: string;
  readonly nativeSidecar: boolean;
  /** Of classic sidecars: the application starts when the sidecar is ready. */
  readonly holdApplication: boolean;
  readonly rewriteProbes: boolean;
  readonly mergeMetrics: boolean;
  /** Whether an init container sets the rules; no: something else does it (a CNI plugin). */
  readonly initContainer: boolean;
  readonly interceptionMode: InterceptionMode;
  /** Lists as istio-iptables takes them: `*`, or comma-separated. */
  readonly includeInboundPorts: string;
  readonly excludeInboundPorts: string;
  readonly includeOutboundPorts: string;
  readonly excludeOutboundPorts: string;
  readonly includeOutboundIpRanges: string;
  readonly excludeOutboundIpRanges: string;
  readonly resources: Resources;
  readonly logLevel: string;
  readonly componentLogLevel: string;
  /** Data workers; 0: the CPUs that the container may use. */
  readonly concurrency: number;
  /** Audience of the identity token; empty: no token is mounted. */
  readonly tokenAudience: string;
  /** ConfigMap with the mesh's root certificate; it may be missing in the cluster. */
  readonly caConfigMap: string;
}

/** Ports of the sidecar, Istio's. Applications must not use them. */
export const PORTS = {
  admin: 15000,
  outbound: 15001,
  inbound: 15006,
  tunnel: 15008,
  /** Probes of the application, merged metrics. */
  status: 15020,
  /** `/healthz/ready` of the sidecar. */
  health: 15021,
  prometheus: 15090,
} as const;

/** The sidecar's user and group; traffic of that user is not captured. */
export const PROXY_UID = 1337;

export const DEFAULT_SETTINGS: InjectSettings = {
  image: "outrigger:latest",
  imagePullPolicy: "",
  imagePullSecrets: [],
  policy: "enabled",
  // What runs there makes the cluster work: a mesh that is not ready must not hold it up.
  excludedNamespaces: ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"],
  controlPlane: "outrigger-control-plane.outrigger-system.svc:18000",
  clusterDomain: "cluster.local",
  clusterId: "Kubernetes",
  meshId: "",
  network: "",
  nativeSidecar: true,
  holdApplication: false,
  rewriteProbes: true,
  mergeMetrics: true,
  initContainer: true,
  interceptionMode: "REDIRECT",
  includeInboundPorts: "*",
  excludeInboundPorts: "",
  includeOutboundPorts: "",
  excludeOutboundPorts: "",
  includeOutboundIpRanges: "*",
  excludeOutboundIpRanges: "",
  // Istio's figures, so that quotas that were made for it fit.
  resources: { cpuRequest: "100m", memoryRequest: "128Mi", cpuLimit: "2000m", memoryLimit: "1024Mi" },
  logLevel: "info",
  componentLogLevel: "",
  concurrency: 0,
  tokenAudience: "istio-ca",
  caConfigMap: "outrigger-ca-root-cert",
};
