// Reads a bootstrap: a file (YAML, JSON or binary protobuf), a text merged over it, and the command line's node settings →
// model, or every problem with file, line, column and path. Called by the verbs run and validate.
// The steps: parse, check against the descriptors, merge, validate and decode, map findings back to positions.

import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { create, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import { BootstrapSchema, type Bootstrap as BootstrapMessage } from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { LocalitySchema, NodeSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import { decodeBootstrap } from "./bootstrap.ts";
import { configJson } from "./config-json.ts";
import { NOT_TEXT, readProblem } from "./file-problem.ts";
import type { FormatProblem, Issue, Warning } from "./issues.ts";
import { messageTypes } from "./registry.ts";
import { locateIssue } from "./source-map.ts";
import { quietGrpcClusters } from "./quiet-clusters.ts";
import { parseYaml, type LocatedFile, type LocatedIssue, type YamlFile } from "./yaml-document.ts";

export interface BootstrapInput {
  /** File to read. Either this, `text` or `yamlOverlay` must be there. */
  readonly path?: string | undefined;
  /** What is in the file, when the caller has read it. */
  readonly bytes?: Buffer | undefined;
  /** The file's text, when the caller has it. */
  readonly text?: string | undefined;
  /** Merged over the file as protobuf merges: messages field by field, lists appended, scalars replaced. */
  readonly yamlOverlay?: string | undefined;
  /** Unknown fields become warnings. */
  readonly allowUnknownFields?: boolean | undefined;
  /** Checks format strings, as in DecodeOptions. */
  readonly formatProblem?: FormatProblem | undefined;
  readonly serviceNode?: string | undefined;
  readonly serviceCluster?: string | undefined;
  readonly serviceZone?: string | undefined;
}

export interface LocatedWarning extends LocatedIssue {
  readonly kind: Warning["kind"];
  /** Full name of the field, for naming it once. */
  readonly field: string;
}

export type LoadedBootstrap =
  | {
      readonly ok: true;
      readonly value: Bootstrap;
      readonly warnings: readonly LocatedWarning[];
      readonly files: readonly LocatedFile[];
      /** Where a field stands, for problems that only show when the configuration is used; `problem` is the caller's. */
      readonly locate: (path: string, problem: string) => LocatedIssue;
    }
  | { readonly ok: false; readonly issues: readonly LocatedIssue[]; readonly warnings: readonly LocatedWarning[] };

interface Parsed {
  readonly message: BootstrapMessage | undefined;
  readonly file: YamlFile | undefined;
  readonly issues: readonly LocatedIssue[];
  readonly ignored: readonly LocatedIssue[];
}

/** Never throws on bad input; a file that cannot be read is an issue. */
export function loadBootstrap(input: BootstrapInput): LoadedBootstrap {
  const allowUnknown = input.allowUnknownFields ?? false;
  const parts: Parsed[] = [];
  if (input.path !== undefined || input.text !== undefined) parts.push(parseFile(input, allowUnknown));
  if (input.yamlOverlay !== undefined) parts.push(parseText(input.yamlOverlay, "--config-yaml", allowUnknown));
  if (parts.length === 0)
    parts.push(failed(wholeFile("", "no configuration is given: use --config-path or --config-yaml")));
  const issues = parts.flatMap((part) => part.issues);
  const files = parts.flatMap(({ file }) => file ?? []);
  const warnings = parts.flatMap(({ ignored }) =>
    ignored.map((issue): LocatedWarning => ({ ...issue, kind: "unknown_field", field: issue.path })),
  );
  const message = merge(parts.map((part) => part.message));
  if (message === undefined) return { ok: false, issues, warnings };
  setNode(message, input);
  const decoded = decodeBootstrap(message, allowUnknown ? "warn" : "refuse", input.formatProblem);
  const locate = (issue: Issue) => place(issue, files, input.path ?? "");
  for (const warning of quietGrpcClusters(decoded.warnings, message, decoded.ok ? decoded.value : undefined)) {
    warnings.push({ ...locate(warning), kind: warning.kind, field: warning.field });
  }
  if (decoded.ok && issues.length === 0) {
    const named = decoded.files.map(({ kind, path, name }) => ({ ...locate({ path, problem: "" }), kind, name }));
    return {
      ok: true,
      value: decoded.value,
      warnings,
      files: named,
      locate: (path, problem) => locate({ path, problem }),
    };
  }
  if (!decoded.ok) issues.push(...decoded.issues.filter((issue) => isOwnProblem(issue, issues)).map(locate));
  return { ok: false, issues: inOrder(issues, files), warnings };
}

/**
 * Of a bootstrap that could be read in part only, validation also complains of what was left out. What it finds in
 * messages that were read whole counts; what may follow from `known` does not.
 */
function isOwnProblem(issue: Issue, known: readonly LocatedIssue[]): boolean {
  const parent = issue.path.slice(0, Math.max(0, issue.path.lastIndexOf(".")));
  return (
    !known.some(({ path }) => path.startsWith(parent)) &&
    (known.length === 0 || !issue.problem.includes("unknown cluster"))
  );
}

/** As they stand in the files, from top to bottom. */
function inOrder(issues: readonly LocatedIssue[], files: readonly YamlFile[]): readonly LocatedIssue[] {
  const rank = (issue: LocatedIssue) => files.findIndex(({ file }) => file === issue.file);
  return issues.toSorted((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
}

function place(issue: Issue, files: readonly YamlFile[], path: string): LocatedIssue {
  const located = locateIssue(issue, files);
  return located.file === "" ? { ...located, file: path } : located;
}

function parseFile(input: BootstrapInput, allowUnknown: boolean): Parsed {
  const path = input.path ?? "";
  if (input.text !== undefined) return parseText(input.text, path === "" ? "bootstrap" : path, allowUnknown);
  let bytes: Buffer;
  try {
    bytes = input.bytes ?? readFileSync(path);
  } catch (error) {
    return failed(wholeFile(path, readProblem(error)));
  }
  if (!path.endsWith(".pb"))
    return !isUtf8(bytes) ? failed(wholeFile(path, NOT_TEXT)) : parseText(bytes.toString("utf8"), path, allowUnknown);
  try {
    return { message: fromBinary(BootstrapSchema, bytes), file: undefined, issues: [], ignored: [] };
  } catch (error) {
    return failed(wholeFile(path, `does not parse as a binary ${BootstrapSchema.typeName}: ${String(error)}`));
  }
}

function parseText(text: string, file: string, allowUnknown: boolean): Parsed {
  const yaml = parseYaml(text, file);
  if (!yaml.ok) return { message: undefined, file: undefined, issues: yaml.issues, ignored: [] };
  if (yaml.value.root === undefined) return failed(wholeFile(file, "is empty"));
  const { json, issues, ignored } = configJson(yaml.value, yaml.value.root, BootstrapSchema, "", allowUnknown);
  try {
    const message = json === undefined ? undefined : fromJson(BootstrapSchema, json, { registry: messageTypes });
    return { message, file: yaml.value, issues, ignored };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return {
      message: undefined,
      file: yaml.value,
      issues: issues.length > 0 ? issues : [wholeFile(file, problem)],
      ignored,
    };
  }
}

function failed(issue: LocatedIssue): Parsed {
  return { message: undefined, file: undefined, issues: [issue], ignored: [] };
}

function wholeFile(file: string, problem: string): LocatedIssue {
  return { file, line: 0, column: 0, path: "", problem };
}

/**
 * Concatenated serialised messages parse as their merge: that is protobuf's own definition of merging. Undefined when
 * one of them could not be read at all.
 */
function merge(messages: readonly (BootstrapMessage | undefined)[]): BootstrapMessage | undefined {
  const read = messages.filter((message) => message !== undefined);
  if (read.length < messages.length || read.length < 2) return read.length < messages.length ? undefined : read[0];
  return fromBinary(BootstrapSchema, Buffer.concat(read.map((message) => toBinary(BootstrapSchema, message))));
}

/** The command line wins over the file. */
function setNode(message: BootstrapMessage, input: BootstrapInput): void {
  const { serviceNode, serviceCluster, serviceZone } = input;
  if (serviceNode === undefined && serviceCluster === undefined && serviceZone === undefined) return;
  message.node ??= create(NodeSchema);
  if (serviceNode !== undefined) message.node.id = serviceNode;
  if (serviceCluster !== undefined) message.node.cluster = serviceCluster;
  if (serviceZone === undefined) return;
  message.node.locality ??= create(LocalitySchema);
  message.node.locality.zone = serviceZone;
}
