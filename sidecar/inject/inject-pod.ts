// Injection as one pure function: a pod and the settings in, a JSON Patch out, or the reason why not. No clock, no network, no
// random number: the same pod gives the same patch, and a pod that was patched gives none, or one that brings its sidecar up to other settings.
// `inject` applies the patch to files, `webhook` sends it to the API server.
//
//   strip ─▶ readPod ─▶ decide ─▶ settingsOfPod (annotations) ─▶ probes, metrics ─▶ containers, volumes, labels ─▶ PatchRecorder

import { hash } from "node:crypto";
import { decide, type SkipCode, STATUS_ANNOTATION } from "./decision.ts";
import { difference } from "./json-diff.ts";
import { type ForeignParts, ownParts, withForeignParts } from "./foreign-parts.ts";
import { isObject, type JsonObject, type Operation, PatchRecorder } from "./json-patch.ts";
import { mergeMetrics } from "./metrics-merge.ts";
import { INIT_CONTAINER, PROXY_CONTAINER } from "./names.ts";
import { type Pod, PodProblem, readPod, textOf } from "./pod.ts";
import { type PodSettings, settingsOfPod } from "./pod-settings.ts";
import { type ProbeRewrite, rewriteProbes } from "./probes.ts";
import { type InjectSettings, PORTS } from "./settings.ts";
import type { Identity } from "./sidecar-bootstrap.ts";
import { initContainer, proxyContainer, volumes } from "./sidecar-containers.ts";
import { type InjectionStatus, strip } from "./strip.ts";
import { readYaml } from "./yaml-text.ts";

/** What is known of the pod from outside it. */
export interface Surroundings {
  readonly namespace: string;
  /** The workload that makes the pod; undefined: by the pod's owner, or the pod itself. */
  readonly owner?: { readonly apiVersion: string; readonly kind: string; readonly name: string } | undefined;
}

export type Injection =
  | {
      readonly kind: "patched";
      readonly because: string;
      readonly operations: readonly Operation[];
      /** What was done. */
      readonly notes: readonly string[];
      /** What the pod's author might not expect. */
      readonly remarks: readonly string[];
    }
  | { readonly kind: "skipped"; readonly code: SkipCode; readonly reason: string }
  | { readonly kind: "refused"; readonly problems: readonly string[] };

/** `json` is a Pod or a pod template (both have `metadata` and `spec`); it is not changed. Paths of the patch begin in it. */
export function injectPod(json: JsonObject, settings: InjectSettings, surroundings: Surroundings): Injection {
  const before = strip(json);
  const injection = injectStripped(before?.json ?? json, settings, surroundings, before?.foreign);
  if (before === undefined || injection.kind === "refused") {
    return injection;
  }
  if (injection.kind === "skipped") {
    return { ...injection, reason: `${injection.reason}; the sidecar that it has already stays as it is` };
  }
  if (injection.hash === before.hash) {
    return {
      kind: "skipped",
      code: "already-injected",
      reason: `it has the sidecar of these settings already (annotation ${STATUS_ANNOTATION})`,
    };
  }
  return {
    ...injection,
    because: `${injection.because}; the sidecar that it had was of other settings`,
    operations: difference(json, injection.result),
  };
}

/** Of a pod without a sidecar of ours. `foreign`: what others had added to the containers of one that was taken away. */
function injectStripped(
  json: JsonObject,
  settings: InjectSettings,
  surroundings: Surroundings,
  foreign?: ReadonlyMap<string, ForeignParts>,
): Exclude<Injection, { kind: "patched" }> | Patched {
  let pod: Pod;
  try {
    pod = readPod(json);
  } catch (error) {
    if (error instanceof PodProblem) {
      return { kind: "refused", problems: [error.message] };
    }
    throw error;
  }
  const decision = decide(pod, surroundings.namespace, settings);
  if (!decision.inject) {
    return { kind: "skipped", code: decision.code, reason: decision.reason };
  }
  const own = settingsOfPod(pod, settings, readYaml);
  const merge =
    own.settings.mergeMetrics && own.settings.statusPort !== 0
      ? mergeMetrics(pod, own.settings.statusPort)
      : { annotations: {}, application: undefined, problems: [] };
  const problems = [...own.problems, ...merge.problems, ...clashes(pod, own.settings)];
  if (problems.length > 0) {
    return { kind: "refused", problems };
  }
  const probes = probesOf(pod, own.settings);
  const identity = identityOf(pod, surroundings);
  const recorder = new PatchRecorder(json);
  const added: Added = {
    proxy: proxyContainer(pod, own.settings, identity, {
      probers: probes.probers,
      applicationMetrics: merge.application,
    }),
    init:
      own.settings.interceptionMode !== "NONE" && own.settings.initContainer ? initContainer(own.settings) : undefined,
    volumes: volumes(own.settings),
    secrets: secretsFor(recorder, own.settings),
    labels: labelsFor(pod, identity),
  };
  const fingerprint = hash("sha256", JSON.stringify([added, merge.annotations]), "hex").slice(0, 16);
  editProbes(recorder, probes, own.settings.statusPort);
  addContainers(
    recorder,
    {
      proxy: withForeignParts(added.proxy, foreign?.get(PROXY_CONTAINER)),
      init: added.init && withForeignParts(added.init, foreign?.get(INIT_CONTAINER)),
    },
    own.settings,
  );
  for (const volume of added.volumes) {
    recorder.insert(["spec", "volumes"], "end", volume);
  }
  for (const name of added.secrets) {
    recorder.insert(["spec", "imagePullSecrets"], "end", { name });
  }
  addMetadata(recorder, pod, added, {
    ...merge.annotations,
    [STATUS_ANNOTATION]: JSON.stringify(statusOf(added, own.settings, fingerprint)),
  });
  return {
    kind: "patched",
    because: decision.because,
    operations: recorder.operations,
    notes: notesOf(own.settings, probes),
    remarks: [...probes.remarks, ...own.remarks],
    result: recorder.result,
    hash: fingerprint,
  };
}

type Patched = Extract<Injection, { kind: "patched" }> & {
  /** The pod with the patch. */
  readonly result: JsonObject;
  readonly hash: string;
};

interface Added {
  readonly proxy: JsonObject;
  /** undefined: nothing is intercepted, or something else sets the rules. */
  readonly init: JsonObject | undefined;
  readonly volumes: readonly JsonObject[];
  /** Names. */
  readonly secrets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** What the API server would refuse after the patch, said in the pod's words instead of the patch's. */
function clashes(pod: Pod, settings: PodSettings): string[] {
  const declared = pod.spec["volumes"];
  const names = Array.isArray(declared)
    ? declared.map((volume) => (isObject(volume) ? volume["name"] : undefined))
    : [];
  const taken = volumes(settings).flatMap(({ name }) =>
    typeof name === "string" && names.includes(name) ? [name] : [],
  );
  const reserved: readonly number[] = [PORTS.admin, PORTS.outbound, PORTS.inbound, PORTS.health, settings.statusPort];
  const ports = [...pod.initContainers, ...pod.containers].flatMap(({ name, ports: list }) =>
    list
      .filter(({ containerPort }) => reserved.includes(containerPort))
      .map(({ containerPort }) => `container ${name}: port ${containerPort} is one of the sidecar's`),
  );
  return [...taken.map((name) => `volume ${name}: the sidecar has one of that name`), ...ports];
}

function probesOf(pod: Pod, { rewriteProbes: wanted, statusPort }: PodSettings): ProbeRewrite {
  return wanted && statusPort !== 0
    ? rewriteProbes([...pod.initContainers, ...pod.containers], statusPort)
    : { edits: [], probers: {}, remarks: [] };
}

function editProbes(recorder: PatchRecorder, { edits }: ProbeRewrite, statusPort: number): void {
  for (const { path, kind, url } of edits) {
    const at = ["spec", ...path];
    if (kind !== "httpGet") {
      recorder.remove([...at, kind]);
    }
    recorder.set([...at, "httpGet", "path"], url);
    recorder.set([...at, "httpGet", "port"], statusPort);
    // The kubelet asks the sidecar in plain text; the sidecar speaks TLS to the application.
    if (recorder.at([...at, "httpGet", "scheme"]) === "HTTPS") {
      recorder.set([...at, "httpGet", "scheme"], "HTTP");
    }
  }
}

/**
 * Native: rules, sidecar, then the pod's init containers, which are in the mesh already. Classic: the rules after all other init containers,
 * which have no sidecar yet, and the sidecar last, so that `kubectl exec` still finds the application; first where the application is held.
 */
function addContainers(
  recorder: PatchRecorder,
  { proxy, init }: Pick<Added, "proxy" | "init">,
  settings: PodSettings,
): void {
  if (settings.nativeSidecar) {
    recorder.insert(["spec", "initContainers"], 0, proxy);
    if (init !== undefined) {
      recorder.insert(["spec", "initContainers"], 0, init);
    }
    return;
  }
  if (init !== undefined) {
    recorder.insert(["spec", "initContainers"], "end", init);
  }
  recorder.insert(["spec", "containers"], settings.holdApplication ? 0 : "end", proxy);
}

/** The pull secrets that the pod does not have. */
function secretsFor(recorder: PatchRecorder, { imagePullSecrets }: PodSettings): string[] {
  const present = recorder.at(["spec", "imagePullSecrets"]);
  const has = (name: string): boolean =>
    Array.isArray(present) && present.some((secret) => isObject(secret) && secret["name"] === name);
  return [...new Set(imagePullSecrets)].filter((name) => !has(name));
}

/** The labels that the pod does not have. */
function labelsFor(pod: Pod, identity: Identity): Record<string, string> {
  const labels = {
    "service.istio.io/canonical-name": identity.service,
    "service.istio.io/canonical-revision": revisionOf(pod),
  };
  return Object.fromEntries(Object.entries(labels).filter(([name]) => pod.labels[name] === undefined));
}

function addMetadata(
  recorder: PatchRecorder,
  pod: Pod,
  { labels }: Added,
  annotations: Readonly<Record<string, string>>,
): void {
  const annotation = (name: string, value: string): void => recorder.set(["metadata", "annotations", name], value);
  for (const [name, value] of Object.entries(labels)) {
    recorder.set(["metadata", "labels", name], value);
  }
  // kubectl's exec and logs go on meaning the application.
  for (const name of ["kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/default-logs-container"]) {
    if (pod.annotations[name] === undefined) {
      annotation(name, pod.containers[0]?.name ?? "");
    }
  }
  for (const [name, value] of Object.entries(annotations)) {
    annotation(name, value);
  }
}

/** What was added, in the form of Istio's status; strip.ts reads it. */
function statusOf(
  { proxy, init, volumes: list, secrets, labels }: Added,
  { nativeSidecar }: PodSettings,
  of: string,
): InjectionStatus {
  const inits = init === undefined ? [] : [INIT_CONTAINER];
  return {
    initContainers: nativeSidecar ? [...inits, PROXY_CONTAINER] : inits,
    containers: nativeSidecar ? [] : [PROXY_CONTAINER],
    volumes: list.map(({ name }) => textOf(name) ?? ""),
    imagePullSecrets: secrets,
    revision: "default",
    labels: Object.keys(labels),
    hash: of,
    own: {
      [PROXY_CONTAINER]: ownParts(proxy),
      ...(init === undefined ? {} : { [INIT_CONTAINER]: ownParts(init) }),
    },
  };
}

/** Istio's rule for `service.istio.io/canonical-name`. */
function identityOf(pod: Pod, { namespace, owner }: Surroundings): Identity {
  const made = owner ?? ownerOf(pod);
  const workload = made?.name ?? (pod.name === "" ? "unknown" : pod.name.replace(/-$/, ""));
  const service =
    pod.labels["service.istio.io/canonical-name"] ??
    pod.labels["app.kubernetes.io/name"] ??
    pod.labels["app"] ??
    workload;
  return {
    workload,
    service: labelValue(service),
    owner:
      made === undefined
        ? undefined
        : `kubernetes://apis/${made.apiVersion}/namespaces/${namespace}/${made.kind.toLowerCase()}s/${made.name}`,
  };
}

/** The controller of a pod. A ReplicaSet of a Deployment is the Deployment: its name ends in the template's hash. */
function ownerOf(pod: Pod): Surroundings["owner"] {
  const references = pod.metadata["ownerReferences"];
  const controller = Array.isArray(references)
    ? references.find((each) => isObject(each) && each["controller"] === true)
    : undefined;
  if (!isObject(controller)) {
    return undefined;
  }
  const [apiVersion, kind, name] = [controller["apiVersion"], controller["kind"], controller["name"]];
  if (typeof apiVersion !== "string" || typeof kind !== "string" || typeof name !== "string") {
    return undefined;
  }
  const hash = pod.labels["pod-template-hash"];
  return kind === "ReplicaSet" && hash !== undefined && name.endsWith(`-${hash}`)
    ? { apiVersion, kind: "Deployment", name: name.slice(0, -hash.length - 1) }
    : { apiVersion, kind, name };
}

function revisionOf({ labels }: Pod): string {
  return labelValue(
    labels["service.istio.io/canonical-revision"] ??
      labels["app.kubernetes.io/version"] ??
      labels["version"] ??
      "latest",
  );
}

/** At most 63 characters, letter or digit at both ends. */
function labelValue(text: string): string {
  return text.slice(0, 63).replace(/^[-_.]+|[-_.]+$/g, "");
}

function notesOf(settings: PodSettings, { edits }: ProbeRewrite): string[] {
  const mode = settings.nativeSidecar
    ? "a native sidecar (an init container with restartPolicy: Always)"
    : settings.holdApplication
      ? "a classic container, first, the others wait for it"
      : "a classic container, last";
  const capture =
    settings.interceptionMode === "NONE"
      ? "captures nothing (interceptionMode NONE)"
      : `captures by ${settings.interceptionMode}${settings.initContainer ? "" : ", with rules that something else sets"}`;
  const probes =
    edits.length === 0 ? [] : [`probes and hooks that go through its port ${settings.statusPort}: ${edits.length}`];
  return [mode, capture, ...probes];
}
