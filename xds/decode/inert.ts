// Extensions that are accepted without effect, by type name: they only count, annotate or detect, so that leaving them
// out changes neither routing nor security. Most come from Istio. Called by the filter decoders.

/** Types that are left out whatever they contain. */
const INERT: ReadonlySet<string> = new Set([
  "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
  "envoy.extensions.filters.http.compressor.v3.Compressor",
  "envoy.extensions.filters.http.cors.v3.Cors",
  "io.istio.http.peer_metadata.Config",
  "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
  "stats.PluginConfig",
  "envoy.tcp.metadataexchange.config.MetadataExchange",
  "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
]);

/** Types that do nothing while they are empty; their work comes from per-route configuration, which is refused. */
const INERT_WHEN_EMPTY: ReadonlySet<string> = new Set(["envoy.extensions.filters.http.fault.v3.HTTPFault"]);

/** `isEmpty` says that the extension's message has no field set. */
export function isInert(typeName: string, isEmpty: boolean): boolean {
  return INERT.has(typeName) || (isEmpty && INERT_WHEN_EMPTY.has(typeName));
}
