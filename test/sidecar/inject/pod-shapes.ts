// Shapes of pods that people write: kinds, containers, probes. pod-shapes.test.ts runs them.

import { app, type PodShape, RESTART, workload } from "./pod-shape.ts";

export const KINDS: readonly PodShape[] = [
  ...["Pod", "PodTemplate", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"].map(
    (kind) => ({
      name: `a ${kind}`,
      yaml: workload(kind),
      expect: "native" as const,
      has: ['"restartPolicy":"Always"', '"runAsUser":1337'],
    }),
  ),
  ...["Job", "CronJob"].map((kind) => ({
    name: `a ${kind}`,
    yaml: workload(kind, RESTART),
    expect: "native" as const,
    has: ['"restartPolicy":"Never"'],
  })),
  ...["Pod", "Deployment", "StatefulSet", "DaemonSet"].map((kind) => ({
    name: `a ${kind}, classic`,
    yaml: workload(kind),
    settings: { nativeSidecar: false },
    expect: "classic" as const,
    lacks: ['"restartPolicy":"Always"', '"preStop"', '"postStart"', '"startupProbe"'],
  })),
  ...["Job", "CronJob"].map((kind) => ({
    name: `a ${kind}, classic`,
    yaml: workload(kind, RESTART),
    settings: { nativeSidecar: false },
    expect: "classic" as const,
  })),
];

export const CONTAINERS: readonly PodShape[] = [
  {
    name: "a Job that shares its process namespace: a classic sidecar sees its end",
    yaml: workload("Job", { pod: "restartPolicy: Never\nshareProcessNamespace: true" }),
    settings: { nativeSidecar: false },
    expect: "classic",
    has: ['"--exit-with-application"'],
  },
  {
    name: "two containers, one of them without a port",
    yaml: workload("Deployment", { containers: `${app("")}\n- {name: log, image: 'log:1'}` }),
    expect: "native",
    has: ['APP_CONTAINERS\\":\\"app,log', '"kubectl.kubernetes.io/default-container":"app"'],
  },
  {
    name: "init containers: behind the native sidecar",
    yaml: workload("Deployment", { pod: "initContainers:\n- {name: migrate, image: 'migrate:1'}" }),
    expect: "native",
  },
  {
    name: "init containers: before the rules of a classic sidecar",
    yaml: workload("Deployment", { pod: "initContainers:\n- {name: migrate, image: 'migrate:1'}" }),
    settings: { nativeSidecar: false },
    expect: "classic",
  },
  {
    name: "a native sidecar of its own, with a probe",
    yaml: workload("Pod", {
      pod: "initContainers:\n- name: cache\n  image: 'cache:1'\n  restartPolicy: Always\n  startupProbe: {tcpSocket: {port: 6379}}",
    }),
    expect: "native",
    has: ["/app-health/cache/startupz", '\\"tcpSocket\\":{\\"port\\":6379}'],
  },
  {
    name: "volumes and mounts of its own",
    yaml: workload("StatefulSet", {
      pod: "volumes:\n- {name: data, emptyDir: {}}",
      containers: app("volumeMounts:\n- {name: data, mountPath: /data}"),
    }),
    expect: "native",
    has: ['"name":"data"'],
  },
  {
    name: "empty lists and nulls where Kubernetes takes them",
    yaml: workload("Pod", { pod: "initContainers: []\nvolumes: null\nimagePullSecrets: []" }),
    expect: "native",
  },
  {
    name: "metadata without labels and annotations",
    yaml: "apiVersion: v1\nkind: Pod\nmetadata: {generateName: job-}\nspec: {containers: [{name: a, image: b}]}",
    expect: "native",
    has: ['"service.istio.io/canonical-name":"job"'],
  },
  {
    name: "a security context of the pod's own that the sidecar's must outdo",
    yaml: workload("Deployment", { pod: "securityContext: {runAsUser: 0, runAsNonRoot: false, fsGroup: 2000}" }),
    expect: "native",
    has: ['"runAsNonRoot":true'],
  },
  {
    name: "a pull secret that is there already",
    yaml: workload("Deployment", { pod: "imagePullSecrets: [{name: one}]" }),
    settings: { imagePullSecrets: ["one", "two"] },
    expect: "native",
    has: ['"imagePullSecrets":[{"name":"one"},{"name":"two"}]'],
  },
  {
    name: "a long name: labels have at most 63 characters",
    yaml: workload("Deployment", { labels: "app: web" })
      .replaceAll("app: web", "x: y")
      .replace("name: web", `name: ${"a".repeat(62)}-${"b".repeat(40)}`),
    expect: "native",
    has: [`"service.istio.io/canonical-name":"${"a".repeat(62)}"`],
  },
];

export const PROBES: readonly PodShape[] = [
  {
    name: "an HTTP readiness probe by number",
    yaml: workload("Deployment", {
      containers: app("readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 3}"),
    }),
    expect: "native",
    has: [
      '"path":"/app-health/app/readyz","port":15020',
      '\\"path\\":\\"/ready\\",\\"port\\":8080',
      '"periodSeconds":3',
    ],
  },
  {
    name: "an HTTP liveness probe by a port's name, with headers and a time limit",
    yaml: workload("Deployment", {
      containers: app(
        "livenessProbe: {httpGet: {path: /live, port: http, httpHeaders: [{name: A, value: b}]}, timeoutSeconds: 7}",
      ),
    }),
    expect: "native",
    has: ["/app-health/app/livez", '\\"port\\":8080', '\\"timeoutSeconds\\":7', '\\"httpHeaders\\"'],
  },
  {
    name: "an HTTPS probe: plain text to the sidecar, TLS from there",
    yaml: workload("Deployment", {
      containers: app("readinessProbe: {httpGet: {path: /r, port: 8443, scheme: HTTPS}}"),
    }),
    expect: "native",
    has: ['"scheme":"HTTP"', '\\"scheme\\":\\"HTTPS\\"'],
    lacks: ['"scheme":"HTTPS"'],
  },
  {
    name: "a TCP probe",
    yaml: workload("Deployment", { containers: app("readinessProbe: {tcpSocket: {port: grpc}}") }),
    expect: "native",
    has: ['\\"tcpSocket\\":{\\"port\\":9000}'],
    lacks: ['"tcpSocket":{'],
  },
  {
    name: "a gRPC probe",
    yaml: workload("Deployment", { containers: app("livenessProbe: {grpc: {port: 9000, service: health}}") }),
    expect: "native",
    has: ['\\"grpc\\":{\\"port\\":9000,\\"service\\":\\"health\\"}'],
    lacks: ['"grpc":{'],
  },
  {
    name: "a startup probe with a port as digits in quotes",
    yaml: workload("Deployment", { containers: app("startupProbe: {httpGet: {path: /s, port: '8080'}}") }),
    expect: "native",
    has: ["/app-health/app/startupz", '\\"port\\":8080'],
  },
  {
    name: "all three probes",
    yaml: workload("Deployment", {
      containers: app(
        "readinessProbe: {httpGet: {port: 8080}}\nlivenessProbe: {tcpSocket: {port: 8080}}\nstartupProbe: {grpc: {port: 9000}}",
      ),
    }),
    expect: "native",
    has: ["/app-health/app/readyz", "/app-health/app/livez", "/app-health/app/startupz"],
  },
  {
    name: "an exec probe: left as it is",
    yaml: workload("Deployment", { containers: app("readinessProbe: {exec: {command: [cat, /tmp/ready]}}") }),
    expect: "native",
    has: ['"exec":{"command":["cat","/tmp/ready"]}'],
    lacks: ["ISTIO_KUBE_APP_PROBERS"],
  },
  {
    name: "a probe of another host: left as it is",
    yaml: workload("Deployment", { containers: app("readinessProbe: {httpGet: {host: example.com, port: 80}}") }),
    expect: "native",
    has: ['"host":"example.com"'],
    lacks: ["ISTIO_KUBE_APP_PROBERS"],
  },
  {
    name: "a probe of a port that nobody declares: left as it is",
    yaml: workload("Deployment", { containers: app("readinessProbe: {httpGet: {port: nowhere}}") }),
    expect: "native",
    has: ['"port":"nowhere"'],
    lacks: ["ISTIO_KUBE_APP_PROBERS"],
  },
  {
    name: "lifecycle hooks over HTTP and TCP",
    yaml: workload("Deployment", {
      containers: app(
        "lifecycle:\n  postStart: {httpGet: {path: /up, port: http}}\n  preStop: {tcpSocket: {port: 8080}}",
      ),
    }),
    expect: "native",
    has: ["/app-lifecycle/app/poststartz", "/app-lifecycle/app/prestopz"],
    lacks: ['"tcpSocket":{'],
  },
  {
    name: "lifecycle hooks by exec and sleep: left as they are",
    yaml: workload("Deployment", {
      containers: app("lifecycle:\n  postStart: {exec: {command: [a]}}\n  preStop: {sleep: {seconds: 5}}"),
    }),
    expect: "native",
    has: ['"preStop":{"sleep":{"seconds":5}}'],
    lacks: ["ISTIO_KUBE_APP_PROBERS"],
  },
  {
    name: "rewriting refused by annotation",
    yaml: workload("Deployment", {
      annotations: "sidecar.istio.io/rewriteAppHTTPProbers: 'false'",
      containers: app("readinessProbe: {httpGet: {path: /ready, port: 8080}}"),
    }),
    expect: "native",
    has: ['"path":"/ready","port":8080'],
    lacks: ["ISTIO_KUBE_APP_PROBERS"],
  },
  {
    name: "probes of two containers",
    yaml: workload("Deployment", {
      containers: `${app("readinessProbe: {httpGet: {port: http}}")}\n- name: b\n  image: b\n  ports: [{name: http, containerPort: 81}]\n  readinessProbe: {httpGet: {port: http}}`,
    }),
    expect: "native",
    has: [
      '/app-health/app/readyz\\":{\\"httpGet\\":{\\"port\\":8080}',
      '/app-health/b/readyz\\":{\\"httpGet\\":{\\"port\\":81}',
    ],
  },
];
