// What other webhooks added to our containers: variables, mounts, devices. They came after ours and may not come again (reinvocationPolicy),
// so a pod that is injected anew keeps them. What was ours is told by the status annotation, which lists it (`own`).

import { isObject, type Json, type JsonObject } from "./json-patch.ts";

/** The lists of a container that others add to, and what tells their elements apart; empty: the whole element. */
const LISTS = { env: "name", envFrom: "", volumeMounts: "mountPath", volumeDevices: "devicePath" } as const;
type ListName = keyof typeof LISTS;
const NAMES = Object.keys(LISTS) as ListName[];

/** Keys of the elements of one container, by list. */
export type OwnParts = Readonly<Partial<Record<ListName, readonly string[]>>>;

/** Elements of lists of one container. */
export type ForeignParts = Readonly<Partial<Record<ListName, readonly Json[]>>>;

/** What a container has when it is made. */
export function ownParts(container: JsonObject): OwnParts {
  const parts: Partial<Record<ListName, readonly string[]>> = {};
  for (const name of NAMES) {
    const list = listOf(container, name);
    if (list.length > 0) {
      parts[name] = list.map((element) => keyOf(name, element));
    }
  }
  return parts;
}

/** What `container` has beyond `own`, which comes from an annotation. undefined: written before own parts were; then nothing is known to be others'. */
export function foreignParts(container: JsonObject, own: unknown): ForeignParts {
  const parts: Partial<Record<ListName, readonly Json[]>> = {};
  if (!isObject(own)) {
    return parts;
  }
  for (const name of NAMES) {
    const keys = own[name];
    const known: readonly unknown[] = Array.isArray(keys) ? keys : [];
    const others = listOf(container, name).filter(
      (element) => isObject(element) && !known.includes(keyOf(name, element)),
    );
    if (others.length > 0) {
      parts[name] = others;
    }
  }
  return parts;
}

/** The container with the parts at the end of its lists, where a variable may speak of those before it. Its own win. */
export function withForeignParts(container: JsonObject, parts: ForeignParts | undefined): JsonObject {
  const lists: JsonObject = {};
  for (const name of NAMES) {
    const own = listOf(container, name);
    const keys = own.map((element) => keyOf(name, element));
    const others = (parts?.[name] ?? []).filter((element) => !keys.includes(keyOf(name, element)));
    if (others.length > 0) {
      lists[name] = [...own, ...others];
    }
  }
  return { ...container, ...lists };
}

function listOf(container: JsonObject, name: ListName): readonly Json[] {
  const list = container[name];
  return Array.isArray(list) ? list : [];
}

function keyOf(name: ListName, element: Json): string {
  const key = LISTS[name];
  const value = isObject(element) && key !== "" ? element[key] : undefined;
  return typeof value === "string" ? value : JSON.stringify(element);
}
