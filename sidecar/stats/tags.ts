// From a statistic's dotted name to Prometheus: Envoy's default tags become labels, the rest the metric's name.
// Source: Envoy's well_known_names.cc. Used by exposition.ts. Pure.
//
// Names of our own that have labels carry them inside the name, as Prometheus writes them:
//   outrigger_wasm_calls_total{plugin="auth",callback="proxy_on_request_headers"}
// `labelled` builds such a name. Names that begin with `outrigger_` or `istio_`, and names with labels, are shown as they
// are; all others get the prefix `envoy_`.

export interface PrometheusName {
  readonly metric: string;
  /** `a="x",b="y"` or empty. */
  readonly labels: string;
}

interface Tag {
  readonly label: string;
  /** Group 1 is cut from the name, group 2 is the label's value. */
  readonly pattern: RegExp;
}

// Each pattern is linear: one lazy or negated run between literal dots. Order and cuts as in Envoy.
const TAGS: readonly Tag[] = [
  { label: "envoy_response_code", pattern: /_rq(_(\d{3}))$/ },
  { label: "envoy_response_code_class", pattern: /_rq_((\d))xx$/ },
  { label: "envoy_http_user_agent", pattern: /^http\.[^.]+\.user_agent\.(([^.]+)\.)\w+$/ },
  { label: "envoy_virtual_cluster", pattern: /^vhost\.[^.]+\.vcluster\.(([^.]+)\.)/ },
  { label: "envoy_ssl_cipher", pattern: /^listener\..*?\.ssl\.cipher(\.([^.]+))$/ },
  { label: "envoy_tcp_prefix", pattern: /^tcp\.(([^.]+)\.)\w+$/ },
  { label: "envoy_ratelimit_prefix", pattern: /^ratelimit\.(([^.]+)\.)\w+$/ },
  { label: "envoy_http_conn_manager_prefix", pattern: /^listener\..*?\.http\.(([^.]+)\.)/ },
  { label: "envoy_rds_route_config", pattern: /^http\.[^.]+\.rds\.((.+)\.)\w+$/ },
  { label: "envoy_http_conn_manager_prefix", pattern: /^http\.(([^.]+)\.)/ },
  { label: "envoy_worker_id", pattern: /^listener\.(?:[_.\d]+|[_[\]a-fA-F\d]+)\.worker(_(\d+))\./ },
  { label: "envoy_listener_address", pattern: /^listener\.(([_.\d]+|[_[\]a-fA-F\d]+)\.)/ },
  { label: "envoy_route", pattern: /^vhost\.[^.]+\.route\.(([^.]+)\.)/ },
  { label: "envoy_virtual_host", pattern: /^vhost\.(([^.]+)\.)/ },
  { label: "envoy_worker_id", pattern: /^(?:listener_manager|server)\.worker(_(\d+))\./ },
];

const CLUSTER = "cluster.";
/** What plugins define: see `PluginMetrics`. */
const PLUGIN_METRIC = "wasmcustom.";

/** Escapes a label's value: backslash, quote and line feed. */
export function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** A statistic's name with labels, in the encoding above. Give the labels always in the same order. */
export function labelled(metric: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${cleanName(label)}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? metric : `${metric}{${pairs.join(",")}}`;
}

function cleanName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, "_");
}

/**
 * The Prometheus form of a name. `dottedClusters` are the names of clusters that contain a dot: Envoy's own rule takes
 * a cluster's name to end at the first one.
 */
export function prometheusName(name: string, dottedClusters: ReadonlySet<string>): PrometheusName {
  const brace = name.indexOf("{");
  if (brace > 0 && name.endsWith("}")) {
    return { metric: cleanName(name.slice(0, brace)), labels: name.slice(brace + 1, -1) };
  }
  if (name.startsWith("outrigger_") || name.startsWith("istio_")) {
    return { metric: cleanName(name), labels: "" };
  }
  if (name.startsWith(PLUGIN_METRIC)) {
    // Envoy's custom namespace: neither its own prefix nor `envoy_` is shown. The name is a plugin's, so anything.
    const metric = cleanName(name.slice(PLUGIN_METRIC.length));
    return { metric: /^[a-zA-Z_]/.test(metric) ? metric : `_${metric}`, labels: "" };
  }
  const cluster = name.startsWith(CLUSTER) ? clusterOf(name, dottedClusters) : "";
  let rest = cluster === "" ? name : CLUSTER + name.slice(CLUSTER.length + cluster.length + 1);
  let labels = "";
  for (const tag of TAGS) {
    const found = tag.pattern.exec(rest);
    const cut = found?.[1];
    const value = found?.[2];
    if (found === null || cut === undefined || value === undefined) {
      continue;
    }
    const at = found.index + found[0].lastIndexOf(cut);
    rest = rest.slice(0, at) + rest.slice(at + cut.length);
    labels += `${labels === "" ? "" : ","}${tag.label}="${escapeLabel(value)}"`;
  }
  if (cluster !== "") {
    labels += `${labels === "" ? "" : ","}envoy_cluster_name="${escapeLabel(cluster)}"`;
  }
  return { metric: `envoy_${cleanName(rest)}`, labels };
}

function clusterOf(name: string, dottedClusters: ReadonlySet<string>): string {
  const first = name.indexOf(".", CLUSTER.length);
  if (first < 0) {
    return "";
  }
  if (dottedClusters.size > 0) {
    for (let dot = name.lastIndexOf("."); dot > first; dot = name.lastIndexOf(".", dot - 1)) {
      const candidate = name.slice(CLUSTER.length, dot);
      if (dottedClusters.has(candidate)) {
        return candidate;
      }
    }
  }
  return name.slice(CLUSTER.length, first);
}
