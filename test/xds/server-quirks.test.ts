// What real control planes do that the protocol's text does not say, one test a quirk: istiod, go-control-plane, and what is
// built on them. Each scene plays the server's part by hand, over real gRPC. Quirks that belong to the pure state machines
// have transcripts in subscriptions.test.ts; refusals that come again at once are in grpc-source.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import type { DeltaRequest } from "../../xds/discovery-messages.ts";
import type { FakeStream } from "../support/fake-control-plane.ts";
import { edsCluster, endpoints, listener, one, staticCluster } from "../support/xds-resources.ts";
import { delta, scene, sotw } from "../support/xds-scene.ts";

/** Everything that a client sent about a type, as delta requests. */
function deltaRequests(stream: FakeStream, typeUrl?: string): DeltaRequest[] {
  return stream.requests.all.flatMap(({ request }) =>
    request.kind === "delta" && (typeUrl === undefined || request.typeUrl === typeUrl) ? [request] : [],
  );
}

const acknowledged = (stream: FakeStream, nonce: string) =>
  stream.requests.first(`answer to ${nonce}`, ({ request }) => request.nonce === nonce);

/** istiod leaves the version of every delta resource empty. */
function unversioned(response: ReturnType<typeof delta>): ReturnType<typeof delta> {
  assert.ok(response.kind === "delta");
  return { ...response, resources: response.resources.map((each) => ({ ...each, version: "" })) };
}

test("client resumes with istiod, whose delta resources have no version", async (t) => {
  const { stream, server, until } = await scene(t, "DELTA_GRPC");
  stream.send(unversioned(delta(CLUSTER_TYPE, "1", [staticCluster("a"), staticCluster("b")])));
  await until("both", ({ clusters }) => clusters.has("a") && clusters.has("b"));
  stream.send(unversioned(delta(CLUSTER_TYPE, "2", [staticCluster("a", 9090)], ["b"])));
  const snapshot = await until("the change", ({ clusters }) => !clusters.has("b"));
  assert.ok(snapshot.clusters.has("a"));
  stream.end();
  const again = await server.nextStream();
  await again.requests.first("CDS", ({ request }) => request.typeUrl === CLUSTER_TYPE);
  const [first] = deltaRequests(again, CLUSTER_TYPE);
  assert.deepEqual([...(first?.initialVersions ?? [])], [["a", ""]]);
});

test("client acknowledges endpoints that istiod sends again after every CDS push, without touching anything", async (t) => {
  const { stream, until, client } = await scene(t, "DELTA_GRPC");
  stream.send(unversioned(delta(CLUSTER_TYPE, "1", [edsCluster("a")])));
  await stream.requests.first("EDS", ({ request }) => request.typeUrl === ENDPOINTS_TYPE);
  stream.send(unversioned(delta(ENDPOINTS_TYPE, "2", [endpoints("a")])));
  const warm = await until("a", ({ clusters }) => clusters.has("a"));
  for (const nonce of ["3", "4", "5"]) {
    stream.send(unversioned(delta(ENDPOINTS_TYPE, nonce, [endpoints("a")])));
    assert.equal((await acknowledged(stream, nonce)).request.error, undefined);
  }
  assert.equal(client.snapshot, warm);
});

test("client serves with the empty routes that istiod makes up for a name it does not know", async (t) => {
  const { stream, until } = await scene(t, "DELTA_GRPC");
  stream.send(delta(LISTENER_TYPE, "1", [listener("in", { routes: "made-up" })]));
  stream.send(delta(CLUSTER_TYPE, "2", []));
  await stream.requests.first("RDS", ({ request }) => request.typeUrl === ROUTE_TYPE);
  stream.send(delta(ROUTE_TYPE, "3", [one(`{ "@type": "${ROUTE_TYPE}", name: made-up }`)]));
  const { routes } = await until("the listener", ({ listeners }) => listeners.has("in"));
  assert.deepEqual(routes.get("made-up")?.virtualHosts, []);
  assert.equal((await acknowledged(stream, "3")).request.error, undefined);
});

test("client never acknowledges and changes subscriptions in one delta request, nor opens a type without names", async (t) => {
  const { stream, until } = await scene(t, "DELTA_GRPC");
  stream.send(delta(CLUSTER_TYPE, "1", [edsCluster("a"), edsCluster("b")]));
  stream.send(delta(LISTENER_TYPE, "2", [listener("in")]));
  await stream.requests.first("RDS", ({ request }) => request.typeUrl === ROUTE_TYPE);
  await stream.requests.first("EDS", ({ request }) => request.typeUrl === ENDPOINTS_TYPE);
  stream.send(delta(ENDPOINTS_TYPE, "3", [endpoints("a"), endpoints("b")]));
  await until("both", ({ clusters }) => clusters.has("a") && clusters.has("b"));
  stream.send(delta(CLUSTER_TYPE, "4", [edsCluster("c")], ["a"]));
  await stream.requests.first(
    "unsubscription",
    ({ request }) => request.kind === "delta" && request.unsubscribe.includes("a"),
  );
  const all = deltaRequests(stream);
  for (const { nonce, subscribe, unsubscribe } of all) {
    assert.ok(nonce === "" || (subscribe.length === 0 && unsubscribe.length === 0));
  }
  for (const typeUrl of [ENDPOINTS_TYPE, ROUTE_TYPE]) {
    assert.ok((deltaRequests(stream, typeUrl)[0]?.subscribe.length ?? 0) > 0, typeUrl);
  }
});

test("client tries again after istiod's InvalidArgument, keeps what it has, and says why", async (t) => {
  const { stream, server, client, until, untilStatus } = await scene(t, "DELTA_GRPC");
  stream.send(delta(CLUSTER_TYPE, "1", [staticCluster("a")]));
  const before = await until("a", ({ clusters }) => clusters.has("a"));
  stream.fail(status.INVALID_ARGUMENT, "invalid node ID");
  await untilStatus("the end", () => client.status().servers[0]?.lastError.includes("invalid node ID") === true);
  assert.equal(client.snapshot, before);
  assert.equal((await (await server.nextStream()).next()).request.typeUrl, CLUSTER_TYPE);
});

test("client acknowledges go-control-plane's endpoints twice: first of the old names, then of all", async (t) => {
  const { stream, until } = await scene(t, "GRPC");
  stream.send(sotw(CLUSTER_TYPE, "1", edsCluster("a")));
  await stream.requests.first("EDS", ({ request }) => request.typeUrl === ENDPOINTS_TYPE);
  stream.send(sotw(ENDPOINTS_TYPE, "1", endpoints("a")));
  await until("a", ({ clusters }) => clusters.has("a"));
  stream.send(sotw(CLUSTER_TYPE, "2", edsCluster("a"), edsCluster("b")));
  await stream.requests.first(
    "EDS of both",
    ({ request }) => request.kind === "sotw" && request.typeUrl === ENDPOINTS_TYPE && request.names.length === 2,
  );
  stream.send({ ...sotw(ENDPOINTS_TYPE, "2", endpoints("a")), nonce: "half" });
  stream.send({ ...sotw(ENDPOINTS_TYPE, "2", endpoints("a"), endpoints("b")), nonce: "whole" });
  for (const nonce of ["half", "whole"]) {
    const { request } = await acknowledged(stream, nonce);
    assert.ok(request.kind === "sotw" && request.error === undefined && request.version === "2");
  }
  await until("b", ({ clusters }) => clusters.has("a") && clusters.has("b"));
});

test("client ends a time to live that a wrapped state-of-the-world resource has, unless it is prolonged or lifted", async (t) => {
  const { stream, until, client } = await scene(t, "GRPC");
  const names = ["short", "beating", "lifted", "late"];
  const response = sotw(CLUSTER_TYPE, "1", ...names.map((name) => staticCluster(name)));
  const ttls = [300, 300, 300, 350];
  const timed = response.resources.map((each, index) => ({ ...each, name: names[index] ?? "", ttlMs: ttls[index] }));
  stream.send({ ...response, resources: timed });
  await until("all", ({ clusters }) => names.every((name) => clusters.has(name)));
  const heartbeat = (name: string, ttlMs: number) => ({ name, version: "", typeUrl: "", bytes: undefined, ttlMs });
  const [lifted] = sotw(CLUSTER_TYPE, "2", staticCluster("lifted", 9090)).resources;
  assert.ok(lifted);
  const resources = [heartbeat("short", 50), heartbeat("beating", 60_000), lifted, heartbeat("late", 400)];
  stream.send({ ...sotw(CLUSTER_TYPE, "2"), resources });
  await until("short is gone", ({ clusters }) => !clusters.has("short"));
  // By then the first time to live of the other two is over.
  await until("late is gone", ({ clusters }) => !clusters.has("late"));
  assert.deepEqual([...client.snapshot.clusters.keys()].toSorted(), ["beating", "lifted", "xds"]);
});

test("client removes what a state-of-the-world server leaves out of CDS, and keeps what it leaves out of EDS", async (t) => {
  const { stream, until } = await scene(t, "GRPC");
  stream.send(sotw(CLUSTER_TYPE, "1", edsCluster("a"), edsCluster("b")));
  await stream.requests.first("EDS", ({ request }) => request.typeUrl === ENDPOINTS_TYPE);
  stream.send(sotw(ENDPOINTS_TYPE, "1", endpoints("a"), endpoints("b")));
  await until("both", ({ clusters }) => clusters.has("a") && clusters.has("b"));
  stream.send(sotw(ENDPOINTS_TYPE, "2", endpoints("a", 9090)));
  const changed = await until("the change", ({ endpoints: all }) =>
    JSON.stringify(all.get("a")?.localities).includes("9090"),
  );
  assert.ok(changed.endpoints.has("b"));
  stream.send(sotw(CLUSTER_TYPE, "2", edsCluster("a")));
  await until("b is gone", ({ clusters, endpoints: all }) => !clusters.has("b") && !all.has("b"));
  stream.send(sotw(CLUSTER_TYPE, "3"));
  await until("only the static cluster", ({ clusters }) => [...clusters.keys()].join() === "xds");
});

test("client takes a server's orderly end of a stream as nothing special, again and again", async (t) => {
  const { stream, server, until, client } = await scene(t, "GRPC");
  stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("a")));
  const before = await until("a", ({ clusters }) => clusters.has("a"));
  await acknowledged(stream, "nonce-1");
  let current = stream;
  for (let i = 0; i < 4; i++) {
    current.end();
    current = await server.nextStream();
    const { request } = await current.next();
    assert.ok(request.kind === "sotw" && request.version === "1" && request.nonce === "");
  }
  assert.equal(client.snapshot, before);
});
