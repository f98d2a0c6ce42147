// Properties in a test: what the test says, and what follows from the stream itself (request.path, response.code …).
// Paths are written with dots, "\." being a dot inside a segment: "xds.node.metadata", "filter_state.a\.b".

import type { HeaderList } from "../header-list.ts";
import type { PropertyValue } from "../property-value.ts";
import type { MessagePass } from "./message-pass.ts";

/** A whole number becomes an int, another one a double, an object a map, an array a list, null "has no value". */
export type PropertyInput =
  | PropertyValue
  | number
  | bigint
  | null
  | readonly PropertyInput[]
  | { readonly [name: string]: PropertyInput };

export type PropertiesInput = Readonly<Record<string, PropertyInput>>;

/** "a.b\.c" as the segments that guests send, joined by NUL. */
export function propertyPath(dotted: string): string {
  return dotted
    .split(/(?<!\\)\./)
    .map((segment) => segment.replaceAll("\\.", "."))
    .join("\0");
}

export function propertyTable(init: PropertiesInput = {}): Map<string, PropertyValue | null> {
  return new Map(Object.entries(init).map(([path, value]) => [propertyPath(path), propertyValue(value)]));
}

export function propertyValue(init: PropertyInput): PropertyValue | null {
  if (init === null) return null;
  if (typeof init === "boolean" || init instanceof Uint8Array) return init;
  if (typeof init === "string") return Buffer.from(init, "utf8").toString("latin1");
  if (typeof init === "bigint") return { kind: "int", value: init };
  if (typeof init === "number") return { kind: Number.isInteger(init) ? "int" : "double", value: init };
  if (isList(init)) return { kind: "list", items: init.flatMap((item) => propertyValue(item) ?? []) };
  if (isTyped(init)) return init;
  const entries: [string, PropertyValue][] = [];
  for (const [name, item] of Object.entries(init)) {
    const value = propertyValue(item);
    if (value !== null) entries.push([name, value]);
  }
  return { kind: "map", entries };
}

function isList(init: object): init is readonly PropertyInput[] {
  return Array.isArray(init);
}

const KINDS: ReadonlySet<unknown> = new Set(["int", "double", "duration", "timestamp", "map", "list"]);

function isTyped(init: object): init is Extract<PropertyValue, { readonly kind: string }> {
  return "kind" in init && KINDS.has(init.kind);
}

/** As in the sidecar: what the plugins of one stream may store on it. */
const MAX_PROPERTIES = 256;
const MAX_PROPERTY_BYTES = 64 * 1024;

/** The properties of one stream or connection: given by the test, stored by the plugin, or told by the stream itself. */
export class StreamProperties {
  readonly #given: ReadonlyMap<string, PropertyValue | null>;
  readonly #stored = new Map<string, Uint8Array>();
  readonly #own: (segments: readonly string[]) => PropertyValue | undefined;

  constructor(given: PropertiesInput, own: (segments: readonly string[]) => PropertyValue | undefined) {
    this.#given = propertyTable(given);
    this.#own = own;
  }

  get(path: string, segments: readonly string[]): PropertyValue | null | undefined {
    const given = this.#given.get(path);
    return given === undefined ? (this.#stored.get(path) ?? this.#own(segments)) : given;
  }

  /** False when there is no room, or when it is not the plugin's to set. */
  set(path: string, value: Uint8Array): boolean {
    const isFull = this.#stored.size >= MAX_PROPERTIES && !this.#stored.has(path);
    const isOwn = this.#given.has(path) || this.#own(path.split("\0")) !== undefined;
    if (isFull || isOwn || value.length > MAX_PROPERTY_BYTES) return false;
    this.#stored.set(path, value);
    return true;
  }

  /** What was stored under a dotted path. */
  stored(path: string): Buffer | undefined {
    const bytes = this.#stored.get(propertyPath(path));
    return bytes === undefined ? undefined : Buffer.from(bytes);
  }
}

/** What the two messages of a stream say by themselves; undefined for anything else. */
export function messageProperty(
  request: MessagePass,
  response: MessagePass,
  segments: readonly string[],
): PropertyValue | undefined {
  const [part, name, field] = segments;
  if (part !== "request" && part !== "response") return undefined;
  const message = part === "request" ? request : response;
  const { headers } = message;
  if (headers === undefined) return undefined;
  if (name === "headers") return segments.length === 2 ? mapOf(headers) : headers.get((field ?? "").toLowerCase());
  if (name === "size") return { kind: "int", value: message.passedBody.length };
  return part === "request" ? requestProperty(headers, name) : responseProperty(headers, name);
}

/** Properties that are a header of the request. */
const REQUEST_HEADERS: Readonly<Record<string, string>> = {
  path: ":path",
  host: ":authority",
  scheme: ":scheme",
  method: ":method",
  id: "x-request-id",
  referer: "referer",
  useragent: "user-agent",
};

function requestProperty(headers: HeaderList, name = ""): PropertyValue | undefined {
  const header = REQUEST_HEADERS[name];
  if (header !== undefined) return headers.get(header);
  if (name === "protocol") return "HTTP/1.1";
  const [path, query = ""] = (headers.get(":path") ?? "").split(/\?(.*)/s);
  if (name === "url_path") return path;
  return name === "query" ? query : undefined;
}

function responseProperty(headers: HeaderList, name: string | undefined): PropertyValue | undefined {
  const status = headers.get(":status");
  return name === "code" && status !== undefined ? { kind: "int", value: Number(status) } : undefined;
}

function mapOf(headers: HeaderList): PropertyValue {
  const entries = Array.from({ length: headers.size }, (_, i): [string, string] => [
    headers.nameAt(i),
    headers.valueAt(i),
  ]);
  return { kind: "map", entries };
}
