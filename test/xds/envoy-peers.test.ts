// Envoy 1.40's own verdict on the server of each row of peer-rows.ts: one Envoy with a cluster for each, through which it asks
// for a secret; those that it takes are asked, those that it refuses fail to connect. Needs the Envoy binary.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { http2Cluster } from "../support/bootstrap-builder.ts";
import { server, serverCertificate, serverCredentials } from "../support/control-plane-tls.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ACCEPTED, REFUSED } from "../support/peer-rows.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";

const ROWS = [...ACCEPTED, ...REFUSED].map(([name, context], index) => ({ name, context, cluster: `row-${index}` }));
const REFUSED_FROM = ACCEPTED.length;

function socket(context: object): object {
  const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
  return { transport_socket: { name: "tls", typed_config: { "@type": type, ...context } } };
}

/** A secret of the cluster's name, asked for over the cluster. */
function asker(cluster: string): object {
  const grpc_services = [{ envoy_grpc: { cluster_name: cluster } }];
  const api_config_source = { api_type: "GRPC", transport_api_version: "V3", grpc_services };
  const secret = { name: cluster, sds_config: { initial_fetch_timeout: "0.1s", api_config_source } };
  const context = { common_tls_context: { tls_certificate_sds_secret_configs: [secret] } };
  return { name: `asks-${cluster}`, load_assignment: { cluster_name: "x" }, ...socket(context) };
}

test(
  "Envoy takes and refuses the same servers",
  { skip: findEnvoy() === undefined ? ENVOY_MISSING : false },
  async (t) => {
    const { plane, port } = await server(t, serverCredentials(serverCertificate));
    const clusters = ROWS.flatMap(({ context, cluster }) => [
      http2Cluster(cluster, port, socket(parse(`{ ${context} }`) as object)),
      asker(cluster),
    ]);
    const admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
    const node = { id: "n", cluster: "c" };
    await using envoy = await ProxyProcess.start(findEnvoy(), { node, admin, static_resources: { clusters } });
    const askedBy = async () => {
      const requests = await Promise.all(
        plane.streams.all.map((stream) => stream.requests.first("a request", () => true)),
      );
      return new Set(requests.flatMap(({ request }) => (request.kind === "sotw" ? request.names : [])));
    };
    const taken = ROWS.slice(0, REFUSED_FROM).map(({ cluster }) => cluster);
    await until("the streams of all that are taken", askedBy, (asked) => taken.every((cluster) => asked.has(cluster)));
    const failed = async () => {
      const answer = await fetch(`http://127.0.0.1:${envoy.adminPort}/stats?filter=upstream_cx_connect_fail`);
      return new Set([...(await answer.text()).matchAll(/cluster\.(row-\d+)\..*: [1-9]/g)].map(([, name]) => name));
    };
    const refused = ROWS.slice(REFUSED_FROM).map(({ cluster }) => cluster);
    await until("the failures of all that are refused", failed, (seen) =>
      refused.every((cluster) => seen.has(cluster)),
    );
    const asked = await askedBy();
    assert.deepEqual(
      ROWS.filter(({ cluster }) => asked.has(cluster)).map(({ name }) => name),
      ACCEPTED.map(([name]) => name),
    );
  },
);
