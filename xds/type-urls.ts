// The names that the xDS transport uses: resource type URLs, the gRPC method that serves each type, and short labels
// for logs. Pure data; used by the client, the control plane and tests.
// Source: envoy/service/*/v3/*.proto, envoy/config/*/v3/*.proto.

const PREFIX = "type.googleapis.com/";

export const LISTENER_TYPE = `${PREFIX}envoy.config.listener.v3.Listener`;
export const ROUTE_TYPE = `${PREFIX}envoy.config.route.v3.RouteConfiguration`;
export const SCOPED_ROUTE_TYPE = `${PREFIX}envoy.config.route.v3.ScopedRouteConfiguration`;
/** Delta only. */
export const VIRTUAL_HOST_TYPE = `${PREFIX}envoy.config.route.v3.VirtualHost`;
export const CLUSTER_TYPE = `${PREFIX}envoy.config.cluster.v3.Cluster`;
export const ENDPOINTS_TYPE = `${PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment`;
export const SECRET_TYPE = `${PREFIX}envoy.extensions.transport_sockets.tls.v3.Secret`;
export const EXTENSION_CONFIG_TYPE = `${PREFIX}envoy.config.core.v3.TypedExtensionConfig`;
export const RUNTIME_TYPE = `${PREFIX}envoy.service.runtime.v3.Runtime`;
/** The wrapper that carries a name, a version and a TTL; native in delta, optional around each Any in state of the world. */
export const RESOURCE_WRAPPER_TYPE = `${PREFIX}envoy.service.discovery.v3.Resource`;

/** Types whose state-of-the-world response is the complete set: a resource that is absent is removed. */
export const COLLECTION_TYPES: ReadonlySet<string> = new Set([LISTENER_TYPE, CLUSTER_TYPE, SCOPED_ROUTE_TYPE]);

/** Every type that a control plane of ours serves, in make-before-break order (what is used before what uses it). */
export const PUSH_ORDER: readonly string[] = [
  RUNTIME_TYPE,
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  SECRET_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  SCOPED_ROUTE_TYPE,
  ROUTE_TYPE,
  VIRTUAL_HOST_TYPE,
];

const LABELS: ReadonlyMap<string, string> = new Map([
  [LISTENER_TYPE, "LDS"],
  [ROUTE_TYPE, "RDS"],
  [SCOPED_ROUTE_TYPE, "SRDS"],
  [VIRTUAL_HOST_TYPE, "VHDS"],
  [CLUSTER_TYPE, "CDS"],
  [ENDPOINTS_TYPE, "EDS"],
  [SECRET_TYPE, "SDS"],
  [EXTENSION_CONFIG_TYPE, "ECDS"],
  [RUNTIME_TYPE, "RTDS"],
]);

/** "CDS" for the cluster type and so on; the type URL itself for a type without a short name. */
export function typeLabel(typeUrl: string): string {
  return LABELS.get(typeUrl) ?? typeUrl;
}

export type DiscoveryMethods = Readonly<{ sotw: string; delta: string }>;

export const ADS_METHODS: DiscoveryMethods = {
  sotw: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
  delta: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
};

/** The services that serve one type only, for config sources that are not aggregated. */
export const TYPE_METHODS: ReadonlyMap<string, DiscoveryMethods> = new Map([
  [LISTENER_TYPE, methods("listener.v3.ListenerDiscoveryService", "Listeners")],
  [ROUTE_TYPE, methods("route.v3.RouteDiscoveryService", "Routes")],
  [SCOPED_ROUTE_TYPE, methods("route.v3.ScopedRoutesDiscoveryService", "ScopedRoutes")],
  [VIRTUAL_HOST_TYPE, methods("route.v3.VirtualHostDiscoveryService", "VirtualHosts")],
  [CLUSTER_TYPE, methods("cluster.v3.ClusterDiscoveryService", "Clusters")],
  [ENDPOINTS_TYPE, methods("endpoint.v3.EndpointDiscoveryService", "Endpoints")],
  [SECRET_TYPE, methods("secret.v3.SecretDiscoveryService", "Secrets")],
  [RUNTIME_TYPE, methods("runtime.v3.RuntimeDiscoveryService", "Runtime")],
  [EXTENSION_CONFIG_TYPE, methods("extension.v3.ExtensionConfigDiscoveryService", "ExtensionConfigs")],
]);

function methods(service: string, noun: string): DiscoveryMethods {
  return { sotw: `/envoy.service.${service}/Stream${noun}`, delta: `/envoy.service.${service}/Delta${noun}` };
}
