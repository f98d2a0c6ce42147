// What a listener does with connections that were meant for other addresses: its listener filters original_dst and original_src,
// use_original_dst, transparent, freebind. Called by listener.ts.

import type { ListenerFilter } from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { Listener as ListenerMessage } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import type { OriginalSrc } from "../gen/envoy/extensions/filters/listener/original_src/v3/original_src_pb.ts";
import type { Interception } from "../model/listener.ts";
import { unpackAny } from "./any.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeSocketOptions } from "./socket-options.ts";

export const ORIGINAL_DST = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst";
export const ORIGINAL_SRC = "envoy.extensions.filters.listener.original_src.v3.OriginalSrc";

export function decodeInterception(message: ListenerMessage, path: string, findings: Findings): Interception {
  const handsOff = message.useOriginalDst ?? false;
  let restoresDestination = handsOff;
  let source: Interception["source"];
  for (const [index, filter] of message.listenerFilters.entries()) {
    const typeName = filterType(filter);
    if (typeName !== ORIGINAL_DST && typeName !== ORIGINAL_SRC) continue;
    if (filter.filterDisabled !== undefined) {
      const filterPath = child(item(child(path, "listener_filters"), index), "filter_disabled");
      findings.issue(filterPath, `is not supported for ${typeName}`);
    }
    restoresDestination ||= typeName === ORIGINAL_DST;
    if (typeName === ORIGINAL_SRC && filter.configType.case === "typedConfig") {
      const config = unpackAny(filter.configType.value).message as OriginalSrc | undefined;
      source = config === undefined ? undefined : { bindsPort: config.bindPort, mark: config.mark };
    }
  }
  return {
    restoresDestination,
    handsOff,
    source,
    transparent: message.transparent ?? false,
    freebind: message.freebind ?? false,
    socketOptions: decodeSocketOptions(message.socketOptions, child(path, "socket_options"), findings),
  };
}

function filterType({ configType }: ListenerFilter): string {
  return configType.case === "typedConfig" ? unpackAny(configType.value).typeName : "";
}
