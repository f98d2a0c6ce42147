// AdmissionReviews shaped as the API server's, and reading of the answers; for tests of the webhook.

import assert from "node:assert/strict";
import { applyOperation, type JsonObject } from "../../../sidecar/inject/json-patch.ts";

/** A pod as a ReplicaSet of the Deployment `web` makes it, after admission's defaults. */
export const POD = {
  metadata: {
    generateName: "web-5d4f8c7b9-",
    creationTimestamp: null,
    labels: { app: "web", "pod-template-hash": "5d4f8c7b9" },
    annotations: { "prometheus.io/scrape": "true", "prometheus.io/port": "8080" },
    ownerReferences: [
      {
        apiVersion: "apps/v1",
        kind: "ReplicaSet",
        name: "web-5d4f8c7b9",
        uid: "8a4f",
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  },
  spec: {
    volumes: [
      {
        name: "kube-api-access-x8k2v",
        projected: {
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
            { configMap: { name: "kube-root-ca.crt" } },
          ],
          defaultMode: 420,
        },
      },
    ],
    containers: [
      {
        name: "web",
        image: "registry.example.com/web:1.2",
        ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
        resources: { limits: { cpu: "1", memory: "512Mi" }, requests: { cpu: "100m", memory: "128Mi" } },
        volumeMounts: [
          { name: "kube-api-access-x8k2v", readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" },
        ],
        livenessProbe: {
          httpGet: { path: "/live", port: "http", scheme: "HTTP" },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
        readinessProbe: {
          tcpSocket: { port: 8080 },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
        imagePullPolicy: "IfNotPresent",
      },
    ],
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    serviceAccountName: "default",
    serviceAccount: "default",
    securityContext: {},
    schedulerName: "default-scheduler",
    tolerations: [
      { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
    ],
    priority: 0,
    enableServiceLinks: true,
    preemptionPolicy: "PreemptLowerPriority",
  },
  status: {},
};

const REQUEST = {
  uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
  kind: { group: "", version: "v1", kind: "Pod" },
  resource: { group: "", version: "v1", resource: "pods" },
  requestKind: { group: "", version: "v1", kind: "Pod" },
  requestResource: { group: "", version: "v1", resource: "pods" },
  namespace: "shop",
  operation: "CREATE",
  userInfo: {
    username: "system:serviceaccount:kube-system:replicaset-controller",
    uid: "d5",
    groups: ["system:authenticated"],
  },
  object: POD as unknown,
  oldObject: null,
  dryRun: false,
  options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
};

export function podReview(change: Readonly<Record<string, unknown>> = {}): { request: typeof REQUEST } {
  return JSON.parse(
    JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request: { ...REQUEST, ...change } }),
  ) as { request: typeof REQUEST };
}

export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: string;
  readonly patch?: string;
  readonly status?: { readonly code: number; readonly message: string };
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: Readonly<Record<string, string>>;
}

export function responseOf(body: string): AdmissionResponse {
  const { apiVersion, kind, response } = JSON.parse(body) as {
    apiVersion: string;
    kind: string;
    response: AdmissionResponse;
  };
  assert.deepEqual([apiVersion, kind], ["admission.k8s.io/v1", "AdmissionReview"]);
  return response;
}

/** Applies a patch as the API server does: base64, JSON, RFC 6902. */
export function applyPatch(object: unknown, patch: string): unknown {
  const operations = JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as {
    op: "add";
    path: string;
    value: never;
  }[];
  const result = JSON.parse(JSON.stringify(object)) as JsonObject;
  for (const { op, path, value } of operations) {
    const parts = path
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    applyOperation(result, { op, path: parts, value });
  }
  return result;
}
