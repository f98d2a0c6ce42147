import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary, type DescEnum, type DescFile, type DescMessage } from "@bufbuild/protobuf";
import { fileDesc as runtimeFileDesc, type GenFile } from "@bufbuild/protobuf/codegenv2";
import { fileDesc, messageDesc } from "../../../xds/descriptors/lazy-file.ts";
import { importsOf } from "../../support/source-imports.ts";
import { PercentSchema } from "../../../xds/gen/envoy/type/v3/percent_pb.ts";

const GEN = join(import.meta.dirname, "../../../xds/gen");
const FILE = /export const (file_\w+)(?:: GenFile)? = .*\s*fileDesc\("([^"]*)"(?:, \[([^\]]*)\])?\);/;
/** Of the runtime's own, those that a packed sidecar reads so too (deploy/npm/bundle.ts). */
const WELL_KNOWN = ["any", "duration", "empty", "struct", "timestamp", "wrappers"].map((name) =>
  fileURLToPath(import.meta.resolve("@bufbuild/protobuf/wkt").replace(/[^/]*$/, `google/protobuf/${name}_pb.js`)),
);

const GENERATED = new Map(
  [...globSync(join(GEN, "**/*_pb.ts")), ...WELL_KNOWN].map((path) => {
    const [, name = "", base64 = "", imports = ""] = FILE.exec(readFileSync(path, "utf8")) ?? [];
    return [name, { name, base64, imports: imports.split(/,\s*/).filter((each) => each !== "") }] as const;
  }),
);

/** All of the generated files, made by either function. */
function allWith(make: (base64: string, imports: DescFile[]) => DescFile): Map<string, DescFile> {
  const made = new Map<string, DescFile>();
  const get = (name: string): DescFile => {
    const known = made.get(name);
    if (known !== undefined) {
      return known;
    }
    const { base64, imports } = GENERATED.get(name) ?? assert.fail(`no file ${name}`);
    const file = make(base64, imports.map(get));
    made.set(name, file);
    return file;
  };
  [...GENERATED.keys()].forEach(get);
  return made;
}

/** What the runtime reads of a type, without its messages about itself; other types by their names. */
function outline(type: DescMessage | DescEnum): unknown {
  const { kind, typeName, name, deprecated, file, parent } = type;
  const common = { kind, typeName, name, deprecated, file: file.name, parent: parent?.typeName, text: String(type) };
  if (type.kind === "enum") {
    const { open, sharedPrefix } = type;
    const values = type.values.map((value) => ({
      kind: value.kind,
      name: value.name,
      localName: value.localName,
      jsonName: value.jsonName,
      number: value.number,
      deprecated: value.deprecated,
      parent: value.parent.typeName,
      text: String(value),
    }));
    const value = Object.entries(type.value).map(([number, { name: first }]) => [number, first]);
    return { ...common, open, sharedPrefix, values, value };
  }
  return {
    ...common,
    nestedEnums: type.nestedEnums.map(outline),
    nestedMessages: type.nestedMessages.map(outline),
    nestedExtensions: type.nestedExtensions,
    members: type.members.map(({ localName }) => localName),
    field: Object.entries(type.field).map(([localName, field]) => [localName, type.fields.indexOf(field)]),
    oneofs: type.oneofs.map((oneof) => ({
      kind: oneof.kind,
      name: oneof.name,
      localName: oneof.localName,
      deprecated: oneof.deprecated,
      parent: oneof.parent.typeName,
      text: String(oneof),
      fields: oneof.fields.map((field) => field.name),
    })),
    fields: type.fields.map((field) => {
      const facts = ["kind", "name", "number", "localName", "jsonName", "presence", "utf8Validation", "fieldKind"];
      const more = ["scalar", "listKind", "mapKind", "mapKey", "delimitedEncoding", "packed", "longAsString"];
      const read = field as unknown as Record<string, unknown>;
      return {
        ...Object.fromEntries([...facts, ...more].map((key) => [key, read[key]])),
        parent: field.parent.typeName,
        oneof: field.oneof?.name,
        message: field.message?.typeName,
        enum: field.enum?.typeName,
        text: String(field),
        default: "getDefaultValue" in field ? field.getDefaultValue?.() : undefined,
      };
    }),
  };
}

it("what describes messages imports nothing of the runtime, which in the joined program imports it", () => {
  const files = new Set(["xds/descriptors/lazy-file.ts"]);
  const packages = new Set<string>();
  for (const file of files) {
    for (const { to, isTypeOnly } of importsOf(file)) {
      if (isTypeOnly) continue;
      (to.endsWith(".ts") ? files : packages).add(to);
    }
  }
  assert.deepEqual([...packages], []);
  assert.ok(files.size > 4);
});

describe("fileDesc()", () => {
  const files: Record<"lazy" | "runtime", Map<string, DescFile>> = { lazy: new Map(), runtime: new Map() };
  before(() => {
    files.lazy = allWith((base64, imports) => fileDesc(base64, imports as GenFile[]));
    files.runtime = allWith((base64, imports) => runtimeFileDesc(base64, imports));
  });

  it("says of every generated file what the runtime's own says", () => {
    assert.ok(GENERATED.size > 100, `${GENERATED.size} files`);
    for (const name of GENERATED.keys()) {
      const [lazy, runtime] = [files.lazy.get(name), files.runtime.get(name)];
      assert.ok(lazy !== undefined && runtime !== undefined);
      const of = (file: DescFile): unknown => ({
        kind: file.kind,
        name: file.name,
        edition: file.edition,
        deprecated: file.deprecated,
        text: String(file),
        extensions: file.extensions,
        services: file.services,
        dependencies: file.dependencies.map((each) => each.name),
        enums: file.enums.map(outline),
        messages: file.messages.map(outline),
      });
      assert.deepEqual(of(lazy), of(runtime));
    }
  });

  it("gives a field's type as the very message that generated code exports", () => {
    const file = files.lazy.get("file_envoy_config_core_v3_address") ?? assert.fail();
    const address = file.messages.find(({ name }) => name === "Address") ?? assert.fail();
    const socketAddress = file.messages.find(({ name }) => name === "SocketAddress");
    assert.equal(address.field["socketAddress"]?.message, socketAddress);
    assert.equal(messageDesc(file as GenFile, file.messages.indexOf(address)) as unknown, address);
  });

  it("does not read a file before it is asked", () => {
    const file = fileDesc("not a descriptor");
    const message = messageDesc(file, 0);
    assert.throws(() => message.typeName);
  });

  it("refuses what is not proto3", () => {
    const name = "a.proto";
    const bytes = Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]);
    assert.throws(() => fileDesc(bytes.toString("base64")).messages, /a\.proto is not of syntax proto3/);
  });
});

it("messages of generated code go through bytes and back", () => {
  const percent = create(PercentSchema, { value: 12.5 });
  assert.deepEqual(fromBinary(PercentSchema, toBinary(PercentSchema, percent)), percent);
});
