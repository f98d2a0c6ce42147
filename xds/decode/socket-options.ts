// Socket options and source addresses of configuration → model. Called by the listener and cluster decoders.
// Source: envoy.config.core.v3 SocketOption and BindConfig.

import { isIP } from "node:net";
import type { BindConfig as BindMessage, SocketAddress } from "../gen/envoy/config/core/v3/address_pb.ts";
import {
  SocketOption_SocketIpVersion as IpVersion,
  SocketOption_SocketState as State,
  type SocketOption as OptionMessage,
} from "../gen/envoy/config/core/v3/socket_option_pb.ts";
import type { BindConfig, BindSource, SocketOption } from "../model/socket-options.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

/** No option of the kernel has a longer value. */
const MAX_VALUE_BYTES = 1024;

const STATES: Readonly<Record<number, SocketOption["state"]>> = {
  [State.STATE_PREBIND]: "prebind",
  [State.STATE_BOUND]: "bound",
  [State.STATE_LISTENING]: "listening",
};

const FAMILIES: Readonly<Record<number, SocketOption["family"]>> = {
  [IpVersion.IPV4]: 4,
  [IpVersion.IPV6]: 6,
};

export function decodeSocketOptions(
  messages: readonly OptionMessage[],
  path: string,
  findings: Findings,
): readonly SocketOption[] {
  return decodeEach(messages, path, findings, (message, optionPath) =>
    decodeSocketOption(message, optionPath, findings),
  );
}

function decodeSocketOption(message: OptionMessage, path: string, findings: Findings): SocketOption | undefined {
  // Listeners and clusters have stream sockets only.
  if (message.type?.datagram !== undefined && message.type.stream === undefined) return undefined;
  const { value } = message;
  if (value.case === undefined) {
    findings.issue(path, "needs int_value or buf_value");
    return undefined;
  }
  if (value.case === "bufValue" && value.value.length > MAX_VALUE_BYTES) {
    findings.issue(child(path, "buf_value"), `is longer than ${MAX_VALUE_BYTES} bytes`);
    return undefined;
  }
  return {
    level: Number(message.level),
    name: Number(message.name),
    value: value.case === "bufValue" ? value.value : Number(BigInt.asIntN(32, value.value)),
    state: STATES[message.state] ?? "prebind",
    family: FAMILIES[message.ipVersion] ?? 0,
  };
}

/** Undefined: the kernel chooses. */
export function decodeBindConfig(
  message: BindMessage | undefined,
  path: string,
  findings: Findings,
): BindConfig | undefined {
  if (message === undefined) return undefined;
  const freebind = message.freebind ?? false;
  const options = decodeSocketOptions(message.socketOptions, child(path, "socket_options"), findings);
  const sources: BindSource[] = [];
  const add = (address: SocketAddress | undefined, own: readonly SocketOption[], at: string): void => {
    if (address === undefined) return;
    if (isIP(address.address) === 0) {
      findings.issue(child(at, "address"), `${quoted(address.address)} is not an IP address`);
      return;
    }
    const port = address.portSpecifier.case === "portValue" ? address.portSpecifier.value : 0;
    sources.push({ host: address.address, port, freebind, options: own });
  };
  add(message.sourceAddress, options, child(path, "source_address"));
  const extraPath = child(path, "extra_source_addresses");
  if (message.sourceAddress === undefined && message.extraSourceAddresses.length > 0) {
    findings.issue(extraPath, "needs source_address");
  }
  if (message.extraSourceAddresses.length > 1) {
    findings.issue(extraPath, "has more than one address; one of each IP version can be used");
  }
  for (const [index, extra] of message.extraSourceAddresses.entries()) {
    const at = item(extraPath, index);
    const own =
      extra.socketOptions === undefined
        ? options
        : decodeSocketOptions(extra.socketOptions.socketOptions, child(at, "socket_options.socket_options"), findings);
    add(extra.address, own, child(at, "address"));
  }
  const [first, second] = sources;
  if (first !== undefined && second !== undefined && isIP(first.host) === isIP(second.host)) {
    findings.issue(extraPath, `${quoted(second.host)} has the same IP version as source_address`);
  }
  return { sources };
}
