// JSON Patch (RFC 6902) as it is made here: a list of operations, each applied as it is recorded to a version of the object that shares what did
// not change, so that whoever makes a patch always sees the object as it will be. `inject-pod.ts` records; the webhook sends the list, `manifest-edit.ts` applies it to YAML.

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/** Keys of objects are strings, positions in arrays numbers. */
export type Path = readonly (string | number)[];

export type Operation =
  | { readonly op: "add" | "replace"; readonly path: Path; readonly value: Json }
  | { readonly op: "remove"; readonly path: Path };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `["metadata", "annotations", "a/b"]` → `/metadata/annotations/a~1b` (RFC 6901). */
export function pointerOf(path: Path): string {
  let pointer = "";
  for (const part of path) {
    pointer += `/${typeof part === "number" ? part : part.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  }
  return pointer;
}

/** The patch as a client of RFC 6902 reads it. */
export function wireForm(operations: readonly Operation[]): JsonObject[] {
  return operations.map((operation) => {
    const path = pointerOf(operation.path);
    return operation.op === "remove" ? { op: operation.op, path } : { op: operation.op, path, value: operation.value };
  });
}

/** Records operations on an object, which itself is not changed. */
export class PatchRecorder {
  readonly operations: Operation[] = [];
  #result: JsonObject;

  constructor(original: JsonObject) {
    this.#result = original;
  }

  /** The object with all operations applied. */
  get result(): JsonObject {
    return this.#result;
  }

  /** What stands at `path` now. */
  at(path: Path): Json | undefined {
    let value: Json | undefined = this.#result;
    for (const part of path) {
      value = Array.isArray(value) ? value[Number(part)] : isObject(value) ? own(value, String(part)) : undefined;
    }
    return value;
  }

  /** Sets a key of an object. Objects on the way that are missing (or null) are made; an equal value is no operation. */
  set(path: Path, value: Json): void {
    const parent = path.slice(0, -1);
    if (!isObject(this.at(parent))) {
      this.set(parent, {});
    }
    const before = this.at(path);
    if (before === undefined) {
      this.#record({ op: "add", path, value });
    } else if (before !== value && JSON.stringify(before) !== JSON.stringify(value)) {
      this.#record({ op: "replace", path, value });
    }
  }

  remove(path: Path): void {
    if (this.at(path) !== undefined) {
      this.#record({ op: "remove", path });
    }
  }

  /** Puts `value` into the array at `path`, before the element at `index` (`"end"`: after the last). A missing array is made. */
  insert(path: Path, index: number | "end", value: Json): void {
    const array = this.at(path);
    if (!Array.isArray(array)) {
      this.set(path, [value]);
      return;
    }
    this.#record({ op: "add", path: [...path, index === "end" ? array.length : index], value });
  }

  #record(operation: Operation): void {
    this.operations.push(operation);
    this.#result = changed(this.#result, operation, 0) as JsonObject;
  }
}

/** `value` after an operation whose path goes on in it at `depth`: anew on the way there, the same objects elsewhere. */
function changed(value: Json | undefined, operation: Operation, depth: number): Json {
  const { path, op } = operation;
  const key = path[depth] ?? "";
  const isLast = depth === path.length - 1;
  if (Array.isArray(value)) {
    const index = Number(key);
    const next = value.slice();
    const items = op === "remove" ? [] : [operation.value];
    next.splice(
      index,
      op === "add" && isLast ? 0 : 1,
      ...(isLast ? items : [changed(value[index], operation, depth + 1)]),
    );
    return next;
  }
  if (!isObject(value)) {
    throw new TypeError(`Cannot ${op} ${pointerOf(path)}: its parent is not there`);
  }
  const next = { ...value };
  if (!isLast) {
    define(next, String(key), changed(own(value, String(key)), operation, depth + 1));
  } else if (op === "remove") {
    delete next[String(key)];
  } else {
    define(next, String(key), operation.value);
  }
  return next;
}

/** A key such as "__proto__" comes from outside: it is a key, not a prototype. */
function define(object: JsonObject, key: string, value: Json): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

/** Applies one operation in place. The path's parent must exist. */
export function applyOperation(root: JsonObject, operation: Operation): void {
  const { path } = operation;
  const last = path[path.length - 1];
  let parent: Json | undefined = root;
  for (const part of path.slice(0, -1)) {
    parent = Array.isArray(parent) ? parent[Number(part)] : isObject(parent) ? own(parent, String(part)) : undefined;
  }
  if (Array.isArray(parent)) {
    const added = operation.op === "remove" ? [] : [copyOf(operation.value)];
    parent.splice(Number(last), operation.op === "add" ? 0 : 1, ...added);
  } else if (isObject(parent)) {
    if (operation.op === "remove") {
      delete parent[String(last)];
    } else {
      define(parent, String(last), copyOf(operation.value));
    }
  } else {
    throw new TypeError(`Cannot apply ${operation.op} at ${pointerOf(path)}: its parent is not there`);
  }
}

/**
 * A deep copy. Not structuredClone(), which is ten times as slow for so little, and keeps shared what a value from YAML shares (aliases), so that
 * an edit would show in two places.
 */
function copyOf<T extends Json>(value: T): T {
  if (Array.isArray(value)) {
    return value.map(copyOf) as T;
  }
  if (!isObject(value)) {
    return value;
  }
  // fromEntries, because a key may be "__proto__".
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyOf(each)])) as T;
}

function own(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
