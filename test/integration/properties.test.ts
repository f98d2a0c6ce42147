// The property catalogue: a guest reads every path in every phase, on Envoy and here, with the same bootstrap and request.
// What Envoy answers is what we answer, to the byte, but for the rows that say how and why not.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { type Answers, ProbeClient, probeFilter } from "../support/probe-guest.ts";
import { ProxyProcess } from "../support/proxy-process.ts";

/** How our answers compare with Envoy's; the last two are the divergences of plugins/README.md. */
const PATHS = {
  // Equal bytes in every phase.
  same: `
    request request.protocol request.size request.headers.nope request.trailers request.nope response response.code
    response.code_details response.flags response.grpc_status response.size response.trailers
    response.trailers.x-end connection connection.mtls connection.requested_server_name connection.tls_version
    connection.subject_local_certificate connection.subject_peer_certificate
    connection.sha256_peer_certificate_digest connection.transport_failure_reason connection.termination_details
    upstream upstream.address upstream.port upstream.locality upstream.locality.region upstream.locality.sub_zone
    upstream.transport_failure_reason upstream.request_attempt_count upstream.num_endpoints upstream.tls_version
    metadata metadata.filter_metadata metadata.filter_metadata.istio metadata.filter_metadata.nope
    metadata.typed_filter_metadata filter_state filter_state.nope filter_state.wasm\\.foo upstream_filter_state
    upstream_filter_state.nope xds xds.node.id xds.node.cluster xds.node.metadata xds.node.metadata.NAME
    xds.node.metadata.N xds.node.metadata.B xds.node.metadata.NUL xds.node.metadata.LABELS
    xds.node.metadata.LABELS.app xds.node.metadata.LIST xds.node.metadata.LIST.1 xds.node.metadata.LIST.9
    xds.node.metadata.LIST.x xds.node.metadata.OBJ xds.node.metadata.OBJ.0 xds.node.metadata.OBJ.0.a
    xds.node.metadata.nope xds.node.locality xds.node.locality.zone xds.node.user_agent_name
    xds.node.user_agent_version xds.node.client_features xds.node.client_features.0 xds.node.dynamic_parameters
    xds.node.listening_addresses xds.node.nope xds.cluster_name xds.cluster_metadata.filter_metadata.istio
    xds.cluster_metadata.filter_metadata.istio.who xds.route_name xds.route_metadata.filter_metadata.istio
    xds.route_metadata.filter_metadata.istio.who xds.route_metadata.filter_metadata.istio.number
    xds.route_metadata.filter_metadata.istio.on xds.route_metadata.filter_metadata.istio.nothing
    xds.route_metadata.filter_metadata.istio.list xds.route_metadata.filter_metadata.istio.list.1
    xds.route_metadata.filter_metadata.istio.nested xds.route_metadata.filter_metadata.istio.nested.deep
    xds.route_metadata.filter_metadata.istio.nested.deep.er
    xds.route_metadata.filter_metadata.istio.nested.deep.er.more xds.route_metadata.filter_metadata.istio.empty
    xds.route_metadata.filter_metadata.istio.fields xds.route_metadata.filter_metadata.nope
    xds.route_metadata.filter_metadata.nope.more xds.route_metadata.typed_filter_metadata.typed
    xds.route_metadata.typed_filter_metadata.typed.value xds.route_metadata.nope xds.virtual_host_name
    xds.virtual_host_metadata.filter_metadata.istio.who xds.upstream_host_metadata.filter_metadata.istio.who
    xds.upstream_host_locality_metadata.filter_metadata.istio.who xds.filter_chain_name
    xds.listener_metadata.filter_metadata.istio.who xds.listener_direction plugin_name plugin_name.more
    plugin_root_id plugin_vm_id wasm wasm.foo nope
  `,
  // The same bytes in another order: maps have none.
  unordered: `
    xds.cluster_metadata xds.route_metadata xds.route_metadata.filter_metadata
    xds.route_metadata.typed_filter_metadata xds.virtual_host_metadata xds.upstream_host_metadata
    xds.upstream_host_locality_metadata xds.listener_metadata
  `,
  // A number of its own in each process: eight bytes.
  own: `
    request.time request.duration response.backend_latency connection.id connection_id source.port destination.port
    upstream.cx_pool_ready_duration
  `,
  // A text of its own.
  text: `
    source.address destination.address upstream.local_address
  `,
  // Envoy has them in the callbacks that hold the head and when the stream is logged; we do in all later ones.
  kept: `
    request.path request.url_path request.query request.host request.scheme request.method request.referer
    request.useragent request.id request.total_size request.headers_bytes request.headers.x-two
    request.headers.X-Case request.headers.host request.headers.:path response.headers.x-origin
    response.headers.set-cookie response.headers.:status
  `,
  "kept-unordered": `
    request.headers
  `,
  // The names of before Envoy 1.33.
  ours: `
    node node.id node.metadata.NAME cluster_name cluster_metadata route_name route_metadata listener_direction
    listener_metadata listener_metadata.filter_metadata.istio.who upstream_host_metadata
  `,
  // Hop-by-hop fields are not part of our heads; our node says what it is itself.
  differs: `
    response.total_size response.headers_bytes response.headers xds.node xds.node.user_agent_build_version
    xds.node.extensions
  `,
} as const;

type Same = (ours: string, envoys: string) => boolean;
const equal: Same = (ours, envoys) => ours === envoys;
const sorted = (hex: string): string => Buffer.from(hex, "hex").sort().toString("hex");
const unordered: Same = (ours, envoys) => ours === envoys || (sorted(ours) === sorted(envoys) && ours.length > 16);

/** What is wrong with our answer, if anything. */
const RULES: Readonly<Record<keyof typeof PATHS, (ours: string, envoys: string, phase: string) => boolean>> = {
  same: equal,
  unordered,
  own: (ours, envoys) => ours === envoys || (/^\w{16}$/.test(ours) && /^\w{16}$/.test(envoys)),
  text: (ours, envoys) => ours === envoys || (/^[0-9a-f]{20,}$/.test(ours) && /^[0-9a-f]{20,}$/.test(envoys)),
  kept: (ours, envoys, phase) => ours === envoys || (isLater(phase) && ours !== "status 1"),
  "kept-unordered": (ours, envoys, phase) => unordered(ours, envoys) || (isLater(phase) && ours.length > 100),
  ours: (ours, envoys) => envoys === "status 1" && ours !== "",
  differs: (ours, envoys) => (ours === "status 1") === (envoys === "status 1"),
};

/** A callback in which Envoy does not have a request's head; response heads it has in their own callback only. */
function isLater(phase: string): boolean {
  return phase !== "request-headers" && phase !== "log";
}

test(
  "every path in every phase is answered as Envoy answers it",
  { skip: findEnvoy() === undefined && ENVOY_MISSING },
  async () => {
    const origin = createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { Trailer: "x-end", "x-origin": ["a", "b"], "set-cookie": ["a=1", "b=2"] });
        response.addTrailers({ "x-end": "t" });
        response.end("hello");
      });
    }).listen(0, "127.0.0.1");
    await once(origin, "listening");
    const { port } = origin.address() as AddressInfo;
    try {
      const [envoys, ours] = await Promise.all([ask(findEnvoy(), port), ask(undefined, port)]);
      assert.deepEqual([...envoys.keys()].sort(), PHASES);
      assert.deepEqual(wrongAnswers(envoys, ours, PHASES), []);
    } finally {
      origin.close();
      origin.closeAllConnections();
    }
  },
);

const PHASES = ["configure", "log", "request-body", "request-headers", "response-headers", "response-trailers", "tick"];

function wrongAnswers(
  envoys: Answers,
  ours: Answers,
  phases: readonly string[],
  differs: ReadonlySet<string> = new Set(),
): string[] {
  const wrong: string[] = [];
  for (const [kind, paths] of Object.entries(PATHS)) {
    for (const path of paths
      .trim()
      .split(/\s+/)
      .filter((each) => !differs.has(each))) {
      for (const phase of phases) {
        const [theirs, answer] = [envoys, ours].map((all) => all.get(phase)?.get(`get ${path}`) ?? "not asked");
        if (!RULES[kind as keyof typeof PATHS](answer as string, theirs as string, phase)) {
          wrong.push(`${path} in ${phase}: Envoy ${theirs}, here ${answer}`);
        }
      }
    }
  }
  return wrong;
}

async function ask(envoy: string | undefined, port: number): Promise<Answers> {
  const paths = Object.values(PATHS).flatMap((text) => text.trim().split(/\s+/));
  await using proxy = await ProxyProcess.start(envoy, config(port, paths));
  using client = new ProbeClient(proxy, "main");
  await client.send({ path: "/p/q?a=b&c", body: "body", headers: HEADERS });
  return await client.kept("probe");
}

const HEADERS = {
  host: "h.example:80",
  "user-agent": "UA",
  referer: "ref",
  "x-two": ["1", "2"],
  "X-Case": "v",
  "x-request-id": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
};

function metadata(who: string): object {
  const istio = {
    who,
    number: 1.5,
    on: true,
    nothing: null,
    list: ["a", 2, false],
    nested: { deep: { er: "x" } },
    empty: {},
  };
  return {
    filter_metadata: { istio, "com.other": { a: "b" } },
    typed_filter_metadata: { typed: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: "tv" } },
  };
}

function config(port: number, paths: readonly string[]): object {
  const routes = [
    { name: "route-a", match: { prefix: "/" }, metadata: metadata("route"), route: { cluster: "origin" } },
  ];
  const web = listener("main", {
    trafficDirection: "INBOUND",
    filters: [
      probeFilter(
        "probe",
        paths.map((path) => `all get ${path}`),
      ),
    ],
    virtualHosts: [{ name: "vhost", domains: ["*"], metadata: metadata("vhost"), routes }],
    manager: { http_protocol_options: { enable_trailers: true } },
  }) as { filter_chains: object[] };
  const options = {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    explicit_http_config: { http_protocol_options: { enable_trailers: true } },
  };
  const origin = cluster("origin", [port], {
    metadata: metadata("cluster"),
    typed_extension_protocol_options: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options },
  }) as { load_assignment: { endpoints: { lb_endpoints: object[] }[] } };
  const [group] = origin.load_assignment.endpoints;
  Object.assign(group ?? {}, { locality: { region: "r", zone: "z", sub_zone: "s" }, metadata: metadata("locality") });
  Object.assign(group?.lb_endpoints[0] ?? {}, { metadata: metadata("host") });
  return bootstrap({
    listeners: [
      { ...web, metadata: metadata("listener"), filter_chains: [{ ...web.filter_chains[0], name: "chain-a" }] },
    ],
    clusters: [origin],
    more: {
      node: {
        id: "n1",
        cluster: "nc",
        locality: { region: "nr", zone: "nz", sub_zone: "ns" },
        metadata: { NAME: "pod", N: 3, B: true, NUL: null, LABELS: { app: "web" }, LIST: ["p", "q"], OBJ: [{ a: 1 }] },
        user_agent_name: "ua",
      },
    },
  });
}

const TCP_PHASES = ["configure", "downstream-close", "downstream-data", "new-connection", "tick", "upstream-data"];

/** Told otherwise on TCP: sizes are counted where data passes, and an attempt begins with a host. */
const TCP_DIFFERS: ReadonlySet<string> = new Set([
  "request.size",
  "request.total_size",
  "response.size",
  "response.total_size",
  "upstream.transport_failure_reason",
]);

test(
  "every path in every phase of a TCP connection is answered as Envoy answers it",
  { skip: findEnvoy() === undefined && ENVOY_MISSING },
  async () => {
    const origin = createTcpServer((socket) => {
      socket.once("data", () => socket.end("pong"));
    }).listen(0, "127.0.0.1");
    await once(origin, "listening");
    const { port } = origin.address() as AddressInfo;
    try {
      const [envoys, ours] = await Promise.all([askTcp(findEnvoy(), port), askTcp(undefined, port)]);
      assert.deepEqual(wrongAnswers(envoys, ours, TCP_PHASES, TCP_DIFFERS), []);
    } finally {
      origin.close();
    }
  },
);

async function askTcp(envoy: string | undefined, port: number): Promise<Answers> {
  const paths = Object.values(PATHS).flatMap((text) => text.trim().split(/\s+/));
  await using proxy = await ProxyProcess.start(envoy, tcpConfig(port, paths));
  const socket = connect(proxy.port("tcp"), "127.0.0.1");
  socket.write("ping");
  socket.resume();
  await once(socket, "end");
  socket.end();
  await once(socket, "close");
  using client = new ProbeClient(proxy, "main");
  const kept = await client.kept("probe");
  return kept;
}

/** The guest is on the connection, and, in the same VM, on an HTTP listener that tells what it kept. */
function tcpConfig(port: number, paths: readonly string[]): object {
  const { static_resources, ...rest } = config(port, []) as {
    static_resources: { listeners: object[]; clusters: object[] };
  };
  const [web] = static_resources.listeners as { filter_chains: { filters: { typed_config: object }[] }[] }[];
  const { typed_config } = probeFilter("tcp", ["tcp", ...paths.map((path) => `all get ${path}`)], "probe") as {
    typed_config: { config: object };
  };
  const wasm = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
    config: typed_config.config,
  };
  const proxy = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    stat_prefix: "tcp",
    cluster: "origin",
  };
  const tcp = {
    ...web,
    name: "tcp",
    filter_chains: [
      {
        name: "chain-a",
        filters: [
          { name: "envoy.filters.network.wasm", typed_config: wasm },
          { name: "envoy.filters.network.tcp_proxy", typed_config: proxy },
        ],
      },
    ],
  };
  return { ...rest, static_resources: { ...static_resources, listeners: [web, tcp] } };
}
