// Variants of what has no effect here and is judged all the same: extensions of other types, overload manager, tags of
// statistics, health checks. See corpus-variants.ts.

import { TYPE, type Row } from "./variant-row.ts";

const any = (type: string, fields = "") => `{name: x, typed_config: {"@type": ${TYPE}${type}${fields}}}`;
/** Envoy has it, for another place. */
const WRONG = any("envoy.extensions.filters.http.router.v3.Router");
const HEAP = any(
  "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
  ", max_heap_size_bytes: 9",
).replace("x,", "h,");
const CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections";
const CONNECTIONS_CONFIG = any(
  "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
  ", max_active_downstream_connections: 9",
);
const TRIGGER = "triggers: [{name: h, threshold: {value: 0.5}}]";

const manager = (rest: string) => `overload_manager: {resource_monitors: [${HEAP}]${rest}}`;
const action = (name: string, rest = TRIGGER) =>
  manager(`, actions: [{name: envoy.overload_actions.${name}, ${rest}}]`);
const tag = (text: string) => `stats_config: {stats_tags: [${text}]}`;

export const INERT_BOOTSTRAPS: readonly Row[] = [
  [`stats_sinks: [${any("envoy.config.metrics.v3.HystrixSink")}]`],
  ["stats_sinks: [{name: envoy.stat_sinks.statsd}]", "stats_sinks[0]: needs typed_config"],
  [
    `stats_sinks: [${WRONG}]`,
    "stats_sinks[0].typed_config: envoy.extensions.filters.http.router.v3.Router is not known",
  ],
  [`stats_sinks: [${any("envoy.nothing.v3.Nothing")}]`, "envoy.nothing.v3.Nothing is not known here"],
  [`default_regex_engine: ${any("envoy.extensions.regex_engines.v3.GoogleRE2")}`],
  [`default_regex_engine: ${WRONG}`, "default_regex_engine.typed_config"],
  [`xds_config_tracker_extension: ${WRONG}`, "Envoy has none for this field"],
  [
    `dynamic_resources: {cds_config: {api_config_source: {api_type: GRPC, transport_api_version: V3,
      grpc_services: [{envoy_grpc: {cluster_name: local}}], config_validators: [${WRONG}]}}}`,
    "config_validators[0].typed_config",
  ],
  [tag("{tag_name: a}"), "stats_tags[0]: needs regex or fixed_value"],
  [tag("{tag_name: envoy.cluster_name}")],
  [tag("{tag_name: envoy.http_conn_manager_prefix, regex: 'a(b)'}, {tag_name: a, fixed_value: b}")],
  [tag("{tag_name: a, regex: '('}"), 'regex: "(" is no regular expression'],
  [tag("{tag_name: a, regex: '(?<n>a)'}"), "(?< is not known"],
  [tag("{tag_name: a, regex: '(?=a)[[:alpha:]]'}")],
  [tag("{tag_name: '', regex: 'a(b)'}"), "tag_name: must not be empty"],
  [manager("")],
  ["overload_manager: {resource_monitors: [{name: x}]}", "resource_monitors[0]: needs typed_config"],
  [`overload_manager: {resource_monitors: [${WRONG}]}`, "resource_monitors[0].typed_config"],
  [manager("").replace("bytes: 9", "bytes: 0"), "typed_config: needs max_heap_size_bytes above 0"],
  [manager("").replace("bytes: 9", "bytes_runtime: {default_value: 9, runtime_key: a}")],
  [
    manager("").replace("bytes: 9", "bytes: 9, max_heap_size_bytes_runtime: {default_value: 9, runtime_key: a}"),
    "instead",
  ],
  [`tracing: {http: ${WRONG}}`, "tracing.http.typed_config"],
  [`bootstrap_extensions: [${WRONG}]`, "bootstrap_extensions[0].typed_config"],
  [`overload_manager: {resource_monitors: [${HEAP}, ${HEAP}]}`, 'resource_monitors[1].name: "h" is named twice'],
  [`overload_manager: {resource_monitors: [${CONNECTIONS_CONFIG.replace("x,", `${CONNECTIONS},`)}]}`],
  [`overload_manager: {resource_monitors: [${CONNECTIONS_CONFIG}]}`, "resource_monitors[0].typed_config"],
  [action("stop_accepting_requests")],
  [action("stop_accepting_request"), 'actions[0].name: "envoy.overload_actions.stop_accepting_request" is not known'],
  [
    action("stop_accepting_requests", TRIGGER.replace("h,", "i,")),
    'triggers[0].name: "i" is none of resource_monitors',
  ],
  [
    action(
      "stop_accepting_requests",
      "triggers: [{name: h, scaled: {scaling_threshold: 0.9, saturation_threshold: 0.8}}]",
    ),
    "scaling_threshold must be less",
  ],
  [
    action("stop_accepting_requests", TRIGGER.replace("]", ", {name: h, threshold: {value: 0.6}}]")),
    'triggers[1].name: "h" is named twice',
  ],
  [action("stop_accepting_requests", `${TRIGGER}, ${WRONG.slice(10, -1)}`), "typed_config: must be absent"],
  [action("reduce_timeouts"), "needs typed_config"],
  [action("reset_high_memory_stream"), "needs buffer_factory_config"],
  [manager(`, loadshed_points: [{name: a, ${TRIGGER.replace("h,", "i,")}}]`), "loadshed_points[0].triggers[0].name"],
];

const health = (text: string) =>
  `health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, ${text}}]`;

export const INERT_CLUSTERS: readonly Row[] = [
  [health("grpc_health_check: {}"), "grpc_health_check: needs a cluster that speaks HTTP/2"],
  [`http2_protocol_options: {}, ${health("grpc_health_check: {}")}`],
  [health("tcp_health_check: {send: {text: '0aFF'}, receive: [{text: '00'}]}")],
  [health("tcp_health_check: {send: {text: zz}}"), 'send.text: "zz" must be bytes in hexadecimal'],
  [health("tcp_health_check: {receive: [{text: '000'}]}"), 'receive[0].text: "000" must be bytes in hexadecimal'],
  [health("http_health_check: {path: /, method: POST, send: {text: '00'}}")],
  [health("http_health_check: {path: /, send: {text: '00'}}"), "send: needs a method that has a body"],
  [health("http_health_check: {path: /, expected_statuses: [{start: 100, end: 600}]}")],
  [
    health("http_health_check: {path: /, expected_statuses: [{start: 99, end: 200}]}"),
    "expected_statuses[0]: is 99 to 200",
  ],
  [health("http_health_check: {path: /, retriable_statuses: [{start: 200, end: 601}]}"), "retriable_statuses[0]"],
  [health("http_health_check: {path: /, expected_statuses: [{start: 200, end: 200}]}"), "start below end"],
  [health(`tcp_health_check: {}, event_logger: [${WRONG}]`), "event_logger[0].typed_config"],
  [`queuing_policies: {pending_rq_policy: ${WRONG}}`, "pending_rq_policy.typed_config"],
  [`http_protocol_options: {header_key_format: {stateful_formatter: ${WRONG}}}`, "stateful_formatter.typed_config"],
  [`type: STRICT_DNS, typed_dns_resolver_config: ${WRONG}`, "typed_dns_resolver_config.typed_config"],
  [`type: STATIC, typed_dns_resolver_config: ${WRONG}`],
];

const log = (text: string) =>
  `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {${text}}}`;
const serverName = (args: string) => log(`text_format_source: {inline_string: "%REQUESTED_SERVER_NAME(${args})%"}`);

export const INERT_LOGS: readonly Row[] = [
  [log(`text_format_source: {inline_string: a}, formatters: [${WRONG}]`), "formatters[0].typed_config"],
  [serverName("")],
  [serverName("SNI_ONLY")],
  [serverName("SNI_FIRST:ORIG")],
  [serverName("HOST_FIRST:HOST")],
  [serverName("SNI_FIRST:ORIG_OR_HOST")],
  [serverName("sni_only"), "takes SNI_ONLY, SNI_FIRST or HOST_FIRST"],
  [serverName("HOST_FIRST:SNI"), "perhaps :ORIG, :HOST or :ORIG_OR_HOST"],
];
