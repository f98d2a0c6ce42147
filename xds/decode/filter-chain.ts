// Filter chains and their match rules → model. Called by listener.ts.
// The last network filter is the connection manager or the TCP proxy; before it stand plugins, and filters without effect.

import type { Any } from "@bufbuild/protobuf/wkt";
import {
  FilterChainMatch_ConnectionSourceType as SourceType,
  type Filter,
  type FilterChain as FilterChainMessage,
  type FilterChainMatch as MatchMessage,
} from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { HttpConnectionManager as HcmMessage } from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { TcpProxy as TcpProxyMessage } from "../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import type { Wasm } from "../gen/envoy/extensions/filters/network/wasm/v3/wasm_pb.ts";
import type { PluginConfig } from "../gen/stats/config_pb.ts";
import type { IstioStats } from "../model/builtin-filter.ts";
import type { FilterChain, FilterChainMatch, NetworkFilter } from "../model/listener.ts";
import { decodeCidrRange, metadataBytes } from "./address.ts";
import { unpackAny } from "./any.ts";
import { quoted } from "./constraint.ts";
import { decodeHttpConnectionManager } from "./http-connection-manager.ts";
import { unsupported } from "./filter-config.ts";
import { inertReason, refusalReason } from "./inert.ts";
import { decodeIstioStats } from "./istio-filter.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";
import { decodeTcpProxy } from "./tcp-proxy.ts";
import { decodePluginConfig } from "./wasm.ts";
import { decodeDownstreamSocket } from "./transport-socket.ts";

const HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const WASM = "envoy.extensions.filters.network.wasm.v3.Wasm";
const ISTIO_STATS = "stats.PluginConfig";
const TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/** `fallbackName` names a chain that has no name of its own. */
export function decodeFilterChain(
  message: FilterChainMessage,
  fallbackName: string,
  path: string,
  findings: Findings,
): FilterChain | undefined {
  const tls = decodeDownstreamSocket(message.transportSocket, child(path, "transport_socket"), findings);
  if (tls !== undefined) {
    const field = "envoy.config.listener.v3.FilterChain.transport_socket";
    const problem = "connections are not served by TLS yet; those of this filter chain are closed";
    findings.warn("no_effect", child(path, "transport_socket"), field, problem);
  }
  const match =
    message.filterChainMatch === undefined
      ? undefined
      : decodeMatch(message.filterChainMatch, child(path, "filter_chain_match"), findings);
  const networkFilters: NetworkFilter[] = [];
  const filter = decodeFilters(message.filters, child(path, "filters"), findings, networkFilters);
  if (filter === undefined) return undefined;
  const name = message.name === "" ? fallbackName : message.name;
  return { name, match, tls, metadata: metadataBytes(message.metadata), networkFilters, filter };
}

/** The last filter; `plugins` gets those before it. */
function decodeFilters(
  messages: readonly Filter[],
  path: string,
  findings: Findings,
  plugins: NetworkFilter[],
): FilterChain["filter"] | undefined {
  let terminal: FilterChain["filter"] | undefined;
  let istioStats: IstioStats | undefined;
  for (const [index, message] of messages.entries()) {
    const filterPath = item(path, index);
    const config = message.configType;
    if (config.case !== "typedConfig") {
      if (config.case === undefined) findings.issue(filterPath, "needs typed_config");
      continue;
    }
    const isLast = index === messages.length - 1;
    const typeName = unpackAny(config.value).typeName;
    const isTerminal = typeName === HCM || typeName === TCP_PROXY;
    if (isTerminal && !isLast) {
      findings.issue(filterPath, `terminal filter ${quoted(message.name)} must be the last network filter`);
    }
    if (
      !isTerminal &&
      isLast &&
      (typeName === WASM || typeName === ISTIO_STATS || inertReason("Network filters", typeName) !== undefined)
    ) {
      findings.issue(
        filterPath,
        `filter ${quoted(message.name)} is last, but must be followed by ${HCM} or ${TCP_PROXY}`,
      );
    }
    const configPath = child(filterPath, "typed_config");
    if (typeName === ISTIO_STATS) istioStats = decodeStats(config.value) ?? istioStats;
    else if (typeName === WASM) plugins.push(...decodePlugin(config.value, message.name, configPath, findings));
    else terminal = decodeNetworkFilter(config.value, configPath, findings) ?? terminal;
  }
  if (messages.length === 0) findings.issue(path, `must end with ${HCM} or ${TCP_PROXY}`);
  return terminal?.kind === "tcp" ? { ...terminal, istioStats } : terminal;
}

/** Before a connection manager it counts nothing: requests have the HTTP filter for that. */
function decodeStats(any: Any): IstioStats | undefined {
  const { message } = unpackAny(any);
  return message === undefined ? undefined : decodeIstioStats(message as PluginConfig);
}

function decodePlugin(any: Any, name: string, path: string, findings: Findings): NetworkFilter[] {
  const inner = unpackAny(any);
  if (inner.problem !== undefined) return [];
  const innerPath = inner.step === "" ? path : child(path, inner.step);
  const plugin = decodePluginConfig((inner.message as Wasm).config, name, child(innerPath, "config"), findings);
  return plugin === undefined ? [] : [{ name, plugin }];
}

function decodeNetworkFilter(any: Any, path: string, findings: Findings): FilterChain["filter"] | undefined {
  const inner = unpackAny(any);
  if (inner.problem !== undefined) return undefined;
  const innerPath = inner.step === "" ? path : child(path, inner.step);
  if (inner.typeName === HCM) return decodeHttpConnectionManager(inner.message as HcmMessage, innerPath, findings);
  if (inner.typeName === TCP_PROXY) return decodeTcpProxy(inner.message as TcpProxyMessage, innerPath, findings);
  const inert = inertReason("Network filters", inner.typeName);
  const refusal = refusalReason("Network filters", inner.typeName);
  if (inert !== undefined) {
    const problem = `network filter ${inner.typeName} is accepted without effect: ${inert}`;
    findings.warn("no_effect", path, inner.typeName, problem);
  } else if (refusal !== undefined) {
    findings.issue(path, `network filter ${inner.typeName} is not supported, and ${refusal}`);
  } else {
    findings.issue(path, unsupported("network filter", inner.typeName, [WASM, HCM, TCP_PROXY]));
  }
  return undefined;
}

const SOURCE_TYPES: Readonly<Record<number, FilterChainMatch["sourceType"]>> = {
  [SourceType.ANY]: "any",
  [SourceType.SAME_IP_OR_LOOPBACK]: "same_ip_or_loopback",
  [SourceType.EXTERNAL]: "external",
};

function decodeMatch(message: MatchMessage, path: string, findings: Findings): FilterChainMatch {
  for (const [index, name] of message.serverNames.entries()) {
    if (name.includes("*") && !/^\*(\.[^*]+)?$/.test(name)) {
      findings.issue(
        item(child(path, "server_names"), index),
        `${quoted(name)} has a wildcard that is not a leading "*."`,
      );
    }
  }
  return {
    destinationPort: message.destinationPort ?? 0,
    prefixRanges: decodeEach(message.prefixRanges, child(path, "prefix_ranges"), findings, decodeCidrRange),
    directSourcePrefixRanges: decodeEach(
      message.directSourcePrefixRanges,
      child(path, "direct_source_prefix_ranges"),
      findings,
      decodeCidrRange,
    ),
    sourceType: SOURCE_TYPES[message.sourceType] ?? "any",
    sourcePrefixRanges: decodeEach(
      message.sourcePrefixRanges,
      child(path, "source_prefix_ranges"),
      findings,
      decodeCidrRange,
    ),
    sourcePorts: message.sourcePorts,
    serverNames: message.serverNames.map((name) => name.toLowerCase()),
    transportProtocol: message.transportProtocol,
    applicationProtocols: message.applicationProtocols,
  };
}
