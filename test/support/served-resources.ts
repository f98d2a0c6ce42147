// The resources of integration stories, as YAML text: one listener "in" with RDS routes and an ECDS plugin, an EDS cluster
// "app" and its endpoints. Options say what a story changes.

import { join } from "node:path";

const GO_PLUGIN = join(import.meta.dirname, "../../plugins/examples/go/plugin.wasm");
const ADS = "{ ads: {}, resource_api_version: V3 }";

export interface Served {
  /** Port of the endpoint of cluster "app". */
  readonly upstream: number;
  /** The routes add it to every response, as x-version. Default "1". */
  readonly version?: string;
  /** The plugin adds it to every response, as X-Go-Wasm. Without it there is no plugin. */
  readonly plugin?: string;
  readonly listenerPort?: number;
  /** YAML lines at the top level of the cluster, indented by two. */
  readonly cluster?: string;
  /** Replaces the route's prefix match. */
  readonly match?: string;
  /** Instead of cluster "app", and then under this name. */
  readonly clusterName?: string;
  /** Module of the plugin. */
  readonly module?: string;
}

export function servedResources(served: Served): string {
  return [
    listenerText(served),
    routesText(served),
    clusterText(served),
    endpointsText(served),
    pluginText(served),
  ].join("");
}

function listenerText({ plugin, listenerPort = 0 }: Served): string {
  const discovered = `
              - name: header
                config_discovery:
                  config_source: ${ADS}
                  type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]`;
  return `- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: in
  address: { socket_address: { address: 127.0.0.1, port_value: ${listenerPort} } }
  filter_chains:
    - filters:
        - name: hcm
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: in
            rds: { route_config_name: routes, config_source: ${ADS} }
            http_filters:${plugin === undefined ? "" : discovered}
              - name: router
                typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`;
}

export function routesText({ version = "1", match = "prefix: /", clusterName = "app" }: Served): string {
  return `- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  response_headers_to_add: [{ header: { key: x-version, value: "${version}" } }]
  virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { ${match} }, route: { cluster: ${clusterName} } }] }]
`;
}

function clusterText({ cluster = "", clusterName = "app" }: Served): string {
  return `- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: ${clusterName}
  type: EDS
  eds_cluster_config: { eds_config: ${ADS} }
${cluster}`;
}

function endpointsText({ upstream, clusterName = "app" }: Served): string {
  const address = `{ socket_address: { address: 127.0.0.1, port_value: ${upstream} } }`;
  return `- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: ${clusterName}
  endpoints: [{ lb_endpoints: [{ endpoint: { address: ${address} } }] }]
`;
}

function pluginText({ plugin, module = GO_PLUGIN }: Served): string {
  if (plugin === undefined) return "";
  return `- "@type": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
  name: header
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config:
      name: header
      configuration:
        "@type": type.googleapis.com/google.protobuf.StringValue
        value: '{"headers":[{"name":"X-Go-Wasm","value":"${plugin}"}]}'
      vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: ${module} } } }
`;
}
