// The client against a control plane that misbehaves, and its other sources: files, per-type streams, static resources.

import assert from "node:assert/strict";
import { mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { systemClock } from "../../xds/clock.ts";
import type { Clock } from "../../xds/clock.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE, TYPE_METHODS } from "../../xds/type-urls.ts";
import { EventLog } from "../support/events.ts";
import { FakeControlPlane } from "../support/fake-control-plane.ts";
import { startClient } from "../support/xds-client.ts";
import { delta, scene, sotw } from "../support/xds-scene.ts";
import { bootstrap, edsCluster, endpoints, listener, one, routes, staticCluster } from "../support/xds-resources.ts";

test("client sends the node once, its metadata and its features", async (t) => {
  const { stream, server } = await scene(t, "GRPC");
  assert.deepEqual(stream.metadata.get("x-token"), ["secret"]);
  const [first, second] = stream.requests.all;
  assert.equal(first?.node?.id, "test-node");
  assert.equal(first?.node?.userAgent, "outrigger/0.0.0-test");
  assert.equal(second?.node, undefined);
  stream.end();
  const again = await server.nextStream();
  assert.equal((await again.next()).node?.id, "test-node");
});

test("client refuses a response whose resources are of another type, or named twice", async (t) => {
  const { stream, client } = await scene(t, "GRPC");
  stream.send(sotw(CLUSTER_TYPE, "1", endpoints("a")));
  const mismatch = await stream.next();
  assert.match(mismatch.request.error?.message ?? "", /resources\[0\] is of type .*ClusterLoadAssignment/);
  assert.ok(
    mismatch.request.kind === "sotw" && mismatch.request.version === "" && mismatch.request.nonce === "nonce-1",
  );
  stream.send(sotw(CLUSTER_TYPE, "2", staticCluster("a"), staticCluster("a", 9)));
  assert.match((await stream.next()).request.error?.message ?? "", /"a" is in the response twice/);
  assert.equal(client.snapshot.clusters.size, 1);
});

test("client refuses delta responses without names, and names both sent and removed", async (t) => {
  const { stream } = await scene(t, "DELTA_GRPC");
  stream.send(delta(CLUSTER_TYPE, "1", [{ ...staticCluster("a"), name: "" }]));
  assert.match((await stream.next()).request.error?.message ?? "", /resources\[0\] has no name/);
  stream.send(delta(CLUSTER_TYPE, "2", [staticCluster("a")], ["a"]));
  assert.match((await stream.next()).request.error?.message ?? "", /"a" is in the response twice/);
  stream.send(delta(CLUSTER_TYPE, "3", [{ ...staticCluster("a"), name: "b" }]));
  assert.equal((await stream.next()).request.error?.message, 'Cluster "b": name: is "a" inside the resource');
});

test("client refuses bytes that are no resource, and names the resource where it can", async (t) => {
  const { stream, until } = await scene(t, "GRPC");
  const garbage = { typeUrl: CLUSTER_TYPE, name: "g", value: Buffer.from([0x0a, 1, 0x67, 0xff, 0xff]) };
  const nameless = { typeUrl: CLUSTER_TYPE, name: "", value: Buffer.from([0xff, 0xff]) };
  stream.send(sotw(CLUSTER_TYPE, "1", garbage, nameless, staticCluster("good")));
  const message = (await stream.next()).request.error?.message ?? "";
  assert.match(message, /Cluster "g": does not parse/);
  assert.match(message, /Cluster "": does not parse/);
  await until("the good one", ({ clusters }) => clusters.has("good"));
});

test("client cuts the text of a refusal", async (t) => {
  const { stream } = await scene(t, "GRPC");
  const bad = Array.from({ length: 500 }, (_, i) => {
    const name = Buffer.from(`bad-${i}`);
    return { typeUrl: CLUSTER_TYPE, name: "", value: Buffer.concat([Buffer.from([0x0a, name.length]), name]) };
  });
  stream.send(
    sotw(
      CLUSTER_TYPE,
      "1",
      ...bad.map((each) => ({ ...each, value: Buffer.concat([each.value, Buffer.from([0x20])]) })),
    ),
  );
  const message = (await stream.next()).request.error?.message ?? "";
  assert.ok(Buffer.byteLength(message) <= 4096, `${Buffer.byteLength(message)}`);
  assert.match(message, /and \d+ more$/);
});

test("client starts a new stream after bytes that are no response", async (t) => {
  const { stream, server, client, untilStatus } = await scene(t, "GRPC");
  stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("a")));
  await stream.next();
  stream.sendBytes(Buffer.from([0xff, 0xff, 0xff]));
  await untilStatus("the end", () => client.status().servers[0]?.lastError.includes("does not parse") === true);
  const again = await server.nextStream();
  const { request } = await again.next();
  assert.ok(request.kind === "sotw" && request.version === "1" && request.nonce === "");
  assert.ok(client.snapshot.clusters.has("a"));
});

test("client ignores types and names that it did not ask for", async (t) => {
  const { stream, until, client } = await scene(t, "GRPC");
  stream.send(sotw(ROUTE_TYPE, "1", routes("unasked", "a")));
  stream.send(sotw("type.googleapis.com/unknown.Type", "1"));
  stream.send(sotw(CLUSTER_TYPE, "1", edsCluster("a")));
  assert.equal((await stream.next()).request.typeUrl, CLUSTER_TYPE);
  assert.equal((await stream.next()).request.typeUrl, ENDPOINTS_TYPE);
  stream.send(sotw(ENDPOINTS_TYPE, "1", endpoints("a"), endpoints("b")));
  assert.equal((await stream.next()).request.error, undefined);
  await until("a", ({ clusters }) => clusters.has("a"));
  const names = client.status().resources.map(({ name }) => name);
  assert.ok(!names.includes("b") && !names.includes("unasked"));
});

test("client asks for the endpoints of a whole CDS push in one request", async (t) => {
  const { stream } = await scene(t, "GRPC");
  const names = Array.from({ length: 50 }, (_, i) => `c${String(i).padStart(2, "0")}`);
  stream.send(sotw(CLUSTER_TYPE, "1", ...names.map((name) => edsCluster(name))));
  const ack = (await stream.next()).request;
  assert.ok(ack.kind === "sotw" && ack.version === "1" && ack.error === undefined);
  const { request } = await stream.next();
  assert.deepEqual(request.kind === "sotw" ? request.names : [], names);
});

test("client keeps endpoints and routes that a delta server takes away while they are wanted", async (t) => {
  const { stream, until, client, untilStatus } = await scene(t, "DELTA_GRPC");
  stream.send(delta(CLUSTER_TYPE, "1", [edsCluster("a")]));
  stream.send(delta(LISTENER_TYPE, "2", [listener("in")]));
  await stream.requests.first("RDS subscription", ({ request }) => request.typeUrl === ROUTE_TYPE);
  await stream.requests.first("EDS subscription", ({ request }) => request.typeUrl === ENDPOINTS_TYPE);
  stream.send(delta(ENDPOINTS_TYPE, "3", [endpoints("a")]));
  stream.send(delta(ROUTE_TYPE, "4", [routes("routes", "a")]));
  const warm = await until("listener", ({ listeners }) => listeners.has("in"));
  stream.send(delta(ENDPOINTS_TYPE, "5", [], ["a"]));
  stream.send(delta(ROUTE_TYPE, "6", [], ["routes"]));
  await stream.requests.first("ACK", ({ request }) => request.nonce === "6");
  const states = () => client.status().resources.filter(({ state }) => state === "DOES_NOT_EXIST");
  await untilStatus("absence", () => states().length === 2);
  assert.equal(client.snapshot, warm);
  // A listener that goes lets its routes go.
  stream.send(delta(LISTENER_TYPE, "7", [], ["in"]));
  await until("no listener", ({ listeners, routes: left }) => listeners.size === 0 && left.size === 0);
  const gone = await stream.requests.first(
    "unsubscription",
    ({ request }) => request.kind === "delta" && request.unsubscribe.length > 0,
  );
  assert.ok(gone.request.kind === "delta" && gone.request.unsubscribe.includes("routes"));
});

test("client removes a resource whose time to live is over, and a heartbeat prolongs it", async (t) => {
  const { stream, until, client } = await scene(t, "DELTA_GRPC");
  const response = delta(CLUSTER_TYPE, "1", [staticCluster("short"), staticCluster("kept"), staticCluster("beating")]);
  const ttls = new Map([
    ["short", 50],
    ["beating", 200],
  ]);
  const resources = response.resources.map((each) => ({ ...each, ttlMs: ttls.get(each.name) }));
  stream.send({ ...response, resources });
  await until("all", ({ clusters }) => clusters.size === 4);
  stream.send({
    ...response,
    nonce: "2",
    resources: [{ name: "beating", version: "1", typeUrl: "", bytes: undefined, ttlMs: 60_000 }],
  });
  await until("short is gone", ({ clusters }) => !clusters.has("short"));
  assert.ok(client.snapshot.clusters.has("kept") && client.snapshot.clusters.has("beating"));
});

test("client goes on after initial_fetch_timeout, whose clock stands still while the server is away", async (t) => {
  // Timers of 1,234 ms, which only that timeout has, are the test's to fire.
  const fetches = new EventLog<{ run: () => void; isCancelled: boolean }>();
  const after: Clock["after"] = (delayMs, run) => {
    if (delayMs !== 1_234) return systemClock.after(delayMs, run);
    const timer = { run, isCancelled: false };
    fetches.push(timer);
    return () => {
      timer.isCancelled = true;
    };
  };
  const { stream, until, client, server, untilStatus } = await scene(t, "GRPC", { clock: { ...systemClock, after } });
  stream.send(sotw(CLUSTER_TYPE, "1", edsCluster("a", { timeout: "1.234s" })));
  const first = await fetches.first("timer", () => true);
  server.close();
  await untilStatus("disconnection", () => client.status().servers[0]?.isConnected === false);
  await untilStatus("no timer", () => first.isCancelled);
  const again = new FakeControlPlane();
  t.after(() => again.close());
  const target = client.status().servers[0]?.target ?? "";
  await again.listen(Number(target.slice(target.lastIndexOf(":") + 1)));
  const second = await fetches.first("second timer", (timer) => !timer.isCancelled);
  assert.equal(client.snapshot.clusters.has("a"), false);
  second.run();
  const snapshot = await until("the empty cluster", ({ clusters }) => clusters.has("a"));
  assert.equal(snapshot.endpoints.size, 0);
  assert.equal(client.status().resources.find(({ typeUrl }) => typeUrl === ENDPOINTS_TYPE)?.state, "TIMEOUT");
  assert.equal(client.stats()["cluster.a.init_fetch_timeout"], 1);
});

test("client leaves static resources alone when the server sends others of that name", async (t) => {
  const { stream, client, until } = await scene(t, "GRPC");
  const before = client.snapshot.clusters.get("xds");
  stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("xds", 1), staticCluster("other")));
  assert.equal((await stream.next()).request.error, undefined);
  await until("other", ({ clusters }) => clusters.has("other"));
  assert.equal(client.snapshot.clusters.get("xds"), before);
  stream.send(sotw(CLUSTER_TYPE, "2"));
  await until("no other", ({ clusters }) => !clusters.has("other"));
  assert.equal(client.snapshot.clusters.get("xds"), before);
});

test("client opens a stream for each type of a config source that is not aggregated", async (t) => {
  const server = new FakeControlPlane();
  t.after(() => server.close());
  const port = await server.listen();
  const api = `api_config_source:
      api_type: GRPC
      transport_api_version: V3
      grpc_services: [{ google_grpc: { target_uri: "127.0.0.1:${port}", stat_prefix: x } }]
    resource_api_version: V3`;
  const started = startClient(
    bootstrap(`
node: { id: test-node, cluster: test-cluster }
dynamic_resources:
  cds_config:
    ${api}
  lds_config:
    ${api}
`),
  );
  t.after(() => started.client.close());
  const streams = [await server.nextStream(), await server.nextStream()];
  const paths = new Set<string | undefined>(streams.map(({ path }) => path));
  assert.deepEqual(paths, new Set([CLUSTER_TYPE, LISTENER_TYPE].map((typeUrl) => TYPE_METHODS.get(typeUrl)?.sotw)));
  const clusters = streams.find(({ path }) => path.includes("Cluster"));
  assert.ok(clusters);
  clusters.send(sotw(CLUSTER_TYPE, "1", staticCluster("a")));
  await started.until("a", (snapshot) => snapshot.clusters.has("a"));
});

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "path-source-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

const response = (...lines: string[]) =>
  `version_info: "1"\nresources:\n${lines.map((line) => `- ${line}\n`).join("")}`;
const clusterLine = (name: string) =>
  `{ "@type": "${CLUSTER_TYPE}", name: ${name}, type: STATIC, connect_timeout: 1s }`;

test("client reads path_config_source files again when another is moved into place, and keeps the last good one", async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, "cds.yaml");
  await writeFile(file, response(clusterLine("a")));
  const started = startClient(
    bootstrap(`
node: { id: n, cluster: c }
dynamic_resources:
  cds_config: { path_config_source: { path: ${file} }, resource_api_version: V3 }
`),
  );
  t.after(() => started.client.close());
  await started.until("a", ({ clusters }) => clusters.has("a"));
  await started.untilStatus("initialization", () => started.client.status().isInitialized);
  await writeFile(`${file}.1`, response(clusterLine("b"), "{ broken"));
  await rename(`${file}.1`, file);
  await started.untilStatus(
    "refusal",
    () => started.client.status().files[0]?.lastError.includes("cds.yaml:") === true,
  );
  assert.deepEqual([...started.client.snapshot.clusters.keys()], ["a"]);
  await writeFile(`${file}.2`, response(clusterLine("c")));
  await rename(`${file}.2`, file);
  await started.until("c without a", ({ clusters }) => clusters.has("c") && !clusters.has("a"));
});

test("client follows a symbolic link in a watched directory, as a ConfigMap is updated", async (t) => {
  const directory = await temporaryDirectory(t);
  for (const name of ["one", "two"]) await writeFile(join(directory, `${name}.yaml`), response(clusterLine(name)));
  await symlink("one.yaml", join(directory, "cds.yaml"));
  const source = `{ path: ${join(directory, "cds.yaml")}, watched_directory: { path: ${directory} } }`;
  const started = startClient(
    bootstrap(`
node: { id: n, cluster: c }
dynamic_resources:
  cds_config: { path_config_source: ${source}, resource_api_version: V3 }
`),
  );
  t.after(() => started.client.close());
  await started.until("one", ({ clusters }) => clusters.has("one"));
  await symlink("two.yaml", join(directory, "next"));
  await rename(join(directory, "next"), join(directory, "cds.yaml"));
  await started.until("two", ({ clusters }) => clusters.has("two"));
});

test("client gives static resources at once, and waits for what they take from elsewhere", (t) => {
  const started = startClient(
    bootstrap(`
node: { id: n, cluster: c }
static_resources:
  clusters: [${clusterLine("a").replace(/"@type": "[^"]*", /, "")}]
`),
  );
  t.after(() => started.client.close());
  assert.deepEqual([...started.client.snapshot.clusters.keys()], ["a"]);
  assert.equal(started.client.status().isInitialized, true);
  const [view] = started.client.status().resources;
  assert.ok(view?.isStatic && view.state === "ACKED" && view.value !== undefined);
  assert.deepEqual(view.value, one(clusterLine("a")).value);
});
