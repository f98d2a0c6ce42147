// Variants of the TCP proxy, one field each.

import type { Row } from "./variant-row.ts";

export const TCP_PROXIES: readonly Row[] = [
  ["weighted_clusters: {clusters: [{name: local, weight: 1}, {name: other, weight: 3}]}"],
  ["weighted_clusters: {clusters: [{name: local}]}", "weight: is 0"],
  ["weighted_clusters: {clusters: []}", "has 0 items"],
  ["weighted_clusters: {clusters: [{name: a, weight: 4294967295}, {name: b, weight: 1}]}"],
  ["idle_timeout: 1s", "no cluster_specifier set"],
  ["cluster: local, idle_timeout: 0s, max_connect_attempts: 3"],
  ["cluster: local, max_connect_attempts: 0", "max_connect_attempts: is 0"],
  ["cluster: local, backoff_options: {base_interval: 1s, max_interval: 0.5s}", "must be at least base_interval"],
  ["cluster: local, backoff_options: {max_interval: 1s}", "base_interval: is required"],
  ["cluster: local, access_log_options: {access_log_flush_interval: 1s, flush_access_log_on_start: true}"],
  [
    "cluster: local, flush_access_log_on_connected: true, access_log_options: {flush_access_log_on_start: true}",
    "cannot be set together",
  ],
  ["cluster: nowhere"],
];
