// Variants of one small bootstrap, one field each: bounds on both sides, enums, durations, regular expressions, unknown
// types. The rows are in variants-*.ts; a row becomes a case of the corpus here.

import {
  bootstrap,
  cluster,
  hcm,
  hosts,
  http,
  listener,
  route,
  ROUTER,
  TABLE,
  TCP_TYPE,
  TO_LOCAL,
  type CorpusCase,
} from "./corpus-parts.ts";
import type { Row } from "./variant-row.ts";
import { TCP_PROXIES } from "./variants-tcp.ts";
import { INERT_BOOTSTRAPS, INERT_CLUSTERS, INERT_LOGS } from "./variants-inert.ts";
import { SCOPED } from "./variants-scoped.ts";
import { ADS_SERVICES, SECRETS, UPSTREAM_TLS } from "./variants-tls.ts";
import { BUILTINS, DISCOVERED } from "./variants-filters.ts";
import { BOOTSTRAPS, CHAIN_MATCHES, FILTERS, HOSTS, LISTENERS, LOGS, MANAGERS } from "./variants-listeners.ts";
import { ACTIONS, ASSIGNMENTS, CLUSTERS, ENDPOINTS, MATCHES } from "./variants-traffic.ts";

const TLS_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";

function cases(kind: string, rows: readonly Row[], build: (text: string) => string): CorpusCase[] {
  return rows.map(([text, issue = "", differs]) => ({
    name: `${kind} ${text}`,
    yaml: build(text),
    issues: issue === "" ? [] : [issue],
    ...(differs === undefined ? {} : { differs }),
  }));
}

export const VARIANTS: readonly CorpusCase[] = [
  ...cases("cluster", [...CLUSTERS, ...INERT_CLUSTERS], (text) => cluster(text)),
  ...cases("TLS context", UPSTREAM_TLS, (text) =>
    cluster(`transport_socket: {name: tls, typed_config: {"@type": ${TLS_TYPE}, ${text}}}`),
  ),
  ...cases("secret", SECRETS, (text) => bootstrap({ rest: `  secrets: [${text}]` })),
  ...cases("ADS service", ADS_SERVICES, (text) => {
    const ads = `ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{${text}}]}`;
    return bootstrap({ rest: `dynamic_resources: {${ads}, cds_config: {ads: {}}}` });
  }),
  ...cases("endpoint", ENDPOINTS, (text) =>
    cluster(`load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [${text}]}]}`),
  ),
  ...cases("assignment", ASSIGNMENTS, (text) => cluster(`load_assignment: {cluster_name: c, ${text}}`)),
  ...cases("match", MATCHES, (text) => route(`{match: {${text}}, route: {cluster: local}}`)),
  ...cases("action", ACTIONS, (text) => route(`{match: {prefix: /}, ${text}}`)),
  ...cases("virtual host", HOSTS, hosts),
  ...cases("connection manager", MANAGERS, (text) => bootstrap({ listeners: listener(hcm(`${TABLE}, ${text}`)) })),
  ...cases("scoped routes", SCOPED, (text) => bootstrap({ listeners: listener(hcm(`scoped_routes: {${text}}`)) })),
  ...cases("access log", [...LOGS, ...INERT_LOGS], (text) =>
    bootstrap({ listeners: http(TO_LOCAL, `access_log: [{name: l, ${text}}]`) }),
  ),
  ...cases("listener", LISTENERS, (text) => bootstrap({ listeners: listener(hcm(TABLE), `, ${text}`) })),
  ...cases("chain match", CHAIN_MATCHES, (text) =>
    bootstrap({ listeners: listener(hcm(TABLE)).replace("[{filters:", `[{filter_chain_match: ${text}, filters:`) }),
  ),
  ...cases("TCP proxy", TCP_PROXIES, (text) =>
    bootstrap({ listeners: listener(`{name: tcp, typed_config: {"@type": ${TCP_TYPE}, stat_prefix: t, ${text}}}`) }),
  ),
  ...cases("HTTP filter", FILTERS, (text) => bootstrap({ listeners: http(TO_LOCAL, "", text) })),
  ...cases("filter by name", DISCOVERED, (text) =>
    bootstrap({
      listeners: listener(
        hcm(TABLE).replace("http_filters: [", `http_filters: [{name: f, config_discovery: {${text}}}, `),
      ),
    }),
  ),
  ...cases("filter of our own", BUILTINS, (text) =>
    bootstrap({ listeners: http(TO_LOCAL, "", `{name: f, typed_config: {"@type": ${text}}}, ${ROUTER}`) }),
  ),
  ...cases("bootstrap", [...BOOTSTRAPS, ...INERT_BOOTSTRAPS], (text) => bootstrap({ rest: text })),
];
