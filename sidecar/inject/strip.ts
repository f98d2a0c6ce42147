// The way back: a pod that has a sidecar of ours, as it was before, so that it can be injected anew when the settings (or our version) are others.
// The status annotation lists what was added; probes and scrapes of the application are remembered in the sidecar's environment. A port that a
// probe named is a number from then on. Whatever cannot be read is left as it is: injection then says what is wrong with the pod.

import { STATUS_ANNOTATION } from "./decision.ts";
import { foreignParts, type ForeignParts } from "./foreign-parts.ts";
import { isObject, type Json, type JsonObject, type Path, PatchRecorder } from "./json-patch.ts";
import { METRICS_ANNOTATIONS } from "./metrics-merge.ts";
import { PROXY_CONTAINER } from "./names.ts";

/** Annotation `sidecar.istio.io/status`: Istio's fields, and three of ours. */
export interface InjectionStatus {
  readonly initContainers: readonly string[];
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
  readonly imagePullSecrets: readonly string[];
  readonly revision: string;
  /** Labels that were added. */
  readonly labels: readonly string[];
  /** Of everything that was added: the same hash, the same sidecar. Empty: written before there were hashes. */
  readonly hash: string;
  /** What each container that was added had (OwnParts); the rest is others'. Empty: written before this was. */
  readonly own: Readonly<Record<string, unknown>>;
}

export interface Stripped {
  readonly json: JsonObject;
  readonly hash: string;
  /** What others added to the containers that are gone, by their names. */
  readonly foreign: ReadonlyMap<string, ForeignParts>;
}

/** undefined: the pod has no sidecar of ours. */
export function strip(json: JsonObject): Stripped | undefined {
  const recorder = new PatchRecorder(json);
  const status = statusOf(recorder.at(["metadata", "annotations", STATUS_ANNOTATION]));
  if (status === undefined) {
    return undefined;
  }
  const all = [...named(recorder, ["spec", "initContainers"]), ...named(recorder, ["spec", "containers"])];
  const foreign = new Map<string, ForeignParts>();
  for (const name of [...status.initContainers, ...status.containers]) {
    const container = all.find((each) => each.name === name)?.json;
    if (container !== undefined) {
      foreign.set(name, foreignParts(container, status.own[name]));
    }
  }
  const proxy = all.find(({ name }) => name === PROXY_CONTAINER)?.json;
  if (proxy !== undefined) {
    const statusPort = statusPortOf(proxy);
    restoreProbes(recorder, variable(proxy, "ISTIO_KUBE_APP_PROBERS"), statusPort);
    restoreMetrics(recorder, variable(proxy, "ISTIO_PROMETHEUS_ANNOTATIONS"), statusPort);
  }
  removeNamed(recorder, ["spec", "initContainers"], status.initContainers);
  removeNamed(recorder, ["spec", "containers"], status.containers);
  removeNamed(recorder, ["spec", "volumes"], status.volumes);
  removeNamed(recorder, ["spec", "imagePullSecrets"], status.imagePullSecrets);
  for (const label of status.labels) {
    recorder.remove(["metadata", "labels", label]);
  }
  recorder.remove(["metadata", "annotations", STATUS_ANNOTATION]);
  return { json: recorder.result, hash: status.hash, foreign };
}

function statusOf(annotation: Json | undefined): InjectionStatus | undefined {
  const value = jsonOf(typeof annotation === "string" ? annotation : "");
  if (!isObject(value)) {
    return undefined;
  }
  const texts = (field: string): string[] => {
    const list = value[field];
    return Array.isArray(list) ? list.filter((each) => typeof each === "string") : [];
  };
  const status = {
    initContainers: texts("initContainers"),
    containers: texts("containers"),
    volumes: texts("volumes"),
    imagePullSecrets: texts("imagePullSecrets"),
    revision: "",
    labels: texts("labels"),
    hash: typeof value["hash"] === "string" ? value["hash"] : "",
    own: isObject(value["own"]) ? value["own"] : {},
  };
  return [...status.initContainers, ...status.containers].includes(PROXY_CONTAINER) ? status : undefined;
}

/** Each probe and hook that asks the status port for one of the remembered ones. */
function restoreProbes(recorder: PatchRecorder, text: string, statusPort: number): void {
  const probers = jsonOf(text);
  if (!isObject(probers)) {
    return;
  }
  const restore = (path: Path): void => {
    const request = recorder.at([...path, "httpGet"]);
    const url = isObject(request) ? request["path"] : undefined;
    const original = typeof url === "string" && Object.hasOwn(probers, url) ? probers[url] : undefined;
    if (!isObject(request) || request["port"] !== statusPort || !isObject(original)) {
      return;
    }
    const kind = ["httpGet", "tcpSocket", "grpc"].find((each) => isObject(original[each]));
    if (kind !== undefined) {
      recorder.remove([...path, "httpGet"]);
      recorder.set([...path, kind], original[kind] ?? {});
    }
  };
  for (const list of ["initContainers", "containers"]) {
    for (const { index } of named(recorder, ["spec", list])) {
      for (const probe of ["readinessProbe", "livenessProbe", "startupProbe"]) {
        restore(["spec", list, index, probe]);
      }
      for (const hook of ["preStop", "postStart"]) {
        restore(["spec", list, index, "lifecycle", hook]);
      }
    }
  }
}

function restoreMetrics(recorder: PatchRecorder, text: string, statusPort: number): void {
  const at = (key: string): Path => ["metadata", "annotations", key];
  if (recorder.at(at(METRICS_ANNOTATIONS.port)) !== String(statusPort)) {
    return;
  }
  const original = jsonOf(text);
  for (const [field, key] of Object.entries(METRICS_ANNOTATIONS)) {
    const value = isObject(original) ? original[field] : undefined;
    if (typeof value === "string") {
      recorder.set(at(key), value);
    } else {
      recorder.remove(at(key));
    }
  }
}

function statusPortOf({ args }: JsonObject): number {
  const flag = Array.isArray(args) ? args.indexOf("--status-port") : -1;
  return Array.isArray(args) && flag >= 0 ? Number(args[flag + 1]) : 0;
}

function variable({ env }: JsonObject, name: string): string {
  const found = Array.isArray(env) ? env.find((each) => isObject(each) && each["name"] === name) : undefined;
  const value = isObject(found) ? found["value"] : undefined;
  return typeof value === "string" ? value : "";
}

interface NamedElement {
  readonly index: number;
  readonly name: Json | undefined;
  readonly json: JsonObject;
}

function named(recorder: PatchRecorder, path: Path): NamedElement[] {
  const list = recorder.at(path);
  return (Array.isArray(list) ? list : []).flatMap((json, index) =>
    isObject(json) ? [{ index, name: json["name"], json }] : [],
  );
}

/** An empty list that is left goes too: there may have been none. */
function removeNamed(recorder: PatchRecorder, path: Path, names: readonly string[]): void {
  for (const { index, name } of named(recorder, path).toReversed()) {
    if (typeof name === "string" && names.includes(name)) {
      recorder.remove([...path, index]);
    }
  }
  const rest = recorder.at(path);
  if (names.length > 0 && Array.isArray(rest) && rest.length === 0) {
    recorder.remove(path);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
