// The control plane is not there: at the start, /ready says so and why, and the sidecar comes up when it appears; later, traffic
// goes on, and what the control plane brings when it returns is in use soon.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { runLoad } from "../bench/load.ts";
import { servedResources } from "../support/served-resources.ts";
import {
  adsBootstrapText,
  freePort,
  RunningControlPlane,
  RunningSidecar,
  startOrigin,
  until,
} from "../support/sidecar-story.ts";

/** The row: in use within this time of the control plane's return. */
const RETURN_MS = 15_000;

suite("without a control plane", { concurrency: 2 }, () => {
  for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
    test(`run (${variant}) says at the start why it is not ready, and comes up with the control plane`, async (t) => {
      const upstream = await startOrigin(t, "one");
      const port = await freePort();
      const sidecar = await RunningSidecar.start(t, adsBootstrapText(port, variant), "--concurrency", "1");
      const { status, text } = await until(
        "the reason in /ready",
        () => sidecar.ready(),
        (ready) => ready.text.includes("refused"),
      );
      assert.equal(status, 503);
      assert.equal(
        text.trimEnd(),
        `INITIALIZING
waiting for CDS
waiting for LDS
control plane ads is away: cannot connect: 127.0.0.1:${port}: connection refused, nothing listens there (ECONNREFUSED)`,
      );
      assert.match(await sidecar.text("/init_dump"), /LDS/);
      const line = await sidecar.process.stderr.first("log line", (each) => each.includes("control plane"));
      assert.match(line, new RegExp(`127\\.0\\.0\\.1:${port}`));

      await RunningControlPlane.start(t, servedResources({ upstream }), port);
      const appearedAt = performance.now();
      await sidecar.untilReady();
      const ms = Math.round(performance.now() - appearedAt);
      t.diagnostic(`ready ${ms} ms after the control plane appeared`);
      assert.ok(ms < RETURN_MS, `${ms} ms`);
      assert.equal(await (await fetch(`http://127.0.0.1:${await sidecar.port()}/`)).text(), "one");
    });

    test(`run (${variant}) serves on without it, and has its new version soon after its return`, async (t) => {
      const upstream = await startOrigin(t, "one");
      const plane = await RunningControlPlane.start(t, servedResources({ upstream, version: "1" }));
      const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, variant), "--concurrency", "1");
      await sidecar.untilReady();
      const port = await sidecar.port();
      const over = new AbortController();
      t.after(() => over.abort());
      const load = runLoad({
        port,
        connections: 4,
        rate: 200,
        seconds: 60,
        expectHeader: "x-version",
        signal: over.signal,
      });

      await plane.process.end("SIGKILL");
      await sidecar.process.stderr.first("log line", (line) => line.includes("away") || line.includes("lost"));
      await until(
        "the loss in the statistics",
        () => sidecar.stat("control_plane.connected_state"),
        (connected) => connected === 0,
      );
      const ready = await sidecar.ready();
      assert.equal(ready.status, 200, ready.text);
      const { servers } = JSON.parse(await sidecar.text("/xds")) as {
        servers: { server: string; connected: boolean; last_error?: string }[];
      };
      const ads = servers.find(({ server }) => server.startsWith("ads "));
      assert.equal(ads?.connected, false);
      assert.notEqual(ads.last_error ?? "", "");

      await RunningControlPlane.start(t, servedResources({ upstream, version: "2" }), plane.port);
      const returnedAt = performance.now();
      await until(
        "the version that it returns with",
        async () => {
          const answer = await fetch(`http://127.0.0.1:${port}/`);
          await answer.body?.cancel();
          return answer.headers.get("x-version");
        },
        (version) => version === "2",
        RETURN_MS,
      );
      t.diagnostic(`in use ${Math.round(performance.now() - returnedAt)} ms after the control plane's return`);
      over.abort();
      const { requests, problems } = await load;
      assert.deepEqual(problems, {});
      assert.ok(requests > 50);
    });
  }
});
