// The client against a control plane that means harm, or is broken: the last good configuration stays, the memory stays
// bounded, and counters say what happened. What merely differs from the protocol's text is in server-quirks.test.ts; the
// running sidecar under such a server is in test/integration/hostile-control-plane.test.ts.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { DiscoveryResponse } from "../../xds/discovery-messages.ts";
import { decodeResponse, hasMoreFields } from "../../xds/discovery-wire.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import { FakeControlPlane, type FakeStream } from "../support/fake-control-plane.ts";
import { gzipBomb, messageHead, RawGrpcServer } from "../support/raw-grpc-server.ts";
import { startClient } from "../support/xds-client.ts";
import { adsBootstrap, edsCluster, endpoints, listener, routes, staticCluster } from "../support/xds-resources.ts";
import type { AdsVariant } from "../support/xds-resources.ts";
import { delta, scene, sotw } from "../support/xds-scene.ts";

const acknowledged = (stream: FakeStream, nonce: string) =>
  stream.requests.first(`answer to ${nonce}`, ({ request }) => request.nonce === nonce);

/** The whole of a small mesh, in the order of its dependencies; `port` tells one version from another. */
function mesh(variant: AdsVariant, version: string, port: number): DiscoveryResponse[] {
  const parts = [
    [CLUSTER_TYPE, edsCluster("a")],
    [ENDPOINTS_TYPE, endpoints("a", port)],
    [LISTENER_TYPE, listener("in", { statPrefix: version })],
    [ROUTE_TYPE, routes("routes", "a")],
  ] as const;
  return parts.map(([typeUrl, one]) =>
    variant === "GRPC"
      ? { ...sotw(typeUrl, version, one), nonce: `${version} ${typeUrl}` }
      : delta(typeUrl, `${version} ${typeUrl}`, [one]),
  );
}

suite("hostile control planes", { concurrency: 4 }, () => {
  for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
    test(`client (${variant}) serves on whichever message the stream is cut after, and ends with all of it`, async (t) => {
      const { stream, server, until, client } = await scene(t, variant);
      let current = stream;
      // Each type is answered when it is asked for; `most` answers later the stream ends.
      const serve = async (responses: readonly DiscoveryResponse[], most: number) => {
        for (const response of responses.slice(0, most)) {
          await current.requests.first("request", ({ request }) => request.typeUrl === response.typeUrl);
          current.send(response);
          await acknowledged(current, response.nonce);
        }
      };
      await serve(mesh(variant, "v0", 8000), 4);
      await until("the mesh", ({ listeners }) => listeners.has("in"));
      for (let cut = 0; cut <= 4; cut++) {
        await serve(mesh(variant, `v${cut + 1}`, 8001 + cut), cut);
        current.end();
        current = await server.nextStream();
        const { listeners, routes: all, clusters, endpoints: assignments } = client.snapshot;
        const isWhole = listeners.has("in") && all.has("routes") && clusters.has("a") && assignments.has("a");
        assert.ok(isWhole, `cut after ${cut}`);
      }
      await serve(mesh(variant, "last", 9999), 4);
      await until("the last version", ({ endpoints: each }) =>
        JSON.stringify(each.get("a")?.localities ?? []).includes("9999"),
      );
      assert.equal(client.stats()["outrigger_xds_stream_failures_total"], 5);
    });

    test(`client (${variant}) answers two thousand nonces of one push, and holds no more memory than before`, async (t) => {
      const { stream, until, client } = await scene(t, variant);
      const cluster = staticCluster("a");
      const push = (nonce: string) =>
        variant === "GRPC" ? { ...sotw(CLUSTER_TYPE, "1", cluster), nonce } : delta(CLUSTER_TYPE, nonce, [cluster]);
      stream.send(push("first"));
      const before = await until("a", ({ clusters }) => clusters.has("a"));
      for (let i = 0; i < 2_000; i++) stream.send(push(`n${i}`));
      assert.equal((await acknowledged(stream, "n1999")).request.error, undefined);
      assert.equal(client.snapshot, before);
      assert.equal(client.status().resources.filter(({ typeUrl }) => typeUrl === CLUSTER_TYPE).length, 2);
    });
  }

  test("client takes nothing of types and names that it did not ask for, and counts them", async (t) => {
    const { stream, client } = await scene(t, "GRPC");
    for (let i = 0; i < 1_000; i++) stream.send(sotw(`type.googleapis.com/made.up.Type${i}`, "1"));
    stream.send(sotw("", "1"));
    stream.send(sotw(ROUTE_TYPE, "1", routes("unasked", "a")));
    stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("a")));
    await acknowledged(stream, "nonce-1");
    assert.equal(client.stats()["outrigger_xds_responses_ignored_total"], 1_002);
    assert.equal(client.status().servers[0]?.latest.length, 1);
    assert.deepEqual(
      client
        .status()
        .resources.map(({ name }) => name)
        .toSorted(),
      ["a", "xds"],
    );
  });

  test("client refuses names twice, among changed and among removed ones, and keeps what it has", async (t) => {
    const { stream, until, client } = await scene(t, "DELTA_GRPC");
    stream.send(delta(CLUSTER_TYPE, "good", [staticCluster("a"), staticCluster("b")]));
    const before = await until("both", ({ clusters }) => clusters.has("b"));
    stream.send(delta(CLUSTER_TYPE, "changed", [staticCluster("a", 1), staticCluster("a", 2)]));
    stream.send(delta(CLUSTER_TYPE, "removed", [], ["b", "b"]));
    stream.send(delta(CLUSTER_TYPE, "both", [staticCluster("c")], ["a", "c"]));
    for (const nonce of ["changed", "removed", "both"]) {
      const { request } = await acknowledged(stream, nonce);
      assert.match(
        request.error?.message ?? "",
        /^CDS response refused: the resource "[abc]" is in the response twice$/,
      );
    }
    assert.equal(client.snapshot, before);
    assert.equal(client.stats()["cluster_manager.cds.update_rejected"], 3);
  });

  test("client makes no loop with a delta server that answers each refusal with the same", async (t) => {
    const { stream, client } = await scene(t, "DELTA_GRPC");
    const bad = edsCluster("bad", { connect: "1s" });
    const broken = { ...bad, value: Buffer.concat([bad.value, Buffer.from([0x20])]) };
    const isRefusal = ({ request }: { request: { error: unknown } }): boolean => request.error !== undefined;
    stream.send(delta(CLUSTER_TYPE, "n0", [broken]));
    await stream.requests.first("refusal", isRefusal);
    const before = performance.now();
    stream.send(delta(CLUSTER_TYPE, "n1", [broken]));
    await stream.requests.first("second refusal", (each) => isRefusal(each) && each.request.nonce === "n1");
    assert.ok(performance.now() - before >= 400, "the second one waits");
    assert.equal(client.stats()["outrigger_xds_refusals_held_total"], 1);
  });

  test("client ends a stream whose message claims two gigabytes, before they come", async (t) => {
    const { server, port } = await RawGrpcServer.start((stream) => stream.write(messageHead(false, 0x7fff_ffff)));
    t.after(() => server.close());
    const { client, untilStatus } = startClient(adsBootstrap(port, "GRPC"));
    t.after(() => client.close());
    await untilStatus("the end", () => /larger than max/.test(client.status().servers[0]?.lastError ?? ""));
  });

  test("client ends a stream whose message unpacks to more than the limit, before it has", async (t) => {
    const bomb = gzipBomb(400);
    const { server, port } = await RawGrpcServer.start(
      (stream) => stream.write(Buffer.concat([messageHead(true, bomb.length), bomb])),
      { "grpc-encoding": "gzip" },
    );
    t.after(() => server.close());
    const { client, untilStatus } = startClient(adsBootstrap(port, "DELTA_GRPC"));
    t.after(() => client.close());
    await untilStatus("the end", () =>
      /decompresses to a size larger/.test(client.status().servers[0]?.lastError ?? ""),
    );
  });
});

test("decodeResponse() refuses a message of more resources than any mesh has, before it makes objects of them", () => {
  const resource = Buffer.from([0x12, 0]);
  const many = Buffer.alloc(2 * 500_001).map((_, index) => resource[index % 2] ?? 0);
  for (const variant of ["sotw", "delta"] as const) {
    assert.deepEqual(decodeResponse(variant, many), { ok: false, problem: "it has more than 500000 resources" });
  }
});

test("hasMoreFields() counts fields of every wire type, and does not trip over bytes that are none", () => {
  const fields = Buffer.from([0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 2, 0, 0, 0x25, 1, 2, 3, 4]);
  assert.equal(hasMoreFields(fields, 3), true);
  assert.equal(hasMoreFields(fields, 4), false);
  assert.equal(hasMoreFields(Buffer.from([0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 0), true);
  assert.equal(hasMoreFields(new Uint8Array(), 0), false);
});

test("a server that closes its port between streams is found again", async (t) => {
  const server = new FakeControlPlane();
  const port = await server.listen();
  const { client, until, untilStatus } = startClient(adsBootstrap(port, "GRPC"));
  t.after(() => client.close());
  const stream = await server.nextStream();
  await stream.next();
  stream.send(sotw(CLUSTER_TYPE, "1", staticCluster("a")));
  const before = await until("a", ({ clusters }) => clusters.has("a"));
  server.close();
  await untilStatus("disconnection", () => client.status().servers[0]?.isConnected === false);
  const again = new FakeControlPlane();
  t.after(() => again.close());
  await again.listen(port);
  const { request } = await (await again.nextStream()).next();
  assert.ok(request.kind === "sotw" && request.version === "1");
  assert.equal(client.snapshot, before);
});
