// A shape of pod and what injection must make of it, and the YAML that most shapes have in common.

import type { SkipCode } from "../../../sidecar/inject/decision.ts";
import type { InjectSettings } from "../../../sidecar/inject/settings.ts";

export interface PodShape {
  readonly name: string;
  readonly yaml: string;
  readonly settings?: Partial<InjectSettings>;
  /** `native`, `classic`, or why not. */
  readonly expect: "native" | "classic" | SkipCode | { readonly refused: RegExp };
  /** Texts (of the result as JSON) that must be there, and that must not. */
  readonly has?: readonly string[];
  readonly lacks?: readonly string[];
}

/** A workload of a kind; `annotations` in flow style, `pod` is the rest of the pod's spec, `containers` its list. */
export function workload(
  kind: string,
  {
    annotations = "",
    labels = "app: web",
    pod = "",
    containers = "- {name: app, image: 'app:1'}",
    namespace = "shop",
  } = {},
): string {
  const lines = (text: string, indent: number): string =>
    text === ""
      ? ""
      : text
          .trim()
          .split("\n")
          .map((line) => `${" ".repeat(indent)}${line}\n`)
          .join("");
  const metadata = (indent: number): string =>
    `${" ".repeat(indent)}metadata:\n${" ".repeat(indent)}  labels: {${labels}}\n${annotations === "" ? "" : `${" ".repeat(indent)}  annotations: {${annotations}}\n`}`;
  const spec = (indent: number): string =>
    `${" ".repeat(indent)}spec:\n${lines(pod, indent + 2)}${" ".repeat(indent)}  containers:\n${lines(containers, indent + 2)}`;
  const top = `apiVersion: ${VERSIONS[kind]}\nkind: ${kind}\n`;
  const named = `metadata: {name: web, namespace: ${namespace}}\n`;
  if (kind === "Pod") {
    return `${top}${metadata(0).replace("metadata:\n", `metadata:\n  name: web\n  namespace: ${namespace}\n`)}${spec(0)}`;
  }
  if (kind === "PodTemplate") {
    return `${top}${named}template:\n${metadata(2)}${spec(2)}`;
  }
  if (kind === "CronJob") {
    return `${top}${named}spec:\n  schedule: '* * * * *'\n  jobTemplate:\n    spec:\n      template:\n${metadata(8)}${spec(8)}`;
  }
  const selector =
    kind === "Job"
      ? ""
      : kind === "ReplicationController"
        ? "  selector: {app: web}\n"
        : "  selector: {matchLabels: {app: web}}\n";
  const service = kind === "StatefulSet" ? "  serviceName: web\n" : "";
  return `${top}${named}spec:\n${selector}${service}  template:\n${metadata(4)}${spec(4)}`;
}

const VERSIONS: Readonly<Record<string, string>> = {
  Pod: "v1",
  PodTemplate: "v1",
  ReplicationController: "v1",
  Deployment: "apps/v1",
  StatefulSet: "apps/v1",
  DaemonSet: "apps/v1",
  ReplicaSet: "apps/v1",
  Job: "batch/v1",
  CronJob: "batch/v1",
};

/** One container with ports and what is said of it. */
export function app(more: string): string {
  return `- name: app\n  image: 'app:1'\n  ports:\n  - {name: http, containerPort: 8080}\n  - {name: grpc, containerPort: 9000}\n${more
    .trim()
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n")}`;
}

/** What the pods of Jobs need. */
export const RESTART = { pod: "restartPolicy: Never" };
