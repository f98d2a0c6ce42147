// The HTTP filters of a connection manager → model: the router, filters inline (filter-config.ts), and those that come by ECDS.
// Called by http-connection-manager.ts. An unknown filter refuses the listener unless it says that it is optional.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { ExtensionConfigSource } from "../gen/envoy/config/core/v3/config_source_pb.ts";
import type { Router } from "../gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import type { HttpFilter as HttpFilterMessage } from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { DiscoveredConfig, HttpFilter } from "../model/listener.ts";
import { typeNameOf, unpackAny } from "./any.ts";
import { decodeConfigSource } from "./config-source.ts";
import { quoted } from "./constraint.ts";
import { decodeDiscoveredFilter, decodeFilter, DISCOVERED_TYPES, ROUTER_TYPE } from "./filter-config.ts";
import { child, item, type Findings } from "./issues.ts";

/** All filters, in order; the router must be the last and only once. */
export function decodeHttpFilters(
  messages: readonly HttpFilterMessage[],
  path: string,
  findings: Findings,
): readonly HttpFilter[] {
  const filters: HttpFilter[] = [];
  for (const [index, message] of messages.entries()) {
    const filterPath = item(path, index);
    const isLast = index === messages.length - 1;
    const isRouter = typeOf(message) === ROUTER_TYPE;
    if (isRouter && !isLast) {
      findings.issue(filterPath, `terminal filter ${quoted(message.name)} must be the last HTTP filter`);
    }
    if (!isRouter && isLast) {
      findings.issue(
        filterPath,
        `filter ${quoted(message.name)} is last, but the last HTTP filter must be the router (${ROUTER_TYPE})`,
      );
    }
    const filter = decodeHttpFilter(message, filterPath, findings);
    if (filter !== undefined) filters.push(filter);
  }
  if (messages.length === 0) findings.issue(path, `must end with the router (${ROUTER_TYPE})`);
  return filters;
}

function typeOf(message: HttpFilterMessage): string {
  return message.configType.case === "typedConfig" ? unpackAny(message.configType.value).typeName : "";
}

function decodeHttpFilter(message: HttpFilterMessage, path: string, findings: Findings): HttpFilter | undefined {
  const { configType, disabled, isOptional, name } = message;
  switch (configType.case) {
    case "typedConfig": {
      const at = child(path, "typed_config");
      const { problem, typeName } = unpackAny(configType.value);
      if (problem !== undefined) return undefined;
      if (typeName === ROUTER_TYPE) return decodeRouter(configType.value, message, at, findings);
      const found: { name: string; config: DiscoveredConfig }[] = [];
      const filter = decodeFilter(configType.value, message, at, findings, (source, byName, place, into) => {
        const config = decodeDiscovered(source, byName, place, into);
        if (config !== undefined) found.push({ name: byName, config });
        return config;
      });
      if (filter === undefined) return undefined;
      const { config, matcher } = filter;
      const tree = matcher === undefined ? {} : { matcher };
      const dynamic = found.length === 0 ? {} : { dynamic: found };
      return { name, disabled, isOptional, config, ...tree, ...dynamic };
    }
    case "configDiscovery": {
      const config = decodeDiscovered(configType.value, name, child(path, "config_discovery"), findings);
      return config === undefined ? undefined : { name, disabled, isOptional, config };
    }
    case undefined:
      findings.issue(path, "needs typed_config or config_discovery");
      return undefined;
  }
}

function decodeRouter(
  any: Any,
  { disabled, isOptional, name }: HttpFilterMessage,
  path: string,
  findings: Findings,
): HttpFilter {
  if (disabled) findings.issue(path, "the router cannot be disabled");
  const router = unpackAny(any).message as Router;
  const config = {
    kind: "router",
    suppressEnvoyHeaders: router.suppressEnvoyHeaders,
    startChildSpan: router.startChildSpan,
    strictCheckHeaders: router.strictCheckHeaders,
    respectExpectedTimeout: router.respectExpectedRqTimeout,
  } as const;
  return { name, disabled, isOptional, config };
}

function decodeDiscovered(
  message: ExtensionConfigSource,
  filterName: string,
  path: string,
  findings: Findings,
): DiscoveredConfig | undefined {
  const { applyDefaultConfigWithoutWarming, defaultConfig, typeUrls } = message;
  const types = typeUrls.map(typeNameOf);
  if (types.length > 0 && !types.some((type) => DISCOVERED_TYPES.includes(type))) {
    findings.issue(
      child(path, "type_urls"),
      `must include one of the discovered HTTP filters that are supported: ${DISCOVERED_TYPES.join(", ")}`,
    );
  }
  if (applyDefaultConfigWithoutWarming && defaultConfig === undefined) {
    findings.issue(child(path, "apply_default_config_without_warming"), "needs default_config");
  }
  const source = decodeConfigSource(message.configSource, child(path, "config_source"), findings);
  const defaultPath = child(path, "default_config");
  const defaultFilter =
    defaultConfig === undefined ? undefined : decodeDiscoveredFilter(defaultConfig, filterName, defaultPath, findings);
  const typeOfDefault = defaultConfig === undefined ? undefined : unpackAny(defaultConfig).typeName;
  if (typeOfDefault !== undefined && types.length > 0 && !types.includes(typeOfDefault)) {
    findings.issue(defaultPath, `is of type ${typeOfDefault}, which is not among type_urls`);
  }
  if (source === undefined) return undefined;
  return {
    kind: "discovered",
    source,
    defaultFilter,
    applyDefaultWithoutWarming: applyDefaultConfigWithoutWarming,
    typeUrls,
  };
}
