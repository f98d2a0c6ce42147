// Istio's filters over plain HTTP: two sidecars, one of the caller and one of the application, tell each other who they are and
// count with it; the application and the client see nothing of that.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { suite, test } from "node:test";
import { address, bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const PREFIX = "type.googleapis.com/";

/** As istiod sends it: JSON in an envelope. */
function exchange(value: object): object {
  const typed_config = {
    "@type": `${PREFIX}udpa.type.v1.TypedStruct`,
    type_url: `${PREFIX}io.istio.http.peer_metadata.Config`,
    value,
  };
  return { name: "istio.metadata_exchange", typed_config };
}

const stats = (value: object = {}) => ({
  name: "istio.stats",
  typed_config: { "@type": `${PREFIX}stats.PluginConfig`, ...value },
});

const INBOUND = exchange({
  downstream_discovery: [{ istio_headers: {} }, { workload_discovery: {} }],
  downstream_propagation: [{ istio_headers: {} }],
});
const OUTBOUND = exchange({
  upstream_discovery: [{ istio_headers: {} }, { workload_discovery: {} }],
  upstream_propagation: [{ istio_headers: { skip_external_clusters: true } }],
});

function node(name: string, version: string): object {
  const labels = {
    app: name,
    version,
    "service.istio.io/canonical-name": name,
    "service.istio.io/canonical-revision": version,
  };
  const metadata = {
    NAME: `${name}-1`,
    NAMESPACE: "shop",
    WORKLOAD_NAME: `${name}-workload`,
    OWNER: `kubernetes://apis/apps/v1/namespaces/shop/deployments/${name}-workload`,
    CLUSTER_ID: "Kubernetes",
    ISTIO_VERSION: "1.31.0",
    LABELS: labels,
  };
  return { node: { id: `sidecar~127.0.0.1~${name}.shop~shop.svc.cluster.local`, cluster: name, metadata } };
}

/** istiod's words about a service. */
const service = (host: string, more: object = {}) => ({
  metadata: {
    filter_metadata: { istio: { services: [{ host, name: host.split(".")[0], namespace: "shop" }], ...more } },
  },
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
}

async function ask(port: number, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const asked = request({ port, path, headers: { host: "web.shop.test", ...headers } });
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  return { status: response.statusCode, headers: response.headers };
}

/** Values by labels that are asked for, from /stats/prometheus. */
async function series(sidecar: SidecarProcess, metric: string): Promise<readonly Readonly<Record<string, string>>[]> {
  const { text } = await sidecar.admin("/stats/prometheus");
  const lines = text.split("\n").filter((line) => line.startsWith(`${metric}{`));
  return lines.map((line) => {
    const labels = [...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name ?? "", value ?? ""] as const);
    return { ...Object.fromEntries(labels), value: line.slice(line.lastIndexOf(" ") + 1) };
  });
}

const isPeerHeader = (name: string): boolean => name.startsWith("x-envoy-peer-metadata");

suite("Istio's filters over plain HTTP", { timeout: 60_000 }, () => {
  test("tell the sidecars of each other, the application of neither, and count by both", async () => {
    await using application = await RecordingOrigin.start(() => undefined);
    await using server = await SidecarProcess.start(
      bootstrap({
        listeners: [listener("in", { filters: [INBOUND, stats()], trafficDirection: "INBOUND" })],
        clusters: [cluster("origin", [application.port], service("web.shop.test"))],
        more: node("web", "v7"),
      }),
    );
    const routes = [
      { match: { prefix: "/outside" }, route: { cluster: "outside" } },
      { match: { prefix: "/nowhere" }, route: { cluster: "nowhere" } },
      { match: { prefix: "/" }, route: { cluster: "origin" } },
    ];
    const seen = wasmFilter("seen", guest("headers"), "response add x-seen yes");
    const filters = [OUTBOUND, seen, stats()];
    await using client = await SidecarProcess.start(
      bootstrap({
        listeners: [listener("out", { filters, routes, trafficDirection: "OUTBOUND" })],
        clusters: [
          cluster("origin", [server.port("in")], service("web.shop.test")),
          cluster("outside", [application.port], service("outside.test", { external: true })),
          cluster("nowhere", [], service("nowhere.shop.test")),
        ],
        more: node("caller", "v3"),
      }),
    );
    const port = client.port("out");
    const answers = [
      await ask(port, "/a"),
      await ask(port, "/b"),
      await ask(port, "/outside"),
      await ask(port, "/nowhere"),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 503],
    );
    assert.deepEqual(
      answers.flatMap(({ headers }) => Object.keys(headers).filter(isPeerHeader)),
      [],
    );
    assert.equal(application.requests.length, 3);
    const told = application.requests.flatMap(({ fields }) => fields.map(([name]) => name).filter(isPeerHeader));
    assert.deepEqual(told, []);

    const caller = {
      source_workload: "caller-workload",
      source_canonical_service: "caller",
      source_canonical_revision: "v3",
      source_workload_namespace: "shop",
      source_principal: "unknown",
      source_app: "caller",
      source_version: "v3",
      source_cluster: "Kubernetes",
    };
    const web = {
      destination_workload: "web-workload",
      destination_workload_namespace: "shop",
      destination_principal: "unknown",
      destination_app: "web",
      destination_version: "v7",
      destination_service: "web.shop.test",
      destination_canonical_service: "web",
      destination_canonical_revision: "v7",
      destination_service_name: "web",
      destination_service_namespace: "shop",
      destination_cluster: "Kubernetes",
    };
    const ends = { request_protocol: "http", response_code: "200", grpc_response_status: "", response_flags: "-" };
    const [atServer] = await series(server, "istio_requests_total");
    assert.deepEqual(atServer, {
      reporter: "destination",
      ...caller,
      ...web,
      ...ends,
      connection_security_policy: "none",
      value: "2",
    });
    const atClient = await series(client, "istio_requests_total");
    assert.deepEqual(
      atClient.find(({ destination_service_name: name }) => name === "web"),
      { reporter: "source", ...caller, ...web, ...ends, connection_security_policy: "unknown", value: "2" },
    );
    const outside = atClient.find(({ destination_service_name: name }) => name === "outside");
    assert.deepEqual(
      [outside?.["destination_workload"], outside?.["destination_canonical_revision"]],
      ["unknown", "latest"],
    );
    const nowhere = atClient.find(({ destination_service_name: name }) => name === "nowhere");
    assert.deepEqual([nowhere?.["response_code"], nowhere?.["response_flags"]], ["503", "UH"]);
    for (const metric of ["request_duration_milliseconds", "request_bytes", "response_bytes"]) {
      const [count] = await series(server, `istio_${metric}_count`);
      assert.equal(count?.["value"], "2", metric);
    }
    const builds = await series(server, "istio_build");
    assert.deepEqual(builds, [{ component: "proxy", tag: "1.31.0", value: "1" }]);
  });

  test("believe only what is a message, and never pass it on", async () => {
    await using application = await RecordingOrigin.start(() => undefined);
    await using server = await SidecarProcess.start(
      bootstrap({
        listeners: [listener("in", { filters: [INBOUND, stats()], trafficDirection: "INBOUND" })],
        clusters: [cluster("origin", [application.port])],
        more: node("web", "v7"),
      }),
    );
    const headers = [
      "",
      "%%%",
      "AAAA",
      "a".repeat(20_000),
      Buffer.from([10, 255, 255, 255, 255, 15]).toString("base64"),
    ];
    for (const header of headers) {
      const answer = await ask(server.port("in"), "/", {
        "x-envoy-peer-metadata": header,
        "x-envoy-peer-metadata-id": "sidecar~1.2.3.4~other~x",
      });
      assert.equal(answer.status, 200);
      // The peer has asked, so it is told who is here.
      assert.equal(answer.headers["x-envoy-peer-metadata-id"], "sidecar~127.0.0.1~web.shop~shop.svc.cluster.local");
    }
    const told = application.requests.flatMap(({ fields }) => fields.map(([name]) => name).filter(isPeerHeader));
    assert.deepEqual(told, []);
    const all = await series(server, "istio_requests_total");
    assert.deepEqual(
      all.map(({ source_workload: source, value }) => [source, value]),
      [["unknown", String(headers.length)]],
    );
  });

  test("leave out the metrics and labels that the configuration drops", async () => {
    await using application = await RecordingOrigin.start(() => undefined);
    const metrics = [
      { name: "request_bytes", drop: true },
      { tags_to_remove: ["source_principal", "destination_principal"] },
    ];
    const few = stats({ metrics });
    const hostless = { ...stats({ disable_host_header_fallback: true }), name: "second" };
    await using server = await SidecarProcess.start(
      bootstrap({
        listeners: [
          listener("few", { filters: [few], trafficDirection: "INBOUND" }),
          listener("hostless", { filters: [hostless], trafficDirection: "OUTBOUND" }),
        ],
        clusters: [cluster("origin", [application.port])],
        more: node("web", "v7"),
      }),
    );
    await ask(server.port("few"), "/");
    await ask(server.port("hostless"), "/");
    const all = await until(
      "two series",
      () => series(server, "istio_requests_total"),
      ({ length }) => length === 2,
    );
    const [inbound, outbound] = all.toSorted((a, b) => (String(a["reporter"]) < String(b["reporter"]) ? -1 : 1));
    assert.equal(inbound?.["source_principal"], undefined);
    assert.equal(inbound?.["destination_service"], "web.shop.test");
    assert.equal(outbound?.["destination_service"], "unknown");
    assert.equal((await series(server, "istio_request_bytes_count")).length, 1);
    assert.equal((await series(server, "istio_response_bytes_count")).length, 2);
  });

  test("count TCP connections and their bytes, while they live and when they are over", async () => {
    await using upstream = await FakeUpstream.start();
    const proxy = {
      "@type": `${PREFIX}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: "tcp",
      cluster: "origin",
    };
    const tcp = {
      name: "tcp",
      traffic_direction: "OUTBOUND",
      address: address(0),
      filter_chains: [{ filters: [stats({ tcp_reporting_duration: "0.05s" }), { name: "tcp", typed_config: proxy }] }],
    };
    const endpoint = { address: address(upstream.port) };
    const metadata = { filter_metadata: { istio: { workload: "ledger;shop;ledger-canonical;v9;Kubernetes" } } };
    const load_assignment = { cluster_name: "origin", endpoints: [{ lb_endpoints: [{ endpoint, metadata }] }] };
    await using sidecar = await SidecarProcess.start(
      bootstrap({
        listeners: [tcp],
        clusters: [cluster("origin", [], { load_assignment, ...service("ledger.shop.test") })],
        more: node("caller", "v3"),
      }),
    );
    const client = await RawClient.connect(sidecar.port("tcp"));
    client.send("hello");
    const connection = await upstream.connection(0);
    await connection.untilReceived("hello");
    const value = async (metric: string): Promise<string | undefined> =>
      (await series(sidecar, `istio_tcp_${metric}_total`))[0]?.["value"];
    await until(
      "the first bytes, while it lives",
      () => value("received_bytes"),
      (count) => count === "5",
    );
    assert.equal(await value("connections_closed"), undefined);
    const [opened] = await series(sidecar, "istio_tcp_connections_opened_total");
    const { destination_workload: workload, destination_canonical_revision: revision } = opened ?? {};
    const { destination_service: host, request_protocol: protocol, response_code: code } = opened ?? {};
    assert.deepEqual(
      [workload, revision, host, protocol, code],
      ["ledger", "v9", "ledger.shop.test", "tcp", undefined],
    );
    connection.send("answer!");
    connection.end();
    client.end();
    await until(
      "its end",
      () => value("connections_closed"),
      (count) => count === "1",
    );
    assert.deepEqual(
      [await value("connections_opened"), await value("received_bytes"), await value("sent_bytes")],
      ["1", "5", "7"],
    );
  });
});
