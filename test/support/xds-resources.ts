// Resources and bootstraps for xDS tests, written as YAML the way people write them and encoded by the product's loader.

import assert from "node:assert/strict";
import { loadBootstrap } from "../../xds/decode/bootstrap-file.ts";
import { parseResources } from "../../xds/decode/resources-file.ts";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import { formatLocated } from "../../xds/decode/yaml-document.ts";
import type { Bootstrap } from "../../xds/model/bootstrap.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, EXTENSION_CONFIG_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";

export type AdsVariant = "GRPC" | "DELTA_GRPC";

/** A bootstrap whose LDS and CDS come over ADS from 127.0.0.1:`port`; `extra` is YAML at the top level. */
export function adsBootstrap(port: number, variant: AdsVariant, extra = ""): Bootstrap {
  return bootstrap(`
node: { id: test-node, cluster: test-cluster }
dynamic_resources:
  ads_config:
    api_type: ${variant}
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services:
      - envoy_grpc: { cluster_name: xds }
        initial_metadata: [{ key: x-token, value: secret }]
  cds_config: { ads: {}, resource_api_version: V3 }
  lds_config: { ads: {}, resource_api_version: V3 }
static_resources:
  clusters:
    - name: xds
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
      load_assignment: ${assignment("xds", port)}
${extra}`);
}

export function bootstrap(text: string): Bootstrap {
  const loaded = loadBootstrap({ text });
  if (!loaded.ok) assert.fail(loaded.issues.map(formatLocated).join("\n"));
  return loaded.value;
}

/** Encodes YAML resources (a list with "@type"); fails the test when one is not valid. */
export function resources(text: string): readonly FileResource[] {
  const loaded = parseResources(text, "test.yaml");
  if (!loaded.ok) assert.fail(loaded.issues.map(formatLocated).join("\n"));
  return loaded.resources;
}

export function one(text: string): FileResource {
  const [first] = resources(`- ${text}`);
  assert.ok(first);
  return first;
}

function assignment(name: string, port: number): string {
  const address = `{ socket_address: { address: 127.0.0.1, port_value: ${port} } }`;
  return `{ cluster_name: ${name}, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${address} } }] }] }`;
}

const ADS = "{ ads: {}, resource_api_version: V3 }";

export function edsCluster(name: string, options: { timeout?: string; connect?: string } = {}): FileResource {
  const source = `{ ads: {}, resource_api_version: V3${timeoutOf(options.timeout)} }`;
  const eds = `eds_cluster_config: { eds_config: ${source} }`;
  return one(
    `{ "@type": "${CLUSTER_TYPE}", name: ${name}, type: EDS, connect_timeout: ${options.connect ?? "1s"}, ${eds} }`,
  );
}

export function staticCluster(name: string, port = 8080): FileResource {
  return one(
    `{ "@type": "${CLUSTER_TYPE}", name: ${name}, type: STATIC, connect_timeout: 1s, load_assignment: ${assignment(name, port)} }`,
  );
}

/** The same resource under another name, without going through YAML: for tests with tens of thousands of them. */
export function renamed(resource: FileResource, name: string): FileResource {
  const { value } = resource;
  const length = value[1];
  assert.ok(value[0] === 0x0a && length !== undefined && length < 0x80, "the name is first and short");
  const bytes = Buffer.from(name);
  const prefix = bytes.length < 0x80 ? [0x0a, bytes.length] : [0x0a, (bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return { ...resource, name, value: Buffer.concat([Buffer.from(prefix), bytes, value.subarray(2 + length)]) };
}

export function endpoints(name: string, port = 8080): FileResource {
  return one(assignment(name, port).replace("{", `{ "@type": "${ENDPOINTS_TYPE}",`));
}

export function routes(name: string, cluster: string): FileResource {
  const route = `{ match: { prefix: "/" }, route: { cluster: ${cluster} } }`;
  const virtualHost = `{ name: all, domains: ["*"], routes: [${route}] }`;
  return one(`{ "@type": "${ROUTE_TYPE}", name: ${name}, virtual_hosts: [${virtualHost}] }`);
}

export type ListenerOptions = {
  routes?: string;
  plugin?: string;
  port?: number;
  timeout?: string;
  statPrefix?: string;
};

/** An HTTP listener with RDS routes (default "routes") and, when named, a wasm plugin over ECDS. */
export function listener(name: string, options: ListenerOptions = {}): FileResource {
  const source =
    options.timeout === undefined ? ADS : `{ ads: {}, resource_api_version: V3${timeoutOf(options.timeout)} }`;
  const plugin =
    options.plugin === undefined
      ? ""
      : `- name: ${options.plugin}
              config_discovery:
                config_source: ${source}
                type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]`;
  const [first] = resources(`
- "@type": ${LISTENER_TYPE}
  name: ${name}
  address: { socket_address: { address: 127.0.0.1, port_value: ${options.port ?? 0} } }
  filter_chains:
    - filters:
        - name: hcm
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: ${options.statPrefix ?? name}
            rds: { route_config_name: ${options.routes ?? "routes"}, config_source: ${source} }
            http_filters:
            ${plugin}
            - name: router
              typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`);
  assert.ok(first);
  return first;
}

/** An HTTP listener with scoped routes over SRDS, by the header x. */
export function scopedListener(name: string): FileResource {
  const manager =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
  const router = `{ name: r, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }`;
  return one(`{ "@type": ${LISTENER_TYPE}, name: ${name},
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } },
    filter_chains: [{ filters: [{ name: hcm, typed_config: { "@type": ${manager}, stat_prefix: ${name},
      http_filters: [${router}],
      scoped_routes: { name: s, rds_config_source: ${ADS}, scoped_rds: { scoped_rds_config_source: ${ADS} },
        scope_key_builder: { fragments: [{ header_value_extractor: { name: x, index: 0 } }] } } } }] }] }`);
}

export function plugin(name: string, file = "plugin.wasm"): FileResource {
  const [first] = resources(`
- "@type": ${EXTENSION_CONFIG_TYPE}
  name: ${name}
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config:
      name: ${name}
      vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: ${file} } } }
`);
  assert.ok(first);
  return first;
}

function timeoutOf(timeout: string | undefined): string {
  return timeout === undefined ? "" : `, initial_fetch_timeout: ${timeout}`;
}
