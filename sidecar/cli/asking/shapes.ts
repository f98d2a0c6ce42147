// Checks of what an admin port answers, before anybody believes it: the other side may be anything.

type Kind = "string" | "number" | "boolean";
/** Names of fields with their kinds; `?`: it may be missing. */
export type Fields = Readonly<Record<string, Kind | `${Kind}?`>>;

export function hasFields(value: Readonly<Record<string, unknown>>, fields: Fields): boolean {
  return Object.entries(fields).every(([name, kind]) => {
    const given = value[name];
    return kind.endsWith("?") && given === undefined ? true : typeof given === kind.replace("?", "");
  });
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isListOf<T>(value: unknown, isOne: (each: unknown) => each is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isOne);
}
