// Many pushes of routes within a few seconds, under load, measured as test/bench/pushes.ts does: none of them fails a request,
// and each is in use on all workers soon. The bench has the numbers of the issue; this is the same with fewer and looser ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import { measurePushes } from "../bench/pushes.ts";
import { createControlPlane } from "../../xds/server/control-plane.ts";
import { resources } from "../support/xds-resources.ts";
import { servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, RunningSidecar, startOrigin, until } from "../support/sidecar-story.ts";

test("run brings 50 pushes into use under load without a failed request", async (t) => {
  const options = { pushes: 50, rate: 1_000, gapMs: 10, variant: "GRPC", concurrency: 2 } as const;
  const result = await measurePushes(t, options);
  assert.deepEqual(result.problems, {});
  assert.equal(result.failed, 0);
  assert.ok(result.requests > 300, `${result.requests} requests`);
  // The machine that runs tests is busy, with other tests too: the bench holds it to 50 ms.
  assert.ok(result.inUseP50Ms <= 500, `half of the pushes took ${result.inUseP50Ms} ms or less`);
});

test("/xds says in use only when no worker serves by the version before", async (t) => {
  const upstream = await startOrigin(t, "one");
  const version = (number: number) => resources(servedResources({ upstream, version: String(number) }));
  const plane = createControlPlane({ resources: version(0) });
  t.after(() => plane.close());
  const port = await plane.listen("127.0.0.1", 0);
  const sidecar = await RunningSidecar.start(t, adsBootstrapText(port, "DELTA_GRPC"), "--concurrency", "2");
  await sidecar.untilReady();
  const listener = await sidecar.port();
  for (let number = 1; number <= 20; number++) {
    const before = (await sidecar.xds("RouteConfiguration", "routes"))?.version;
    plane.setResources(version(number));
    await until(
      `version ${number} in use`,
      () => sidecar.xds("RouteConfiguration", "routes"),
      (routes) => routes?.version !== before && (routes?.in_use_at ?? "") >= (routes?.received_at ?? "-"),
    );
    // Connections of their own: the kernel spreads them over the workers.
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => fetch(`http://127.0.0.1:${listener}/`, { headers: { connection: "close" } })),
    );
    for (const answer of answers) {
      assert.equal(answer.headers.get("x-version"), String(number));
      await answer.body?.cancel();
    }
  }
});
