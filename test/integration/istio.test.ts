// What Istio's control plane sends, served by ours: a sidecar started by the command line of Istio's agent answers every
// request as Envoy did when it was connected to the real istiod (test/istio/README.md says how that was recorded).

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { startBackends } from "../istio/backends.ts";
import { recorded } from "../istio/recorded.ts";
import { ask, REQUESTS } from "../istio/requests.ts";
import { adsBootstrapText, RunningControlPlane, RunningSidecar } from "../support/sidecar-story.ts";

/** As pilot-agent starts Envoy, but for the time to drain, which is 45 s there. */
const AGENT_FLAGS = [
  ["--drain-time-s", "1"],
  ["--drain-strategy", "immediate"],
  ["--local-address-ip-version", "v4"],
  ["--file-flush-interval-msec", "1000"],
  ["--disable-hot-restart"],
  ["--allow-unknown-static-fields"],
  ["--service-cluster", "istio-proxy"],
  ["--service-node", "sidecar~127.0.0.2~shop.default~default.svc.cluster.local"],
  ["-l", "info"],
  ["--component-log-level", "misc:error"],
  ["--skip-deprecated-logs"],
  ["--concurrency", "1"],
].flat();

suite("what istiod sends", { timeout: 60_000, concurrency: 2 }, () => {
  for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
    test(`routes by ${variant} as through Envoy`, async (t) => {
      await using owned = new AsyncDisposableStack();
      const ports = await startBackends(owned);
      const { pushed, answers } = recorded(ports);
      const plane = await RunningControlPlane.start(t, JSON.stringify(pushed));
      const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, variant), ...AGENT_FLAGS);
      await sidecar.untilReady();
      const listeners = new Map<number, number>();
      for (const { port } of REQUESTS) {
        if (!listeners.has(port)) listeners.set(port, await sidecar.port(`127.0.0.1_${port}`));
      }
      const got = await Promise.all(REQUESTS.map((asked) => ask(asked, listeners.get(asked.port))));
      assert.deepEqual(got, answers);
      for (const type of ["lds", "cds"]) {
        const name = type === "lds" ? "listener_manager.lds.update_rejected" : "cluster_manager.cds.update_rejected";
        assert.equal(await sidecar.stat(name), 0);
      }
    });
  }
});
