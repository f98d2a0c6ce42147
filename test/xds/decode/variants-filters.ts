// Variants of the proxy's own HTTP filters, one field each: a filter's type and fields.

import { TYPE, type Row } from "./variant-row.ts";

const HTTP = `${TYPE}envoy.extensions.filters.http.`;
const FAULT = `${HTTP}fault.v3.HTTPFault`;
const GRPC_STATS = `${HTTP}grpc_stats.v3.FilterConfig`;
const STATE = `${HTTP}set_filter_state.v3.Config`;
const MUTATION = `${HTTP}header_mutation.v3.HeaderMutation`;
const OURS_REFUSES = "Envoy has the filter";

const value = (fields: string): string => `${STATE}, on_request_headers: [{${fields}}]`;
const TEXT = 'format_string: {text_format_source: {inline_string: "%REQ(a)%"}}';

const mutation = (list: string, rule: string): string => `${MUTATION}, mutations: {${list}_mutations: [{${rule}}]}`;

export const BUILTINS: readonly Row[] = [
  [`${HTTP}cors.v3.Cors`],
  [FAULT],
  [`${FAULT}, delay: {fixed_delay: 1s, percentage: {numerator: 100}}, max_active_faults: 0`],
  [`${FAULT}, delay: {percentage: {numerator: 100}}`, "fault_delay_secifier"],
  [`${FAULT}, abort: {grpc_status: 14, percentage: {numerator: 10, denominator: MILLION}}`],
  [`${FAULT}, abort: {http_status: 99}`, "http_status: is 99"],
  [`${FAULT}, headers: [{name: a, string_match: {safe_regex: {regex: "("}}}]`, "regex"],
  [`${FAULT}, downstream_nodes: [a], upstream_cluster: b`],
  [GRPC_STATS],
  [`${GRPC_STATS}, stats_for_all_methods: true, emit_filter_state: true, enable_upstream_stats: true`],
  [`${GRPC_STATS}, individual_method_stats_allowlist: {services: [{name: a.B, method_names: [C]}]}`],
  [`${GRPC_STATS}, individual_method_stats_allowlist: {services: [{name: "", method_names: [C]}]}`, "name"],
  [`${GRPC_STATS}, individual_method_stats_allowlist: {services: [{name: a.B}]}`, "method_names"],
  [STATE],
  [value(`object_key: envoy.string, ${TEXT}`)],
  [value(`object_key: mine, factory_key: envoy.string, ${TEXT}, skip_if_empty: true`)],
  [value(`object_key: mine, ${TEXT}`), "is no kind of object"],
  [value(`object_key: mine, factory_key: made.up, ${TEXT}`), "is no kind of object"],
  [value(`object_key: "", factory_key: envoy.string, ${TEXT}`), "object_key"],
  [value("object_key: envoy.string"), "value"],
  [value(TEXT), "key"],
  [value('object_key: envoy.string, format_string: {text_format_source: {inline_string: "%NO_SUCH%"}}'), "NO_SUCH"],
  [
    value("object_key: envoy.string, format_string: {json_format: {a: b}}"),
    "must be text_format_source",
    "a value is a text",
  ],
  [`${MUTATION}, most_specific_header_mutations_wins: true`],
  [mutation("request", "append: {header: {key: x, value: v}, append_action: ADD_IF_ABSENT, keep_empty_value: true}")],
  [mutation("request", 'append: {header: {key: ":path", value: v}}'), "cannot be changed"],
  [mutation("response_trailers", 'append: {header: {key: ":x", value: v}}'), "cannot be changed"],
  [mutation("request", "append: {header: {key: host, value: v}}"), "cannot be changed"],
  [mutation("request", 'append: {header: {key: x, value: "%NO_SUCH%"}}'), "NO_SUCH"],
  [mutation("response", "append: {header: {key: x, value: v}, append: false, append_action: ADD_IF_ABSENT}"), "append"],
  [mutation("response", 'append: {header: {key: x, value: "a\\nb"}}'), "must not contain NUL, CR or LF"],
  [mutation("request", 'remove: ":path"')],
  [mutation("request", 'remove: ""')],
  [mutation("request", "remove: a b")],
  [mutation("request", ""), "action"],
  [mutation("request_trailers", "remove_on_match: {key_matcher: {prefix: x-}}")],
  [mutation("request", "remove_on_match: {}"), "key_matcher"],
  [mutation("request", 'remove_on_match: {key_matcher: {safe_regex: {regex: "("}}}'), "regex"],
  [mutation("query_parameter", 'append: {record: {key: a, value: "%REQ(x)%"}, action: OVERWRITE_IF_EXISTS}')],
  [mutation("query_parameter", "append: {record: {key: a, value: b}}, remove: x"), "cannot both be set"],
  [mutation("query_parameter", "append: {}"), "record: is required"],
  [mutation("query_parameter", "append: {record: {key: a}}"), "must be a string"],
  [mutation("query_parameter", "append: {record: {key: a, value: 1}}"), "must be a string"],
  [mutation("query_parameter", 'append: {record: {key: "", value: b}}'), "key"],
  [mutation("query_parameter", 'append: {record: {key: a, value: "%NO_SUCH%"}}'), "NO_SUCH"],
  [mutation("query_parameter", ""), "needs append or remove"],
  [`${HTTP}csrf.v3.CsrfPolicy, filter_enabled: {default_value: {numerator: 100}}`, "unprotected", OURS_REFUSES],
];
