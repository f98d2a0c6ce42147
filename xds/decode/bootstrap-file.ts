// Reads a bootstrap: a file (YAML, JSON or binary protobuf), a text merged over it, and the command line's node settings →
// model, or every problem with file, line, column and path. Called by the verbs run and validate.
// The steps: parse, check against the descriptors, merge, validate and decode, map findings back to positions.

import { readFileSync } from "node:fs";
import { create, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import { BootstrapSchema, type Bootstrap as BootstrapMessage } from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { LocalitySchema, NodeSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import { decodeBootstrap } from "./bootstrap.ts";
import { configJson } from "./config-json.ts";
import { readProblem } from "./file-problem.ts";
import type { Warning } from "./issues.ts";
import { messageTypes } from "./registry.ts";
import { locateIssue } from "./source-map.ts";
import { parseYaml, type LocatedIssue, type YamlFile } from "./yaml-document.ts";

export interface BootstrapInput {
  /** File to read. Either this, `text` or `yamlOverlay` must be there. */
  readonly path?: string | undefined;
  /** The file's text, when the caller has it. */
  readonly text?: string | undefined;
  /** Merged over the file as protobuf merges: messages field by field, lists appended, scalars replaced. */
  readonly yamlOverlay?: string | undefined;
  /** Unknown fields become warnings. */
  readonly allowUnknownFields?: boolean | undefined;
  readonly serviceNode?: string | undefined;
  readonly serviceCluster?: string | undefined;
  readonly serviceZone?: string | undefined;
}

export interface LocatedWarning extends LocatedIssue {
  readonly kind: Warning["kind"];
  /** Full name of the field, for naming it once. */
  readonly field: string;
}

/** A file that the bootstrap names (a module, a body), and where it does; not read yet. `problem` is empty. */
export interface LocatedFile extends LocatedIssue {
  readonly name: string;
}

export type LoadedBootstrap =
  | {
      readonly ok: true;
      readonly value: Bootstrap;
      readonly warnings: readonly LocatedWarning[];
      readonly files: readonly LocatedFile[];
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
  const issues = parts.flatMap((part) => part.issues);
  const files = parts.flatMap(({ file }) => file ?? []);
  const warnings = parts.flatMap(({ ignored }) =>
    ignored.map((issue): LocatedWarning => ({ ...issue, kind: "unknown_field", field: issue.path })),
  );
  if (parts.length === 0) issues.push(wholeFile("", "no configuration is given: use --config-path or --config-yaml"));
  if (issues.length > 0) return { ok: false, issues, warnings };
  const message = merge(parts.flatMap((part) => part.message ?? []));
  setNode(message, input);
  const decoded = decodeBootstrap(message, allowUnknown ? "warn" : "refuse");
  for (const warning of quietControlPlane(decoded.warnings, message)) {
    warnings.push({ ...locateIssue(warning, files), kind: warning.kind, field: warning.field });
  }
  if (decoded.ok) {
    const named = decoded.files.map(({ path, name }) => ({
      ...place({ path, problem: "" }, files, input.path ?? ""),
      name,
    }));
    return { ok: true, value: decoded.value, warnings, files: named };
  }
  return { ok: false, issues: decoded.issues.map((issue) => place(issue, files, input.path ?? "")), warnings };
}

function place(issue: { path: string; problem: string }, files: readonly YamlFile[], path: string): LocatedIssue {
  const located = locateIssue(issue, files);
  return located.file === "" ? { ...located, file: path } : located;
}

function parseFile(input: BootstrapInput, allowUnknown: boolean): Parsed {
  const path = input.path ?? "";
  if (input.text !== undefined) return parseText(input.text, path === "" ? "bootstrap" : path, allowUnknown);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return failed(wholeFile(path, readProblem(error)));
  }
  if (!path.endsWith(".pb")) return parseText(bytes.toString("utf8"), path, allowUnknown);
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
  if (issues.length > 0 || json === undefined) return { message: undefined, file: yaml.value, issues, ignored };
  try {
    const message = fromJson(BootstrapSchema, json, { registry: messageTypes });
    return { message, file: yaml.value, issues, ignored };
  } catch (error) {
    return failed(wholeFile(file, error instanceof Error ? error.message : String(error)));
  }
}

function failed(issue: LocatedIssue): Parsed {
  return { message: undefined, file: undefined, issues: [issue], ignored: [] };
}

function wholeFile(file: string, problem: string): LocatedIssue {
  return { file, line: 0, column: 0, path: "", problem };
}

/** Concatenated serialised messages parse as their merge: that is protobuf's own definition of merging. */
function merge(messages: readonly BootstrapMessage[]): BootstrapMessage {
  const [first, ...rest] = messages;
  if (first !== undefined && rest.length === 0) return first;
  return fromBinary(BootstrapSchema, Buffer.concat(messages.map((message) => toBinary(BootstrapSchema, message))));
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

/** A control plane's cluster speaks HTTP/2 through gRPC, where the warning about HTTP/2 upstreams does not apply. */
function quietControlPlane(warnings: readonly Warning[], message: BootstrapMessage): readonly Warning[] {
  const services = message.dynamicResources?.adsConfig?.grpcServices ?? [];
  const names = services.flatMap(({ targetSpecifier: target }) =>
    target.case === "envoyGrpc" ? target.value.clusterName : [],
  );
  const prefixes = (message.staticResources?.clusters ?? []).flatMap(({ name }, index) =>
    names.includes(name) ? `static_resources.clusters[${index}].` : [],
  );
  return warnings.filter(({ path }) => !prefixes.some((prefix) => path.startsWith(prefix)));
}
