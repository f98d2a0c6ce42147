// Shapes of pods that change their injection: by annotations, by what forbids it, by what makes no sense. pod-shapes.test.ts runs them.

import { app, type PodShape, RESTART, workload } from "./pod-shape.ts";

export const ANNOTATIONS: readonly PodShape[] = [
  {
    name: "classic by annotation",
    yaml: workload("Deployment", { annotations: "sidecar.istio.io/nativeSidecar: 'false'" }),
    expect: "classic",
  },
  {
    name: "native by annotation",
    yaml: workload("Deployment", { annotations: "sidecar.istio.io/nativeSidecar: 'true'" }),
    settings: { nativeSidecar: false },
    expect: "native",
  },
  {
    name: "the application is held: the sidecar comes first and is waited for",
    yaml: workload("Deployment", { annotations: "proxy.istio.io/config: 'holdApplicationUntilProxyStarts: true'" }),
    settings: { nativeSidecar: false },
    expect: "classic",
    has: ['"postStart":{"exec":{"command":["outrigger","wait"]}}'],
  },
  {
    name: "ranges, ports and interfaces of the traffic",
    yaml: workload("Deployment", {
      annotations:
        "traffic.sidecar.istio.io/includeOutboundIPRanges: '10.0.0.0/8,fd00::/8', traffic.sidecar.istio.io/excludeOutboundIPRanges: '10.1.0.0/16', traffic.sidecar.istio.io/includeInboundPorts: '8080', traffic.sidecar.istio.io/excludeInboundPorts: '9000,9001', traffic.sidecar.istio.io/excludeOutboundPorts: '3306', traffic.sidecar.istio.io/includeOutboundPorts: '443', traffic.sidecar.istio.io/excludeInterfaces: 'eth1'",
    }),
    expect: "native",
    has: [
      '"-i","10.0.0.0/8,fd00::/8","-x","10.1.0.0/16","-b","8080","-d","15090,15021,15020,9000,9001"',
      '"-q","443","-o","3306","-c","eth1"',
    ],
  },
  {
    name: "resources: one of one's own, and no default is used",
    yaml: workload("Deployment", {
      annotations: "sidecar.istio.io/proxyCPU: 50m, sidecar.istio.io/proxyMemoryLimit: 512Mi",
    }),
    expect: "native",
    has: ['"resources":{"requests":{"cpu":"50m"},"limits":{"memory":"512Mi"}}'],
  },
  {
    name: "an image of its own",
    yaml: workload("Deployment", { annotations: "sidecar.istio.io/proxyImage: 'example.com/o:2'" }),
    expect: "native",
    has: ['"image":"example.com/o:2"'],
  },
  {
    name: "TPROXY: the sidecar is root with one capability",
    yaml: workload("Deployment", { annotations: "sidecar.istio.io/interceptionMode: TPROXY" }),
    expect: "native",
    has: ['"-m","TPROXY"', '"capabilities":{"add":["NET_ADMIN"],"drop":["ALL"]}', '"runAsGroup":1337'],
  },
  {
    name: "no interception: no init container",
    yaml: workload("Deployment", { annotations: "sidecar.istio.io/interceptionMode: NONE" }),
    expect: "native",
    lacks: ["NET_ADMIN", "outrigger-init"],
  },
  {
    name: "rules that something else sets: no init container",
    yaml: workload("Deployment"),
    settings: { initContainer: false, nativeSidecar: false },
    expect: "classic",
    lacks: ["NET_ADMIN", "outrigger-init", '"initContainers":[{'],
  },
  {
    name: "the status port elsewhere",
    yaml: workload("Deployment", {
      annotations: "status.sidecar.istio.io/port: '15120'",
      containers: app("readinessProbe: {httpGet: {port: 8080}}"),
    }),
    expect: "native",
    has: ['"path":"/app-health/app/readyz"', '"port":15120', '"--status-port","15120"', '"prometheus.io/port":"15120"'],
  },
  {
    name: "no status port: nothing is rewritten",
    yaml: workload("Deployment", {
      annotations: "status.sidecar.istio.io/port: '0'",
      containers: app("readinessProbe: {httpGet: {port: 8080}}"),
    }),
    expect: "native",
    lacks: ["app-health", "/healthz/ready", "prometheus.io"],
  },
  {
    name: "how readiness is asked for",
    yaml: workload("Deployment", {
      annotations:
        "readiness.status.sidecar.istio.io/initialDelaySeconds: '2', readiness.status.sidecar.istio.io/periodSeconds: '5', readiness.status.sidecar.istio.io/failureThreshold: '9'",
    }),
    expect: "native",
    has: ['"initialDelaySeconds":2,"periodSeconds":5,"failureThreshold":9'],
  },
  {
    name: "metrics of the application are remembered",
    yaml: workload("Deployment", {
      annotations: "prometheus.io/scrape: 'true', prometheus.io/port: '8080', prometheus.io/path: /m",
    }),
    expect: "native",
    has: ['"prometheus.io/port":"15020"', '\\"path\\":\\"/m\\",\\"port\\":\\"8080\\"'],
  },
  {
    name: "metrics are not wanted",
    yaml: workload("Deployment", { annotations: "prometheus.io/scrape: 'false'" }),
    expect: "native",
    lacks: ["ISTIO_PROMETHEUS_ANNOTATIONS", '"prometheus.io/port"'],
  },
  {
    name: "metrics are not merged",
    yaml: workload("Deployment", {
      annotations: "prometheus.istio.io/merge-metrics: 'false', prometheus.io/port: '8080'",
    }),
    expect: "native",
    has: ['"prometheus.io/port":"8080"'],
    lacks: ["ISTIO_PROMETHEUS_ANNOTATIONS"],
  },
  {
    name: "a bootstrap, volumes and an environment of its own",
    yaml: workload("Deployment", {
      annotations:
        'sidecar.istio.io/bootstrapOverride: my-bootstrap, sidecar.istio.io/userVolume: \'{"certs":{"secret":{"secretName":"c"}}}\', sidecar.istio.io/userVolumeMount: \'{"certs":{"mountPath":"/etc/certs","readOnly":true}}\', proxy.istio.io/config: "{concurrency: 3, discoveryAddress: \'istiod.istio-system.svc:15010\', terminationDrainDuration: 12s, proxyMetadata: {A: b, POD_NAME: mine}, tracing: {}}"',
    }),
    expect: "native",
    has: [
      '"-c","/etc/outrigger/bootstrap/bootstrap.yaml"',
      '"configMap":{"name":"my-bootstrap"}',
      '"mountPath":"/etc/certs"',
      '"--concurrency","3"',
      '"--drain-time-s","12"',
      '{"name":"POD_NAME","value":"mine"}',
    ],
    lacks: ["xds-grpc"],
  },
  {
    name: "a grace period of its own is the deadline of the drain",
    yaml: workload("Deployment", { pod: "terminationGracePeriodSeconds: 120" }),
    expect: "native",
    has: ['"--drain-time-s","115"'],
  },
  {
    name: "asked for by label under a disabled policy",
    yaml: workload("Deployment", { labels: "app: web, sidecar.istio.io/inject: 'true'" }),
    settings: { policy: "disabled" },
    expect: "native",
  },
];

export const SKIPS: readonly PodShape[] = [
  { name: "on the node's network", yaml: workload("DaemonSet", { pod: "hostNetwork: true" }), expect: "host-network" },
  {
    name: "on the node's network, although asked for",
    yaml: workload("Pod", { pod: "hostNetwork: true", labels: "sidecar.istio.io/inject: 'true'" }),
    expect: "host-network",
  },
  { name: "in kube-system", yaml: workload("Deployment", { namespace: "kube-system" }), expect: "excluded-namespace" },
  {
    name: "in a namespace that is excluded by a setting",
    yaml: workload("Deployment"),
    settings: { excludedNamespaces: ["shop"] },
    expect: "excluded-namespace",
  },
  { name: "no by label", yaml: workload("Pod", { labels: "sidecar.istio.io/inject: 'false'" }), expect: "pod-says-no" },
  {
    name: "no by annotation",
    yaml: workload("Job", { annotations: "sidecar.istio.io/inject: 'false'", ...RESTART }),
    expect: "pod-says-no",
  },
  {
    name: "no by label, yes by annotation: the label wins",
    yaml: workload("Pod", {
      labels: "sidecar.istio.io/inject: 'false'",
      annotations: "sidecar.istio.io/inject: 'true'",
    }),
    expect: "pod-says-no",
  },
  {
    name: "no by our own label",
    yaml: workload("Pod", { labels: "outrigger.dev/inject: 'false', sidecar.istio.io/inject: 'true'" }),
    expect: "pod-says-no",
  },
  {
    name: "not asked for under a disabled policy",
    yaml: workload("Pod"),
    settings: { policy: "disabled" },
    expect: "policy",
  },
  {
    name: "with Istio's sidecar",
    yaml: workload("Pod", { containers: "- {name: istio-proxy, image: x}" }),
    expect: "other-mesh",
  },
  {
    name: "with Linkerd's native sidecar",
    yaml: workload("Pod", { pod: "initContainers:\n- {name: linkerd-proxy, image: x, restartPolicy: Always}" }),
    expect: "other-mesh",
  },
  {
    name: "with a container of the sidecar's name",
    yaml: workload("Pod", { containers: "- {name: outrigger-proxy, image: x}" }),
    expect: "name-taken",
  },
  {
    name: "a mirror of a static pod",
    yaml: workload("Pod", { annotations: "kubernetes.io/config.mirror: abc" }),
    expect: "mirror-pod",
  },
  {
    name: "on Windows",
    yaml: workload("Deployment", { pod: "nodeSelector: {kubernetes.io/os: windows}" }),
    expect: "windows",
  },
];

export const REFUSALS: readonly PodShape[] = [
  {
    name: "annotations that make no sense: all are named",
    yaml: workload("Pod", {
      annotations:
        "traffic.sidecar.istio.io/excludeInboundPorts: '99999', traffic.sidecar.istio.io/includeOutboundIPRanges: '10.0.0.0/33', sidecar.istio.io/proxyCPU: lots, sidecar.istio.io/interceptionMode: MAGIC, sidecar.istio.io/userVolume: '[]', proxy.istio.io/config: 'concurrency: many'",
    }),
    expect: {
      refused:
        /config: concurrency: must be a whole number\n.*excludeInboundPorts: got "99999": must be ports, comma-separated\n.*interceptionMode: got "MAGIC": must be REDIRECT, TPROXY or NONE\n.*includeOutboundIPRanges: got "10\.0\.0\.0\/33".*\n.*proxyCPU: got "lots".*\n.*userVolume: must be JSON/,
    },
  },
  {
    name: "a port of the sidecar's",
    yaml: workload("Pod", { containers: "- {name: a, image: b, ports: [{containerPort: 15021}]}" }),
    expect: { refused: /container a: port 15021 is one of the sidecar's/ },
  },
  {
    name: "a volume of the sidecar's name",
    yaml: workload("Pod", { pod: "volumes: [{name: outrigger-data, emptyDir: {}}]" }),
    expect: { refused: /volume outrigger-data: the sidecar has one of that name/ },
  },
  {
    name: "an annotation that is a number",
    yaml: workload("Pod", { annotations: "prometheus.io/port: 8080" }),
    expect: { refused: /metadata\.annotations\["prometheus\.io\/port"\]: must be a text \(put 8080 in quotes\)/ },
  },
  {
    name: "no containers",
    yaml: "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}",
    expect: { refused: /a pod needs at least one container/ },
  },
];
