// What a Kubernetes API server would say of an object, without one: its published schemas (fixtures/kubernetes/schemas.json), strictly, so that
// an unknown field is a problem; and for pods the rules that schemas cannot tell (k8s.io/kubernetes pkg/apis/core/validation).
// The schemas are cut out of api/openapi-spec/swagger.json of the Go module k8s.io/kubernetes: what the kinds in `kinds` reach, without descriptions.

import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly $ref?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
}

const PUBLISHED = JSON.parse(
  readFileSync(join(import.meta.dirname, "../fixtures/kubernetes/schemas.json"), "utf8"),
) as { readonly kinds: Readonly<Record<string, string>>; readonly definitions: Readonly<Record<string, Schema>> };

type Fields = Readonly<Record<string, unknown>>;

/** All problems of an object, each `path: problem`; empty: an API server would take it as far as can be told here. */
export function kubernetesProblems(object: unknown): string[] {
  const { apiVersion, kind } = fieldsOf(object);
  const definition = PUBLISHED.kinds[`${String(apiVersion)} ${String(kind)}`];
  if (definition === undefined) {
    return [`no schema of ${String(apiVersion)} ${String(kind)}`];
  }
  const problems: string[] = [];
  check(object, { $ref: definition }, "", problems);
  for (const { path, spec, metadata } of podsOf(object)) {
    problems.push(...podProblems(spec, metadata).map((problem) => `${path}${problem}`));
  }
  return problems;
}

function check(value: unknown, schema: Schema, path: string, problems: string[]): void {
  const { $ref, type, format, items, properties, additionalProperties } = schema;
  if ($ref !== undefined) {
    const target = PUBLISHED.definitions[$ref];
    if (target === undefined) {
      throw new Error(`schema ${$ref} is missing`);
    }
    check(value, target, path, problems);
    return;
  }
  if (value === null) {
    return;
  }
  if (format === "int-or-string") {
    if (typeof value !== "string" && !Number.isInteger(value)) {
      problems.push(`${path}: must be a whole number or a text`);
    }
    return;
  }
  // Types without fields of their own (Quantity may be a number in YAML, Time a text).
  const isQuantity = type === "string" && typeof value === "number" && path.includes("resources");
  const actual = Array.isArray(value)
    ? "array"
    : Number.isInteger(value) && type === "integer"
      ? "integer"
      : typeof value;
  if (type !== undefined && actual !== type && !isQuantity) {
    problems.push(`${path}: is ${actual}, must be ${type}`);
    return;
  }
  if (Array.isArray(value)) {
    value.forEach((item, index) => check(item, items ?? {}, `${path}[${index}]`, problems));
  } else if (typeof value === "object") {
    const fields = fieldsOf(value);
    for (const name of schema.required ?? []) {
      if (fields[name] === undefined) {
        problems.push(`${path}.${name}: is missing`);
      }
    }
    for (const [name, field] of Object.entries(fields)) {
      const known = properties?.[name] ?? additionalProperties;
      if (known !== undefined) {
        check(field, known, `${path}.${name}`, problems);
      } else if (properties !== undefined) {
        problems.push(`${path}.${name}: unknown field`);
      }
    }
  }
}

interface FoundPod {
  readonly path: string;
  readonly spec: Fields;
  readonly metadata: Fields;
}

/** Pods and pod templates of an object. */
function podsOf(object: unknown, path = ""): FoundPod[] {
  const { kind, spec, metadata, template } = fieldsOf(object);
  if (kind === "Pod") {
    return [{ path, spec: fieldsOf(spec), metadata: fieldsOf(metadata) }];
  }
  const inside = fieldsOf(
    template ?? fieldsOf(spec)["template"] ?? fieldsOf(fieldsOf(fieldsOf(spec)["jobTemplate"])["spec"])["template"],
  );
  return inside["spec"] === undefined
    ? []
    : [{ path: `${path}template`, spec: fieldsOf(inside["spec"]), metadata: fieldsOf(inside["metadata"]) }];
}

const NAME = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?$/;
const QUALIFIED_NAME = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?$/;
const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

function podProblems(spec: Fields, metadata: Fields): string[] {
  const problems: string[] = [];
  const init = listOf(spec["initContainers"]);
  const containers = listOf(spec["containers"]);
  const names = [...init, ...containers].map(({ name }) => String(name));
  problems.push(...repeated(names).map((name) => `: two containers are named ${name}`));
  problems.push(...names.filter((name) => !NAME.test(name)).map((name) => `: "${name}" is no container name`));
  const volumes = listOf(spec["volumes"]);
  problems.push(...repeated(volumes.map(({ name }) => String(name))).map((name) => `: two volumes are named ${name}`));
  for (const volume of volumes) {
    if (!NAME.test(String(volume["name"])) || Object.keys(volume).length !== 2) {
      problems.push(`: volume ${String(volume["name"])} must have a name and one source`);
    }
  }
  for (const [key, value] of Object.entries(fieldsOf(metadata["labels"]))) {
    if (!QUALIFIED_NAME.test(key) || !LABEL_VALUE.test(String(value))) {
      problems.push(`: "${key}: ${String(value)}" is no label`);
    }
  }
  for (const key of Object.keys(fieldsOf(metadata["annotations"]))) {
    if (!QUALIFIED_NAME.test(key)) {
      problems.push(`: "${key}" is no name of an annotation`);
    }
  }
  const volumeNames = new Set(volumes.map(({ name }) => name));
  for (const container of init) {
    problems.push(
      ...containerProblems(container, volumeNames, container["restartPolicy"] === "Always" ? "sidecar" : "init"),
    );
  }
  for (const container of containers) {
    problems.push(...containerProblems(container, volumeNames, "main"));
  }
  return problems;
}

function containerProblems(
  container: Fields,
  volumes: ReadonlySet<unknown>,
  role: "init" | "sidecar" | "main",
): string[] {
  const problems: string[] = [];
  const { lifecycle, restartPolicy, image, resources, securityContext } = container;
  if (role === "main" && restartPolicy !== undefined) {
    problems.push("restartPolicy is for init containers");
  }
  if (typeof image !== "string" || image === "") {
    problems.push("needs an image");
  }
  const mounts = listOf(container["volumeMounts"]);
  problems.push(...repeated(mounts.map(({ mountPath }) => String(mountPath))).map((path) => `two mounts at ${path}`));
  problems.push(...mounts.flatMap(({ name }) => (volumes.has(name) ? [] : [`no volume ${String(name)} to mount`])));
  const ports = listOf(container["ports"]);
  const portNames = ports.flatMap(({ name }) => (typeof name === "string" ? [name] : []));
  problems.push(...repeated(portNames).map((name) => `two ports are named ${name}`));
  problems.push(
    ...portNames
      .filter((name) => !/^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name))
      .map((name) => `"${name}" is no port name`),
  );
  problems.push(
    ...listOf(container["env"]).flatMap(({ name }) =>
      typeof name === "string" && /^[-._A-Za-z][-._A-Za-z0-9]*$/.test(name) ? [] : [`"${String(name)}" is no variable`],
    ),
  );
  problems.push(
    ...repeated(listOf(container["env"]).map(({ name }) => String(name))).map(
      (name) => `variable ${name} is set twice`,
    ),
  );
  for (const field of ["readinessProbe", "livenessProbe", "startupProbe"]) {
    if (container[field] === undefined) {
      continue;
    }
    if (role === "init") {
      problems.push(`${field} is not for init containers that end`);
    }
    problems.push(...handlerProblems(fieldsOf(container[field]), field));
    if (field !== "readinessProbe" && Number(fieldsOf(container[field])["successThreshold"] ?? 1) !== 1) {
      problems.push(`${field}.successThreshold must be 1`);
    }
  }
  if (lifecycle !== undefined) {
    if (role === "init") {
      problems.push("lifecycle is not for init containers that end");
    }
    for (const [hook, handler] of Object.entries(fieldsOf(lifecycle))) {
      problems.push(...(typeof handler === "object" ? handlerProblems(fieldsOf(handler), hook) : []));
    }
  }
  const { requests, limits } = fieldsOf(resources);
  for (const [name, request] of Object.entries(fieldsOf(requests))) {
    const limit = fieldsOf(limits)[name];
    if (limit !== undefined && quantity(request) > quantity(limit)) {
      problems.push(`asks for more ${name} than its limit`);
    }
  }
  const { runAsNonRoot, runAsUser } = fieldsOf(securityContext);
  if (runAsNonRoot === true && runAsUser === 0) {
    problems.push("is root and must not be");
  }
  return problems.map((problem) => `: container ${String(container["name"])}: ${problem}`);
}

function handlerProblems(handler: Fields, name: string): string[] {
  const kinds = HANDLERS.filter((kind) => handler[kind] !== undefined);
  const problems = kinds.length === 1 ? [] : [`${name} has ${kinds.length} handlers`];
  const { port, path, scheme } = fieldsOf(handler["httpGet"]);
  if (handler["httpGet"] !== undefined) {
    if (port === undefined) {
      problems.push(`${name}.httpGet has no port`);
    }
    if (path === "" || (scheme !== undefined && scheme !== "HTTP" && scheme !== "HTTPS")) {
      problems.push(`${name}.httpGet has no path, or no scheme that exists`);
    }
  }
  return problems;
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

function quantity(value: unknown): number {
  const [, number = "", unit = ""] = /^([\d.]+)(.*)$/.exec(String(value)) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}

function repeated(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}
