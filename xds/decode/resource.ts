// One resource of a discovery response, bytes → model. What xds/client.ts calls for each resource, what bootstrap.ts calls
// for static ones, and what the control plane calls to refuse a bad file. Pure: no I/O, never throws on bad input.

import { fromBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import { ClusterSchema, type Cluster as ClusterMessage } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema, type TypedExtensionConfig } from "../gen/envoy/config/core/v3/extension_pb.ts";
import {
  ClusterLoadAssignmentSchema,
  type ClusterLoadAssignment as AssignmentMessage,
} from "../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema, type Listener as ListenerMessage } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import {
  RouteConfigurationSchema,
  type RouteConfiguration as RouteMessage,
} from "../gen/envoy/config/route/v3/route_pb.ts";
import {
  VirtualHostSchema,
  type VirtualHost as VirtualHostMessage,
} from "../gen/envoy/config/route/v3/route_components_pb.ts";
import {
  ScopedRouteConfigurationSchema,
  type ScopedRouteConfiguration,
} from "../gen/envoy/config/route/v3/scoped_route_pb.ts";
import {
  SecretSchema,
  type Secret as SecretMessage,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { RuntimeSchema, type Runtime as RuntimeMessage } from "../gen/envoy/service/runtime/v3/rtds_pb.ts";
import type { Runtime } from "../model/bootstrap.ts";
import type { Cluster } from "../model/cluster.ts";
import type { ClusterLoadAssignment } from "../model/endpoints.ts";
import type { DiscoveredFilter, Listener } from "../model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "../model/route.ts";
import type { ScopedRoute } from "../model/scoped-routes.ts";
import type { Secret } from "../model/tls.ts";
import {
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SCOPED_ROUTE_TYPE,
  SECRET_TYPE,
  VIRTUAL_HOST_TYPE,
} from "../type-urls.ts";
import { decodeCluster } from "./cluster.ts";
import { decodeEndpoints } from "./endpoints.ts";
import { decodeDiscoveredFilter } from "./filter-config.ts";
import { inspectMessage, type UnknownFieldPolicy } from "./inspect.ts";
import { child, Findings, type Decoded, type FormatProblem } from "./issues.ts";
import { decodeListener } from "./listener.ts";
import { plainEndpoints } from "./plain-endpoints.ts";
import { DEFAULT_MAX_BODY_BYTES, decodeRouteConfiguration, decodeVirtualHost } from "./route.ts";
import { flattenRuntime } from "./runtime.ts";
import { decodeChangedHosts } from "./virtual-host-reuse.ts";
import { decodeScopedRoute } from "./scoped-routes.ts";
import { decodeSecret } from "./secret.ts";

export const RUNTIME_TYPE = "type.googleapis.com/envoy.service.runtime.v3.Runtime";

/** A decoded resource: `kind` tells the model type. `name` is what subscriptions call it. */
export type Resource =
  | { readonly kind: "listener"; readonly name: string; readonly value: Listener }
  | {
      readonly kind: "route";
      readonly name: string;
      readonly value: RouteConfiguration;
      /** Nothing of the value is a view into the bytes that it was decoded from. */
      readonly leavesBytes?: true;
    }
  | { readonly kind: "virtual_host"; readonly name: string; readonly value: VirtualHost }
  | { readonly kind: "scope"; readonly name: string; readonly value: ScopedRoute }
  | { readonly kind: "cluster"; readonly name: string; readonly value: Cluster }
  | { readonly kind: "endpoints"; readonly name: string; readonly value: ClusterLoadAssignment }
  | { readonly kind: "plugin"; readonly name: string; readonly value: DiscoveredFilter }
  | { readonly kind: "secret"; readonly name: string; readonly value: Secret }
  | { readonly kind: "runtime"; readonly name: string; readonly value: Runtime };

export interface DecodeOptions {
  /** What unknown field numbers do. Default "warn", Envoy's behaviour for dynamic configuration. */
  readonly unknownFields?: UnknownFieldPolicy;
  /** Checks the format strings of access logs and header values; without it they are the renderer's surprise. */
  readonly formatProblem?: FormatProblem;
  /** The last good version of the same resource: parts that did not change become the same objects again. */
  readonly previous?: PreviousVersion | undefined;
}

export interface PreviousVersion {
  readonly bytes: Uint8Array;
  /** What decodeResource() made of them. */
  readonly value: unknown;
}

interface ResourceType {
  readonly desc: DescMessage;
  /** The resource's name; needed even when decoding fails, to say which resource was refused. */
  nameOf(message: Message): string;
  decode(message: Message, findings: Findings): Resource | undefined;
}

const TYPES: ReadonlyMap<string, ResourceType> = new Map([
  [LISTENER_TYPE, listenerType()],
  [ROUTE_TYPE, routeType()],
  [VIRTUAL_HOST_TYPE, virtualHostType()],
  [SCOPED_ROUTE_TYPE, scopeType()],
  [CLUSTER_TYPE, clusterType()],
  [ENDPOINTS_TYPE, endpointsType()],
  [EXTENSION_CONFIG_TYPE, extensionConfigType()],
  [RUNTIME_TYPE, runtimeType()],
  [SECRET_TYPE, secretType()],
]);

/** Every type URL that decodeResource() knows. */
export const RESOURCE_TYPES: readonly string[] = [...TYPES.keys()];

/** Decodes one resource. Issues name fields by proto path, such as `filter_chains[0].filters[0].typed_config.stat_prefix`. */
export function decodeResource(typeUrl: string, bytes: Uint8Array, options: DecodeOptions = {}): Decoded<Resource> {
  const findings = new Findings(options.formatProblem);
  const type = TYPES.get(typeUrl);
  if (type === undefined) {
    findings.issue("", `resource type ${typeUrl} is not supported; supported: ${RESOURCE_TYPES.join(", ")}`);
    return findings.result<Resource>(undefined);
  }
  if (typeUrl === ROUTE_TYPE && options.previous !== undefined) {
    const { bytes: before, value } = options.previous;
    const previous = { bytes: before, value: value as RouteConfiguration };
    const routes = decodeChangedHosts(bytes, previous, findings, options.unknownFields ?? "warn");
    if (routes !== undefined) {
      return findings.result<Resource>({ kind: "route", name: routes.name, value: routes, leavesBytes: true });
    }
  }
  if (typeUrl === ENDPOINTS_TYPE) {
    const value = plainEndpoints(bytes);
    if (value !== undefined) return findings.result<Resource>({ kind: "endpoints", name: value.clusterName, value });
  }
  const message = parse(type.desc, bytes, findings);
  if (message === undefined) return findings.result<Resource>(undefined);
  inspectMessage(type.desc, message, "", findings, options.unknownFields ?? "warn");
  const resource = type.decode(message, findings);
  if (resource !== undefined && resource.name === "") findings.issue("name", "must not be empty");
  return findings.result(resource);
}

/** The name inside a resource's bytes, for state-of-the-world responses without wrappers; undefined when they do not parse. */
export function resourceName(typeUrl: string, bytes: Uint8Array): string | undefined {
  const type = TYPES.get(typeUrl);
  if (type === undefined) return undefined;
  const message = parse(type.desc, bytes, new Findings());
  return message === undefined ? undefined : type.nameOf(message);
}

function parse(desc: DescMessage, bytes: Uint8Array, findings: Findings): Message | undefined {
  try {
    return fromBinary(desc, bytes);
  } catch (error) {
    findings.issue("", `does not parse as ${desc.typeName}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function listenerType(): ResourceType {
  return {
    desc: ListenerSchema,
    nameOf: (message) => (message as ListenerMessage).name,
    decode: (message, findings) => {
      const listener = message as ListenerMessage;
      const value = decodeListener(listener, "", findings);
      return value === undefined ? undefined : { kind: "listener", name: listener.name, value };
    },
  };
}

function routeType(): ResourceType {
  return {
    desc: RouteConfigurationSchema,
    nameOf: (message) => (message as RouteMessage).name,
    decode: (message, findings) => {
      const value = decodeRouteConfiguration(message as RouteMessage, "", findings);
      if (value.validateClusters === true) {
        const field = "envoy.config.route.v3.RouteConfiguration.validate_clusters";
        findings.warn("no_effect", "validate_clusters", field, "clusters are checked in inline routes only");
      }
      return { kind: "route", name: value.name, value };
    },
  };
}

function virtualHostType(): ResourceType {
  return {
    desc: VirtualHostSchema,
    nameOf: (message) => (message as VirtualHostMessage).name,
    decode: (message, findings) => {
      const value = decodeVirtualHost(message as VirtualHostMessage, DEFAULT_MAX_BODY_BYTES, "", findings);
      return { kind: "virtual_host", name: value.name, value };
    },
  };
}

function scopeType(): ResourceType {
  return {
    desc: ScopedRouteConfigurationSchema,
    nameOf: (message) => (message as ScopedRouteConfiguration).name,
    decode: (message, findings) => {
      const value = decodeScopedRoute(message as ScopedRouteConfiguration, findings);
      return { kind: "scope", name: value.name, value };
    },
  };
}

function clusterType(): ResourceType {
  return {
    desc: ClusterSchema,
    nameOf: (message) => (message as ClusterMessage).name,
    decode: (message, findings) => {
      const value = decodeCluster(message as ClusterMessage, "", findings);
      return value === undefined ? undefined : { kind: "cluster", name: value.name, value };
    },
  };
}

function endpointsType(): ResourceType {
  return {
    desc: ClusterLoadAssignmentSchema,
    nameOf: (message) => (message as AssignmentMessage).clusterName,
    decode: (message, findings) => {
      const value = decodeEndpoints(message as AssignmentMessage, "ip", "", findings);
      return { kind: "endpoints", name: value.clusterName, value };
    },
  };
}

function extensionConfigType(): ResourceType {
  return {
    desc: TypedExtensionConfigSchema,
    nameOf: (message) => (message as TypedExtensionConfig).name,
    decode: (message, findings) => {
      const { name, typedConfig } = message as TypedExtensionConfig;
      if (typedConfig === undefined) return undefined;
      const value = decodeDiscoveredFilter(typedConfig, name, child("", "typed_config"), findings);
      return value === undefined ? undefined : { kind: "plugin", name, value };
    },
  };
}

function secretType(): ResourceType {
  return {
    desc: SecretSchema,
    nameOf: (message) => (message as SecretMessage).name,
    decode: (message, findings) => {
      const value = decodeSecret(message as SecretMessage, "", findings);
      return value === undefined ? undefined : { kind: "secret", name: value.name, value };
    },
  };
}

function runtimeType(): ResourceType {
  return {
    desc: RuntimeSchema,
    nameOf: (message) => (message as RuntimeMessage).name,
    decode: (message) => {
      const { name, layer } = message as RuntimeMessage;
      return { kind: "runtime", name, value: flattenRuntime(layer ?? {}) };
    },
  };
}
