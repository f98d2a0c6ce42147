// Checks one field value against what Envoy demands of it (minimum lengths, ranges, required fields, header syntax).
// Pure; called by inspect.ts for every field that is set or demanded. The rules are data in constraints/.

import { ScalarType, type DescField } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { durationSeconds } from "./duration.ts";

/** Numbers bound numbers and durations (in seconds); lengths count characters (`Len`) or UTF-8 bytes (`Bytes`). */
export interface Constraint {
  readonly required?: boolean;
  /** Of a oneof: one member must be set. */
  readonly oneofRequired?: boolean;
  readonly minLen?: number;
  readonly maxLen?: number;
  readonly maxBytes?: number;
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
  readonly const?: boolean;
  readonly definedOnly?: boolean;
  readonly in?: readonly (string | number)[];
  readonly notIn?: readonly (string | number)[];
  readonly prefix?: string;
  readonly suffix?: string;
  readonly pattern?: string;
  /** A header field name, a header field value, or either without NUL, CR and LF. */
  readonly header?: "name" | "value" | "text";
  readonly ignoreEmpty?: boolean;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly unique?: boolean;
  readonly items?: Constraint;
  readonly keys?: Constraint;
  /** A format string, or JSON whose strings are. */
  readonly format?: true;
  /** Of an extension, or of each in a list: the types of typed_config that Envoy 1.40 has there. For what has no effect here. */
  readonly types?: readonly string[];
}

/** By full message name, then by proto name of the field or oneof. */
export type Constraints = Readonly<Record<string, Readonly<Record<string, Constraint>>>>;

const HEADER_PATTERNS: Readonly<Record<"name" | "value" | "text", RegExp>> = {
  name: /^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/,
  // oxlint-disable-next-line no-control-regex -- control characters are what this refuses
  value: /^[^\u0000-\u0008\u000A-\u001F\u007F]*$/,
  // oxlint-disable-next-line no-control-regex -- control characters are what this refuses
  text: /^[^\u0000\u000A\u000D]*$/,
};

const HEADER_PROBLEMS: Readonly<Record<"name" | "value" | "text", string>> = {
  name: "must be a valid header name",
  value: "must be a valid header value, without control characters",
  text: "must not contain NUL, CR or LF",
};

const END_OF_SECONDS = 9_223_372_036;

/** What is wrong with one scalar, enum, duration or bytes value, and what is allowed; undefined when nothing is. */
export function valueProblem(field: DescField, value: unknown, rule: Constraint): string | undefined {
  if (typeof value === "string") return stringProblem(value, rule);
  if (value instanceof Uint8Array) return lengthProblem(value.length, "bytes", rule);
  if (typeof value === "boolean") {
    return rule.const !== undefined && value !== rule.const ? `must be ${rule.const}` : undefined;
  }
  if (typeof value === "number" && field.enum !== undefined) return enumProblem(field, value, rule);
  if (typeof value === "number" || typeof value === "bigint") return numberProblem(Number(value), "", rule);
  if (isDuration(value)) return durationProblem(durationSeconds(value), rule);
  return undefined;
}

/** What is wrong with a list as a whole. */
export function listProblem(list: readonly unknown[], rule: Constraint): string | undefined {
  if (rule.minItems !== undefined && list.length < rule.minItems) {
    return `has ${list.length} items, must have at least ${rule.minItems}`;
  }
  if (rule.maxItems !== undefined && list.length > rule.maxItems) {
    return `has ${list.length} items, must have at most ${rule.maxItems}`;
  }
  if (rule.unique === true && new Set(list).size !== list.length) return "must not repeat an item";
  return undefined;
}

/** Does the type of this field's absent value count as a value to check? True for proto3 scalars outside a oneof. */
export function hasImplicitValue(field: DescField): boolean {
  return field.oneof === undefined && (field.fieldKind === "scalar" || field.fieldKind === "enum");
}

/** The value of an absent scalar or enum. */
export function zeroValue(field: DescField): unknown {
  if (field.fieldKind === "enum") return 0;
  if (field.scalar === ScalarType.STRING) return "";
  if (field.scalar === ScalarType.BOOL) return false;
  if (field.scalar === ScalarType.BYTES) return new Uint8Array();
  return 0;
}

function stringProblem(value: string, rule: Constraint): string | undefined {
  if (rule.ignoreEmpty === true && value === "") return undefined;
  if (rule.minLen === 1 && value === "") return "must not be empty";
  const isCounted = (rule.minLen ?? 1) > 1 || rule.maxLen !== undefined;
  const length = isCounted ? lengthProblem(characterCount(value), "characters", rule) : undefined;
  if (length !== undefined) return length;
  if (rule.maxBytes !== undefined && Buffer.byteLength(value) > rule.maxBytes) {
    return `is ${Buffer.byteLength(value)} bytes long, must be at most ${rule.maxBytes}`;
  }
  if (rule.header !== undefined && !HEADER_PATTERNS[rule.header].test(value)) {
    return `${quoted(value)} ${HEADER_PROBLEMS[rule.header]}`;
  }
  if (rule.in !== undefined && !rule.in.includes(value)) return `${quoted(value)} must be one of ${rule.in.join(", ")}`;
  if (rule.prefix !== undefined && !value.startsWith(rule.prefix))
    return `${quoted(value)} must start with "${rule.prefix}"`;
  if (rule.suffix !== undefined && !value.endsWith(rule.suffix))
    return `${quoted(value)} must end with "${rule.suffix}"`;
  if (rule.pattern !== undefined && !new RegExp(rule.pattern).test(value)) {
    return `${quoted(value)} must match ${rule.pattern}`;
  }
  return undefined;
}

function lengthProblem(length: number, unit: string, rule: Constraint): string | undefined {
  if (rule.minLen !== undefined && length < rule.minLen)
    return `has ${length} ${unit}, must have at least ${rule.minLen}`;
  if (rule.maxLen !== undefined && length > rule.maxLen)
    return `has ${length} ${unit}, must have at most ${rule.maxLen}`;
  return undefined;
}

function numberProblem(value: number, unit: string, rule: Constraint): string | undefined {
  if (rule.ignoreEmpty === true && value === 0) return undefined;
  if (rule.notIn?.includes(value) === true) return `must not be ${value}${unit}`;
  const isInside =
    (rule.gt === undefined || value > rule.gt) &&
    (rule.gte === undefined || value >= rule.gte) &&
    (rule.lt === undefined || value < rule.lt) &&
    (rule.lte === undefined || value <= rule.lte);
  return isInside ? undefined : `is ${value}${unit}, must be ${range(rule, unit)}`;
}

/** Envoy reads no negative duration, and none whose nanoseconds do not fit 64 bits, whether the field has a rule or not. */
function durationProblem(seconds: number, rule: Constraint): string | undefined {
  const problem = numberProblem(seconds, "s", rule);
  if (problem !== undefined) return problem;
  if (seconds < 0) return `is ${seconds}s, must not be negative`;
  return seconds >= END_OF_SECONDS ? `is ${seconds}s, must be less than ${END_OF_SECONDS}s` : undefined;
}

function range(rule: Constraint, unit: string): string {
  const bounds: string[] = [];
  if (rule.gt !== undefined) bounds.push(`greater than ${rule.gt}${unit}`);
  if (rule.gte !== undefined) bounds.push(`at least ${rule.gte}${unit}`);
  if (rule.lt !== undefined) bounds.push(`less than ${rule.lt}${unit}`);
  if (rule.lte !== undefined) bounds.push(`at most ${rule.lte}${unit}`);
  return bounds.join(" and ");
}

function enumProblem(field: DescField, value: number, rule: Constraint): string | undefined {
  const known = field.enum?.value[value];
  const refused = (rule.definedOnly === true && known === undefined) || rule.notIn?.includes(value) === true;
  if (!refused) return undefined;
  const allowed = field.enum?.values.filter((entry) => rule.notIn?.includes(entry.number) !== true) ?? [];
  return `must be one of ${allowed.map((entry) => entry.name).join(", ")}, not ${known?.name ?? value}`;
}

function isDuration(value: unknown): value is Duration {
  return typeof value === "object" && value !== null && "seconds" in value && "nanos" in value;
}

/** The value in quotes, cut short: it may come from an untrusted peer. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
}

/** Unicode code points, as Envoy counts. */
function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
