// Parts from which the corpus of bootstraps is put together, in YAML's flow style.

export interface CorpusCase {
  readonly name: string;
  readonly yaml: string;
  /** A part of each issue that must be found; none means that the bootstrap is good. */
  readonly issues: readonly string[];
  /** Why Envoy's verdict is the other one. */
  readonly differs?: string;
}

export const ROUTER = `{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`;
export const ONE_HOST = `[{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}}]}]`;
export const LOCAL = `{name: local, load_assignment: {cluster_name: local, endpoints: ${ONE_HOST}}}`;
export const ADS = `{api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: local}}]}`;
export const TO_LOCAL = `{match: {prefix: "/"}, route: {cluster: local}}`;
export const HCM =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/** A bootstrap from flow-style parts. */
export function bootstrap(parts: { listeners?: string; clusters?: string; rest?: string }): string {
  return `node: {id: id, cluster: cluster}
static_resources:
  listeners: [${parts.listeners ?? ""}]
  clusters: [${parts.clusters ?? LOCAL}]
${parts.rest ?? ""}
`;
}

/** A listener with one connection manager: inline `routes`, or all of its fields in `fields`. */
export function http(routes: string, fields = "", filters = ROUTER): string {
  return listener(`{name: hcm, typed_config: {"@type": ${HCM}, stat_prefix: s, http_filters: [${filters}],
    route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [${routes}]}]}${fields === "" ? "" : `, ${fields}`}}}`);
}

export function listener(filters: string, fields = ""): string {
  return `{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}${fields},
    filter_chains: [{filters: [${filters}]}]}`;
}

export function hcm(fields: string): string {
  return `{name: hcm, typed_config: {"@type": ${HCM}, stat_prefix: s, http_filters: [${ROUTER}], ${fields}}}`;
}

export const TABLE = `route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [${TO_LOCAL}]}]}`;
export const TCP_TYPE = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
export const TCP = `{name: tcp, typed_config: {"@type": ${TCP_TYPE}, stat_prefix: t, cluster: local}}`;

export function route(text: string): string {
  return bootstrap({ listeners: http(text) });
}

export function hosts(text: string): string {
  return bootstrap({ listeners: listener(hcm(`route_config: {virtual_hosts: [${text}]}`)) });
}

export function cluster(text: string): string {
  return bootstrap({ clusters: `{name: c, ${text}}` });
}
