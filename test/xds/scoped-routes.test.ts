// SRDS in the client: what is asked for, what is refused, and when a scope comes into use.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { DiscoveryRequest } from "../../xds/discovery-messages.ts";
import { ScopedRouteConfigurationSchema } from "../../xds/gen/envoy/config/route/v3/scoped_route_pb.ts";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE, SCOPED_ROUTE_TYPE } from "../../xds/type-urls.ts";
import type { FakeStream } from "../support/fake-control-plane.ts";
import { one, routes, scopedListener, staticCluster } from "../support/xds-resources.ts";
import { delta, scene, sotw } from "../support/xds-scene.ts";

const listener = scopedListener("in");

const scope = (name: string, key: string, target: string) =>
  one(`{ "@type": ${SCOPED_ROUTE_TYPE}, name: ${name}, key: { fragments: [{ string_key: ${key} }] },
    route_configuration_name: ${target} }`);

const key = { fragments: [{ type: { case: "stringKey" as const, value: "b" } }] };
const value = toBinary(ScopedRouteConfigurationSchema, create(ScopedRouteConfigurationSchema, { name: "bare", key }));
/** A scope that names no routes, which the loader of the other resources here would not let pass. */
const BARE = { typeUrl: SCOPED_ROUTE_TYPE, name: "bare", value };

const asks = (typeUrl: string) => (each: { request: DiscoveryRequest }) =>
  each.request.typeUrl === typeUrl && each.request.nonce === "";
const acknowledged = async (stream: FakeStream, nonce: string) =>
  (await stream.requests.first(`answer to ${nonce}`, ({ request }) => request.nonce === nonce)).request;

for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
  const push = (typeUrl: string, nonce: string, ...all: Parameters<typeof sotw>[2][]) =>
    variant === "GRPC" ? { ...sotw(typeUrl, nonce, ...all), nonce } : delta(typeUrl, nonce, all);

  test(`client (${variant}) asks for every scope, and brings the listener when their routes are there`, async (t) => {
    const { stream, until, client } = await scene(t, variant);
    stream.send(push(CLUSTER_TYPE, "c", staticCluster("a")));
    stream.send(push(LISTENER_TYPE, "l", listener));
    const { request } = await stream.requests.first("SRDS request", asks(SCOPED_ROUTE_TYPE));
    assert.deepEqual(request.kind === "sotw" ? request.names : request.subscribe, []);
    assert.match(client.status().waitsFor.join(), /SRDS|ScopedRouteConfiguration/);
    stream.send(push(SCOPED_ROUTE_TYPE, "s", scope("one", "k1", "r1"), scope("two", "k2", "r2")));
    const wanted = (await stream.requests.first("RDS request", asks(ROUTE_TYPE))).request;
    assert.deepEqual(wanted.kind === "sotw" ? wanted.names : wanted.subscribe, ["r1", "r2"]);
    stream.send(push(ROUTE_TYPE, "r", routes("r1", "a"), routes("r2", "a")));
    const snapshot = await until("the listener", ({ listeners }) => listeners.has("in"));
    assert.deepEqual(
      [[...snapshot.scopes.keys()], [...snapshot.routes.keys()]],
      [
        ["one", "two"],
        ["r1", "r2"],
      ],
    );
    assert.equal(client.stats()["http.in.scoped_rds.s.update_success"], 1);
    assert.ok(!client.status().resources.some(({ name }) => name === "*"));
  });

  test(`client (${variant}) refuses two scopes of one key as a whole, and one without routes by name`, async (t) => {
    const { stream, until, client } = await scene(t, variant);
    stream.send(push(CLUSTER_TYPE, "c", staticCluster("a")));
    stream.send(push(LISTENER_TYPE, "l", listener));
    await stream.requests.first("SRDS request", asks(SCOPED_ROUTE_TYPE));
    stream.send(push(SCOPED_ROUTE_TYPE, "s1", scope("one", "k", "r1")));
    await stream.requests.first("RDS request", asks(ROUTE_TYPE));
    stream.send(push(ROUTE_TYPE, "r", routes("r1", "a")));
    const before = await until("the listener", ({ listeners }) => listeners.has("in"));
    const both = [scope("one", "k", "r1"), scope("other", "k", "r1")];
    stream.send(push(SCOPED_ROUTE_TYPE, "s2", ...both));
    assert.equal(
      (await acknowledged(stream, "s2")).error?.message,
      'SRDS response refused: the scopes "one" and "other" have the same key',
    );
    stream.send(push(SCOPED_ROUTE_TYPE, "s3", scope("one", "k", "r1"), BARE));
    assert.equal(
      (await acknowledged(stream, "s3")).error?.message,
      'ScopedRouteConfiguration "bare": route_configuration_name: must not be empty',
    );
    assert.equal(client.snapshot, before);
  });

  test(`client (${variant}) keeps a scope on its routes until those that it moves to are there`, async (t) => {
    const { stream, until, client, untilStatus } = await scene(t, variant);
    stream.send(push(CLUSTER_TYPE, "c", staticCluster("a")));
    stream.send(push(LISTENER_TYPE, "l", listener));
    await stream.requests.first("SRDS request", asks(SCOPED_ROUTE_TYPE));
    stream.send(push(SCOPED_ROUTE_TYPE, "s1", scope("one", "k", "r1")));
    await stream.requests.first("RDS request", asks(ROUTE_TYPE));
    stream.send(push(ROUTE_TYPE, "r1", routes("r1", "a")));
    const before = await until("the listener", ({ listeners }) => listeners.has("in"));
    stream.send(push(SCOPED_ROUTE_TYPE, "s2", scope("one", "k", "r2"), scope("new", "n", "r3")));
    await untilStatus("two scopes that wait", () => client.status().warming.length === 2);
    assert.equal(client.snapshot, before);
    stream.send(push(ROUTE_TYPE, "r2", routes("r2", "a"), routes("r3", "a")));
    const after = await until("the new routes", ({ scopes }) => scopes.has("new"));
    assert.deepEqual([...after.routes.keys()].toSorted(), ["r2", "r3"]);
    // What nobody uses any more is let go.
    await stream.requests.first("a subscription without r1", ({ request }) => {
      if (request.typeUrl !== ROUTE_TYPE || request.error !== undefined) return false;
      return request.kind === "sotw" ? request.names.join() === "r2,r3" : request.unsubscribe.includes("r1");
    });
  });
}

test("client lets all scopes go with the last listener that has them", async (t) => {
  const { stream, until } = await scene(t, "DELTA_GRPC");
  stream.send(delta(CLUSTER_TYPE, "c", [staticCluster("a")]));
  stream.send(delta(LISTENER_TYPE, "l1", [listener]));
  await stream.requests.first("SRDS request", asks(SCOPED_ROUTE_TYPE));
  stream.send(delta(SCOPED_ROUTE_TYPE, "s1", [scope("one", "k", "r1")]));
  await stream.requests.first("RDS request", asks(ROUTE_TYPE));
  stream.send(delta(ROUTE_TYPE, "r1", [routes("r1", "a")]));
  await until("the scope", ({ scopes }) => scopes.has("one"));
  stream.send(delta(LISTENER_TYPE, "l2", [], ["in"]));
  const empty = await until("nothing", ({ listeners }) => listeners.size === 0);
  assert.deepEqual([empty.scopes.size, empty.routes.size], [0, 0]);
  const { request } = await stream.requests.first(
    "unsubscription",
    (each) =>
      each.request.kind === "delta" &&
      each.request.typeUrl === SCOPED_ROUTE_TYPE &&
      each.request.unsubscribe.length > 0,
  );
  assert.deepEqual(request.kind === "delta" ? request.unsubscribe : [], ["*"]);
});
