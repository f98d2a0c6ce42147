// The difference of two JSON values as a patch that touches only what differs: objects key by key, lists of things with names (containers,
// volumes, variables) thing by thing, so that in a file the comments of all others stay.

import { isObject, type Json, type JsonObject, type Operation, PatchRecorder, type Path } from "./json-patch.ts";

/** Operations that make `after` of `before`. The order of keys does not count. */
export function difference(before: JsonObject, after: JsonObject): readonly Operation[] {
  const recorder = new PatchRecorder(before);
  objects(recorder, [], before, after);
  return recorder.operations;
}

function values(recorder: PatchRecorder, path: Path, before: Json, after: Json): void {
  if (isObject(before) && isObject(after)) {
    objects(recorder, path, before, after);
  } else if (Array.isArray(before) && Array.isArray(after) && isNamed(before) && isNamed(after)) {
    lists(recorder, path, before, after);
  } else {
    recorder.set(path, after);
  }
}

function objects(recorder: PatchRecorder, path: Path, before: JsonObject, after: JsonObject): void {
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) {
      recorder.remove([...path, key]);
    }
  }
  for (const [key, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, key) ? before[key] : undefined;
    if (old === undefined) {
      recorder.set([...path, key], value);
    } else {
      values(recorder, [...path, key], old, value);
    }
  }
}

type Named = JsonObject & { name: string };

/** Every element has a name, and no two the same. */
function isNamed(list: readonly Json[]): list is Named[] {
  return (
    list.every((each) => isObject(each) && typeof each["name"] === "string") &&
    new Set(list.map((each) => (each as Named).name)).size === list.length
  );
}

function lists(recorder: PatchRecorder, path: Path, before: readonly Named[], after: readonly Named[]): void {
  const now = [...before];
  const removeAt = (index: number): void => {
    recorder.remove([...path, index]);
    now.splice(index, 1);
  };
  for (let index = now.length - 1; index >= 0; index--) {
    if (!after.some(({ name }) => name === now[index]?.name)) {
      removeAt(index);
    }
  }
  for (const [index, value] of after.entries()) {
    const old = now.findIndex(({ name }) => name === value.name);
    if (old === index) {
      objects(recorder, [...path, index], now[index] ?? {}, value);
      continue;
    }
    if (old > index) {
      removeAt(old);
    }
    recorder.insert(path, index, value);
    now.splice(index, 0, value);
  }
}
