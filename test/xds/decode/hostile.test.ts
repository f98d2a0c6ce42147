// Hostile input: whatever bytes, YAML or message shapes arrive, decoding answers with a result and never throws, and what
// one wire form says, another says as well.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  create,
  fromBinary,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import fc from "fast-check";
import { loadBootstrap } from "../../../xds/decode/bootstrap-file.ts";
import { anyToJson } from "../../../xds/decode/resource-json.ts";
import { messageTypes } from "../../../xds/decode/registry.ts";
import { decodeResource, RESOURCE_TYPES, resourceName } from "../../../xds/decode/resource.ts";
import { typeNameOf } from "../../../xds/decode/any.ts";
import { CORPUS } from "./corpus.ts";

const types = fc.constantFrom(...RESOURCE_TYPES);

test("decodeResource() never throws on random bytes", () => {
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 200 }), (typeUrl, bytes) => {
      decodeResource(typeUrl, bytes);
      resourceName(typeUrl, bytes);
      anyToJson(typeUrl, bytes);
    }),
    { numRuns: 2000 },
  );
});

/** A message of any shape: each field is set or not, to values that are often the odd ones. */
function randomMessage(desc: DescMessage, pick: () => number, depth: number): Message {
  const message = create(desc);
  const view = reflect(desc, message);
  for (const field of desc.fields) {
    if (pick() % (depth + 2) !== 0) continue;
    const value = randomValue(field, pick, depth);
    if (value === undefined) continue;
    if (field.fieldKind === "list") view.get(field).add(value);
    else if (field.fieldKind === "map") view.get(field).set("key", value);
    else view.set(field, value);
  }
  return message;
}

const STRINGS = ["", "a", "*", "127.0.0.1", "(", "\\9", "%", "envoy.wasm.runtime.v8", "x".repeat(300), "\u0000", "é"];

function randomValue(field: DescField, pick: () => number, depth: number): unknown {
  if (field.enum !== undefined)
    return pick() % 3 === 0 ? 999 : (field.enum.values[pick() % field.enum.values.length]?.number ?? 0);
  if (field.message !== undefined) {
    if (depth > 6) return undefined;
    if (field.message.typeName === "google.protobuf.Any") return randomAny(pick, depth);
    return reflect(field.message, randomMessage(field.message, pick, depth + 1));
  }
  const number = [0, 1, 2, 99, 65_535, 65_536, 4_294_967_295][pick() % 7] ?? 0;
  const zero = typeof reflectZero(field);
  if (zero === "string") return STRINGS[pick() % STRINGS.length];
  if (zero === "boolean") return pick() % 2 === 0;
  if (zero === "bigint") return BigInt(number);
  if (zero === "number") return number > 2_147_483_647 && field.scalar === ScalarType.INT32 ? 1 : number;
  return new Uint8Array([1, 2, 3]);
}

function reflectZero(field: DescField): unknown {
  const holder = reflect(field.parent, create(field.parent));
  return field.fieldKind === "scalar" ? holder.get(field) : field.scalar === ScalarType.STRING ? "" : 0;
}

const MESSAGES = [...messageTypes].filter((type) => type.kind === "message");

function randomAny(pick: () => number, depth: number): unknown {
  const desc = MESSAGES[pick() % MESSAGES.length];
  const any = messageTypes.getMessage("google.protobuf.Any");
  if (desc === undefined || any === undefined) return undefined;
  const view = reflect(any, create(any));
  const [typeUrl, value] = any.fields;
  if (typeUrl === undefined || value === undefined) return undefined;
  view.set(typeUrl, `type.googleapis.com/${pick() % 5 === 0 ? "made.Up" : desc.typeName}`);
  view.set(value, toBinary(desc, randomMessage(desc, pick, depth + 2)));
  return view;
}

test("decodeResource() never throws on messages of any shape, and says the same of the same bytes", () => {
  fc.assert(
    fc.property(types, fc.array(fc.nat({ max: 5039 }), { minLength: 20, maxLength: 400 }), (typeUrl, picks) => {
      let next = 0;
      const pick = () => picks[next++ % picks.length] ?? 0;
      const desc = messageTypes.getMessage(typeNameOf(typeUrl));
      assert.ok(desc);
      // A cycle in the picks could build for ever; each message stops after so many.
      const bounded = () => (next > 3000 ? 1 : pick());
      const bytes = toBinary(desc, randomMessage(desc, bounded, 0));
      const first = decodeResource(typeUrl, bytes);
      assert.deepEqual(decodeResource(typeUrl, toBinary(desc, fromBinary(desc, bytes))), first);
      anyToJson(typeUrl, bytes);
    }),
    { numRuns: 300 },
  );
});

test("loadBootstrap() never throws on damaged YAML, and every issue has a place", () => {
  const sources = CORPUS.map(({ yaml }) => yaml);
  fc.assert(
    fc.property(
      fc.constantFrom(...sources),
      fc.nat(),
      fc.string({ maxLength: 8 }),
      fc.nat({ max: 5 }),
      (yaml, at, text, cut) => {
        const index = at % (yaml.length + 1);
        const loaded = loadBootstrap({ path: "b.yaml", text: yaml.slice(0, index) + text + yaml.slice(index + cut) });
        if (loaded.ok) return;
        assert.ok(loaded.issues.length > 0);
        for (const issue of loaded.issues) assert.equal(issue.file, "b.yaml");
      },
    ),
    { numRuns: 700 },
  );
});
