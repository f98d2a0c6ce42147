// What `outrigger warm-up` runs: a small sidecar that uses what nearly every sidecar uses, so that the compile cache holds the functions
// that a start calls, and not only the files that it loads. Pure but for one look at the disk.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Any plugin does: reading, metering and starting one is half of a start's work. Packages without it warm the rest. */
const PLUGIN = fileURLToPath(new URL("../plugins/examples/rust/plugin.wasm", import.meta.url));
const HERE = { socket_address: { address: "127.0.0.1", port_value: 0 } };
const HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/** YAML, so that its parser is warm too. */
export function warmUpBootstrap(): string {
  const wasm = `
                  - name: plugin
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: plugin
                        fail_open: true
                        vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: ${JSON.stringify(PLUGIN)} } } }
                        configuration:
                          "@type": type.googleapis.com/google.protobuf.StringValue
                          value: '{"headers":[{"name":"X","value":"Y"}]}'`;
  return `
admin: { address: ${JSON.stringify(HERE)} }
static_resources:
  listeners:
    - name: warm-up
      address: ${JSON.stringify(HERE)}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/${HCM}
                stat_prefix: warm-up
                route_config:
                  virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: none } }] }]
                http_filters:${existsSync(PLUGIN) ? wasm : ""}
                  - name: router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
    - name: none
      type: STATIC
      connect_timeout: 1s
      load_assignment: { cluster_name: none, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${JSON.stringify(HERE)} } }] }] }
`;
}
