// Scoped routes → model: the connection manager's ScopedRoutes with its key builder, and the scopes themselves, inside the
// listener or as SRDS resources. Called by http-connection-manager.ts and resource.ts.
// Source: envoy.config.route.v3.ScopedRouteConfiguration; what is refused is what Envoy's scoped_rds.cc refuses.

import type { ScopedRouteConfiguration } from "../gen/envoy/config/route/v3/scoped_route_pb.ts";
import type {
  ScopedRoutes as ScopedRoutesMessage,
  ScopedRoutes_ScopeKeyBuilder_FragmentBuilder as FragmentBuilder,
} from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { ScopedRoute, ScopedRoutes, ScopeKeyFragment } from "../model/scoped-routes.ts";
import { decodeConfigSource } from "./config-source.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";
import { decodeRouteConfiguration } from "./route.ts";

/** Undefined when it cannot be used, which is then reported. */
export function decodeScopedRoutes(
  message: ScopedRoutesMessage,
  path: string,
  findings: Findings,
): ScopedRoutes | undefined {
  const fragmentsPath = child(path, "scope_key_builder.fragments");
  const builders = message.scopeKeyBuilder?.fragments ?? [];
  const fragments = decodeEach(builders, fragmentsPath, findings, decodeFragment);
  const specifier = message.configSpecifier;
  switch (specifier.case) {
    case "scopedRouteConfigurationsList": {
      const listPath = child(path, "scoped_route_configurations_list.scoped_route_configurations");
      const all = decodeEach(specifier.value.scopedRouteConfigurations, listPath, findings, decodeInlineScope);
      // Of two with one name the later counts, as in Envoy; over SRDS two are refused.
      const list = [...new Map(all.map((scope) => [scope.name, scope])).values()];
      return { kind: "scoped", name: message.name, fragments, scopes: { kind: "inline", list } };
    }
    case "scopedRds": {
      const sourcePath = child(path, "scoped_rds.scoped_rds_config_source");
      const source = decodeConfigSource(specifier.value.scopedRdsConfigSource, sourcePath, findings);
      const routesPath = child(path, "rds_config_source");
      if (message.rdsConfigSource === undefined) findings.issue(routesPath, "is required with scoped_rds");
      const routes = decodeConfigSource(message.rdsConfigSource, routesPath, findings);
      if (source === undefined || routes === undefined) return undefined;
      return { kind: "scoped", name: message.name, fragments, scopes: { kind: "srds", source, routes } };
    }
    case undefined:
      return undefined;
  }
}

function decodeFragment(message: FragmentBuilder, path: string, findings: Findings): ScopeKeyFragment | undefined {
  if (message.type.case === undefined) return undefined;
  const { name, elementSeparator, extractType } = message.type.value;
  const extractorPath = child(path, "header_value_extractor");
  const header = name.toLowerCase();
  switch (extractType.case) {
    case "index":
      if (extractType.value !== 0 && elementSeparator === "") {
        findings.issue(child(extractorPath, "index"), "must be 0 without element_separator: the value is one element");
      }
      return { header, elementSeparator, extract: { kind: "index", index: extractType.value } };
    case "element": {
      const { separator, key } = extractType.value;
      return { header, elementSeparator, extract: { kind: "element", separator, key } };
    }
    case undefined:
      findings.issue(extractorPath, "needs index or element");
      return undefined;
  }
}

function decodeInlineScope(
  message: ScopedRouteConfiguration,
  path: string,
  findings: Findings,
): ScopedRoute | undefined {
  if (message.routeConfigurationName !== "") {
    findings.issue(child(path, "route_configuration_name"), "is only for scopes that come over SRDS");
  }
  if (message.routeConfiguration === undefined) {
    findings.issue(child(path, "route_configuration"), "is required for a scope inside a listener");
    return undefined;
  }
  const routesPath = child(path, "route_configuration");
  const routeConfig = decodeRouteConfiguration(message.routeConfiguration, routesPath, findings);
  return { ...identityOf(message), onDemand: false, routes: { kind: "inline", routeConfig } };
}

/** An SRDS resource. */
export function decodeScopedRoute(message: ScopedRouteConfiguration, findings: Findings): ScopedRoute {
  const name = message.routeConfigurationName;
  if (name === "") findings.issue("route_configuration_name", "must not be empty");
  if (message.routeConfiguration !== undefined) {
    findings.issue("route_configuration", "is only for scopes inside a listener");
  }
  return { ...identityOf(message), onDemand: message.onDemand, routes: { kind: "named", name } };
}

function identityOf(message: ScopedRouteConfiguration): Pick<ScopedRoute, "name" | "key"> {
  const fragments = message.key?.fragments ?? [];
  return { name: message.name, key: fragments.map(({ type }) => type.value ?? "") };
}
