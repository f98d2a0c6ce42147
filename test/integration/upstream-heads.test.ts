// What a route changes in a request's head before it goes upstream, and how long the upstream has: the same through Envoy and
// through outrigger, as Istio's control plane configures it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { suite, test } from "node:test";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";

const to = (path: string, action: object) => ({
  match: { prefix: `/${path}/` },
  route: { cluster: "origin", ...action },
});

/** Rewrites, by the route and by a weighted cluster; timeouts old and new; an attempt's number. */
const ROUTES = [
  to("literal", { host_rewrite_literal: "lit.test" }),
  to("forwarded", { host_rewrite_literal: "lit.test", append_x_forwarded_host: true }),
  to("same", { host_rewrite_literal: "shop.test" }),
  to("header", { host_rewrite_header: "x-host" }),
  to("regex", {
    host_rewrite_path_regex: { pattern: { regex: "^/regex/([^/]+)/.*$" }, substitution: "\\1.test" },
    prefix_rewrite: "/short/",
  }),
  to("auto", { auto_host_rewrite: true, prefix_rewrite: "/other/" }),
  to("old-grpc", { timeout: "3s", max_grpc_timeout: "2s", grpc_timeout_offset: "0.1s" }),
  to("old-grpc-endless", { timeout: "3s", max_grpc_timeout: "0s" }),
  {
    match: { prefix: "/weighted/" },
    route: { weighted_clusters: { clusters: [{ name: "origin", weight: 1, host_rewrite_literal: "weighted.test" }] } },
  },
  {
    match: { prefix: "/weighted-and-route/" },
    route: {
      weighted_clusters: { clusters: [{ name: "origin", weight: 1, host_rewrite_literal: "weighted.test" }] },
      host_rewrite_literal: "route.test",
    },
  },
];

const GRPC = { "content-type": "application/grpc" };
const REQUESTS: readonly (readonly [path: string, headers: Readonly<Record<string, string>>])[] = [
  ["/literal/", {}],
  ["/literal/", { "x-envoy-original-host": "mine" }],
  ["/forwarded/", {}],
  ["/same/", {}],
  ["/header/", { "x-host": "from-header.test" }],
  ["/header/", {}],
  ["/regex/part/rest?q", {}],
  ["/auto/x", {}],
  ["/weighted/x", {}],
  ["/weighted-and-route/x", {}],
  ["/old-grpc/x", {}],
  ["/old-grpc/x", GRPC],
  ["/old-grpc/x", { ...GRPC, "grpc-timeout": "1S" }],
  ["/old-grpc/x", { ...GRPC, "grpc-timeout": "9S" }],
  ["/old-grpc/x", { ...GRPC, "grpc-timeout": "50m" }],
  ["/old-grpc-endless/x", { ...GRPC, "grpc-timeout": "1S" }],
  ["/old-grpc-endless/x", GRPC],
];

/** What came to the origin: the target, the Host and what proxies say, but for what is random. */
async function heads(envoy: string | undefined, suppress: boolean): Promise<readonly (readonly string[])[]> {
  await using origin = await RecordingOrigin.start(() => undefined);
  const router = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    suppress_envoy_headers: suppress,
  };
  const manager = { http_filters: [{ name: "envoy.filters.http.router", typed_config: router }] };
  const virtualHosts = [{ name: "all", domains: ["*"], include_request_attempt_count: true, routes: ROUTES }];
  const address = { socket_address: { address: "127.0.0.1", port_value: origin.port } };
  const endpoint = { address, hostname: "endpoint.test" };
  const load_assignment = { cluster_name: "origin", endpoints: [{ lb_endpoints: [{ endpoint }] }] };
  const config = bootstrap({
    listeners: [listener("in", { virtualHosts, manager })],
    clusters: [cluster("origin", [], { type: "STRICT_DNS", load_assignment })],
  });
  await using proxy = await ProxyProcess.start(envoy, config);
  for (const [path, headers] of REQUESTS) {
    const asked = request({ port: proxy.port("in"), path, headers: { host: "shop.test", ...headers } });
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
  }
  return origin.requests.map(({ target, fields }) => {
    const kept = fields.filter(([name]) => name === "host" || (name.startsWith("x-") && name !== "x-request-id"));
    return [target, ...kept.map(([name, value]) => `${name}: ${value}`).toSorted()];
  });
}

const oracle = findEnvoy();

suite("a request's head on its way upstream", { skip: oracle === undefined ? ENVOY_MISSING : false }, () => {
  test("is as Envoy's", async () => {
    const [ours, envoys] = await Promise.all([heads(undefined, false), heads(oracle, false)]);
    assert.deepEqual(ours, envoys);
  });

  test("is as Envoy's when it must say nothing of itself", async () => {
    const [ours, envoys] = await Promise.all([heads(undefined, true), heads(oracle, true)]);
    assert.deepEqual(ours, envoys);
  });
});
