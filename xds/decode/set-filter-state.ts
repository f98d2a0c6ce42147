// envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue → model. Called by builtin-filter.ts.

import type { FilterStateValue as ValueMessage } from "../gen/envoy/extensions/filters/common/set_filter_state/v3/value_pb.ts";
import type { FilterStateValue } from "../model/builtin-filter.ts";
import { quoted } from "./constraint.ts";
import { child, type Findings } from "./issues.ts";

/** Kinds of objects: those that sidecar/filter/state-objects.ts makes. */
export const STATE_FACTORIES: ReadonlySet<string> = new Set([
  "envoy.bool",
  "envoy.filters.listener.original_dst.local_ip",
  "envoy.filters.listener.original_dst.remote_ip",
  "envoy.hashable_string",
  "envoy.network.application_protocols",
  "envoy.network.ip",
  "envoy.network.network_namespace",
  "envoy.network.transport_socket.original_dst_address",
  "envoy.network.upstream_server_name",
  "envoy.network.upstream_subject_alt_names",
  "envoy.ratelimit.hits_addend",
  "envoy.string",
  "envoy.tcp_proxy.cluster",
  "envoy.tcp_proxy.disable_tunneling",
  "envoy.tcp_proxy.per_connection_idle_timeout_ms",
  "envoy.upstream.dynamic_host",
  "envoy.upstream.dynamic_port",
]);

export function decodeFilterStateValue(
  message: ValueMessage,
  path: string,
  findings: Findings,
): FilterStateValue | undefined {
  const key = message.key.value ?? "";
  const factory = message.factoryKey === "" ? key : message.factoryKey;
  if (key !== "" && !STATE_FACTORIES.has(factory)) {
    const field = message.factoryKey === "" ? "object_key" : "factory_key";
    findings.issue(
      child(path, field),
      `${quoted(factory)} is no kind of object; factory_key must be one of ${[...STATE_FACTORIES].join(", ")}`,
    );
  }
  const format = message.value.value;
  const formatPath = child(path, "format_string");
  const text = format === undefined ? undefined : textOf(format.format, formatPath, findings);
  if (format === undefined || text === undefined) return undefined;
  return { key, factory, text, omitEmptyValues: format.omitEmptyValues, skipIfEmpty: message.skipIfEmpty };
}

function textOf(
  format: NonNullable<ValueMessage["value"]["value"]>["format"],
  path: string,
  findings: Findings,
): string | undefined {
  if (format.case === "textFormat") return format.value;
  const source = format.case === "textFormatSource" ? format.value.specifier : undefined;
  if (source?.case === "inlineString" || source?.case === "inlineBytes") {
    const text = source.case === "inlineString" ? source.value : Buffer.from(source.value).toString("utf8");
    findings.format(child(path, "text_format_source"), text);
    return text;
  }
  if (format.case !== undefined) findings.issue(path, "must be text_format_source with inline_string or inline_bytes");
  return undefined;
}
