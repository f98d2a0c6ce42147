// Every message of xds/gen against the descriptors inside the Envoy binary: same fields, numbers, types and oneofs.
// Needs the Envoy binary; skipped without.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  type DescriptorProto,
  type FieldDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { messageTypes } from "../../../xds/decode/registry.ts";
import { ENVOY_MISSING, findEnvoy } from "../../support/envoy-binary.ts";
import { readEnvoyMessages } from "../../support/envoy-descriptors.ts";

/** Messages whose fields are left out on purpose: every field that has them is refused. */
const EMPTY_ON_PURPOSE: ReadonlySet<string> = new Set([
  "envoy.config.core.v3.Http3ProtocolOptions",
  "envoy.config.core.v3.QuicProtocolOptions",
  "envoy.config.listener.v3.ApiListener",
  "envoy.config.listener.v3.UdpListenerConfig",
]);

/** Messages of two names and one shape: a field of the one is declared as the other, and read alike. */
const SAME_SHAPE: ReadonlyMap<string, string> = new Map([
  ["envoy.config.common.matcher.v3.Matcher", "xds.type.matcher.v3.Matcher"],
]);

/** Packages of Istio, which Envoy lacks. */
const NOT_ENVOYS = /^(?:io\.istio|stats)\./;

function allMessages(): Map<string, DescMessage> {
  const found = new Map<string, DescMessage>();
  const visit = (desc: DescMessage) => {
    if (found.has(desc.typeName) || desc.typeName.startsWith("google.protobuf.")) return;
    found.set(desc.typeName, desc);
    for (const field of desc.fields) if (field.message !== undefined) visit(field.message);
  };
  for (const type of messageTypes) if (type.kind === "message") visit(type);
  return found;
}

function ourField(field: DescField): string {
  const kind = field.fieldKind === "map" ? "list" : field.fieldKind === "list" ? "list" : "single";
  const type =
    field.fieldKind === "map"
      ? "map"
      : (field.message?.typeName ?? field.enum?.typeName ?? ScalarType[field.scalar ?? 0]);
  return `${field.name}=${field.number} ${kind} ${type} ${field.oneof?.name ?? ""}`;
}

function envoyField(field: FieldDescriptorProto, message: DescriptorProto): string {
  const kind = field.label === Label.REPEATED ? "list" : "single";
  const entry = message.nestedType.find(({ name }) => field.typeName.endsWith(`.${message.name}.${name}`));
  const typeName = field.typeName.slice(1);
  const named = entry?.options?.mapEntry === true ? "map" : (SAME_SHAPE.get(typeName) ?? typeName);
  const type = field.typeName === "" ? Type[field.type] : named;
  const oneof =
    Object.hasOwn(field, "oneofIndex") && !field.proto3Optional ? message.oneofDecl[field.oneofIndex]?.name : "";
  return `${field.name}=${field.number} ${kind} ${type} ${oneof ?? ""}`;
}

/** The fields of a message and of those declared inside it, by number and kind; types from elsewhere by their last name. */
function shapeOf(
  messages: ReadonlyMap<string, DescriptorProto>,
  root: string,
  name = root,
  above: readonly string[] = [],
): unknown {
  const inside = (typeName: string): unknown => {
    const isOwn = typeName.startsWith(`${root}.`) && !above.includes(typeName);
    return isOwn ? shapeOf(messages, root, typeName, [...above, typeName]) : typeName.split(".").at(-1);
  };
  const fields = messages.get(name)?.field;
  return fields?.map(({ number, label, type, typeName }) => [number, label, type, inside(typeName.slice(1))]);
}

const envoy = findEnvoy();

test(
  "xds/proto has the fields, numbers and types of Envoy's own descriptors",
  { skip: envoy === undefined ? ENVOY_MISSING : false },
  () => {
    const theirs = readEnvoyMessages(envoy ?? "");
    const ours = allMessages();
    assert.ok(ours.size > 400, `only ${ours.size} messages`);
    for (const [name, desc] of ours) {
      if (EMPTY_ON_PURPOSE.has(name) || NOT_ENVOYS.test(name)) continue;
      const message = theirs.get(name);
      assert.ok(message, `Envoy has no message ${name}`);
      const expected = message.field.map((field) => envoyField(field, message)).toSorted();
      assert.deepEqual(desc.fields.map(ourField).toSorted(), expected, name);
    }
    for (const [one, other] of SAME_SHAPE) assert.deepEqual(shapeOf(theirs, one), shapeOf(theirs, other));
  },
);
