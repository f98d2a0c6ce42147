// Variants of virtual hosts, connection managers, access logs, listeners, HTTP filters and the bootstrap, one field each.

import { ROUTER, TO_LOCAL } from "./corpus-parts.ts";
import { KEPT_KEY, LEFT_OUT, TYPE, type Row } from "./variant-row.ts";

export const HOSTS: readonly Row[] = [
  ['{name: a, domains: ["*"]}'],
  ["{domains: [a]}", "name: must not be empty"],
  ["{name: a}", "domains: has 0 items"],
  ['{name: a, domains: ["*.a.test", "a.*", "b.test:80"]}'],
  ['{name: a, domains: ["a*b"]}'],
  ['{name: a, domains: ["*.a.*"]}'],
  ['{name: a, domains: [""]}'],
  ['{name: a, domains: ["*"]}, {name: b, domains: ["*"]}', 'domains[0]: "*" is already'],
  ["{name: a, domains: [a], require_tls: ALL}"],
  ["{name: a, domains: [a], require_tls: SOME}", "must be one of"],
  ["{name: a, domains: [a], routes: [{}]}", "match: is required"],
  ["{name: a, domains: [a], virtual_clusters: [{name: v}]}", "headers: has 0 items, must have at least 1"],
  ["{name: a, domains: [a], virtual_clusters: [{name: v, headers: [{name: x}]}]}"],
  [
    `{name: a, domains: [a], request_mirror_policies: [{cluster: nowhere}], routes: [${TO_LOCAL}]}`,
    'virtual_hosts[0].request_mirror_policies[0].cluster: unknown cluster "nowhere"',
  ],
  [
    "{name: a, domains: [a], request_mirror_policies: [{cluster: nowhere}], routes: [{match: {prefix: /}, route: {cluster: local, request_mirror_policies: [{cluster: local}]}}]}",
  ],
  ["{name: a, domains: [a], response_headers_to_remove: ['']}", "must not be empty"],
];

export const MANAGERS: readonly Row[] = [
  ["codec_type: HTTP1"],
  ["codec_type: HTTP9", "must be one of"],
  ["server_name: x"],
  [
    "forward_client_cert_details: ALWAYS_FORWARD_ONLY",
    "is not supported",
    "nothing could vouch for the field without TLS",
  ],
  ['server_name: "a\\nb"', "server_name"],
  ["max_request_headers_kb: 8192"],
  ["max_request_headers_kb: 8193", "max_request_headers_kb: is 8193"],
  ["max_request_headers_kb: 0", "max_request_headers_kb: is 0"],
  ["common_http_protocol_options: {max_headers_count: 0}", "max_headers_count: is 0"],
  ["common_http_protocol_options: {headers_with_underscores_action: DROP_HEADER}"],
  ["common_http_protocol_options: {max_response_headers_kb: 100}", "max_response_headers_kb: is for clusters only"],
  [
    "http2_protocol_options: {max_header_field_size_kb: 64}",
    "max_header_field_size_kb: is 64, must be at most max_request_headers_kb (60)",
  ],
  ["max_request_headers_kb: 64, http2_protocol_options: {max_header_field_size_kb: 64}"],
  ["common_http_protocol_options: {headers_with_underscores_action: DROP}", "must be one of"],
  ["stream_idle_timeout: 0s"],
  ["request_timeout: -1s", "request_timeout: is -1s, must not be negative"],
  ["request_headers_timeout: -1s", "request_headers_timeout: is -1s"],
  ["xff_num_trusted_hops: 2, use_remote_address: true"],
  ["xff_num_trusted_hops: -1", "must be an integer"],
  ["internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}"],
  ["internal_address_config: {cidr_ranges: [{address_prefix: '', prefix_len: 8}]}", "must not be empty"],
  ["internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 129}]}", "prefix_len: is 129"],
  ["internal_address_config: {cidr_ranges: [{address_prefix: nowhere, prefix_len: 8}]}", "is not an IP address"],
  ["upgrade_configs: [{upgrade_type: websocket, enabled: false}]"],
  ["upgrade_configs: [{upgrade_type: a}, {upgrade_type: a}]", "upgrade"],
  ["path_with_escaped_slashes_action: REJECT_REQUEST"],
  ["path_with_escaped_slashes_action: 9"],
  ["tracing: {client_sampling: {value: 101}}", "value: is 101"],
  ["tracing: {random_sampling: {value: 1.5}}"],
  ["tracing: {custom_tags: [{tag: t, literal: {value: v}}]}"],
  ["tracing: {custom_tags: [{tag: '', literal: {value: v}}]}", "tag: must not be empty"],
  ["tracing: {custom_tags: [{tag: t}]}", "no type set"],
  ['tracing: {custom_tags: [{tag: t, value: "%NOPE%"}]}', "custom_tags[0].value: Cannot compile format"],
  ['tracing: {operation: "%REQ(:METHOD)%"}'],
  ['tracing: {operation: "%NOPE%"}', 'tracing.operation: Cannot compile format "%NOPE%"'],
  ["tracing: {provider: {name: x}}", "provider: needs typed_config"],
  ["tracing: {custom_tags: [{tag: t, request_header: {name: ''}}]}", "name: must not be empty"],
  [`tracing: {provider: {name: x, typed_config: {"@type": ${TYPE}made.Up}}}`, "", LEFT_OUT],
  ["delayed_close_timeout: 1s, drain_timeout: 1s"],
  ["http_protocol_options: {accept_http_10: true, default_host_for_http_10: a}"],
  ["via: a"],
  ['via: "a\\n"', "via"],
  [`request_id_extension: {typed_config: {"@type": ${TYPE}made.Up}}`, "made.Up"],
  ["stat_prefix: twice", "not valid YAML", KEPT_KEY],
];

export const LOGS: readonly Row[] = [
  [
    `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {text_format_source: {inline_string: "%ROUTE_RESOLUTION_COUNT% %DOWNSTREAM_PEER_CHAIN_SERIALS% %UPSTREAM_TLS_GROUP% %CEL(request.path)% %COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)% %BYTES_RETRANSMITTED%"}}}`,
  ],
  [`typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.wasm.v3.WasmAccessLog}`, "vm_config: is required"],
  [`typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}`],
  [
    `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog, path: ""}`,
    "path: must not be empty",
  ],
  [
    `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, format: "%PROTOCOL%"}`,
  ],
  [
    `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, format: "%NO_SUCH%"}`,
    "NO_SUCH",
  ],
  [
    `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, format: "100%"}`,
    "format",
  ],
  [
    `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, format: "%REQ(a)%", log_format: {text_format: x}}`,
    "cannot be set together",
  ],
  [
    `typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, log_format: {}}`,
    "no format set",
  ],
  [`typed_config: {"@type": ${TYPE}made.Up}`, "", LEFT_OUT],
  [
    `filter: {status_code_filter: {comparison: {op: GE, value: {default_value: 500, runtime_key: k}}}}, typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}`,
  ],
  [
    `filter: {status_code_filter: {}}, typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}`,
    "comparison: is required",
  ],
  [
    `filter: {}, typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}`,
    "no filter_specifier set",
  ],
  [
    `filter: {and_filter: {filters: [{traceable_filter: {}}]}}, typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}`,
    "has 1 items, must have at least 2",
  ],
  [
    `filter: {response_flag_filter: {flags: [UH, NR]}}, typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}`,
  ],
  [
    `filter: {response_flag_filter: {flags: [XX]}}, typed_config: {"@type": ${TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}`,
    "must be one of",
  ],
];

export const LISTENERS: readonly Row[] = [
  ["stat_prefix: s, traffic_direction: INBOUND, tcp_backlog_size: 10"],
  ["traffic_direction: SIDEWAYS", "must be one of"],
  ["per_connection_buffer_limit_bytes: 1048576"],
  ["enable_reuse_port: false, bind_to_port: false"],
  ["listener_filters: [{name: x}]", "listener_filters[0]"],
  [
    `listener_filters: [{name: t, typed_config: {"@type": ${TYPE}envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}]`,
  ],
  [`listener_filters: [{name: t, typed_config: {"@type": ${TYPE}made.Up}}]`, "made.Up"],
  ["listener_filters_timeout: 1s"],
  ["additional_addresses: [{address: {socket_address: {address: 127.0.0.2, port_value: 0}}}]"],
  ["additional_addresses: [{}]", "additional_addresses[0]"],
  ["drain_type: MODIFY_ONLY"],
  ["use_original_dst: true"],
  ["transparent: false, freebind: true"],
  ["socket_options: [{level: 1, name: 9, int_value: 1, state: STATE_LISTENING, type: {stream: {}}}]"],
  ["socket_options: [{level: 1, name: 9, buf_value: AQAAAA==}]"],
  ["socket_options: [{level: 1, name: 9}]", "needs int_value or buf_value"],
  ["socket_options: [{level: 1, name: 9, int_value: 1, state: SOON}]", "must be one of"],
  [
    `listener_filters: [{name: d, typed_config: {"@type": ${TYPE}envoy.extensions.filters.listener.original_dst.v3.OriginalDst}}]`,
  ],
  [
    `listener_filters: [{name: s, typed_config: {"@type": ${TYPE}envoy.extensions.filters.listener.original_src.v3.OriginalSrc, mark: 1337, bind_port: true}}]`,
  ],
];

export const CHAIN_MATCHES: readonly Row[] = [
  ["{destination_port: 80}"],
  ["{destination_port: 0}", "destination_port: is 0, must be at least 1"],
  ["{destination_port: 65536}", "destination_port: is 65536"],
  ["{source_ports: [0]}", "source_ports[0]: is 0"],
  ["{prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}"],
  ["{prefix_ranges: [{address_prefix: ten, prefix_len: 8}]}", "is not an IP address"],
  ["{prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 33}]}"],
  ["{source_type: EXTERNAL}"],
  ["{source_type: INTERNAL}", "must be one of"],
  ['{server_names: ["*.a.test"]}'],
  ['{server_names: ["a.*.test"]}', "server_names[0]"],
  ['{transport_protocol: raw_buffer, application_protocols: ["http/1.1"]}'],
];

export const BOOTSTRAPS: readonly Row[] = [
  ["admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}"],
  ["admin: {address: {socket_address: {address: localhost, port_value: 0}}}", "is not an IP address"],
  ["admin: {}"],
  ["cluster_manager: {local_cluster_name: local}"],
  ["cluster_manager: {local_cluster_name: nowhere}", 'cluster_manager.local_cluster_name: unknown cluster "nowhere"'],
  ["layered_runtime: {layers: [{name: s, static_layer: {a.b: 1}}]}"],
  ["layered_runtime: {layers: [{static_layer: {}}]}", "name: must not be empty"],
  ["layered_runtime: {layers: [{name: s}]}", "no layer_specifier set"],
  ["layered_runtime: {layers: [{name: a, admin_layer: {}}, {name: b, admin_layer: {}}]}", "second admin_layer"],
  ["dynamic_resources: {cds_config: {}}", "no config_source_specifier set"],
  [
    "dynamic_resources: {cds_config: {path_config_source: {path: /nowhere/cds.yaml}}}",
    "",
    "only the verb validate opens the files",
  ],
  ["dynamic_resources: {ads_config: {api_type: GRPC}}", "grpc_services"],
  ["dynamic_resources: {ads_config: {api_type: REST, cluster_names: [local]}}", "api_type"],
  ["dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{}]}}", "no target_specifier set"],
  [
    "dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: ''}}]}}",
    "cluster_name: must not be empty",
  ],
  [
    "dynamic_resources: {ads_config: {api_type: SOAP, grpc_services: [{envoy_grpc: {cluster_name: local}}]}}",
    "must be one of",
  ],
  [
    "dynamic_resources: {ads_config: {api_type: DELTA_GRPC, grpc_services: [{envoy_grpc: {cluster_name: local}, timeout: 1s}]}}",
  ],
  ["stats_flush_interval: 5s"],
  ["stats_flush_interval: 0s", "stats_flush_interval"],
  ["made_up: 1", "unknown field"],
  ["staticResources: {}", "static_resources: is given twice", KEPT_KEY],
  ["nodes: {}", "did you mean node?"],
  ["[]", "not valid YAML"],
];

export const wasm = (text: string) =>
  `{name: w, typed_config: {"@type": ${TYPE}envoy.extensions.filters.http.wasm.v3.Wasm, ${text}}}, ${ROUTER}`;

export const FILTERS: readonly Row[] = [
  [
    `{name: r, typed_config: {"@type": ${TYPE}envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true}}`,
  ],
  [`{typed_config: {"@type": ${TYPE}envoy.extensions.filters.http.router.v3.Router}}`, "name: must not be empty"],
  ["{name: envoy.filters.http.router}", "needs typed_config"],
  [
    `{name: r, typed_config: {"@type": ${TYPE}envoy.extensions.filters.http.router.v3.Router, made_up: 1}}`,
    "unknown field",
  ],
  [`{name: r, typed_config: {}}`, "HTTP filter without a type"],
  [`{name: r, typed_config: {"@type": nothing}}`, "nothing"],
  [
    `{name: r, disabled: true, typed_config: {"@type": ${TYPE}envoy.extensions.filters.http.router.v3.Router}}`,
    "the router cannot be disabled",
  ],
  [wasm("config: {}"), "vm_config"],
  [wasm("config: {vm_config: {runtime: envoy.wasm.runtime.v8}}"), "code"],
  [wasm("config: {vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {}}}}"), "no specifier set"],
  [
    wasm("config: {failure_policy: 9, vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {inline_string: x}}}}"),
    "failure_policy",
  ],
];
