// Whether a pod gets a sidecar. Every "no" has its reason, a code for programs (counters of the webhook) and a sentence for people.
// The order is Istio's (pkg/kube/inject/inject.go, injectRequired): what must never be comes first, then what the pod says, then the policy.

import type { Json } from "./json-patch.ts";
import { isObject } from "./json-patch.ts";
import { INIT_CONTAINER, PROXY_CONTAINER } from "./names.ts";
import type { Pod } from "./pod.ts";
import type { InjectSettings } from "./settings.ts";

export type SkipCode =
  | "host-network"
  | "mirror-pod"
  | "windows"
  | "excluded-namespace"
  | "already-injected"
  | "other-mesh"
  | "name-taken"
  | "pod-says-no"
  | "policy";

export type Decision =
  | { readonly inject: true; readonly because: string }
  | { readonly inject: false; readonly code: SkipCode; readonly reason: string };

/** Ours first: it also stands where Istio's own webhook must be told something else. */
const INJECT_KEYS = ["outrigger.dev/inject", "sidecar.istio.io/inject"];
export const STATUS_ANNOTATION = "sidecar.istio.io/status";

/** Containers of other meshes, by name. */
const OTHER_SIDECARS = new Map([
  ["istio-proxy", "Istio"],
  ["linkerd-proxy", "Linkerd"],
  ["kuma-sidecar", "Kuma"],
  ["consul-dataplane", "Consul"],
]);

export function decide(pod: Pod, namespace: string, settings: InjectSettings): Decision {
  return never(pod, namespace, settings) ?? asked(pod) ?? byPolicy(settings);
}

function never(pod: Pod, namespace: string, settings: InjectSettings): Decision | undefined {
  if (pod.spec["hostNetwork"] === true) {
    return no(
      "host-network",
      "it uses the node's network (hostNetwork: true): its rules would capture the node's traffic",
    );
  }
  if (pod.annotations["kubernetes.io/config.mirror"] !== undefined) {
    return no("mirror-pod", "it mirrors a static pod, which only the kubelet's file can change");
  }
  if (isWindows(pod.spec)) {
    return no("windows", "it runs on Windows");
  }
  if (settings.excludedNamespaces.includes(namespace)) {
    return no("excluded-namespace", `namespace ${namespace} is excluded`);
  }
  const all = [...pod.initContainers, ...pod.containers];
  const hasProxy = all.some(({ name }) => name === PROXY_CONTAINER);
  if (pod.annotations[STATUS_ANNOTATION] !== undefined) {
    return no("already-injected", `it has a sidecar already that is not outrigger's (annotation ${STATUS_ANNOTATION})`);
  }
  const other = all.find(({ name }) => OTHER_SIDECARS.has(name));
  if (other !== undefined) {
    return no("other-mesh", `its container ${other.name} is the sidecar of ${OTHER_SIDECARS.get(other.name)}`);
  }
  if (hasProxy || all.some(({ name }) => name === INIT_CONTAINER)) {
    return no("name-taken", `it has a container named ${hasProxy ? PROXY_CONTAINER : INIT_CONTAINER} of its own`);
  }
  return undefined;
}

/** Labels win over annotations, as in Istio: a webhook's selector sees labels only. */
function asked(pod: Pod): Decision | undefined {
  for (const key of INJECT_KEYS) {
    for (const [where, texts] of [
      ["label", pod.labels],
      ["annotation", pod.annotations],
    ] as const) {
      const value = texts[key];
      if (value === "true") {
        return { inject: true, because: `${where} ${key} is "true"` };
      }
      if (value === "false") {
        return no("pod-says-no", `${where} ${key} is "false"`);
      }
    }
  }
  return undefined;
}

function byPolicy({ policy }: InjectSettings): Decision {
  return policy === "enabled"
    ? { inject: true, because: "the policy is enabled" }
    : no("policy", `the policy is disabled and the pod does not ask for a sidecar (label ${INJECT_KEYS[1]}: "true")`);
}

function no(code: SkipCode, reason: string): Decision {
  return { inject: false, code, reason };
}

function isWindows(spec: Readonly<Record<string, Json>>): boolean {
  const { os, nodeSelector } = spec;
  return (
    (isObject(os) && os["name"] === "windows") ||
    (isObject(nodeSelector) && nodeSelector["kubernetes.io/os"] === "windows")
  );
}
