// GET /config_dump: envoy.admin.v3.ConfigDump as JSON, with `resource`, `mask`, `name_regex` and `include_eds`.
// Source: Envoy's config_dump_handler.cc and config_dump.proto. Keys and passwords are redacted. Pure.

import type { NameFilter } from "../stats/filter.ts";
import type { ConfigDumpView, DumpedResource, JsonObject, JsonValue, ScopedRoutesView } from "./ports.ts";

export interface ConfigDumpQuery {
  /** Name of a repeated field: `dynamic_active_clusters`. */
  readonly resource: string | undefined;
  /** Comma-separated paths. */
  readonly mask: string | undefined;
  readonly names: NameFilter | undefined;
  readonly includeEds: boolean;
}

export type ConfigDumpResult =
  | { readonly ok: true; readonly dump: JsonObject }
  | { readonly ok: false; readonly status: 400 | 404; readonly problem: string };

type Message = Record<string, JsonValue>;

const ADMIN = "type.googleapis.com/envoy.admin.v3.";

/** Singular fields of each dump; every other field is repeated. */
const SINGULAR = new Set(["bootstrap", "version_info", "last_updated"]);

/** Fields that an element of a repeated field can have. */
const ELEMENT_FIELDS = new Set(
  (
    "name version_info last_updated error_state client_status active_state warming_state draining_state " +
    "cluster listener route_config scoped_route_configs endpoint_config secret ecds_filter"
  ).split(" "),
);

interface Section {
  readonly type: string;
  /** Fields that the message can have, with the type of their elements. */
  readonly fields: Readonly<Record<string, string>>;
  readonly message: Message;
}

export function configDump(view: ConfigDumpView, query: ConfigDumpQuery): ConfigDumpResult {
  const sections = buildSections(view, query);
  const paths = query.mask?.split(",").filter((path) => path !== "") ?? [];
  if (query.resource !== undefined) {
    return dumpResource(sections, query.resource, paths);
  }
  const configs: Message[] = [];
  for (const section of sections) {
    if (paths.some((path) => !isApplicable(path, section))) {
      continue;
    }
    const trimmed = paths.length === 0 ? section.message : trim(section.message, paths);
    configs.push({ "@type": ADMIN + section.type, ...trimmed });
  }
  if (configs.length === 0 && query.mask !== undefined) {
    const problem = `FieldMask ${query.mask} could not be successfully applied to any configs.`;
    return { ok: false, status: 400, problem };
  }
  return { ok: true, dump: { configs } };
}

function dumpResource(sections: readonly Section[], resource: string, paths: readonly string[]): ConfigDumpResult {
  for (const section of sections) {
    const elementType = section.fields[resource];
    if (elementType === undefined) {
      continue;
    }
    if (SINGULAR.has(resource)) {
      const problem = `${resource} is not a repeated field. Use ?mask=${resource} to get only this field`;
      return { ok: false, status: 400, problem };
    }
    if (paths.some((path) => !ELEMENT_FIELDS.has(firstOf(path)))) {
      const mask = paths.map((path) => `paths: "${path}"\n`).join("");
      return { ok: false, status: 400, problem: `FieldMask \n${mask} could not be successfully used.` };
    }
    const elements = section.message[resource];
    const configs = (Array.isArray(elements) ? elements : []).map((element: JsonValue) => ({
      "@type": `${ADMIN}${section.type}.${elementType}`,
      ...(paths.length === 0 ? asMessage(element) : trim(asMessage(element), paths)),
    }));
    // Envoy prints no empty list here.
    return { ok: true, dump: configs.length === 0 ? {} : { configs } };
  }
  return { ok: false, status: 404, problem: `${resource} not found in config dump` };
}

/** Whether a mask's path exists in a section: it ends at a repeated field, because a path does not go through lists. */
function isApplicable(path: string, { fields }: Section): boolean {
  const first = firstOf(path);
  return Object.hasOwn(fields, first) && (path === first || fields[first] === "");
}

function buildSections(view: ConfigDumpView, query: ConfigDumpQuery): Section[] {
  const wanted = (list: readonly DumpedResource[]): readonly DumpedResource[] => {
    const names = query.names;
    return names === undefined ? list : list.filter((resource) => names.test(resource.name));
  };
  const sections = [
    bootstrapSection(view),
    clustersSection(wanted(view.clusters)),
    ...(view.extensions.length > 0 ? [extensionsSection(wanted(view.extensions))] : []),
    ...(query.includeEds ? [endpointsSection(wanted(view.endpoints))] : []),
    listenersSection(wanted(view.listeners)),
    scopedRoutesSection(view.scopedRoutes, query.names),
    routesSection(wanted(view.routes)),
    secretsSection(wanted(view.secrets)),
  ];
  return sections.map((section) => ({ ...section, message: asMessage(redact(section.message)) }));
}

function bootstrapSection(view: ConfigDumpView): Section {
  return {
    type: "BootstrapConfigDump",
    fields: { bootstrap: "", last_updated: "" },
    message: { bootstrap: view.bootstrap.value, last_updated: view.bootstrap.lastUpdated },
  };
}

function clustersSection(clusters: readonly DumpedResource[]): Section {
  return {
    type: "ClustersConfigDump",
    fields: {
      version_info: "",
      static_clusters: "StaticCluster",
      dynamic_active_clusters: "DynamicCluster",
      dynamic_warming_clusters: "DynamicCluster",
    },
    message: compact({
      version_info: newestVersion(clusters),
      static_clusters: inState(clusters, "static").map((cluster) => staticEntry("cluster", cluster)),
      dynamic_active_clusters: inState(clusters, "active").map((cluster) => dynamicEntry("cluster", cluster)),
      dynamic_warming_clusters: inState(clusters, "warming").map((cluster) => dynamicEntry("cluster", cluster)),
    }),
  };
}

function listenersSection(listeners: readonly DumpedResource[]): Section {
  const dynamic = listeners.filter((listener) => listener.state !== "static");
  return {
    type: "ListenersConfigDump",
    fields: { version_info: "", static_listeners: "StaticListener", dynamic_listeners: "DynamicListener" },
    message: compact({
      version_info: newestVersion(listeners),
      static_listeners: inState(listeners, "static").map((listener) => staticEntry("listener", listener)),
      dynamic_listeners: [...new Set(dynamic.map((listener) => listener.name))].map((name) => {
        const message: Message = { name };
        for (const listener of dynamic.filter((candidate) => candidate.name === name)) {
          const { error_state: error, ...state } = dynamicEntry("listener", listener);
          if (listener.value !== undefined) {
            message[listener.state === "active" ? "active_state" : "warming_state"] = state;
          }
          if (error !== undefined) {
            message["error_state"] = error;
          }
        }
        return message;
      }),
    }),
  };
}

function routesSection(routes: readonly DumpedResource[]): Section {
  return {
    type: "RoutesConfigDump",
    fields: { static_route_configs: "StaticRouteConfig", dynamic_route_configs: "DynamicRouteConfig" },
    message: compact({
      static_route_configs: inState(routes, "static").map((route) => staticEntry("route_config", route)),
      dynamic_route_configs: routes
        .filter((route) => route.state !== "static")
        .map((route) => dynamicEntry("route_config", route)),
    }),
  };
}

/** The pattern of names holds for the scopes, as in Envoy. */
function scopedRoutesSection(views: readonly ScopedRoutesView[], names: NameFilter | undefined): Section {
  const entries = (isInline: boolean) =>
    views
      .filter((view) => view.isInline === isInline)
      .map(({ lastUpdated, name, scopes, versionInfo }) =>
        compact({
          name,
          version_info: versionInfo,
          scoped_route_configs: scopes
            .filter((scope) => names === undefined || names.test(scope.name))
            .map(({ value }) => value),
          last_updated: lastUpdated,
        }),
      );
  return {
    type: "ScopedRoutesConfigDump",
    fields: {
      inline_scoped_route_configs: "InlineScopedRouteConfigs",
      dynamic_scoped_route_configs: "DynamicScopedRouteConfigs",
    },
    message: compact({
      inline_scoped_route_configs: entries(true),
      dynamic_scoped_route_configs: entries(false),
    }),
  };
}

function endpointsSection(endpoints: readonly DumpedResource[]): Section {
  return {
    type: "EndpointsConfigDump",
    fields: { static_endpoint_configs: "StaticEndpointConfig", dynamic_endpoint_configs: "DynamicEndpointConfig" },
    message: compact({
      static_endpoint_configs: inState(endpoints, "static").map((entry) => staticEntry("endpoint_config", entry)),
      dynamic_endpoint_configs: endpoints
        .filter((entry) => entry.state !== "static")
        .map((entry) => dynamicEntry("endpoint_config", entry)),
    }),
  };
}

function extensionsSection(extensions: readonly DumpedResource[]): Section {
  return {
    type: "EcdsConfigDump",
    fields: { ecds_filters: "EcdsFilterConfig" },
    message: compact({ ecds_filters: extensions.map((entry) => dynamicEntry("ecds_filter", entry)) }),
  };
}

function secretsSection(secrets: readonly DumpedResource[]): Section {
  return {
    type: "SecretsConfigDump",
    fields: {
      static_secrets: "StaticSecret",
      dynamic_active_secrets: "DynamicSecret",
      dynamic_warming_secrets: "DynamicSecret",
    },
    message: compact({
      static_secrets: inState(secrets, "static").map(({ name, value }) => ({ name, secret: value ?? {} })),
      dynamic_active_secrets: inState(secrets, "active").map(dynamicSecret),
      dynamic_warming_secrets: inState(secrets, "warming").map(dynamicSecret),
    }),
  };
}

/** In the order of the message's fields, which differs from that of the others. */
function dynamicSecret(entry: DumpedResource): Message {
  const { version_info: version, last_updated: updated, ...rest } = dynamicEntry("secret", entry);
  return {
    name: entry.name,
    ...(version === undefined ? {} : { version_info: version }),
    ...(updated === undefined ? {} : { last_updated: updated }),
    ...rest,
  };
}

function inState(list: readonly DumpedResource[], state: DumpedResource["state"]): DumpedResource[] {
  return list.filter((resource) => resource.state === state);
}

function newestVersion(list: readonly DumpedResource[]): string {
  return list.findLast((resource) => resource.versionInfo !== "")?.versionInfo ?? "";
}

function staticEntry(field: string, resource: DumpedResource): Message {
  return { [field]: resource.value ?? {}, last_updated: resource.lastUpdated };
}

function dynamicEntry(field: string, resource: DumpedResource): Message {
  const { error } = resource;
  return {
    ...(resource.value === undefined
      ? {}
      : { version_info: resource.versionInfo, [field]: resource.value, last_updated: resource.lastUpdated }),
    ...(error === undefined
      ? {}
      : {
          error_state: {
            ...(error.value === undefined ? {} : { failed_configuration: error.value }),
            last_update_attempt: error.lastAttempt,
            details: error.details,
            version_info: error.versionInfo,
          },
        }),
  };
}

/** Without empty texts and lists, as proto3 JSON leaves them out. */
function compact(message: Message): Message {
  return Object.fromEntries(
    Object.entries(message).filter(([, value]) => value !== "" && !(Array.isArray(value) && value.length === 0)),
  );
}

function firstOf(path: string): string {
  return path.split(".", 1)[0] ?? "";
}

function asMessage(value: JsonValue): Message {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...(value as JsonObject) } : {};
}

/** Only what the paths name; "@type" stays. A path goes through messages, not through lists. */
function trim(message: Message, paths: readonly string[]): Message {
  const result: Message = {};
  for (const [field, value] of Object.entries(message)) {
    const inner = paths.filter((path) => firstOf(path) === field).map((path) => path.slice(field.length + 1));
    if (field === "@type" || inner.includes("")) {
      result[field] = value;
    } else if (inner.length > 0 && typeof value === "object" && value !== null && !Array.isArray(value)) {
      result[field] = trim(asMessage(value), inner);
    }
  }
  return result;
}

/** Fields that Envoy's API marks as sensitive. */
const SENSITIVE = new Set([
  "private_key",
  "password",
  "session_ticket_keys",
  "private_key_provider",
  "pkcs12",
  "generic_secret",
]);
const REDACTED = "[redacted]";

function redact(value: JsonValue): JsonValue {
  if (Array.isArray(value)) {
    return value.map((inner: JsonValue) => redact(inner));
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const result: Message = {};
  for (const [field, inner] of Object.entries(value)) {
    result[field] = SENSITIVE.has(field) ? blank(inner) : redact(inner);
  }
  return result;
}

function blank(value: JsonValue, field = ""): JsonValue {
  if (typeof value === "string") {
    return field === "inline_bytes" ? Buffer.from(REDACTED).toString("base64") : REDACTED;
  }
  if (Array.isArray(value)) {
    return value.map((inner: JsonValue) => blank(inner));
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, JsonValue]) => [
      name,
      name === "@type" ? inner : blank(inner, name),
    ]),
  );
}
