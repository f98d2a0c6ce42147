// The running sidecar under a control plane that means harm, with requests meanwhile: none fails, the memory stays bounded,
// and the counters of /stats say what happened. The client's rules by themselves are in test/xds/hostile-server.test.ts.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import { answerTo, controlPlaneStory } from "../support/control-plane-story.ts";
import { until } from "../support/sidecar-story.ts";
import { delta, sotw } from "../support/xds-scene.ts";

const MIB = 1024 * 1024;
/** What a sidecar may hold more than before, after all that was thrown at it: nothing is kept, heaps grow a little. */
const MOST_GROWTH = 120 * MIB;
const TYPES = [CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE];

suite("hostile control planes", { concurrency: 2 }, () => {
  for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
    test(`run (${variant}) serves on through junk, wrong types, floods and streams that are cut`, async (t) => {
      const { sidecar, server, stream, one, port, stopLoad } = await controlPlaneStory(t, variant);
      const memory = async () => Number(/"allocated": *"?(\d+)/.exec(await sidecar.text("/memory"))?.[1] ?? 0);
      const stat = async (name: string) => Number(/: (\d+)/.exec(await sidecar.text(`/stats?filter=^${name}$`))?.[1]);
      const before = await memory();
      let current = stream;
      const next = async () => {
        current = await server.nextStream();
        for (const typeUrl of TYPES) {
          await current.requests.first(`a request of ${typeUrl}`, ({ request }) => request.typeUrl === typeUrl);
        }
      };
      const push = (typeUrl: string, nonce: string) =>
        variant === "GRPC" ? { ...sotw(typeUrl, "1", one(typeUrl)), nonce } : delta(typeUrl, nonce, [one(typeUrl)]);
      const answers = async (nonce: string) => answerTo(current, nonce);

      // Bytes that are no message, a message of more resources than any mesh has, 20 MB of junk in one resource.
      current.sendBytes(Buffer.from([0xff, 0xff, 0xff]));
      await next();
      current.sendBytes(Buffer.alloc(1_000_002).fill(Buffer.from([0x12, 0x00])));
      await next();
      const giant = { ...one(CLUSTER_TYPE), value: Buffer.alloc(20 * MIB, 0x0b) };
      current.send(
        variant === "GRPC" ? sotw(CLUSTER_TYPE, "giant", giant) : delta(CLUSTER_TYPE, "nonce-giant", [giant]),
      );
      assert.match(await answers("nonce-giant"), /Cluster "(?:app)?": does not parse/);

      // Types that nobody asked for, a type inside another, endless nonces of one version.
      for (let i = 0; i < 300; i++) current.send(push(CLUSTER_TYPE, `again-${i}`));
      assert.equal(await answers("again-299"), "");
      current.send({ ...push(CLUSTER_TYPE, "unknown"), typeUrl: "type.googleapis.com/made.up.Type" });
      current.send({ ...push(ROUTE_TYPE, "mixed"), typeUrl: CLUSTER_TYPE });
      assert.match(await answers("mixed"), /is of type/);

      // Cut after each message of a whole push.
      for (let cut = 1; cut <= TYPES.length; cut++) {
        for (const typeUrl of TYPES.slice(0, cut)) current.send(push(typeUrl, `cut ${cut} ${typeUrl}`));
        current.end();
        await next();
      }
      current.fail(13, "x".repeat(4_000));
      await next();

      current.send(push(CLUSTER_TYPE, "at last"));
      assert.equal(await answers("at last"), "");
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "one");
      const { requests, problems } = await stopLoad();
      assert.deepEqual(problems, {});
      assert.ok(requests > 0);
      assert.equal((await sidecar.ready()).status, 200);
      assert.equal(await stat("outrigger_xds_stream_failures_total"), 7);
      assert.equal(await stat("outrigger_xds_responses_ignored_total"), 1);
      assert.equal(await stat("cluster_manager.cds.update_rejected"), 2);
      await until("its memory back", memory, (now) => now < before + MOST_GROWTH);
    });
  }
});
