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
import { checkExtension } from "./extension-type.ts";
import { checkFormats } from "./format-strings.ts";
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

const STATIC_SECRETS = "static_resources.secrets[";

interface FieldPlan {
  readonly field: DescField;
  readonly rule: Constraint | undefined;
  readonly status: FieldStatus;
  readonly fullName: string;
  readonly isAny: boolean;
  readonly isOpaqueAny: boolean;
  /** A message of protobuf's own, other than Any. */
  readonly isWellKnown: boolean;
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
  new Inspection(path, findings, unknownFields).message(desc, message, 0, false);
}

class Inspection {
  readonly #findings: Findings;
  readonly #unknownFields: UnknownFieldPolicy;
  /** Where it is: names of fields and steps, and places in lists and maps. Most messages have nothing to say, so no path is made for them. */
  readonly #steps: (string | number)[] = [];
  readonly #start: string;

  constructor(start: string, findings: Findings, unknownFields: UnknownFieldPolicy) {
    this.#start = start;
    this.#findings = findings;
    this.#unknownFields = unknownFields;
  }

  get #path(): string {
    let path = this.#start;
    for (const step of this.#steps) {
      path = typeof step === "number" ? item(path, step) : step.startsWith("[") ? path + step : child(path, step);
    }
    return path;
  }

  /** `isIgnored`: inside a field without effect, where only Envoy's own constraints count. */
  message(desc: DescMessage, message: Message, depth: number, isIgnored: boolean): void {
    if (depth > MAX_DEPTH) {
      this.#findings.issue(this.#path, `is nested deeper than ${MAX_DEPTH} messages`);
      return;
    }
    this.#unknown(desc, message);
    if (desc.typeName === DataSourceSchema.typeName && !isIgnored) this.#namedFile(message as DataSource);
    const plan = planOf(desc);
    const fields = message as unknown as Fields;
    for (const oneof of plan.requiredOneofs) {
      if ((fields[oneof.localName] as OneofValue).case === undefined) {
        this.#findings.issue(this.#path, `no ${oneof.name} set, one of ${oneof.members} is needed`);
      }
    }
    for (const field of plan.fields) this.#field(field, fields, depth, isIgnored);
  }

  #namedFile({ specifier }: DataSource): void {
    if (specifier.case !== "filename" && specifier.case !== "environmentVariable") return;
    const path = this.#path;
    // A token (FileBasedMetadataConfig) is read for each stream, and may come after the start. Secrets are read when somebody names one.
    if (path.endsWith(".secret_data") || path.startsWith(STATIC_SECRETS)) return;
    this.#findings.files.push(
      specifier.case === "filename"
        ? { kind: "data", path: child(path, "filename"), name: specifier.value }
        : { kind: "environment", path: child(path, "environment_variable"), name: specifier.value },
    );
  }

  #unknown(desc: DescMessage, message: Message): void {
    const unknown = message.$unknown;
    if (unknown === undefined || this.#unknownFields === "ignore") return;
    const path = this.#path;
    for (const { no } of unknown) {
      const problem = `unknown field number ${no} of ${desc.typeName}`;
      if (this.#unknownFields === "refuse") this.#findings.issue(path, problem);
      else this.#findings.warn("unknown_field", path, `${desc.typeName}#${no}`, problem);
    }
  }

  #field(plan: FieldPlan, fields: Fields, depth: number, isInIgnored: boolean): void {
    const { field, rule, status } = plan;
    const value = setValue(field, fields);
    if (value === undefined && rule === undefined) return;
    this.#steps.push(field.name);
    if (value === undefined) {
      this.#absent(field, rule ?? {});
    } else if (isInIgnored || isDefault(field, value)) {
      this.#set(plan, value, depth, isInIgnored);
    } else if (status.kind === "refused") {
      this.#findings.issue(this.#path, `is refused: ${status.reason}`);
    } else {
      const isIgnored = status.kind === "accepted";
      if (isIgnored) {
        this.#findings.warn("no_effect", this.#path, plan.fullName, `accepted without effect: ${status.reason}`);
      }
      this.#set(plan, value, depth, isIgnored);
    }
    this.#steps.pop();
  }

  #absent(field: DescField, rule: Constraint): void {
    if (rule.required === true && field.oneof === undefined) this.#findings.issue(this.#path, "is required");
    else if (hasImplicitValue(field)) this.#value(field, zeroValue(field), rule);
    else if (field.fieldKind === "list" || field.fieldKind === "map") this.#list(field, [], rule);
  }

  #set(plan: FieldPlan, value: unknown, depth: number, isIgnored: boolean): void {
    const { field, rule } = plan;
    if (field.fieldKind === "list") {
      const list = value as readonly unknown[];
      if (rule !== undefined) this.#list(field, list, rule);
      if (field.message === undefined) return;
      for (let index = 0; index < list.length; index++) {
        this.#steps.push(index);
        this.#nested(plan, list[index], depth, isIgnored);
        this.#steps.pop();
      }
    } else if (field.fieldKind === "map") {
      for (const [key, entry] of Object.entries(value as Fields)) {
        if (rule?.keys?.minLen === 1 && key === "") this.#findings.issue(this.#path, "has an empty key");
        this.#steps.push(item("", key));
        this.#nested(plan, entry, depth, isIgnored);
        this.#steps.pop();
      }
    } else {
      if (rule !== undefined || isDuration(field)) this.#value(field, value, rule ?? {});
      this.#nested(plan, value, depth, isIgnored);
    }
  }

  #list(field: DescField, list: readonly unknown[], rule: Constraint): void {
    const problem = listProblem(list, rule);
    if (problem !== undefined) this.#findings.issue(this.#path, problem);
    if (rule.items === undefined) return;
    for (let index = 0; index < list.length; index++) {
      this.#steps.push(index);
      this.#value(field, list[index], rule.items);
      this.#steps.pop();
    }
  }

  #value(field: DescField, value: unknown, rule: Constraint): void {
    if (rule.format === true) checkFormats(value, this.#path, this.#findings);
    const problem = valueProblem(field, value, rule);
    if (problem !== undefined) this.#findings.issue(this.#path, problem);
  }

  #nested(plan: FieldPlan, value: unknown, depth: number, isIgnored: boolean): void {
    const desc = plan.field.message;
    if (desc === undefined || !isMessage(value)) return;
    if (plan.rule?.types !== undefined) checkExtension(value, plan.rule.types, this.#path, this.#findings);
    if (!plan.isAny) {
      if (!plan.isWellKnown) this.message(desc, value, depth + 1, isIgnored);
      return;
    }
    if (plan.isOpaqueAny) return;
    const inner = unpackAny(value as Any);
    if (inner.step !== "") this.#steps.push(inner.step);
    if (inner.problem !== undefined) this.#findings.issue(this.#path, inner.problem);
    if (inner.desc !== undefined && inner.message !== undefined) {
      this.message(inner.desc, inner.message, depth + 1, isIgnored);
    }
    if (inner.step !== "") this.#steps.pop();
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
    const type = field.message?.typeName ?? "";
    const isAny = type === "google.protobuf.Any";
    return {
      field,
      rule: rules[field.name],
      status,
      fullName,
      isAny,
      isOpaqueAny: OPAQUE_ANY_FIELDS.has(fullName),
      isWellKnown: !isAny && type.startsWith("google.protobuf."),
    };
  });
  const requiredOneofs = desc.oneofs
    .filter((oneof) => rules[oneof.name]?.oneofRequired === true)
    .map((oneof) => {
      const members = oneof.fields.map((field) => field.name).join(", ");
      return { name: oneof.name, localName: oneof.localName, members };
    });
  return { fields, requiredOneofs };
}
