// A pod as injection reads it: the fields of `core/v1` that matter here, and the reading of one from JSON that may be anything (a file that
// somebody wrote). The API server checks the rest.

import { isObject, type Json, type JsonObject } from "./json-patch.ts";

/** What is wrong with an object, in words that name the field: `spec.containers: must be a list`. */
export class PodProblem extends Error {
  override readonly name = "PodProblem";
}

export interface ContainerPort {
  readonly name: string | undefined;
  readonly containerPort: number;
}

export interface Container {
  /** Where it stands in the pod. */
  readonly list: "initContainers" | "containers";
  readonly index: number;
  readonly name: string;
  readonly ports: readonly ContainerPort[];
  /** The whole container. */
  readonly json: JsonObject;
}

export interface Pod {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly metadata: JsonObject;
  readonly spec: JsonObject;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly json: JsonObject;
}

/** Reads a pod or a pod template. Throws `PodProblem` where its shape is not a pod's. */
export function readPod(json: JsonObject): Pod {
  const metadata = objectAt(json["metadata"], "metadata");
  const spec = objectAt(json["spec"], "spec");
  const containers = containersOf(spec, "containers");
  if (containers.length === 0) {
    throw new PodProblem("spec.containers: a pod needs at least one container");
  }
  return {
    name: textOf(metadata["name"]) ?? textOf(metadata["generateName"]) ?? "",
    labels: textsAt(metadata["labels"], "metadata.labels"),
    annotations: textsAt(metadata["annotations"], "metadata.annotations"),
    metadata,
    spec,
    initContainers: containersOf(spec, "initContainers"),
    containers,
    json,
  };
}

/** A container that runs beside the others: `restartPolicy: Always` among the init containers. */
export function isNativeSidecar({ list, json }: Container): boolean {
  return list === "initContainers" && json["restartPolicy"] === "Always";
}

export function textOf(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function objectAt(value: Json | undefined, path: string): JsonObject {
  if (value === undefined || value === null) {
    return {};
  }
  if (!isObject(value)) {
    throw new PodProblem(`${path}: must be an object`);
  }
  return value;
}

function textsAt(value: Json | undefined, path: string): Record<string, string> {
  const texts: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(objectAt(value, path))) {
    if (typeof text !== "string") {
      throw new PodProblem(`${path}["${key}"]: must be a text (put ${JSON.stringify(text)} in quotes)`);
    }
    texts[key] = text;
  }
  return texts;
}

function containersOf(spec: JsonObject, list: Container["list"]): Container[] {
  const value = spec[list] ?? [];
  if (!Array.isArray(value)) {
    throw new PodProblem(`spec.${list}: must be a list`);
  }
  return value.map((json, index) => {
    const path = `spec.${list}[${index}]`;
    if (!isObject(json)) {
      throw new PodProblem(`${path}: must be an object`);
    }
    const name = textOf(json["name"]);
    if (name === undefined) {
      throw new PodProblem(`${path}.name: is missing`);
    }
    return { list, index, name, ports: portsOf(json["ports"], path), json };
  });
}

function portsOf(value: Json | undefined, path: string): ContainerPort[] {
  if (value === undefined || value === null) {
    return [];
  }
  if (!Array.isArray(value)) {
    throw new PodProblem(`${path}.ports: must be a list`);
  }
  return value.map((port, index) => {
    const number = isObject(port) ? port["containerPort"] : undefined;
    if (!isObject(port) || typeof number !== "number") {
      throw new PodProblem(`${path}.ports[${index}].containerPort: must be a number`);
    }
    return { name: textOf(port["name"]), containerPort: number };
  });
}
