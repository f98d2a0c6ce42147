// Several control planes: the next one when the first is away, and the way back, with real servers that die and come back.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { systemClock } from "../../xds/clock.ts";
import type { Clock } from "../../xds/clock.ts";
import { CLUSTER_TYPE } from "../../xds/type-urls.ts";
import { address, client, server } from "../support/control-plane-tls.ts";
import { FakeControlPlane } from "../support/fake-control-plane.ts";
import { until } from "../support/sidecar-story.ts";
import { KEEP_ALIVE_TIMER, timerOfConnectionTo } from "../support/tcp-timers.ts";
import { bootstrap, staticCluster } from "../support/xds-resources.ts";
import { sotw } from "../support/xds-scene.ts";

/** Hours pass in a thousandth of their time where only servers are waited for. */
const FAST: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 1000, run) };

function config(clusters: string, services: string, api = ""): ReturnType<typeof bootstrap> {
  return bootstrap(`
node: { id: n, cluster: c }
dynamic_resources:
  ads_config: { api_type: GRPC, transport_api_version: V3, ${api} grpc_services: [${services}] }
  cds_config: { ads: {}, resource_api_version: V3 }
static_resources: { clusters: [${clusters}] }
`);
}

function tier(priority: number, ...ports: readonly number[]): string {
  const endpoints = ports.map((port) => `{ endpoint: { address: ${address(port)} } }`);
  return `{ priority: ${priority}, lb_endpoints: [${endpoints.join(", ")}] }`;
}

const xdsCluster = (name: string, ...tiers: readonly string[]) =>
  `{ name: ${name}, type: STATIC, load_assignment: { cluster_name: ${name}, endpoints: [${tiers.join(", ")}] } }`;

const service = (name: string) => `{ envoy_grpc: { cluster_name: ${name} } }`;

/** A port on which nobody listens until somebody does. */
async function freePort(t: TestContext): Promise<number> {
  const { plane, port } = await server(t);
  plane.close();
  return port;
}

suite("several control planes", () => {
  for (const [name, build] of [
    [
      "services in their order",
      (a: number, b: number) =>
        config(`${xdsCluster("a", tier(0, a))}, ${xdsCluster("b", tier(0, b))}`, `${service("a")}, ${service("b")}`),
    ],
    [
      "priorities of a cluster",
      (a: number, b: number) => config(xdsCluster("a", tier(1, b), tier(0, a)), service("a")),
    ],
  ] as const) {
    test(`${name}: the second serves while the first is away, and the first again when it is back`, async (t) => {
      const port = await freePort(t);
      const second = await server(t);
      const { client: xds, until: untilSnapshot, log } = client(t, build(port, second.port), { clock: FAST });
      const stream = await second.plane.nextStream();
      await stream.next();
      stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("one")));
      await untilSnapshot("the second's cluster", ({ clusters }) => clusters.has("one"));
      const first = new FakeControlPlane();
      t.after(() => first.close());
      await first.listen(port);
      const better = await first.nextStream();
      const { request } = await better.next();
      // What was accepted stays accepted, and in use.
      assert.equal(request.kind === "sotw" && request.version, "1");
      assert.ok(xds.snapshot.clusters.has("one"));
      assert.ok(
        log.some((line) => line.startsWith("info a better control plane is back")),
        log.join("\n"),
      );
      better.send(sotw(CLUSTER_TYPE, "2", staticCluster("two")));
      await untilSnapshot("the first's cluster", ({ clusters }) => clusters.has("two"));
      assert.equal(xds.status().servers[0]?.isConnected, true);
    });
  }

  test("equals of a tier share the clients", async (t) => {
    const planes = await Promise.all([server(t), server(t)]);
    const [a, b] = planes.map(({ port }) => port);
    const xds = config(xdsCluster("a", tier(0, a ?? 0, b ?? 0)), service("a"));
    // Ranks of the two endpoints.
    const draws = [
      [0.1, 0.9],
      [0.9, 0.1],
    ];
    for (const [index, ranks] of draws.entries()) {
      let draw = 0;
      client(t, xds, { random: () => ranks[draw++ % 2] ?? 0 });
      await planes[index]?.plane.nextStream();
    }
  });

  test("endpoints that are unhealthy by configuration are not asked", async (t) => {
    const port = await freePort(t);
    const { plane, port: good } = await server(t);
    const sick = `{ endpoint: { address: ${address(port)} }, health_status: UNHEALTHY }`;
    const healthy = `{ endpoint: { address: ${address(good)} } }`;
    const { client: xds } = client(t, config(xdsCluster("a", `{ lb_endpoints: [${sick}, ${healthy}] }`), service("a")));
    await (await plane.nextStream()).next();
    assert.equal(xds.status().servers[0]?.attempts, 1);
  });
});

test("rate_limit_settings hold requests back, and count them", async (t) => {
  const { plane, port } = await server(t);
  const limited = "rate_limit_settings: { max_tokens: 1, fill_rate: 4 },";
  const { client: xds } = client(t, config(xdsCluster("a", tier(0, port)), service("a"), limited));
  const stream = await plane.nextStream();
  await stream.next();
  for (const version of ["1", "2"]) {
    const sent = performance.now();
    stream.send(sotw(CLUSTER_TYPE, version, staticCluster("one")));
    const { request } = await stream.next();
    assert.equal(request.kind === "sotw" && request.version, version);
    // A quarter of a second for each; timers may be a little early.
    if (version === "2") assert.ok(performance.now() - sent > 100, String(performance.now() - sent));
  }
  assert.ok(Number(xds.stats()["control_plane.rate_limit_enforced"]) >= 1);
});

test("tcp_keepalive has TCP probe the control plane", async (t) => {
  const { plane, port } = await server(t);
  const options = "upstream_connection_options: { tcp_keepalive: { keepalive_time: 60 } }";
  client(t, config(xdsCluster("a", tier(0, port)).replace("type: STATIC,", `type: STATIC, ${options},`), service("a")));
  await (await plane.nextStream()).next();
  // Data that is not acknowledged yet has a timer of its own for a moment.
  await until(
    "the timer",
    () => timerOfConnectionTo(port),
    (timer) => timer === KEEP_ALIVE_TIMER,
  );
});

test("HTTP/2 pings of connection_keepalive end a connection whose server has gone silent", async (t) => {
  const { plane, port } = await server(t);
  // Something in between, which stops passing anything on.
  const relay = createServer();
  t.after(() => relay.close());
  const sockets: Socket[] = [];
  relay.on("connection", (near) => {
    const far = connect(port, "127.0.0.1");
    sockets.push(near, far);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const { port: relayed } = relay.address() as AddressInfo;
  const options = `typed_extension_protocol_options: { h: { "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: 0.1s, timeout: 0.1s } } } } }`;
  const cluster = xdsCluster("a", tier(0, relayed)).replace("type: STATIC,", `type: STATIC, ${options},`);
  const { client: xds, untilStatus } = client(t, config(cluster, service("a")));
  const stream = await plane.nextStream();
  await stream.next();
  await untilStatus("the connection", () => xds.status().servers[0]?.isConnected === true);
  for (const socket of sockets) {
    socket.unpipe();
    socket.pause();
  }
  await untilStatus("the end", () => xds.status().servers[0]?.isConnected === false);
  await (await plane.nextStream()).next();
});
