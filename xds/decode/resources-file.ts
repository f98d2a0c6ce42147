// Files of xDS resources: what the control plane serves, and what path_config_source names. YAML or JSON: a list of
// resources with "@type", a map with `resources` (a DiscoveryResponse) or with `static_resources` (a bootstrap), or a
// binary DiscoveryResponse (.pb). Gives Any-encoded resources, or every problem with its position.

import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { fromBinary, fromJson, toBinary, type JsonValue } from "@bufbuild/protobuf";
import { AnySchema, type Any } from "@bufbuild/protobuf/wkt";
import { BootstrapSchema, type Bootstrap } from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { ClusterSchema } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import { DiscoveryResponseSchema, ResourceSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { CLUSTER_TYPE, LISTENER_TYPE, RESOURCE_WRAPPER_TYPE, SECRET_TYPE, VIRTUAL_HOST_TYPE } from "../type-urls.ts";
import { configJson } from "./config-json.ts";
import { quoted } from "./constraint.ts";
import { NOT_TEXT, readProblem } from "./file-problem.ts";
import { child, item, type FormatProblem, type Issue } from "./issues.ts";
import { messageTypes } from "./registry.ts";
import { decodeResource, resourceName, RESOURCE_TYPES } from "./resource.ts";
import { locateIssue } from "./source-map.ts";
import { parseYaml, type LocatedFile, type LocatedIssue, type YamlFile, type YamlValue } from "./yaml-document.ts";

/** One resource of a file, encoded. `name` is what subscriptions call it. */
export interface FileResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly value: Uint8Array;
  /** Of a resource in an envoy.service.discovery.v3.Resource with a `ttl`, ms. */
  readonly ttlMs?: number;
}

export type LoadedResources =
  | {
      readonly ok: true;
      readonly resources: readonly FileResource[];
      /** `version_info` of a DiscoveryResponse; empty when the file gives none. */
      readonly version: string;
      /** Files that the resources name, with their places; not read yet. */
      readonly files?: readonly LocatedFile[];
      /** The place of a problem that was found later, in one of `resources`. */
      readonly locate?: (resource: FileResource, issue: Issue) => LocatedIssue;
    }
  | { readonly ok: false; readonly issues: readonly LocatedIssue[] };

interface Found extends Omit<FileResource, "name"> {
  readonly path: string;
  /** Of a wrapper, where it may differ from the name inside. */
  readonly outerName?: string;
}

/** Reads and validates a file; never throws. Unknown fields are refused: somebody wrote them by hand. */
export function loadResourcesFile(path: string, formatProblem?: FormatProblem): LoadedResources {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return { ok: false, issues: [{ file: path, line: 0, column: 0, path: "", problem: readProblem(error) }] };
  }
  if (path.endsWith(".pb")) return parseBinary(bytes, path, formatProblem);
  if (!isUtf8(bytes)) return { ok: false, issues: [{ file: path, line: 0, column: 0, path: "", problem: NOT_TEXT }] };
  return parseResources(bytes.toString("utf8"), path, formatProblem);
}

/** The same for text that the caller has; `file` is its name in problems. */
export function parseResources(text: string, file: string, formatProblem?: FormatProblem): LoadedResources {
  const yaml = parseYaml(text, file);
  if (!yaml.ok) return yaml;
  return readResources(yaml.value, formatProblem);
}

/** The same for text that was parsed; `root` of the file is the list or the map. */
export function readResources(file: YamlFile, formatProblem?: FormatProblem): LoadedResources {
  if (file.root === undefined) return { ok: true, resources: [], version: "" };
  return new ResourcesReader(file, formatProblem).read(file.root);
}

function parseBinary(bytes: Uint8Array, file: string, formatProblem: FormatProblem | undefined): LoadedResources {
  try {
    const response = fromBinary(DiscoveryResponseSchema, bytes);
    const found = response.resources.map((any, index) => ({ path: item("resources", index), ...unwrap(any) }));
    return validate(found, response.versionInfo, { file, source: undefined, formatProblem });
  } catch (error) {
    const problem = `does not parse as a binary ${DiscoveryResponseSchema.typeName}: ${String(error)}`;
    return { ok: false, issues: [{ file, line: 0, column: 0, path: "", problem }] };
  }
}

class ResourcesReader {
  readonly #file: YamlFile;
  readonly #formatProblem: FormatProblem | undefined;
  readonly #issues: LocatedIssue[] = [];

  constructor(file: YamlFile, formatProblem: FormatProblem | undefined) {
    this.#file = file;
    this.#formatProblem = formatProblem;
  }

  read(root: YamlValue): LoadedResources {
    const { found, version } = this.#find(root);
    if (this.#issues.length > 0) return { ok: false, issues: this.#issues };
    const { file } = this.#file;
    return validate(found, version, { file, source: this.#file, formatProblem: this.#formatProblem });
  }

  #find(root: YamlValue): { found: readonly Found[]; version: string } {
    if (root.kind === "list") {
      return { found: root.items.flatMap((value, index) => this.#any(value, item("", index)) ?? []), version: "" };
    }
    const keys = root.kind === "map" ? root.entries.map(({ key }) => key) : [];
    if (keys.includes("resources")) return this.#response(root);
    if (keys.includes("static_resources") || keys.includes("staticResources")) {
      return { found: this.#bootstrap(root), version: "" };
    }
    const problem = 'must be a list of resources with "@type", or have resources or static_resources';
    this.#issues.push({ file: this.#file.file, ...this.#file.position(root.offset), path: "", problem });
    return { found: [], version: "" };
  }

  #json(value: YamlValue, desc: Parameters<typeof configJson>[2], path: string): JsonValue | undefined {
    const { json, issues } = configJson(this.#file, value, desc, path, false);
    this.#issues.push(...issues);
    return issues.length > 0 ? undefined : json;
  }

  #any(value: YamlValue, path: string): Found | undefined {
    const json = this.#json(value, AnySchema, path);
    return json === undefined ? undefined : { path, ...unwrap(fromJson(AnySchema, json, { registry: messageTypes })) };
  }

  #response(root: YamlValue): { found: readonly Found[]; version: string } {
    const json = this.#json(root, DiscoveryResponseSchema, "");
    if (json === undefined) return { found: [], version: "" };
    const response = fromJson(DiscoveryResponseSchema, json, { registry: messageTypes });
    const found = response.resources.map((any, index) => ({ path: item("resources", index), ...unwrap(any) }));
    return { found, version: response.versionInfo };
  }

  #bootstrap(root: YamlValue): readonly Found[] {
    const json = this.#json(root, BootstrapSchema, "");
    if (json === undefined) return [];
    return staticResources(fromJson(BootstrapSchema, json, { registry: messageTypes }));
  }
}

function staticResources(bootstrap: Bootstrap): readonly Found[] {
  const { clusters = [], listeners = [], secrets = [] } = bootstrap.staticResources ?? {};
  const at = (list: string, index: number) => item(child("static_resources", list), index);
  return [
    ...clusters.map((message, index) => {
      return { path: at("clusters", index), typeUrl: CLUSTER_TYPE, value: toBinary(ClusterSchema, message) };
    }),
    ...listeners.map((message, index) => {
      return { path: at("listeners", index), typeUrl: LISTENER_TYPE, value: toBinary(ListenerSchema, message) };
    }),
    ...secrets.map((message, index) => {
      return { path: at("secrets", index), typeUrl: SECRET_TYPE, value: toBinary(SecretSchema, message) };
    }),
  ];
}

/** Takes the optional Resource wrapper off. */
function unwrap(any: Any): Omit<Found, "path"> {
  if (any.typeUrl !== RESOURCE_WRAPPER_TYPE) return { typeUrl: any.typeUrl, value: any.value };
  const { name, resource: inner, ttl } = fromBinary(ResourceSchema, any.value);
  const typeUrl = inner?.typeUrl ?? "";
  // A virtual host is called `routes/host` by subscriptions, and may be called `host` in itself.
  const outer = typeUrl === VIRTUAL_HOST_TYPE && name !== "" ? { outerName: name } : {};
  const content = { typeUrl, value: inner?.value ?? new Uint8Array(), ...outer };
  return ttl === undefined ? content : { ...content, ttlMs: Number(ttl.seconds) * 1000 + ttl.nanos / 1e6 };
}

type Origin = Readonly<{ file: string; source: YamlFile | undefined; formatProblem: FormatProblem | undefined }>;

/** Decodes every resource as a client would, so that a bad file is refused before anybody is sent it. */
function validate(found: readonly Found[], version: string, origin: Origin): LoadedResources {
  const issues: LocatedIssue[] = [];
  const files: LocatedFile[] = [];
  const paths = new Map<FileResource, string>();
  const names = new Map<string, string>();
  const resources = found.map(({ path, outerName, ...content }): FileResource => {
    const { typeUrl, value } = content;
    const name = outerName ?? resourceName(typeUrl, value) ?? "";
    const resource = { ...content, name };
    paths.set(resource, path);
    const key = `${typeUrl} ${name}`;
    const other = names.get(key);
    if (other !== undefined) issues.push(placed(origin, path, "", `${quoted(name)} is already the name of ${other}`));
    names.set(key, path);
    if (!RESOURCE_TYPES.includes(typeUrl)) {
      const problem = `resource type ${quoted(typeUrl)} is not supported; supported: ${RESOURCE_TYPES.join(", ")}`;
      issues.push(placed(origin, path, "", problem));
      return resource;
    }
    const { formatProblem } = origin;
    const options = formatProblem === undefined ? {} : { formatProblem };
    const decoded = decodeResource(typeUrl, value, { unknownFields: "refuse", ...options });
    if (!decoded.ok) for (const issue of decoded.issues) issues.push(placed(origin, path, issue.path, issue.problem));
    for (const named of (decoded.ok ? decoded.files : undefined) ?? []) {
      files.push({ ...placed(origin, path, named.path, ""), kind: named.kind, name: named.name });
    }
    return resource;
  });
  if (issues.length > 0) return { ok: false, issues };
  const locate = (resource: FileResource, issue: Issue) =>
    placed(origin, paths.get(resource) ?? "", issue.path, issue.problem);
  return { ok: true, resources, version, files, locate };
}

/** `field` is a path inside the resource at `path`; empty means the resource itself. */
function placed({ file, source }: Origin, path: string, field: string, problem: string): LocatedIssue {
  const issue = { path: field === "" ? path : child(path, field), problem };
  const located = locateIssue(issue, source === undefined ? [] : [source]);
  return located.file === "" ? { ...located, file } : located;
}
