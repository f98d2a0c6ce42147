// A field that the table calls supported changes what is decoded: every such field is set and left out in a message that
// is otherwise full of values, and the model, or the decoder's problems, must differ. So a row cannot say "supported" of a
// field that no decoder reads. What the program does with the model is for its own tests, and for model-readers.test.ts.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { fromJson, ScalarType, type DescField, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { LayeredRuntimeSchema } from "../../../xds/gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { ClusterSchema } from "../../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../../xds/gen/envoy/config/route/v3/route_pb.ts";
import { decodeCluster } from "../../../xds/decode/cluster.ts";
import { decodeEndpoints } from "../../../xds/decode/endpoints.ts";
import { Findings } from "../../../xds/decode/issues.ts";
import { decodeListener } from "../../../xds/decode/listener.ts";
import { messageTypes } from "../../../xds/decode/registry.ts";
import { decodeRouteConfiguration } from "../../../xds/decode/route.ts";
import { decodeRuntimeLayers } from "../../../xds/decode/runtime.ts";
import { fieldStatus } from "../../../xds/fields.ts";
import { anyTypes, EFFECT_ELSEWHERE, SAMPLES, type Trial } from "./field-samples.ts";

type Json = { [key: string]: JsonValue };

/** One way into a message: the field that leads there, and the message when the field is an Any. */
type Step = { readonly field: DescField; readonly into: DescMessage };

type Root = { readonly desc: DescMessage; decode(json: Json, findings: Findings): unknown };

const OPTIONS = { registry: messageTypes };

const ROOTS: readonly Root[] = [
  {
    desc: ListenerSchema,
    decode: (json, findings) => decodeListener(fromJson(ListenerSchema, json, OPTIONS), "", findings),
  },
  {
    desc: RouteConfigurationSchema,
    decode: (json, findings) =>
      decodeRouteConfiguration(fromJson(RouteConfigurationSchema, json, OPTIONS), "", findings),
  },
  {
    desc: ClusterSchema,
    decode: (json, findings) => decodeCluster(fromJson(ClusterSchema, json, OPTIONS), "", findings),
  },
  {
    desc: ClusterLoadAssignmentSchema,
    decode: (json, findings) =>
      decodeEndpoints(fromJson(ClusterLoadAssignmentSchema, json, OPTIONS), "ip", "", findings),
  },
  {
    desc: LayeredRuntimeSchema,
    decode: (json, findings) => decodeRuntimeLayers(fromJson(LayeredRuntimeSchema, json, OPTIONS), "", findings),
  },
];

/** The messages that a field's value can be; none for scalars and for well-known types, which are values. */
function messagesOf(desc: DescMessage, field: DescField): readonly DescMessage[] {
  const inner = field.message;
  if (inner === undefined) return [];
  if (inner.typeName === AnySchema.typeName) {
    return anyTypes(`${desc.typeName}.${field.name}`).flatMap((name) => messageTypes.getMessage(name) ?? []);
  }
  return inner.typeName.startsWith("google.protobuf.") ? [] : [inner];
}

function isSupported(desc: DescMessage, field: DescField): boolean {
  return fieldStatus(desc.typeName, field.name).kind === "supported";
}

/** The shortest ways from a root to every message below it, breadth first. */
function waysFrom(root: DescMessage): Map<string, readonly Step[]> {
  const ways = new Map<string, readonly Step[]>([[root.typeName, []]]);
  const queue: { desc: DescMessage; way: readonly Step[] }[] = [{ desc: root, way: [] }];
  for (const { desc, way } of queue) {
    for (const field of desc.fields.filter((each) => isSupported(desc, each))) {
      for (const into of messagesOf(desc, field)) {
        if (ways.has(into.typeName)) continue;
        const next = [...way, { field, into }];
        ways.set(into.typeName, next);
        queue.push({ desc: into, way: next });
      }
    }
  }
  return ways;
}

/** What the message at the end of the way gets for the field under test; undefined leaves it out. */
type Focus = { readonly field: DescField; readonly value: JsonValue | undefined };

function trialOf(way: readonly Step[], field: DescField): Trial {
  return { field: `${field.parent.typeName}.${field.name}`, way: way.map(({ into }) => into.typeName) };
}

class Filler {
  readonly #way: readonly Step[];
  readonly #focus: Focus;
  readonly #trial: Trial;
  readonly #on = new Set<string>();

  constructor(way: readonly Step[], focus: Focus) {
    this.#way = way;
    this.#focus = focus;
    this.#trial = trialOf(way, focus.field);
  }

  /** All supported fields of `desc`, one member of each oneof; `depth` counts the steps of the way that are done. */
  message(desc: DescMessage, depth: number): Json {
    const json: Json = {};
    if (this.#on.has(desc.typeName) && depth < 0) return json;
    this.#on.add(desc.typeName);
    const isTarget = depth === this.#way.length;
    const step = this.#way[depth];
    const chosen = isTarget ? this.#focus.field : step?.field;
    for (const field of desc.fields) {
      const isChosen = field === chosen;
      if (!isChosen && (!isSupported(desc, field) || !this.#isFirst(desc, field, chosen))) continue;
      const value = this.#value(desc, field, isChosen, isTarget, depth);
      if (value !== undefined) json[field.name] = value;
    }
    this.#on.delete(desc.typeName);
    return json;
  }

  /** Of a oneof: the chosen member, else the first that is supported. */
  #isFirst(desc: DescMessage, field: DescField, chosen: DescField | undefined): boolean {
    const { oneof } = field;
    if (oneof === undefined) return true;
    if (chosen?.oneof === oneof) return false;
    return oneof.fields.find((each) => isSupported(desc, each) && !this.#isLeftOut(desc, each)) === field;
  }

  #isLeftOut(desc: DescMessage, field: DescField): boolean {
    return SAMPLES[`${desc.typeName}.${field.name}`]?.(this.#trial).length === 0;
  }

  #value(
    desc: DescMessage,
    field: DescField,
    isChosen: boolean,
    isTarget: boolean,
    depth: number,
  ): JsonValue | undefined {
    if (isChosen && isTarget) return this.#focus.value;
    const step = this.#way[depth];
    if (isChosen && step !== undefined) return shaped(field, this.#packed(field, step.into, depth + 1));
    return samples(desc, field, this.#trial, (inner) => this.#packed(field, inner, -1))[0];
  }

  #packed(field: DescField, into: DescMessage, depth: number): Json {
    const json = this.message(into, depth);
    return field.message?.typeName === AnySchema.typeName ? packed(into, json) : json;
  }
}

/** An Any in JSON; well-known types stand under "value". */
function packed(into: DescMessage, json: Json): Json {
  const type = { "@type": `type.googleapis.com/${into.typeName}` };
  return into.typeName.startsWith("google.protobuf.") ? { ...type, value: "x" } : { ...type, ...json };
}

/** One value as the field takes it: alone, in a list, or under a key. */
function shaped(field: DescField, value: JsonValue): JsonValue {
  if (field.fieldKind === "list") return [value];
  return field.fieldKind === "map" ? { key: value } : value;
}

const WELL_KNOWN: Readonly<Record<string, readonly JsonValue[]>> = {
  "google.protobuf.Duration": ["7s", "8s"],
  "google.protobuf.Struct": [{ a: 1 }],
  "google.protobuf.BoolValue": [true, false],
  "google.protobuf.UInt32Value": [7, 8],
  "google.protobuf.UInt64Value": ["7"],
  "google.protobuf.DoubleValue": [7],
  "google.protobuf.StringValue": ["x"],
};

const SCALARS: ReadonlyMap<ScalarType | undefined, readonly JsonValue[]> = new Map([
  [ScalarType.BOOL, [true, false]],
  [ScalarType.STRING, ["x", "y"]],
  [ScalarType.BYTES, ["eHk="]],
]);

/** Values to try: one of them must make a difference, since any other may be the default. */
function samples(
  desc: DescMessage,
  field: DescField,
  trial: Trial,
  fill: (inner: DescMessage) => JsonValue,
): readonly JsonValue[] {
  const special = SAMPLES[`${desc.typeName}.${field.name}`];
  if (special !== undefined) return special(trial);
  return plainSamples(desc, field, fill).map((value) => shaped(field, value));
}

function plainSamples(
  desc: DescMessage,
  field: DescField,
  fill: (inner: DescMessage) => JsonValue,
): readonly JsonValue[] {
  if (field.enum !== undefined) return field.enum.values.map(({ name }) => name).toReversed();
  if (field.message !== undefined) {
    const known = WELL_KNOWN[field.message.typeName];
    return known ?? messagesOf(desc, field).map(fill);
  }
  return SCALARS.get(field.scalar) ?? [7, 8];
}

type Outcome = { readonly model: unknown; readonly issues: unknown };

function decoded(root: Root, way: readonly Step[], focus: Focus): Outcome {
  const findings = new Findings();
  const model = root.decode(new Filler(way, focus).message(root.desc, 0), findings);
  return { model, issues: findings.issues };
}

function hasEffect(root: Root, way: readonly Step[], desc: DescMessage, field: DescField): boolean {
  const without = decoded(root, way, { field, value: undefined });
  const filler = new Filler([], { field, value: undefined });
  const fill = (inner: DescMessage) => {
    const json = filler.message(inner, -1);
    return field.message?.typeName === AnySchema.typeName ? packed(inner, json) : json;
  };
  return samples(desc, field, trialOf(way, field), fill).some(
    (value) => !isDeepStrictEqual(decoded(root, way, { field, value }), without),
  );
}

/** By message: the ways to it from every root. A field needs to have an effect on one of them. */
const ways = Map.groupBy(
  ROOTS.flatMap((root) => [...waysFrom(root.desc)].map(([name, way]) => ({ root, name, way }))),
  ({ name }) => name,
);

suite("a supported field has an effect on what is decoded", () => {
  for (const [name, places] of ways) {
    const desc = places[0]?.way.at(-1)?.into ?? places[0]?.root.desc;
    assert.ok(desc);
    test(name, () => {
      const idle = desc.fields
        .filter((field) => isSupported(desc, field))
        .filter((field) => !places.some(({ root, way }) => hasEffect(root, way, desc, field)))
        .map((field) => `${name}.${field.name}`);
      const excused = Object.keys(EFFECT_ELSEWHERE).filter((field) => field.slice(0, field.lastIndexOf(".")) === name);
      assert.deepEqual(idle, excused);
    });
  }
});
