// Bootstraps that are refused, with a part of each issue; where Envoy takes one, the reason.

import {
  ADS,
  bootstrap,
  cluster,
  HCM,
  hcm,
  hosts,
  http,
  listener,
  LOCAL,
  route,
  ROUTER,
  TABLE,
  TCP,
  TO_LOCAL,
  type CorpusCase,
} from "./corpus-parts.ts";

export const BAD: readonly CorpusCase[] = [
  {
    name: "a filter chain without filters",
    yaml: bootstrap({
      listeners: "{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{}]}",
    }),
    issues: ["filter_chains[0].filters: must end with"],
    differs: "Envoy closes every connection",
  },
  {
    name: "routes without a name",
    yaml: bootstrap({
      listeners: listener(hcm("rds: {config_source: {ads: {}, resource_api_version: V3}}")),
      rest: `dynamic_resources: {ads_config: ${ADS}}`,
    }),
    issues: ["rds.route_config_name: must not be empty"],
    differs: "Envoy asks for routes whose name is empty",
  },
  {
    name: "a control plane, and no node",
    yaml: bootstrap({ rest: `dynamic_resources: {ads_config: ${ADS}}` }).replace(/^node.*$/m, ""),
    issues: [],
    differs: "Envoy wants node.id and node.cluster of whoever asks a control plane; many do not care",
  },
  {
    name: "an unknown field",
    yaml: "static_resources: {clusters: [{name: c, conect_timeout: 1s}]}",
    issues: [
      "static_resources.clusters[0].conect_timeout: unknown field of envoy.config.cluster.v3.Cluster; did you mean connect_timeout?",
    ],
  },
  {
    name: "a number for a string",
    yaml: "static_resources: {clusters: [{name: 5}]}",
    issues: ["clusters[0].name: must be a string (in quotes), not the number 5"],
  },
  { name: "a bad enum name", yaml: cluster("lb_policy: ROUNDROBIN"), issues: ["did you mean ROUND_ROBIN?"] },
  {
    name: "a bad duration",
    yaml: cluster("connect_timeout: 5m"),
    issues: ['connect_timeout: must be a duration in seconds, such as "0.25s"'],
  },
  {
    name: "a duration that must be positive",
    yaml: cluster("connect_timeout: 0s"),
    issues: ["connect_timeout: is 0s, must be greater than 0s"],
  },
  {
    name: "an empty cluster name",
    yaml: "static_resources: {clusters: [{connect_timeout: 1s}]}",
    issues: ["clusters[0].name: must not be empty"],
  },
  {
    name: "a oneof set twice",
    yaml: route(`{match: {prefix: /, path: /a}, route: {cluster: local}}`),
    issues: ["match.path: cannot be set together with prefix"],
  },
  {
    name: "a match without a path",
    yaml: route(`{match: {}, route: {cluster: local}}`),
    issues: ["match: no path_specifier set"],
  },
  { name: "a route without an action", yaml: route(`{match: {prefix: /}}`), issues: ["routes[0]: no action set"] },
  {
    name: "a bad regex",
    yaml: route(`{match: {safe_regex: {regex: "("}}, route: {cluster: local}}`),
    issues: ['safe_regex.regex: "(" is not a valid RE2 expression'],
  },
  {
    name: "a lookahead, which RE2 lacks",
    yaml: route(`{match: {safe_regex: {regex: "(?=a)b"}}, route: {cluster: local}}`),
    issues: ["not a valid RE2 expression"],
  },
  {
    name: "two path rewrites",
    yaml: route(
      `{match: {prefix: /}, route: {cluster: local, prefix_rewrite: /x, regex_rewrite: {pattern: {regex: a}, substitution: b}}}`,
    ),
    issues: ["cannot be set together with prefix_rewrite"],
  },
  {
    name: "duplicate domains",
    yaml: hosts(`{name: a, domains: [x.test]}, {name: b, domains: [X.test]}`),
    issues: ['domains[0]: "X.test" is already'],
  },
  {
    name: "a virtual host without domains",
    yaml: hosts(`{name: a, domains: []}`),
    issues: ["domains: has 0 items, must have at least 1"],
  },
  {
    name: "an unknown cluster in a static route",
    yaml: route(`{match: {prefix: /}, route: {cluster: nowhere}}`),
    issues: ['unknown cluster "nowhere"'],
  },
  {
    name: "weights that add up to nothing",
    yaml: route(`{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: local, weight: 0}]}}}`),
    issues: ["the sum of all weights must be greater than 0"],
  },
  {
    name: "a direct response with a status of 99",
    yaml: route(`{match: {prefix: /}, direct_response: {status: 99}}`),
    issues: ["status: is 99, must be at least 200 and less than 600"],
  },
  {
    name: "a direct response that is too long",
    yaml: route(`{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: ${"x".repeat(4097)}}}}`),
    issues: ["body: is 4097 bytes, must be at most 4096"],
  },
  {
    name: "a Host header added",
    yaml: route(
      `{match: {prefix: /}, route: {cluster: local}, request_headers_to_add: [{header: {key: Host, value: x}}]}`,
    ),
    issues: ['"Host" cannot be changed here'],
  },
  {
    name: "a header value with a line break",
    yaml: route(
      `{match: {prefix: /}, route: {cluster: local}, request_headers_to_add: [{header: {key: x, value: "a\\nb"}}]}`,
    ),
    issues: ["header.value"],
  },
  {
    name: "no router",
    yaml: bootstrap({ listeners: http(TO_LOCAL, "", "") }),
    issues: ["http_filters: must end with the router"],
    differs: "Envoy takes a connection manager without filters, and answers every request with 404",
  },
  {
    name: "the router before another filter",
    yaml: bootstrap({ listeners: http(TO_LOCAL, "", `${ROUTER}, ${ROUTER}`) }),
    issues: ["must be the last HTTP filter"],
  },
  {
    name: "an unknown HTTP filter",
    yaml: bootstrap({
      listeners: http(TO_LOCAL, "", `{name: x, typed_config: {"@type": type.googleapis.com/made.Up}}, ${ROUTER}`),
    }),
    issues: ["HTTP filter made.Up is not supported"],
  },
  {
    name: "a filter after the connection manager",
    yaml: bootstrap({ listeners: listener(`${hcm(TABLE)}, ${TCP}`) }),
    issues: ["must be the last network filter"],
  },
  {
    name: "no stat_prefix",
    yaml: bootstrap({
      listeners: listener(`{name: hcm, typed_config: {"@type": ${HCM}, http_filters: [${ROUTER}], ${TABLE}}}`),
    }),
    issues: ["stat_prefix: must not be empty"],
  },
  {
    name: "no routes",
    yaml: bootstrap({
      listeners: listener(`{name: hcm, typed_config: {"@type": ${HCM}, stat_prefix: s, http_filters: [${ROUTER}]}}`),
    }),
    issues: ["no route_specifier set"],
  },
  {
    name: "a listener without an address",
    yaml: "static_resources: {listeners: [{name: l}]}",
    issues: ["listeners[0].address: is required", "has no filter chain"],
  },
  {
    name: "no filter chains",
    yaml: bootstrap({ listeners: "{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}}" }),
    issues: ["has no filter chain"],
  },
  {
    name: "a host name to listen on",
    yaml: bootstrap({ listeners: http(TO_LOCAL).replace("address: 127.0.0.1", "address: localhost") }),
    issues: ['"localhost" is not an IP address'],
  },
  {
    name: "a port that is too large",
    yaml: bootstrap({ listeners: http(TO_LOCAL).replace("port_value: 0", "port_value: 65536") }),
    issues: ["port_value: is 65536, must be at most 65535"],
  },
  {
    name: "two chains that overlap",
    yaml: bootstrap({
      listeners: `{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filter_chain_match: {destination_port: 1}, filters: [${TCP}]}, {filter_chain_match: {destination_port: 1}, filters: [${TCP}]}]}`,
    }),
    issues: ["overlaps with"],
  },
  {
    name: "duplicate cluster names",
    yaml: bootstrap({ clusters: `${LOCAL}, ${LOCAL}` }),
    issues: ['clusters[1].name: "local" is already the name of'],
  },
  {
    name: "duplicate listener names",
    yaml: bootstrap({ listeners: `${http(TO_LOCAL)}, ${http(TO_LOCAL)}` }),
    issues: ['listeners[1].name: "l" is already the name of'],
    differs: "Envoy drops the second without a word",
  },
  {
    name: "STATIC with a host name",
    yaml: cluster(
      `type: STATIC, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: example.test, port_value: 80}}}}]}]}`,
    ),
    issues: ['"example.test" is not an IP address'],
  },
  {
    name: "LOGICAL_DNS with two endpoints",
    yaml: cluster(
      `type: LOGICAL_DNS, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a.test, port_value: 80}}}}, {endpoint: {address: {socket_address: {address: b.test, port_value: 80}}}}]}]}`,
    ),
    issues: ["must be one locality with one endpoint"],
  },
  { name: "EDS without a source", yaml: cluster("type: EDS"), issues: ["eds_config: is required"] },
  { name: "ORIGINAL_DST with ROUND_ROBIN", yaml: cluster("type: ORIGINAL_DST"), issues: ["must be CLUSTER_PROVIDED"] },
  {
    name: "CLUSTER_PROVIDED in a STATIC cluster",
    yaml: cluster("lb_policy: CLUSTER_PROVIDED"),
    issues: ["must be CLUSTER_PROVIDED in an ORIGINAL_DST cluster, and only there"],
  },
  {
    name: "an endpoint weight of 0",
    yaml: cluster(
      `load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{load_balancing_weight: 0, endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}}]}]}`,
    ),
    issues: ["load_balancing_weight: is 0, must be at least 1"],
  },
  {
    name: "an ADS cluster that is not there",
    yaml: bootstrap({ rest: `dynamic_resources: {ads_config: ${ADS.replace("local", "nowhere")}}` }),
    issues: ['the gRPC cluster "nowhere" is not among'],
  },
  {
    name: "xDS of version 2",
    yaml: bootstrap({ rest: `dynamic_resources: {ads_config: ${ADS.replace("V3", "V2")}, cds_config: {ads: {}}}` }),
    issues: ["transport_api_version: must be V3"],
  },
  {
    name: "lds by ads without ads_config",
    yaml: bootstrap({ rest: "dynamic_resources: {lds_config: {ads: {}, resource_api_version: V3}}" }),
    issues: ["says ads, but dynamic_resources.ads_config is not set"],
    differs: "Envoy starts and never gets a listener",
  },
  {
    name: "duplicate runtime layers",
    yaml: "layered_runtime: {layers: [{name: a, admin_layer: {}}, {name: a, static_layer: {}}]}",
    issues: ['"a" is used twice'],
  },
  {
    name: "an unknown wasm runtime",
    yaml: bootstrap({
      listeners: http(
        TO_LOCAL,
        "",
        `{name: w, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {vm_config: {runtime: envoy.wasm.runtime.nothing, code: {local: {inline_string: x}}}}}}, ${ROUTER}`,
      ),
    }),
    issues: ['wasm runtime "envoy.wasm.runtime.nothing" is not available'],
  },
  {
    name: "fail_open with failure_policy",
    yaml: bootstrap({
      listeners: http(
        TO_LOCAL,
        "",
        `{name: w, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {fail_open: true, failure_policy: FAIL_CLOSED, vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {inline_string: x}}}}}}, ${ROUTER}`,
      ),
    }),
    issues: ["cannot be set together with the deprecated fail_open"],
  },
  {
    name: "a duplicated YAML key",
    yaml: "node: {id: a}\nnode: {id: b}\n",
    issues: ["not valid YAML"],
    differs: "Envoy's YAML parser keeps one of the two without a word",
  },
  {
    name: "no protocol in HttpProtocolOptions",
    yaml: cluster(
      `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions}}`,
    ),
    issues: ["no upstream_protocol_options set"],
  },
  {
    name: "strip_any_host_port with strip_matching_host_port",
    yaml: bootstrap({ listeners: http(TO_LOCAL, "strip_any_host_port: true, strip_matching_host_port: true") }),
    issues: ["cannot be set together with strip_matching_host_port"],
  },
  {
    name: "a percentage above 100",
    yaml: cluster("common_lb_config: {healthy_panic_threshold: {value: 101}}"),
    issues: ["value: is 101, must be at least 0 and at most 100"],
  },
  {
    name: "HTTP/2 only",
    yaml: bootstrap({ listeners: http(TO_LOCAL, "codec_type: HTTP2") }),
    issues: ["HTTP/2 and HTTP/3 are not supported yet"],
    differs: "outrigger has no HTTP/2 yet",
  },
];
