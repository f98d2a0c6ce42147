// YAML nodes → proto3 JSON, checked against a message descriptor on the way: unknown fields, wrong types, bad enum names,
// a oneof set twice, unknown "@type". Finds every problem with its position, where fromJson() would stop at the first.
// Called by bootstrap-file.ts and resources-file.ts. Source: the proto3 JSON mapping; both field-name forms are taken.

import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { child, item } from "./issues.ts";
import { isSpecialMessage, specialJson } from "./json-special.ts";
import { scalarJson } from "./json-scalar.ts";
import { messageTypes } from "./registry.ts";
import { nearestName } from "./nearest-name.ts";
import { typeNameOf } from "./any.ts";
import {
  describe,
  plainJson,
  type LocatedIssue,
  type YamlEntry,
  type YamlFile,
  type YamlValue,
} from "./yaml-document.ts";

/** Any fields in which a type that outrigger lacks is kept for the decoders to judge (wrapped as a TypedStruct). */
const EXTENSION_FIELDS: ReadonlySet<string> = new Set([
  "typed_config",
  "typed_per_filter_config",
  "typed_extension_protocol_options",
  "default_config",
  "config",
]);

export interface ConfigJson {
  /** Undefined when nothing can be made of the node at all. */
  readonly json: JsonValue | undefined;
  readonly issues: readonly LocatedIssue[];
  /** Unknown fields that `allowUnknownFields` let pass. */
  readonly ignored: readonly LocatedIssue[];
}

/** Converts `value` to the JSON form of `desc`; the JSON is only meaningful when there are no issues. */
export function configJson(
  file: YamlFile,
  value: YamlValue,
  desc: DescMessage,
  path: string,
  allowUnknownFields: boolean,
): ConfigJson {
  const conversion = new Conversion(file, allowUnknownFields);
  const json = conversion.message(value, desc, path);
  return { json, issues: conversion.issues, ignored: conversion.ignored };
}

class Conversion {
  readonly issues: LocatedIssue[] = [];
  readonly ignored: LocatedIssue[] = [];
  readonly #file: YamlFile;
  readonly #allowUnknown: boolean;

  constructor(file: YamlFile, allowUnknown: boolean) {
    this.#file = file;
    this.#allowUnknown = allowUnknown;
  }

  #located(offset: number, path: string, problem: string): LocatedIssue {
    return { file: this.#file.file, ...this.#file.position(offset), path, problem };
  }

  #issue(offset: number, path: string, problem: string): undefined {
    this.issues.push(this.#located(offset, path, problem));
    return undefined;
  }

  message(value: YamlValue, desc: DescMessage, path: string, isExtension = false): JsonValue | undefined {
    if (desc.typeName === "google.protobuf.Any") return this.#any(value, path, isExtension);
    if (isSpecialMessage(desc)) {
      return specialJson(value, desc, (offset, problem) => this.#issue(offset, path, problem));
    }
    if (value.kind !== "map") {
      return this.#issue(value.offset, path, `must be a map of the fields of ${desc.typeName}, not ${describe(value)}`);
    }
    return this.#fields(value.entries, desc, path);
  }

  #fields(entries: readonly YamlEntry[], desc: DescMessage, path: string): JsonObject {
    const json: JsonObject = {};
    const set = new Map<string, string>();
    for (const entry of entries) {
      const field = findField(desc, entry.key);
      if (field === undefined) {
        this.#unknownField(entry, desc, path);
        continue;
      }
      if (entry.value.kind === "scalar" && entry.value.value === null && !takesNull(field)) continue;
      const fieldPath = child(path, field.name);
      const slot = field.oneof?.name ?? field.name;
      const other = set.get(slot);
      if (other !== undefined) {
        const problem = other === field.name ? "is given twice" : `cannot be set together with ${other}`;
        this.#issue(entry.offset, fieldPath, problem);
        continue;
      }
      set.set(slot, field.name);
      const value = this.#field(entry.value, field, fieldPath);
      if (value !== undefined) json[field.jsonName] = value;
    }
    return json;
  }

  #unknownField(entry: YamlEntry, desc: DescMessage, path: string): void {
    const names = desc.fields.map((field) => field.name);
    const nearest = nearestName(entry.key, names);
    const hint =
      nearest !== undefined
        ? `; did you mean ${nearest}?`
        : names.length > 0 && names.length <= 15
          ? `; its fields are ${names.join(", ")}`
          : "";
    const issue = this.#located(entry.offset, child(path, entry.key), `unknown field of ${desc.typeName}${hint}`);
    if (this.#allowUnknown) this.ignored.push(issue);
    else this.issues.push(issue);
  }

  #field(value: YamlValue, field: DescField, path: string): JsonValue | undefined {
    switch (field.fieldKind) {
      case "list": {
        // One value without a list around it is a list of one, as Envoy reads it; go-control-plane's samples have such.
        const items = value.kind === "list" ? value.items : [value];
        // A message that cannot be read leaves an empty one, so that the indices of the others stay.
        const missing: JsonValue[] = field.message === undefined ? [] : [{}];
        return items.flatMap((entry, index) => this.#single(entry, field, item(path, index)) ?? missing);
      }
      case "map": {
        if (value.kind !== "map") return this.#issue(value.offset, path, `must be a map, not ${describe(value)}`);
        const json: JsonObject = {};
        for (const entry of value.entries) {
          const converted = this.#single(entry.value, field, item(path, entry.key));
          if (converted !== undefined) json[entry.key] = converted;
        }
        return json;
      }
      case "message":
      case "scalar":
      case "enum":
        return this.#single(value, field, path);
    }
  }

  /** One value of the field: the field itself, or one entry of its list or map. */
  #single(value: YamlValue, field: DescField, path: string): JsonValue | undefined {
    if (field.message !== undefined) return this.message(value, field.message, path, EXTENSION_FIELDS.has(field.name));
    return scalarJson(value, field, (offset, problem) => this.#issue(offset, path, problem));
  }

  #any(value: YamlValue, path: string, isExtension: boolean): JsonValue | undefined {
    if (value.kind !== "map")
      return this.#issue(value.offset, path, `must be a map with "@type", not ${describe(value)}`);
    const typeEntry = value.entries.find(({ key }) => key === "@type");
    if (typeEntry === undefined) {
      if (value.entries.length === 0) return {};
      return this.#issue(value.offset, path, 'needs "@type", such as type.googleapis.com/google.protobuf.StringValue');
    }
    const typeUrl = typeEntry.value.kind === "scalar" ? String(typeEntry.value.value) : "";
    const typeName = typeNameOf(typeUrl);
    const rest = value.entries.filter((entry) => entry !== typeEntry);
    const desc = messageTypes.getMessage(typeName);
    if (desc === undefined) return this.#unknownType(typeUrl, rest, typeEntry, path, isExtension);
    if (!typeUrl.includes("/")) {
      return this.#issue(typeEntry.value.offset, child(path, "@type"), `must be type.googleapis.com/${typeName}`);
    }
    if (!isSpecialMessage(desc) && desc.typeName !== "google.protobuf.Any") {
      return { "@type": typeUrl, ...this.#fields(rest, desc, path) };
    }
    const inner = rest.find(({ key }) => key === "value");
    const others = rest.filter((entry) => entry !== inner);
    for (const entry of others) {
      this.#issue(entry.offset, child(path, entry.key), `unknown field; the content of ${typeName} stands under value`);
    }
    if (inner === undefined) return this.#issue(typeEntry.offset, path, `needs value, the content of ${typeName}`);
    return { "@type": typeUrl, value: this.message(inner.value, desc, child(path, "value")) ?? null };
  }

  #unknownType(
    typeUrl: string,
    rest: readonly YamlEntry[],
    typeEntry: YamlEntry,
    path: string,
    isExtension: boolean,
  ): JsonValue | undefined {
    if (isExtension && typeUrl.includes("/")) {
      const value = Object.fromEntries(rest.map((entry) => [entry.key, plainJson(entry.value)]));
      return { "@type": "type.googleapis.com/xds.type.v3.TypedStruct", typeUrl, value };
    }
    const names = [...messageTypes].filter((type) => type.kind === "message").map((type) => type.typeName);
    const nearest = nearestName(typeNameOf(typeUrl), names);
    const hint = nearest === undefined ? "" : `; did you mean type.googleapis.com/${nearest}?`;
    return this.#issue(typeEntry.value.offset, child(path, "@type"), `unknown type ${JSON.stringify(typeUrl)}${hint}`);
  }
}

function findField(desc: DescMessage, key: string): DescField | undefined {
  return desc.fields.find((field) => field.name === key || field.jsonName === key);
}

/** null is a value for google.protobuf.Value only; elsewhere it means "not set". */
function takesNull(field: DescField): boolean {
  return field.message?.typeName === "google.protobuf.Value";
}
