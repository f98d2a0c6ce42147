// The objects of Envoy's that the foreign function set_envoy_filter_state makes, by their keys: what they take, and what readers
// see of them. Properties and access logs show them; tcp/tcp-connection.ts asks for its cluster and idle timeout.
// Source: Envoy 1.40's registered StreamInfo::FilterState::ObjectFactory, asked one by one.

import { isIP } from "node:net";
import type { StateForm } from "./filter-state.ts";

export interface StateObjectValue {
  readonly form: StateForm;
  /** As text; latin1. */
  readonly text: string;
}

/** undefined: the value is none for this key. */
type Factory = (value: string) => StateObjectValue | undefined;

const as =
  (form: StateForm): Factory =>
  (text) => ({ form, text });

/** At most 64 bits. */
const number =
  (form: StateForm): Factory =>
  (text) =>
    /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n ? { form, text: String(BigInt(text)) } : undefined;

const address: Factory = (text) => {
  const [, host = "", port = ""] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const isAddress = host.startsWith("[") ? isIP(host.slice(1, -1)) === 6 : isIP(host) === 4;
  return isAddress && Number(port) < 65_536 ? { form: "address", text } : undefined;
};

const ip: Factory = (text) => {
  switch (isIP(text)) {
    case 4:
      return { form: "plain", text: `${text}:0` };
    case 6:
      return { form: "plain", text: `[${text}]:0` };
    default:
      return undefined;
  }
};

const bool: Factory = (text) => {
  const isTrue = /^(true|t|yes|y|1)$/i.test(text);
  return isTrue || /^(false|f|no|n|0)$/i.test(text) ? { form: "json", text: String(isTrue) } : undefined;
};

export const STATE_OBJECTS: ReadonlyMap<string, Factory> = new Map<string, Factory>([
  ["envoy.string", as("text")],
  ["envoy.hashable_string", as("text")],
  ["envoy.upstream.dynamic_host", as("text")],
  ["envoy.upstream.dynamic_port", number("json")],
  ["envoy.ratelimit.hits_addend", number("json")],
  // A 64-bit number in its message, which JSON writes as a text.
  ["envoy.tcp_proxy.per_connection_idle_timeout_ms", number("text")],
  ["envoy.tcp_proxy.disable_tunneling", (text) => ({ form: "json", text: String(text === "true") })],
  ["envoy.bool", bool],
  ["envoy.tcp_proxy.cluster", as("plain")],
  ["envoy.network.upstream_server_name", as("plain")],
  ["envoy.network.upstream_subject_alt_names", as("plain")],
  ["envoy.network.network_namespace", as("plain")],
  ["envoy.network.ip", ip],
  ["envoy.network.application_protocols", as("hidden")],
  ["envoy.network.transport_socket.original_dst_address", address],
  ["envoy.filters.listener.original_dst.local_ip", address],
  ["envoy.filters.listener.original_dst.remote_ip", address],
]);
