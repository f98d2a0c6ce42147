// envoy.config.listener.v3.Listener → model. Called by resource.ts for LDS and by bootstrap.ts for static listeners.

import { TrafficDirection as Direction } from "../gen/envoy/config/core/v3/base_pb.ts";
import { SocketAddress_Protocol, type Address as AddressMessage } from "../gen/envoy/config/core/v3/address_pb.ts";
import { Listener_DrainType, type Listener as ListenerMessage } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import type {
  FilterChain as FilterChainMessage,
  ListenerFilter,
} from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { Address } from "../model/address.ts";
import type { Listener, TrafficDirection } from "../model/listener.ts";
import { decodeAccessLogs } from "./access-log.ts";
import { decodeAddress, metadataBytes } from "./address.ts";
import { unpackAny } from "./any.ts";
import { quoted } from "./constraint.ts";
import { durationMs } from "./duration.ts";
import { checkOverlaps } from "./chain-overlap.ts";
import { decodeFilterChain } from "./filter-chain.ts";
import { unsupported } from "./filter-config.ts";
import { decodeInterception, ORIGINAL_DST, ORIGINAL_SRC } from "./interception.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;
const DEFAULT_LISTENER_FILTERS_TIMEOUT_MS = 15_000;
const DEFAULT_BACKLOG = 128;

const TLS_INSPECTOR = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
const HTTP_INSPECTOR = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector";

/** Undefined when it cannot be served, which is then reported. */
export function decodeListener(message: ListenerMessage, path: string, findings: Findings): Listener | undefined {
  if (message.address === undefined) findings.issue(child(path, "address"), "is required");
  const address = decodeListenAddress(message.address, child(path, "address"), findings);
  const additionalAddresses = decodeEach(
    message.additionalAddresses,
    child(path, "additional_addresses"),
    findings,
    (additional, additionalPath) => {
      const addressPath = child(additionalPath, "address");
      if (additional.address === undefined) findings.issue(addressPath, "is required");
      return decodeListenAddress(additional.address, addressPath, findings);
    },
  );
  const listenerFilters = decodeEach(
    message.listenerFilters,
    child(path, "listener_filters"),
    findings,
    decodeListenerFilter,
  );
  const interception = decodeInterception(message, path, findings);
  const chains = decodeChains(message, path, findings);
  const accessLogs = decodeAccessLogs(message.accessLog, child(path, "access_log"), findings);
  if (address === undefined) return undefined;
  const name = message.name === "" ? addressName(address) : message.name;
  return {
    name,
    statPrefix: message.statPrefix === "" ? addressName(address) : message.statPrefix,
    address,
    additionalAddresses,
    trafficDirection: DIRECTIONS[message.trafficDirection] ?? "unspecified",
    bindToPort: message.bindToPort ?? message.deprecatedV1?.bindToPort ?? true,
    reusePort: message.enableReusePort ?? true,
    tcpBacklog: message.tcpBacklogSize ?? DEFAULT_BACKLOG,
    perConnectionBufferLimitBytes: message.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT_BYTES,
    interception,
    listenerFilters,
    listenerFiltersTimeoutMs: durationMs(message.listenerFiltersTimeout, DEFAULT_LISTENER_FILTERS_TIMEOUT_MS),
    drainType: message.drainType === Listener_DrainType.MODIFY_ONLY ? "modify_only" : "default",
    ...chains,
    accessLogs,
    metadata: metadataBytes(message.metadata),
  };
}

const DIRECTIONS: Readonly<Record<number, TrafficDirection>> = {
  [Direction.UNSPECIFIED]: "unspecified",
  [Direction.INBOUND]: "inbound",
  [Direction.OUTBOUND]: "outbound",
};

function decodeListenAddress(
  message: AddressMessage | undefined,
  path: string,
  findings: Findings,
): Address | undefined {
  const address = message?.address;
  if (address?.case === "socketAddress") {
    const socket = address.value;
    if (socket.protocol === SocketAddress_Protocol.UDP) {
      findings.issue(child(path, "socket_address.protocol"), "UDP listeners are not supported");
    }
    if (socket.portSpecifier.case === "namedPort") {
      findings.issue(child(path, "socket_address.named_port"), "is not supported; use port_value");
    }
  }
  return decodeAddress(message, "ip", path, findings);
}

/** Envoy names a static listener without a name at random; its address says more. */
function addressName(address: Address): string {
  if (address.kind === "pipe") return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function decodeListenerFilter(message: ListenerFilter, path: string, findings: Findings): string | undefined {
  const config = message.configType;
  if (config.case !== "typedConfig") {
    if (config.case === undefined) findings.issue(path, "needs typed_config");
    return undefined;
  }
  const typeName = unpackAny(config.value).typeName;
  if (typeName === TLS_INSPECTOR || typeName === HTTP_INSPECTOR) {
    findings.warn("no_effect", path, typeName, `listener filter ${typeName} is accepted without effect`);
    return message.name;
  }
  if (typeName === ORIGINAL_DST || typeName === ORIGINAL_SRC) {
    return message.name;
  }
  const known = [ORIGINAL_DST, ORIGINAL_SRC, TLS_INSPECTOR, HTTP_INSPECTOR];
  const problem = unsupported("listener filter", typeName, known);
  findings.issue(child(path, "typed_config"), problem);
  return undefined;
}

function decodeChains(
  message: ListenerMessage,
  path: string,
  findings: Findings,
): Pick<Listener, "filterChains" | "defaultFilterChain"> {
  const chainsPath = child(path, "filter_chains");
  if (message.filterChains.length === 0 && message.defaultFilterChain === undefined) {
    findings.issue(chainsPath, "has no filter chain");
  }
  const filterChains = message.filterChains.flatMap((chain, index) => {
    return decodeFilterChain(chain, `filter_chain_${index}`, item(chainsPath, index), findings) ?? [];
  });
  const defaultPath = child(path, "default_filter_chain");
  const defaultFilterChain =
    message.defaultFilterChain === undefined
      ? undefined
      : decodeFilterChain(message.defaultFilterChain, "default_filter_chain", defaultPath, findings);
  checkNames(message.filterChains, chainsPath, findings);
  checkOverlaps(message.filterChains, chainsPath, findings);
  return { filterChains, defaultFilterChain };
}

function checkNames(chains: readonly FilterChainMessage[], path: string, findings: Findings): void {
  const seen = new Map<string, number>();
  for (const [index, { name }] of chains.entries()) {
    const other = seen.get(name);
    if (name !== "" && other !== undefined) {
      findings.issue(child(item(path, index), "name"), `${quoted(name)} is already the name of ${item(path, other)}`);
    }
    seen.set(name, index);
  }
}
