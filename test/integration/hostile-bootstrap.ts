// The bootstrap of the tests with hostile peers, for us and for Envoy. Three listeners, which are also the stat prefixes:
// `plain` has the defaults, `paths` everything that hardens paths and names, `open` everything that admits more.

const TYPE = "type.googleapis.com/envoy.extensions.filters";

const address = (port: number): object => ({ socket_address: { address: "127.0.0.1", port_value: port } });

function listener(name: string, options: object): object {
  const manager = {
    "@type": `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "origin" } }] },
      ],
    },
    http_filters: [{ name: "envoy.filters.http.router", typed_config: { "@type": `${TYPE}.http.router.v3.Router` } }],
    request_headers_timeout: "0.4s",
    stream_idle_timeout: "0.8s",
    ...options,
  };
  const filters = [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }];
  return { name, address: address(0), filter_chains: [{ filters }] };
}

export function hostileBootstrap(originPort: number): object {
  const endpoint = { endpoint: { address: address(originPort) } };
  return {
    admin: { address: address(0) },
    static_resources: {
      listeners: [
        listener("plain", {}),
        listener("paths", {
          normalize_path: true,
          merge_slashes: true,
          path_with_escaped_slashes_action: "REJECT_REQUEST",
          common_http_protocol_options: { headers_with_underscores_action: "REJECT_REQUEST" },
        }),
        listener("open", {
          http_protocol_options: { accept_http_10: true, default_host_for_http_10: "d", enable_trailers: true },
          path_with_escaped_slashes_action: "UNESCAPE_AND_FORWARD",
          normalize_path: true,
          upgrade_configs: [{ upgrade_type: "websocket" }],
          proxy_100_continue: false,
        }),
      ],
      clusters: [
        {
          name: "origin",
          type: "STATIC",
          connect_timeout: "1s",
          load_assignment: { cluster_name: "origin", endpoints: [{ lb_endpoints: [endpoint] }] },
        },
      ],
    },
  };
}
