// APISIX's upstreams → Envoy clusters. One cluster for each upstream and connect timeout, which is the cluster's in Envoy and may be a
// route's in APISIX. Source: https://apisix.apache.org/docs/apisix/admin-api/#upstream

import { isIP } from "node:net";
import type { Section } from "./section.ts";
import type { Plain } from "./yaml-writer.ts";

/** Seconds; APISIX's default for all three. */
const DEFAULT_TIMEOUT_S = 60;

export interface Timeouts {
  readonly connect: number;
  readonly send: number;
  readonly read: number;
}

export interface Upstream {
  readonly name: string;
  readonly timeouts: Timeouts;
  /** What the route that goes there says. */
  readonly routeAction: { readonly [key: string]: Plain };
  readonly cluster: { readonly [key: string]: Plain };
}

/** undefined: it cannot be translated, which is a finding. */
export function translateUpstream(section: Section, name: string): Upstream | undefined {
  section.ignore("id", "name", "desc", "labels", "create_time", "update_time");
  const timeouts = translateTimeouts(section.section("timeout"));
  const scheme = section.text("scheme") ?? "http";
  if (scheme !== "http") {
    section.lost(`${scheme} to upstreams is not translated: only http is`, "scheme");
    return undefined;
  }
  const nodes = translateNodes(section);
  const action: { [key: string]: Plain } = {};
  const cluster: { [key: string]: Plain } = { name };
  translatePolicy(section, action, cluster);
  translateHost(section, action);
  const retries = section.number("retries");
  if (retries !== undefined && retries > 0) {
    action["retry_policy"] = { retry_on: "connect-failure,reset", num_retries: retries };
  }
  const pool = section.section("keepalive_pool");
  const idle = pool?.number("idle_timeout");
  if (idle !== undefined) {
    cluster["typed_extension_protocol_options"] = {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: { http_protocol_options: {} },
        common_http_protocol_options: { idle_timeout: `${idle}s` },
      },
    };
  }
  pool?.rest();
  section.rest();
  if (nodes === undefined) {
    return undefined;
  }
  return { name, timeouts, routeAction: action, cluster: { ...cluster, ...nodes } };
}

/** Absent fields have `fallback`. */
export function translateTimeouts(section: Section | undefined, fallback?: Timeouts): Timeouts {
  const seconds = (key: keyof Timeouts): number => section?.number(key) ?? fallback?.[key] ?? DEFAULT_TIMEOUT_S;
  const timeouts = { connect: seconds("connect"), send: seconds("send"), read: seconds("read") };
  section?.rest();
  return timeouts;
}

interface Node {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly priority: number;
}

function translateNodes(section: Section): { readonly type: string; readonly load_assignment: Plain } | undefined {
  if (section.has("service_name") || section.has("discovery_type")) {
    section.lost("nodes from service discovery are not translated: list them, or use EDS", "service_name");
    section.ignore("discovery_type", "discovery_args");
    return undefined;
  }
  const nodes = (section.isList("nodes") ? listedNodes(section) : mappedNodes(section)).filter(
    ({ weight }) => weight > 0,
  );
  if (nodes.length === 0) {
    section.lost("there is no node with a weight above 0", "nodes");
    return undefined;
  }
  // The highest first in APISIX, 0 first in Envoy, without a gap.
  const priorities = [...new Set(nodes.map(({ priority }) => priority))].toSorted((a, b) => b - a);
  return {
    type: nodes.every(({ host }) => isIP(host) !== 0) ? "STATIC" : "STRICT_DNS",
    load_assignment: {
      cluster_name: section.path,
      endpoints: priorities.map((priority, place) => ({
        ...(place === 0 ? {} : { priority: place }),
        lb_endpoints: nodes
          .filter((node) => node.priority === priority)
          .map(({ host, port, weight }) => ({
            endpoint: {
              address: { socket_address: { address: host, port_value: port } },
              hostname: port === 80 ? host : `${host}:${port}`,
            },
            load_balancing_weight: weight,
          })),
      })),
    },
  };
}

/** `"host:port": weight`. */
function mappedNodes(section: Section): readonly Node[] {
  const map = section.section("nodes");
  return (map?.keys ?? []).map((address) => {
    const [, host = address, port = "80"] = /^(?:\[(?=.*\]))?(.*?)\]?(?::(\d+))?$/.exec(address) ?? [];
    return { host, port: Number(port), weight: map?.number(address) ?? 0, priority: 0 };
  });
}

function listedNodes(section: Section): readonly Node[] {
  return section.sections("nodes").map((node) => {
    node.ignore("metadata");
    const read = {
      host: (node.text("host") ?? "").replace(/^\[(.*)\]$/, "$1"),
      port: node.number("port") ?? 80,
      weight: node.number("weight") ?? 1,
      priority: node.number("priority") ?? 0,
    };
    node.rest();
    return read;
  });
}

function translatePolicy(section: Section, action: { [key: string]: Plain }, cluster: { [key: string]: Plain }): void {
  const type = section.text("type") ?? "roundrobin";
  const hashOn = section.text("hash_on") ?? "vars";
  const key = section.text("key");
  switch (type) {
    case "roundrobin":
      cluster["lb_policy"] = "ROUND_ROBIN";
      break;
    case "least_conn":
      cluster["lb_policy"] = "LEAST_REQUEST";
      break;
    case "ewma":
      cluster["lb_policy"] = "LEAST_REQUEST";
      section.differs("latencies are not weighed: it becomes LEAST_REQUEST", "type");
      break;
    case "chash": {
      cluster["lb_policy"] = "RING_HASH";
      const policy = hashPolicy(hashOn, key ?? "");
      if (policy === undefined) {
        section.lost(`a hash on ${hashOn} ${key ?? ""} is not translated`, "key");
      } else {
        action["hash_policy"] = [policy];
      }
      break;
    }
    default:
      section.lost(`the balancer "${type}" is not translated`, "type");
  }
}

function hashPolicy(on: string, key: string): Plain | undefined {
  if (on === "cookie") {
    return { cookie: { name: key } };
  }
  if (on === "header") {
    return { header: { header_name: key } };
  }
  const [, kind, name = ""] = /^(http|arg|cookie)_(.+)$/.exec(key) ?? [];
  if (on !== "vars") {
    return undefined;
  }
  switch (kind) {
    case "http":
      return { header: { header_name: name.replaceAll("_", "-") } };
    case "cookie":
      return { cookie: { name } };
    case "arg":
      return { query_parameter: { name } };
    case undefined:
    default:
      return key === "remote_addr"
        ? { connection_properties: { source_ip: true } }
        : key === "uri" || key === "request_uri"
          ? { header: { header_name: ":path" } }
          : key === "host"
            ? { header: { header_name: ":authority" } }
            : undefined;
  }
}

function translateHost(section: Section, action: { [key: string]: Plain }): void {
  const mode = section.text("pass_host") ?? "pass";
  const host = section.text("upstream_host");
  if (mode === "node") {
    action["auto_host_rewrite"] = true;
  } else if (mode === "rewrite" && host !== undefined) {
    action["host_rewrite_literal"] = host;
  } else if (mode !== "pass") {
    section.lost(`pass_host "${mode}" is not translated`, "pass_host");
  }
}
