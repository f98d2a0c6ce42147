// Which filters there are, by type: what FIELDS.md says of them, and the words of warnings and refusals. Read by fields.ts.
// A type that is not here is refused, unless an HTTP filter says that it is optional.

export interface ExtensionRows {
  /** Types with rows of fields of their own. */
  readonly supported: readonly string[];
  /** Accepted whatever they contain, and what happens instead: leaving them out changes neither routing nor security. */
  readonly accepted: Readonly<Record<string, string>>;
  /** Refused, optional or not, and why. */
  readonly refused: Readonly<Record<string, string>>;
}

const HTTP = "envoy.extensions.filters.http.";
const NETWORK = "envoy.extensions.filters.network.";
const UNPROTECTED = "without it what is behind it is unprotected";

export type ExtensionKind =
  | "HTTP filters"
  | "Settings of HTTP filters for routes"
  | "Network filters"
  | "Upstream network filters";

export const EXTENSION_ROWS: Readonly<Record<ExtensionKind, ExtensionRows>> = {
  "HTTP filters": {
    supported: [
      `${HTTP}composite.v3.Composite`,
      `${HTTP}cors.v3.Cors`,
      `${HTTP}fault.v3.HTTPFault`,
      `${HTTP}grpc_stats.v3.FilterConfig`,
      `${HTTP}header_mutation.v3.HeaderMutation`,
      `${HTTP}on_demand.v3.OnDemand`,
      `${HTTP}router.v3.Router`,
      `${HTTP}set_filter_state.v3.Config`,
      `${HTTP}wasm.v3.Wasm`,
      "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
      "io.istio.http.peer_metadata.Config",
      "stats.PluginConfig",
    ],
    accepted: {
      [`${HTTP}compressor.v3.Compressor`]: "nothing is compressed",
      [`${HTTP}stateful_session.v3.StatefulSession`]: "hosts are picked without affinity",
      [`${HTTP}upstream_codec.v3.UpstreamCodec`]: "requests go upstream by themselves",
      "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": "upstreams are not spoken to over TLS yet",
    },
    refused: {
      [`${HTTP}api_key_auth.v3.ApiKeyAuth`]: UNPROTECTED,
      [`${HTTP}basic_auth.v3.BasicAuth`]: UNPROTECTED,
      [`${HTTP}csrf.v3.CsrfPolicy`]: UNPROTECTED,
      [`${HTTP}ext_authz.v3.ExtAuthz`]: UNPROTECTED,
      [`${HTTP}jwt_authn.v3.JwtAuthentication`]: UNPROTECTED,
      [`${HTTP}local_ratelimit.v3.LocalRateLimit`]: UNPROTECTED,
      [`${HTTP}oauth2.v3.OAuth2`]: UNPROTECTED,
      [`${HTTP}ratelimit.v3.RateLimit`]: UNPROTECTED,
      [`${HTTP}rbac.v3.RBAC`]: UNPROTECTED,
    },
  },
  "Settings of HTTP filters for routes": {
    supported: [
      `${HTTP}cors.v3.CorsPolicy`,
      `${HTTP}fault.v3.HTTPFault`,
      `${HTTP}header_mutation.v3.HeaderMutationPerRoute`,
      `${HTTP}on_demand.v3.PerRouteConfig`,
      `${HTTP}wasm.v3.Wasm`,
      "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute",
      "envoy.extensions.wasm.v3.PluginConfig",
    ],
    accepted: {
      [`${HTTP}compressor.v3.CompressorPerRoute`]: "nothing is compressed",
      [`${HTTP}stateful_session.v3.StatefulSessionPerRoute`]: "hosts are picked without affinity",
    },
    refused: {
      [`${HTTP}csrf.v3.CsrfPolicy`]: UNPROTECTED,
      [`${HTTP}ext_authz.v3.ExtAuthzPerRoute`]: UNPROTECTED,
      [`${HTTP}jwt_authn.v3.PerRouteConfig`]: UNPROTECTED,
      [`${HTTP}local_ratelimit.v3.LocalRateLimit`]: UNPROTECTED,
      [`${HTTP}ratelimit.v3.RateLimitPerRoute`]: UNPROTECTED,
      [`${HTTP}rbac.v3.RBACPerRoute`]: UNPROTECTED,
    },
  },
  "Network filters": {
    supported: [
      `${NETWORK}http_connection_manager.v3.HttpConnectionManager`,
      `${NETWORK}tcp_proxy.v3.TcpProxy`,
      `${NETWORK}wasm.v3.Wasm`,
      "stats.PluginConfig",
    ],
    accepted: {
      [`${NETWORK}mongo_proxy.v3.MongoProxy`]: "TCP connections have Envoy's common statistics only",
      "envoy.tcp.metadataexchange.config.MetadataExchange":
        "peers are not told over TCP: no ALPN istio-peer-exchange is agreed upon",
    },
    refused: {
      [`${NETWORK}ext_authz.v3.ExtAuthz`]: UNPROTECTED,
      [`${NETWORK}local_ratelimit.v3.LocalRateLimit`]: UNPROTECTED,
      [`${NETWORK}ratelimit.v3.RateLimit`]: UNPROTECTED,
      [`${NETWORK}rbac.v3.RBAC`]: UNPROTECTED,
    },
  },
  "Upstream network filters": {
    supported: [],
    accepted: {
      "envoy.tcp.metadataexchange.config.MetadataExchange": "peers are not told over TCP",
    },
    refused: {},
  },
};
