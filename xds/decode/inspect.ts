// Walks one protobuf message, generically, before it is decoded: unknown fields, Envoy's value constraints, and the table
// of fields that are accepted without effect or refused. Descends into every Any whose type is known, except a plugin's
// own configuration. Called by resource.ts and bootstrap.ts. Bounded by the message's size and MAX_DEPTH.

import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { DataSourceSchema, type DataSource } from "../gen/envoy/config/core/v3/base_pb.ts";
import { fieldStatus, type FieldStatus } from "../fields.ts";
import { unpackAny } from "./any.ts";
import {
  hasImplicitValue,
  listProblem,
  valueProblem,
  zeroValue,
  type Constraint,
  type Constraints,
} from "./constraint.ts";
import { CORE_CONSTRAINTS } from "./constraints/core.ts";
import { EXTENSIONS_CONSTRAINTS } from "./constraints/extensions.ts";
import { RESOURCES_CONSTRAINTS } from "./constraints/resources.ts";
import { ROUTE_CONSTRAINTS } from "./constraints/route.ts";
import { child, item, type Findings } from "./issues.ts";

/** What to do with a field number that the descriptors do not have. */
export type UnknownFieldPolicy = "refuse" | "warn" | "ignore";

export const CONSTRAINTS: Constraints = {
  ...CORE_CONSTRAINTS,
  ...ROUTE_CONSTRAINTS,
  ...RESOURCES_CONSTRAINTS,
  ...EXTENSIONS_CONSTRAINTS,
};

/** Nested messages deeper than this are refused; protobuf parsers stop at 100 as well. */
const MAX_DEPTH = 100;

/** Anys that belong to somebody else: a plugin's configuration, and metadata for filters. Their content is not ours to judge. */
const OPAQUE_ANY_FIELDS: ReadonlySet<string> = new Set([
  "envoy.extensions.wasm.v3.PluginConfig.configuration",
  "envoy.extensions.wasm.v3.VmConfig.configuration",
  "envoy.config.core.v3.Metadata.typed_filter_metadata",
]);

interface FieldPlan {
  readonly field: DescField;
  readonly rule: Constraint | undefined;
  readonly status: FieldStatus;
  readonly fullName: string;
  readonly isOpaqueAny: boolean;
}

interface MessagePlan {
  readonly fields: readonly FieldPlan[];
  readonly requiredOneofs: readonly { readonly name: string; readonly localName: string; readonly members: string }[];
}

type Fields = Readonly<Record<string, unknown>>;
type OneofValue = { readonly case: string | undefined; readonly value?: unknown };

const plans = new Map<string, MessagePlan>();

/** Adds everything that is wrong with `message`, and everything that is accepted without effect, to `findings`. */
export function inspectMessage(
  desc: DescMessage,
  message: Message,
  path: string,
  findings: Findings,
  unknownFields: UnknownFieldPolicy,
): void {
  new Inspection(findings, unknownFields).message(desc, message, path, 0, false);
}

class Inspection {
  readonly #findings: Findings;
  readonly #unknownFields: UnknownFieldPolicy;

  constructor(findings: Findings, unknownFields: UnknownFieldPolicy) {
    this.#findings = findings;
    this.#unknownFields = unknownFields;
  }

  /** `isIgnored`: inside a field without effect, where only Envoy's own constraints count. */
  message(desc: DescMessage, message: Message, path: string, depth: number, isIgnored: boolean): void {
    if (depth > MAX_DEPTH) {
      this.#findings.issue(path, `is nested deeper than ${MAX_DEPTH} messages`);
      return;
    }
    this.#unknown(desc, message, path);
    if (desc.typeName === DataSourceSchema.typeName && !isIgnored) this.#namedFile(message as DataSource, path);
    const plan = planOf(desc);
    const fields = message as unknown as Fields;
    for (const oneof of plan.requiredOneofs) {
      if ((fields[oneof.localName] as OneofValue).case === undefined) {
        this.#findings.issue(path, `no ${oneof.name} set, one of ${oneof.members} is needed`);
      }
    }
    for (const field of plan.fields) this.#field(field, fields, path, depth, isIgnored);
  }

  #namedFile(message: DataSource, path: string): void {
    if (message.specifier.case !== "filename") return;
    // A token (FileBasedMetadataConfig) is read for each stream, and may come after the start.
    if (path.endsWith(".secret_data")) return;
    this.#findings.files.push({ kind: "data", path: child(path, "filename"), name: message.specifier.value });
  }

  #unknown(desc: DescMessage, message: Message, path: string): void {
    const unknown = message.$unknown;
    if (unknown === undefined || this.#unknownFields === "ignore") return;
    for (const { no } of unknown) {
      const problem = `unknown field number ${no} of ${desc.typeName}`;
      if (this.#unknownFields === "refuse") this.#findings.issue(path, problem);
      else this.#findings.warn("unknown_field", path, `${desc.typeName}#${no}`, problem);
    }
  }

  #field(plan: FieldPlan, fields: Fields, parent: string, depth: number, isInIgnored: boolean): void {
    const { field, rule, status } = plan;
    const value = setValue(field, fields);
    if (value === undefined) {
      if (rule === undefined) return;
      const path = child(parent, field.name);
      if (rule.required === true && field.oneof === undefined) this.#findings.issue(path, "is required");
      else if (hasImplicitValue(field)) this.#value(field, zeroValue(field), rule, path);
      else if (field.fieldKind === "list" || field.fieldKind === "map") this.#list(field, [], rule, path);
      return;
    }
    const path = child(parent, field.name);
    let isIgnored = isInIgnored;
    if (!isIgnored && !isDefault(field, value)) {
      if (status.kind === "refused") {
        this.#findings.issue(path, `is refused: ${status.reason}`);
        return;
      }
      if (status.kind === "accepted") {
        this.#findings.warn("no_effect", path, plan.fullName, `accepted without effect: ${status.reason}`);
        isIgnored = true;
      }
    }
    this.#set(plan, value, path, depth, isIgnored);
  }

  #set(plan: FieldPlan, value: unknown, path: string, depth: number, isIgnored: boolean): void {
    const { field, rule } = plan;
    if (field.fieldKind === "list") {
      const list = value as readonly unknown[];
      if (rule !== undefined) this.#list(field, list, rule, path);
      for (const [index, entry] of list.entries()) this.#nested(plan, entry, item(path, index), depth, isIgnored);
    } else if (field.fieldKind === "map") {
      for (const [key, entry] of Object.entries(value as Fields)) {
        if (rule?.keys?.minLen === 1 && key === "") this.#findings.issue(path, "has an empty key");
        this.#nested(plan, entry, item(path, key), depth, isIgnored);
      }
    } else {
      if (rule !== undefined || isDuration(field)) this.#value(field, value, rule ?? {}, path);
      this.#nested(plan, value, path, depth, isIgnored);
    }
  }

  #list(field: DescField, list: readonly unknown[], rule: Constraint, path: string): void {
    const problem = listProblem(list, rule);
    if (problem !== undefined) this.#findings.issue(path, problem);
    if (rule.items === undefined) return;
    for (const [index, entry] of list.entries()) this.#value(field, entry, rule.items, item(path, index));
  }

  #value(field: DescField, value: unknown, rule: Constraint, path: string): void {
    const problem = valueProblem(field, value, rule);
    if (problem !== undefined) this.#findings.issue(path, problem);
  }

  #nested(plan: FieldPlan, value: unknown, path: string, depth: number, isIgnored: boolean): void {
    const desc = plan.field.message;
    if (desc === undefined || !isMessage(value)) return;
    if (desc.typeName !== "google.protobuf.Any") {
      if (!desc.typeName.startsWith("google.protobuf.")) this.message(desc, value, path, depth + 1, isIgnored);
      return;
    }
    if (plan.isOpaqueAny) return;
    const inner = unpackAny(value as Any);
    const innerPath = inner.step === "" ? path : child(path, inner.step);
    if (inner.problem !== undefined) this.#findings.issue(innerPath, inner.problem);
    if (inner.desc !== undefined && inner.message !== undefined) {
      this.message(inner.desc, inner.message, innerPath, depth + 1, isIgnored);
    }
  }
}

/** The field's value, or undefined when it is not set (proto3: a zero scalar outside a oneof is not set). */
function setValue(field: DescField, fields: Fields): unknown {
  if (field.oneof !== undefined) {
    const oneof = fields[field.oneof.localName] as OneofValue;
    return oneof.case === field.localName ? oneof.value : undefined;
  }
  const value = fields[field.localName];
  switch (field.fieldKind) {
    case "scalar":
      if (value instanceof Uint8Array) return value.length === 0 ? undefined : value;
      return value === "" || value === false || value === 0 || value === 0n ? undefined : value;
    case "enum":
      return value === 0 ? undefined : value;
    case "list":
      return (value as readonly unknown[]).length === 0 ? undefined : value;
    case "map":
      return isEmpty(value as Fields) ? undefined : value;
    case "message":
      return value;
  }
}

function isDuration(field: DescField): boolean {
  return field.message?.typeName === "google.protobuf.Duration";
}

/** An explicit `false` says what leaving the field out says. */
function isDefault(field: DescField, value: unknown): boolean {
  return field.message?.typeName === "google.protobuf.BoolValue" && value === false;
}

function isEmpty(map: Fields): boolean {
  for (const _ in map) return false;
  return true;
}

function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null && "$typeName" in value;
}

function planOf(desc: DescMessage): MessagePlan {
  let plan = plans.get(desc.typeName);
  if (plan === undefined) {
    plan = makePlan(desc);
    plans.set(desc.typeName, plan);
  }
  return plan;
}

function makePlan(desc: DescMessage): MessagePlan {
  const rules = CONSTRAINTS[desc.typeName] ?? {};
  const fields = desc.fields.map((field): FieldPlan => {
    const fullName = `${desc.typeName}.${field.name}`;
    const status = fieldStatus(desc.typeName, field.name);
    return { field, rule: rules[field.name], status, fullName, isOpaqueAny: OPAQUE_ANY_FIELDS.has(fullName) };
  });
  const requiredOneofs = desc.oneofs
    .filter((oneof) => rules[oneof.name]?.oneofRequired === true)
    .map((oneof) => {
      const members = oneof.fields.map((field) => field.name).join(", ");
      return { name: oneof.name, localName: oneof.localName, members };
    });
  return { fields, requiredOneofs };
}
