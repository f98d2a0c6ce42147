// Extensions that are accepted without effect, by type name: they only count, annotate or detect, so that leaving them
// out changes neither routing nor security. Most come from Istio. Called by the filter decoders.

/** Types that are left out whatever they contain. */
const INERT: ReadonlySet<string> = new Set([
  "envoy.extensions.filters.http.compressor.v3.Compressor",
  "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
  "stats.PluginConfig",
  "envoy.tcp.metadataexchange.config.MetadataExchange",
  "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
]);

export function isInert(typeName: string): boolean {
  return INERT.has(typeName);
}
