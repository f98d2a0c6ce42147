// Bootstraps that are taken.

import {
  ADS,
  bootstrap,
  cluster,
  hcm,
  hosts,
  http,
  listener,
  route,
  ROUTER,
  TCP,
  TO_LOCAL,
  type CorpusCase,
} from "./corpus-parts.ts";

export const GOOD: readonly CorpusCase[] = [
  {
    name: "one value where a list belongs",
    yaml: bootstrap({
      clusters:
        "{name: local, load_assignment: {cluster_name: local, endpoints: {lb_endpoints: {endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}}}}}",
      listeners: http(TO_LOCAL).replace('domains: ["*"]', 'domains: "*"'),
    }),
    issues: [],
  },
  { name: "an empty bootstrap", yaml: "node: {id: a, cluster: b}", issues: [] },
  { name: "a listener, a route and a cluster", yaml: route(TO_LOCAL), issues: [] },
  {
    name: "lower camel case names",
    yaml: "staticResources: {clusters: [{name: c, connectTimeout: 1s, lbPolicy: RANDOM}]}",
    issues: [],
  },
  {
    name: "JSON",
    yaml: JSON.stringify({ static_resources: { clusters: [{ name: "c", type: "STATIC" }] } }),
    issues: [],
  },
  {
    name: "anchors and aliases",
    yaml: "static_resources: {clusters: [{name: c, connect_timeout: &t 1s}, {name: d, connect_timeout: *t}]}",
    issues: [],
  },
  {
    name: "ADS with lds and cds",
    yaml: bootstrap({
      rest: `dynamic_resources: {ads_config: ${ADS}, lds_config: {ads: {}, resource_api_version: V3}, cds_config: {ads: {}, resource_api_version: V3}}`,
    }),
    issues: [],
  },
  {
    name: "xDS without a version",
    yaml: bootstrap({
      rest: `dynamic_resources: {ads_config: ${ADS.replace("transport_api_version: V3, ", "")}, cds_config: {ads: {}}}`,
    }),
    issues: [],
  },
  {
    name: "routes by RDS",
    yaml: bootstrap({
      listeners: listener(hcm("rds: {route_config_name: r, config_source: {ads: {}, resource_api_version: V3}}")),
      rest: `dynamic_resources: {ads_config: ${ADS}}`,
    }),
    issues: [],
  },
  {
    name: "STRICT_DNS with a name",
    yaml: cluster(
      `type: STRICT_DNS, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: example.test, port_value: 80}}}}]}]}`,
    ),
    issues: [],
  },
  {
    name: "weighted clusters",
    yaml: route(
      `{match: {path: /a}, route: {weighted_clusters: {clusters: [{name: local, weight: 1}, {name: local, weight: 3}]}}}`,
    ),
    issues: [],
  },
  {
    name: "regex, headers, query and rewrites",
    yaml: route(
      `{match: {safe_regex: {regex: "/a/(.*)"}, headers: [{name: x, string_match: {prefix: b}}], query_parameters: [{name: q, present_match: true}]}, route: {cluster: local, regex_rewrite: {pattern: {regex: "/a/(.*)"}, substitution: '/\\1'}, timeout: 0s}}`,
    ),
    issues: [],
  },
  {
    name: "redirect and direct response",
    yaml: route(
      `{match: {prefix: /r}, redirect: {https_redirect: true, response_code: FOUND}}, {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hi}}}`,
    ),
    issues: [],
  },
  { name: "a tcp proxy", yaml: bootstrap({ listeners: listener(TCP) }), issues: [] },
  {
    name: "a file access log",
    yaml: bootstrap({
      listeners: http(
        TO_LOCAL,
        `access_log: [{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, log_format: {json_format: {status: "%RESPONSE_CODE%"}}}}]`,
      ),
    }),
    issues: [],
  },
  {
    name: "runtime layers and an admin address",
    yaml: `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\nlayered_runtime: {layers: [{name: s, static_layer: {a: {b: 1}}}, {name: a, admin_layer: {}}]}`,
    issues: [],
  },
  {
    name: "circuit breakers and the panic threshold",
    yaml: cluster(
      "circuit_breakers: {thresholds: [{max_connections: 4294967295}]}, common_lb_config: {healthy_panic_threshold: {value: 0}}",
    ),
    issues: [],
  },
  { name: "ORIGINAL_DST", yaml: cluster("type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED"), issues: [] },
  {
    name: "two chains that differ by destination port",
    yaml: bootstrap({
      listeners: `{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filter_chain_match: {destination_port: 1}, filters: [${TCP}]}, {filter_chain_match: {destination_port: 2}, filters: [${TCP}]}]}`,
    }),
    issues: [],
  },
  { name: "a wrapper given as yes", yaml: cluster("wait_for_warm_on_init: yes"), issues: [] },
  {
    name: "an unknown optional HTTP filter",
    yaml: bootstrap({
      listeners: http(
        TO_LOCAL,
        "",
        `{name: x, is_optional: true, typed_config: {"@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/made.Up, value: {}}}, ${ROUTER}`,
      ),
    }),
    issues: [],
  },
  {
    name: "header changes",
    yaml: route(
      `{match: {prefix: /}, route: {cluster: local}, request_headers_to_add: [{header: {key: x-a, value: b}, append_action: ADD_IF_ABSENT}], response_headers_to_remove: [server]}`,
    ),
    issues: [],
  },
  {
    name: "a substitution with a group that is not there",
    yaml: route(
      `{match: {prefix: /}, route: {cluster: local, regex_rewrite: {pattern: {regex: a}, substitution: '\\1'}}}`,
    ),
    issues: [],
  },
  {
    name: "two virtual hosts of one name",
    yaml: hosts(`{name: a, domains: [x.test]}, {name: a, domains: [y.test]}`),
    issues: [],
  },
  { name: "a null value", yaml: cluster("connect_timeout: null, type: STATIC"), issues: [] },
];
