// The running sidecar under control planes that do what istiod and others do, or should not: resources without a name, twice,
// removed while they serve, answers out of turn. The client's own rules are in test/xds/; here requests run meanwhile.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { DiscoveryRequest } from "../../xds/discovery-messages.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import { answerTo, controlPlaneStory } from "../support/control-plane-story.ts";
import { until } from "../support/sidecar-story.ts";
import { delta, sotw } from "../support/xds-scene.ts";

const isGone = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } }).then(
    () => false,
    () => true,
  );

suite("odd control planes", { concurrency: 2 }, () => {
  test("run (GRPC) serves on through empty names, resources sent twice, other types and unasked answers", async (t) => {
    const { sidecar, stream, one, port, stopLoad } = await controlPlaneStory(t, "GRPC");
    const cluster = one(CLUSTER_TYPE);
    stream.send(sotw(CLUSTER_TYPE, "twice", cluster, cluster));
    assert.match(await answerTo(stream, "nonce-twice"), /"app" is in the response twice/);
    stream.send(sotw(CLUSTER_TYPE, "nameless", cluster, { ...cluster, value: new Uint8Array() }));
    assert.equal(await answerTo(stream, "nonce-nameless"), 'Cluster "": name: must not be empty');
    stream.send(sotw(CLUSTER_TYPE, "mixed", cluster, one(ROUTE_TYPE)));
    assert.match(await answerTo(stream, "nonce-mixed"), /type/);
    stream.send(sotw("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "unasked"));
    // Routes that nobody named, beside those that are wanted; then everything is as it was.
    stream.send(sotw(ROUTE_TYPE, "2", one(ROUTE_TYPE), { ...one(ROUTE_TYPE), value: Buffer.from("\n\u0005other") }));
    assert.equal(await answerTo(stream, "nonce-2"), "");
    stream.send(sotw(CLUSTER_TYPE, "repaired", cluster));
    assert.equal(await answerTo(stream, "nonce-repaired"), "");
    assert.equal((await sidecar.xds("RouteConfiguration", "other"))?.version, undefined);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "one");
    const { requests, problems } = await stopLoad();
    assert.deepEqual(problems, {});
    assert.ok(requests > 0);
    assert.equal((await sidecar.ready()).status, 200);
  });

  for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
    test(`run (${variant}) closes a listener that is removed, and opens it when it comes again`, async (t) => {
      const { sidecar, stream, one, port, stopLoad } = await controlPlaneStory(t, variant);
      assert.deepEqual((await stopLoad()).problems, {});
      const removal = variant === "GRPC" ? sotw(LISTENER_TYPE, "2") : delta(LISTENER_TYPE, "2", [], ["in"]);
      stream.send(removal);
      assert.equal(await answerTo(stream, removal.nonce), "");
      await until(
        "the listener's end",
        () => isGone(port),
        (gone) => gone,
      );
      assert.equal(await sidecar.text("/listeners"), "");
      assert.equal((await sidecar.ready()).status, 200);
      const from = stream.requests.all.length;
      const again = [one(LISTENER_TYPE)];
      stream.send(variant === "GRPC" ? sotw(LISTENER_TYPE, "3", ...again) : delta(LISTENER_TYPE, "3", again));
      const wants = ({ request }: { request: DiscoveryRequest }): boolean =>
        request.typeUrl === ROUTE_TYPE &&
        (request.kind === "sotw" ? request.names : request.subscribe).includes("routes");
      await stream.requests.first("a request of the routes", wants, from);
      const route = one(ROUTE_TYPE);
      stream.send(variant === "GRPC" ? sotw(ROUTE_TYPE, "3", route) : delta(ROUTE_TYPE, "3 routes", [route]));
      const open = await sidecar.port();
      await until(
        "an answer of the listener",
        async () => (await fetch(`http://127.0.0.1:${open}/`)).text(),
        (body) => body === "one",
      );
    });
  }

  test("run (DELTA_GRPC) keeps endpoints and routes that are taken away while a cluster and a listener name them", async (t) => {
    const { stream, port, stopLoad } = await controlPlaneStory(t, "DELTA_GRPC");
    stream.send(delta(ENDPOINTS_TYPE, "gone endpoints", [], ["app"]));
    stream.send(delta(ROUTE_TYPE, "gone routes", [], ["routes"]));
    assert.equal(await answerTo(stream, "gone endpoints"), "");
    assert.equal(await answerTo(stream, "gone routes"), "");
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
    assert.deepEqual((await stopLoad()).problems, {});
  });
});
