// `outrigger control-plane` and `outrigger run`, only ADS between them: every type arrives, an edit of the file changes the
// running sidecar without a failed request, a bad edit changes nothing.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { runLoad } from "../bench/load.ts";
import { type Served, servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, RunningControlPlane, RunningSidecar, startOrigin, until } from "../support/sidecar-story.ts";

interface Seen {
  readonly status: number;
  readonly version: string | null;
  readonly plugin: string | null;
  readonly body: string;
}

async function get(port: number): Promise<Seen> {
  // A connection of its own, so that every worker gets its share.
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
  const { status, headers } = answer;
  return { status, version: headers.get("x-version"), plugin: headers.get("x-go-wasm"), body: await answer.text() };
}

const TYPES = [
  ["Listener", "in", "LDS"],
  ["RouteConfiguration", "routes", "RDS"],
  ["Cluster", "app", "CDS"],
  ["ClusterLoadAssignment", "app", "EDS"],
  ["TypedExtensionConfig", "header", "ECDS"],
] as const;

suite("ADS from a file", { concurrency: 1 }, () => {
  for (const [variant, said] of [
    ["GRPC", "state of the world"],
    ["DELTA_GRPC", "delta"],
  ] as const) {
    test(`control-plane and run (${variant}) bring every edit into use, and lose no request`, async (t) => {
      const [one, two] = [await startOrigin(t, "one"), await startOrigin(t, "two")];
      const served = (changes: Partial<Served> = {}): string =>
        servedResources({ upstream: one, version: "1", plugin: "first", ...changes });
      const plane = await RunningControlPlane.start(t, served());
      const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, variant), "--concurrency", "2");
      await sidecar.untilReady();
      const { stdout, stderr } = plane.process;

      const port = await sidecar.port();
      assert.deepEqual(await get(port), { status: 200, version: "1", plugin: "first", body: "one" });
      await stdout.first("client", (line) =>
        new RegExp(`test-node 127\\.0\\.0\\.1:\\d+ connected \\(${said}, cluster "test-cluster"`).test(line),
      );
      for (const [type, name, label] of TYPES) {
        await stdout.first(`ACK of ${label}`, (line) => new RegExp(` ${label} [0-9a-f]{16} acknowledged`).test(line));
        const resource = await sidecar.xds(type, name);
        assert.equal(resource?.state, "ACKED", type);
        assert.ok(resource.in_use_at, `${type} is in use`);
      }

      let isOver = false;
      t.after(() => (isOver = true));
      const load = (async () => {
        const rounds = [];
        while (!isOver)
          rounds.push(await runLoad({ port, connections: 8, rate: 400, seconds: 0.5, expectHeader: "x-go-wasm" }));
        return rounds;
      })();
      const inUse = (what: string, wanted: Partial<Seen>): Promise<Seen[]> =>
        until(
          what,
          () => Promise.all([1, 2, 3, 4].map(() => get(port))),
          (answers) =>
            answers.every((answer) => Object.entries(wanted).every(([k, v]) => answer[k as keyof Seen] === v)),
        );
      // RDS by a rename, ECDS in place, EDS by a rename, then CDS, RDS and EDS at once: another cluster.
      await plane.replace(served({ version: "2" }));
      await inUse("the second version of the routes", { version: "2", body: "one" });
      await plane.overwrite(served({ version: "2", plugin: "second" }));
      await inUse("the second configuration of the plugin", { plugin: "second" });
      await plane.replace(served({ version: "2", plugin: "second", upstream: two }));
      await inUse("the second endpoint", { body: "two" });
      await plane.overwrite(served({ version: "3", plugin: "second", clusterName: "other" }));
      await inUse("another cluster", { version: "3", body: "one" });

      // What is wrong is refused before any client hears of it.
      const before = stdout.all.length;
      await plane.replace(served({ version: "4", cluster: "  conect_timeout: 1s\n" }));
      const line = await stderr.first("refusal", (text) => text.includes("conect_timeout"));
      assert.match(line, /resources\.yaml:\d+:3: (\S+: )?.*conect_timeout.*did you mean connect_timeout\?/);
      await stderr.first("consequence", (text) => /is refused, the last good version stays in force/.test(text));
      // What the edit before took away may still be told: removals go last.
      assert.deepEqual(
        stdout.all.slice(before).filter((text) => / sent: [1-9]/.test(text)),
        [],
      );
      assert.equal((await get(port)).version, "3");
      await plane.replace(served({ version: "5", plugin: "second" }));
      await inUse("the repaired file", { version: "5" });

      isOver = true;
      for (const { requests, problems } of await load) {
        assert.deepEqual(problems, {});
        assert.ok(requests > 100);
      }
      assert.deepEqual(await plane.process.end(), { code: 0, signal: null });
      assert.equal((await get(port)).version, "5");
      assert.deepEqual(await sidecar.process.end(), { code: 0, signal: null });
      assert.deepEqual(sidecar.process.stdout.all, []);
    });
  }
});
