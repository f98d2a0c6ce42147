// The launcher under the most used control-plane library: a real go-control-plane server (snapshot cache in ADS mode). Needs Go once,
// to build it (test/fixtures/go-control-plane/build.sh); skipped by name without.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { runLoad } from "../bench/load.ts";
import { GO_CONTROL_PLANE_MISSING, GoControlPlane } from "../support/go-control-plane.ts";
import { adsBootstrapText, RunningSidecar, startOrigin, until } from "../support/sidecar-story.ts";

const skip = GO_CONTROL_PLANE_MISSING ?? false;

suite("go-control-plane", { skip, concurrency: 2 }, () => {
  for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
    test(`run (${variant}) follows it from cluster to cluster without a failed request, and past a bad one`, async (t) => {
      const origins = [
        await startOrigin(t, "one"),
        await startOrigin(t, "two"),
        await startOrigin(t, "three"),
      ] as const;
      const server = await GoControlPlane.start();
      t.after(() => server.stop());
      server.serve({ version: "v1", cluster: "cluster-1", port: origins[0] });
      const sidecar = await RunningSidecar.start(t, adsBootstrapText(server.port, variant), "--concurrency", "1");
      await sidecar.untilReady();
      const port = await sidecar.port();
      const body = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`)).text();
      assert.equal(await body(), "one");

      const over = new AbortController();
      t.after(() => over.abort());
      const load = runLoad({ port, connections: 4, rate: 300, seconds: 60, signal: over.signal });
      // Every version is another cluster: what the routes leave goes, what they go to is new.
      for (let version = 2; version <= 8; version++) {
        server.serve({
          version: `v${version}`,
          cluster: `cluster-${version}`,
          port: origins[version % 2 === 0 ? 1 : 0],
        });
        await until(`version ${version}`, body, (name) => name === (version % 2 === 0 ? "two" : "one"));
      }
      server.serve({ version: "v9", cluster: "cluster-9", port: origins[0], bad: true });
      const refused = await server.requests.first("NACK", ({ error }) => error !== "");
      assert.match(refused.error, /^Cluster "bad": connect_timeout: /);
      const cluster = await until(
        "the refusal in /xds",
        () => sidecar.xds("Cluster", "bad"),
        (each) => each?.refused !== undefined,
      );
      assert.match(cluster?.refused?.reason ?? "", /connect_timeout/);
      server.serve({ version: "v10", cluster: "cluster-10", port: origins[2] });
      const repairedAt = performance.now();
      await until("the repaired version", body, (name) => name === "three");
      t.diagnostic(`in use ${Math.round(performance.now() - repairedAt)} ms after the repair`);

      // It dies in the middle of an update.
      const from = server.requests.all.length;
      server.serve({ version: "v11", cluster: "cluster-11", port: origins[0], bad: true });
      await server.requests.first("second NACK", ({ error }) => error !== "", from);
      server.serve({ version: "v12", cluster: "cluster-12", port: origins[1] });
      await server.stop();
      const again = await GoControlPlane.start(server.port);
      t.after(() => again.stop());
      again.serve({ version: "v13", cluster: "cluster-13", port: origins[0] });
      await until("the version after its return", body, (name) => name === "one");
      over.abort();
      const { requests, problems } = await load;
      assert.deepEqual(problems, {});
      assert.ok(requests > 0);
    });
  }
});
