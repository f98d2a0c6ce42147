// Variants of the proxy's own HTTP filters, one field each: a filter's type and fields.

import { TYPE, type Row } from "./variant-row.ts";

const HTTP = `${TYPE}envoy.extensions.filters.http.`;
const FAULT = `${HTTP}fault.v3.HTTPFault`;
const GRPC_STATS = `${HTTP}grpc_stats.v3.FilterConfig`;
const STATE = `${HTTP}set_filter_state.v3.Config`;
const MUTATION = `${HTTP}header_mutation.v3.HeaderMutation`;
const MATCHED = `${TYPE}envoy.extensions.common.matching.v3.ExtensionWithMatcher`;
const ON_DEMAND = `${HTTP}on_demand.v3.OnDemand`;
const asksOf = (source: string, more = ""): string => `${ON_DEMAND}, odcds: {source: {${source}}${more}}`;
const api = (type: string): string =>
  `api_config_source: {api_type: ${type}, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: local}}]}`;
const FIRST_ANSWER = "Envoy takes it, and ends with the first answer";
const OURS_REFUSES = "Envoy has the filter";

const value = (fields: string): string => `${STATE}, on_request_headers: [{${fields}}]`;
const TEXT = 'format_string: {text_format_source: {inline_string: "%REQ(a)%"}}';

const mutation = (list: string, rule: string): string => `${MUTATION}, mutations: {${list}_mutations: [{${rule}}]}`;

const formatted = (type: string, text: string): string =>
  `${MUTATION}, mutations: {request_mutations: [{append: {header: {key: x, value: "${text}"}}}], formatters: [{name: f, typed_config: {"@type": ${TYPE}envoy.extensions.formatter.${type}}}]}`;

const CORS = `{name: c, typed_config: {"@type": ${HTTP}cors.v3.Cors}}`;
const SKIP = `action: {name: s, typed_config: {"@type": ${TYPE}envoy.extensions.filters.common.matcher.action.v3.SkipFilter}}`;
const input = (type: string, name = "x") =>
  `input: {name: i, typed_config: {"@type": ${TYPE}envoy.type.matcher.v3.Http${type}MatchInput, header_name: "${name}"}}`;
const read = (type: string, fields: string): string =>
  `single_predicate: {input: {name: i, typed_config: {"@type": ${TYPE}envoy.type.matcher.v3.Http${type}MatchInput, ${fields}}}, value_match: {exact: x}}`;
const network = (type: string): string =>
  `single_predicate: {input: {name: i, typed_config: {"@type": ${TYPE}envoy.extensions.matching.common_inputs.network.v3.${type}}}, value_match: {exact: x}}`;
const INPUTS = `${TYPE}envoy.extensions.matching.common_inputs`;
const MATCHERS = `${TYPE}envoy.extensions.matching.input_matchers`;
const LATER = "Envoy finds out when a request comes";
const METADATA_INPUT = "DynamicMetadataInput, filter: f, path: [{key: k}]";
const CONSISTENT = `${MATCHERS}.consistent_hashing.v3.ConsistentHashing`;
const common = (type: string, matcher: string): string =>
  `single_predicate: {input: {name: i, typed_config: {"@type": ${INPUTS}.${type}}}, ${matcher}}`;
const ssl = (type: string): string => common(`ssl.v3.${type}`, "value_match: {exact: x}");
const isMetadata = (fields: string): string =>
  `custom_match: {name: m, typed_config: {"@type": ${MATCHERS}.metadata.v3.Metadata, ${fields}}}`;
const inRanges = (fields: string): string =>
  `custom_match: {name: m, typed_config: {"@type": ${MATCHERS}.ip.v3.Ip, stat_prefix: s, ${fields}}}`;
const byExtension = (type: string, fields: string): string =>
  tree(
    `matcher_tree: {${input("RequestHeader")}, custom_match: {name: c, typed_config: {"@type": ${TYPE}xds.type.matcher.v3.${type}, ${fields.replaceAll("SKIP", SKIP)}}}}`,
  );
const byRange = (fields: string): string => byExtension("IPMatcher", fields);
const byName = (fields: string): string => byExtension("ServerNameMatcher", `domain_matchers: [{${fields}}]`);
const tree = (text: string): string => `${MATCHED}, extension_config: ${CORS}, xds_matcher: {${text}}`;
const list = (predicate: string, then = SKIP): string =>
  tree(`matcher_list: {matchers: [{predicate: {${predicate}}, on_match: {${then}}}]}`);
const single = (text: string, type = "RequestHeader"): string => `single_predicate: {${input(type)}, ${text}}`;
const VALUE = single("value_match: {exact: a}");
const EXECUTE = `${HTTP}composite.v3.ExecuteFilterAction`;
const composite = (fields: string): string =>
  list(VALUE, `action: {name: a, typed_config: {"@type": ${EXECUTE}${fields === "" ? "" : `, ${fields}`}}}`).replace(
    CORS,
    `{name: c, typed_config: {"@type": ${HTTP}composite.v3.Composite}}`,
  );

const SOURCE = `config_source: {resource_api_version: V3, ${api("GRPC")}}`;
const CORS_NAME = "envoy.extensions.filters.http.cors.v3.Cors";

export const BUILTINS: readonly Row[] = [
  [`${HTTP}cors.v3.Cors`],
  [ON_DEMAND],
  [asksOf("ads: {}")],
  [asksOf(api("DELTA_GRPC"), ", timeout: 0s")],
  [asksOf(api("DELTA_GRPC"), ", timeout: -1s"), "timeout"],
  [asksOf(api("GRPC")), "must be DELTA_GRPC", FIRST_ANSWER],
  [asksOf("path: /dev/null"), "is a file", FIRST_ANSWER],
  [asksOf("self: {}"), "must be ads or api_config_source"],
  [asksOf(""), "source"],
  [`${ON_DEMAND}, odcds: {}`, "must be ads or api_config_source"],
  [
    asksOf(api("DELTA_GRPC"), ", resources_locator: xdstp://a/envoy.config.cluster.v3.Cluster/b/*"),
    "xdstp: names are not supported",
    OURS_REFUSES,
  ],
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
  [mutation("request", "append: {header: {key: x, value: v, raw_value: eA==}}")],
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
  [formatted("req_without_query.v3.ReqWithoutQuery", "%REQ_WITHOUT_QUERY(:path)%")],
  [formatted("req_without_query.v3.ReqWithoutQuery", "%REQ_WITHOUT_QUERY(:path?x):3%")],
  [formatted("metadata.v3.Metadata", "%METADATA(ROUTE:a)%")],
  [formatted("cel.v3.Cel", "%CEL(request.path)%")],
  [formatted("file_content.v3.FileContent", "%FILE_CONTENT(/etc/passwd)%"), "FILE_CONTENT", "Envoy reads the file"],
  [formatted("made.Up", "x"), "made.Up is not known here"],
  [
    mutation("request", 'append: {header: {key: x, value: "%REQ_WITHOUT_QUERY(a)%"}}'),
    "",
    "Envoy has the operator only where its formatter is named",
  ],
  [`${MATCHED}, extension_config: ${CORS}`],
  [MATCHED, "extension_config"],
  [tree("")],
  [list(VALUE)],
  [list(single("value_match: {exact: a, ignore_case: true}", "ResponseHeader"))],
  [list(single("value_match: {contains: a}", "RequestTrailer"))],
  [list(single("value_match: {safe_regex: {regex: a.b, google_re2: {}}}", "ResponseTrailer"))],
  [list(single("value_match: {safe_regex: {regex: a.b}}")), "engine_type"],
  [list(single('value_match: {safe_regex: {regex: "(", google_re2: {}}}')), "regex"],
  [list(single("value_match: {safe_regex: {regex: a, google_re2: {}}, ignore_case: true}")), "ignore_case"],
  [list(single('value_match: {prefix: ""}')), "prefix"],
  [list(single("value_match: {}")), "match_pattern"],
  [list("single_predicate: {value_match: {exact: a}}"), "input"],
  [list(`single_predicate: {${input("RequestHeader")}}`), "matcher"],
  [list(`and_matcher: {predicate: [{${VALUE}}, {not_matcher: {${VALUE}}}]}`)],
  [list(`or_matcher: {predicate: [{${VALUE}}]}`), "at least 2"],
  [list(""), "match_type"],
  [list(VALUE, ""), "on_match"],
  [list(VALUE, `${SKIP}, keep_matching: true`), "keep_matching"],
  [list(VALUE, `action: ${CORS}`), "is not supported"],
  [list(VALUE, `matcher: {on_no_match: {${SKIP}}}`)],
  [tree("matcher_list: {matchers: []}"), "at least 1"],
  [list(read("RequestQueryParam", "query_param: q"))],
  [list(read("RequestQueryParam", "query_param: ''")), "query_param: must not be empty"],
  [list(read("ResponseStatusCode", ""))],
  [list(network("SourceIPInput"))],
  [list(network("SourcePortInput"))],
  [list(network("DirectSourceIPInput"))],
  [list(network("DestinationIPInput"))],
  [list(network("DestinationPortInput"))],
  [list(network("ServerNameInput"))],
  [list(network("ApplicationProtocolInput")), "ApplicationProtocolInput is not supported"],
  [list(network("TransportProtocolInput")), "TransportProtocolInput is not supported"],
  [list(read("ResponseStatusCodeClass", ""))],
  [list(network("SourceTypeInput"))],
  [list(network("NetworkNamespaceInput"))],
  [list(network("FilterStateInput, key: k"))],
  [list(network("FilterStateInput")), "key: must not be empty"],
  [list(network(METADATA_INPUT)), "is metadata", LATER],
  [list(ssl("UriSanInput"))],
  [list(ssl("DnsSanInput"))],
  [list(ssl("SubjectInput"))],
  [list(common("environment_variable.v3.Config, name: HOME", "value_match: {exact: x}"))],
  [list(common("environment_variable.v3.Config", "value_match: {exact: x}")), "name"],
  [list(common(`network.v3.${METADATA_INPUT}`, isMetadata("value: {present_match: true}")))],
  [list(common(`network.v3.${METADATA_INPUT}`, isMetadata("value: {string_match: {exact: a}}, invert: true")))],
  [list(common(`network.v3.${METADATA_INPUT}`, isMetadata("value: {}"))), "match_pattern"],
  [
    list(common(`network.v3.${METADATA_INPUT}`, inRanges("cidr_ranges: [{address_prefix: 10.0.0.0}]"))),
    "is metadata",
    LATER,
  ],
  [list(common("network.v3.DynamicMetadataInput, filter: f", isMetadata("value: {present_match: true}"))), "path"],
  [list(common("network.v3.SourceIPInput", inRanges("cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]")))],
  [list(common("network.v3.SourceIPInput", inRanges("cidr_ranges: []"))), "cidr_ranges"],
  [
    list(
      common(
        "network.v3.SourceIPInput",
        inRanges("cidr_ranges: [{address_prefix: '::'}]").replace("stat_prefix: s,", ""),
      ),
    ),
    "stat_prefix",
  ],
  [
    list(common("network.v3.SourceIPInput", inRanges("cidr_ranges: [{address_prefix: nowhere}]"))),
    "is not an IP address",
  ],
  [
    list(single(`custom_match: {name: c, typed_config: {"@type": ${CONSISTENT}, modulo: 2}}`)),
    "ConsistentHashing is not supported",
    "Envoy has the matcher",
  ],
  [
    byRange(
      "range_matchers: [{ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}], exclusive: true, on_match: {SKIP}}]",
    ),
  ],
  [byRange("range_matchers: [{ranges: [{address_prefix: '::1', prefix_len: 128}], on_match: {SKIP}}]")],
  [byRange("range_matchers: [{ranges: [{address_prefix: here}], on_match: {SKIP}}]"), "is not an IP address"],
  [byRange("range_matchers: [{ranges: [{address_prefix: 10.0.0.0}], on_match: {}}]"), "on_match"],
  [byRange("range_matchers: []")],
  [byName("domains: [a.b, '*.b', '*'], on_match: {SKIP}")],
  [byName("domains: [], on_match: {SKIP}"), "domains"],
  [byName("domains: [a, a], on_match: {SKIP}"), "is there already"],
  [byName("domains: ['a*'], on_match: {SKIP}"), "wildcard"],
  [byName("domains: ['*.*.b'], on_match: {SKIP}"), "wildcard"],
  [byName("domains: [''], on_match: {SKIP}"), "must not be empty"],
  [tree(`on_no_match: {${SKIP}}`)],
  [tree("on_no_match: {}"), "on_match"],
  [tree(`matcher_tree: {${input("RequestHeader", ":path")}, prefix_match_map: {map: {/a: {${SKIP}}}}}`)],
  [tree(`matcher_tree: {${input("RequestHeader")}, exact_match_map: {map: {}}}`), "map"],
  [tree(`matcher_tree: {${input("RequestHeader")}}`), "tree_type"],
  [tree(`matcher_tree: {exact_match_map: {map: {a: {${SKIP}}}}}`), "input"],
  [
    `${MATCHED}, extension_config: {name: r, typed_config: {"@type": ${HTTP}router.v3.Router}}`,
    "cannot stand under a matcher",
    "a router that is not last would answer in the middle of the chain",
  ],
  [`${HTTP}composite.v3.Composite`],
  [composite(`typed_config: ${CORS}`)],
  [composite(`typed_config: ${CORS}, sample_percent: {default_value: {numerator: 30}, runtime_key: k}`)],
  [composite(`typed_config: ${CORS}, sample_percent: {runtime_key: k}`), "default_value"],
  [composite(""), "needs typed_config"],
  [composite("typed_config: {name: x}"), "typed_config"],
  [composite(`typed_config: {name: x, typed_config: {"@type": ${FAULT}, delay: {}}}`), "fault_delay_secifier"],
  [composite(`typed_config: {name: x, typed_config: {"@type": ${HTTP}composite.v3.Composite}}`)],
  [composite(`filter_chain: {typed_config: [${CORS}, ${CORS}]}`), "one filter runs here", "Envoy runs all of them"],
  [composite("filter_chain: {}"), "filter_chain"],
  [composite(`dynamic_config: {name: d, config_discovery: {${SOURCE}, type_urls: [${TYPE}${CORS_NAME}]}}`)],
  [
    composite(
      `dynamic_config: {name: d, config_discovery: {${SOURCE}, type_urls: [${TYPE}${CORS_NAME}]}}, typed_config: ${CORS}`,
    ),
    "cannot both be set",
    "Envoy has said of it that it is refused, and takes it",
  ],
  [composite(`dynamic_config: {config_discovery: {${SOURCE}, type_urls: [${TYPE}${CORS_NAME}]}}`), "name"],
  [composite("dynamic_config: {name: d}"), "config_discovery: is required"],
  [
    composite(`dynamic_config: {name: d, config_discovery: {${SOURCE}, type_urls: [${TYPE}made.Up]}}`),
    "type_urls",
    "Envoy waits for what cannot come",
  ],
  [
    composite(`typed_config: {name: r, typed_config: {"@type": ${HTTP}router.v3.Router}}`),
    "cannot stand under a matcher",
    "a router that is not last would answer in the middle of the chain",
  ],
  [list(VALUE, `action: {name: a, typed_config: {"@type": ${EXECUTE}, typed_config: ${CORS}}}`)],
  [`${HTTP}csrf.v3.CsrfPolicy, filter_enabled: {default_value: {numerator: 100}}`, "unprotected", OURS_REFUSES],
];

const discovered = (type: string, more = ""): string => `${SOURCE}, type_urls: [${TYPE}${type}]${more}`;
const MATCHED_NAME = "envoy.extensions.common.matching.v3.ExtensionWithMatcher";
const byDefault = (config: string): string => `, default_config: {"@type": ${config}}`;

/** `config_discovery` of an HTTP filter. */
export const DISCOVERED: readonly Row[] = [
  [discovered(MATCHED_NAME)],
  [discovered(CORS_NAME)],
  [discovered(MATCHED_NAME, byDefault(list(VALUE)))],
  [discovered(MATCHED_NAME, byDefault(`${MATCHED}, extension_config: ${CORS}`))],
  [discovered(CORS_NAME, byDefault(`${HTTP}cors.v3.Cors`))],
  [discovered(MATCHED_NAME, byDefault(list(single("value_match: {}")))), "default_config.xds_matcher.matcher_list"],
  [discovered(MATCHED_NAME, byDefault(MATCHED)), "default_config.extension_config"],
  [discovered(MATCHED_NAME, byDefault(`${HTTP}cors.v3.Cors`)), "default_config: is of type"],
  [discovered(CORS_NAME, byDefault(list(VALUE))), "default_config: is of type"],
  [discovered("made.Up"), "type_urls"],
  [`${SOURCE}, type_urls: []`, "type_urls"],
  [discovered(MATCHED_NAME, ", apply_default_config_without_warming: true"), "needs default_config"],
];
