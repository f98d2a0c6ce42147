// The end of the real process by a signal: what is in flight finishes, what is idle goes, nothing new comes, within the
// drain time; a second signal ends it at once; and the same by npm start.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { type FakeConnection, FakeUpstream, within } from "../support/fake-upstream.ts";
import { Launched } from "../support/launcher.ts";
import { RawClient } from "../support/raw-client.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { freePort, until } from "../support/sidecar-story.ts";

const ROOT = join(import.meta.dirname, "../..");
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

interface Story extends AsyncDisposable {
  readonly sidecar: SidecarProcess;
  readonly upstream: FakeUpstream;
  /** A client that waits for its answer, and the upstream's end of that. */
  inFlight(): Promise<{ client: RawClient; origin: FakeConnection }>;
}

async function story(...args: readonly string[]): Promise<Story> {
  // What was started goes when the next does not start, too: an open server would keep this file from ending.
  await using owned = new AsyncDisposableStack();
  const upstream = owned.use(await FakeUpstream.start());
  const routes = [{ match: { prefix: "/" }, route: { cluster: "origin", timeout: "0s" } }];
  const sidecar = owned.use(
    await SidecarProcess.start(
      bootstrap({ listeners: [listener("main", { routes })], clusters: [cluster("origin", [upstream.port])] }),
      { args },
    ),
  );
  const kept = owned.move();
  return {
    sidecar,
    upstream,
    inFlight: async () => {
      const origin = upstream.connection(upstream.connections.length);
      const client = await RawClient.connect(sidecar.port("main"));
      client.send(GET);
      const connection = await origin;
      await connection.untilRequests(1);
      return { client, origin: connection };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const refused = (port: number): Promise<boolean> =>
  RawClient.connect(port).then(
    (client) => {
      client.destroy();
      return false;
    },
    () => true,
  );

suite("SIGTERM", { timeout: 60_000 }, () => {
  test("lets requests in flight finish with Connection: close, closes idle ones, takes no new ones, and exits 0", async () => {
    await using run = await story("--drain-time-s", "60");
    const { sidecar } = run;
    const idle = await run.inFlight();
    const busy = await run.inFlight();
    const body = await run.inFlight();
    body.origin.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
    await body.client.receive((text) => text.endsWith("hello"));
    idle.origin.send(OK);
    await idle.client.receiveUntil("ok");

    sidecar.signal("SIGTERM");
    await until("a listener that refuses", () => refused(sidecar.port("main")), Boolean);
    const ready = await sidecar.admin("/ready");
    assert.equal(ready.status, 503);
    assert.match(ready.text, /^DRAINING/);
    assert.equal(await idle.client.receiveAll(), "", "an idle connection ends");
    assert.ok(sidecar.isAlive, "it waits for the requests");

    busy.origin.send(OK);
    const answer = await busy.client.receiveAll();
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /^connection: close\r$/im);
    assert.match(answer, /ok$/);
    assert.ok(sidecar.isAlive, "it waits for the last one too");
    body.origin.send("world");
    assert.equal(await body.client.receiveAll(), "world");
    assert.deepEqual(await sidecar.untilEnded(), { code: 0, signal: null });
  });

  test("cuts what is still in flight when the drain time is up, says how much, and exits 0", async () => {
    await using run = await story("--drain-time-s", "1");
    const { client } = await run.inFlight();
    const from = performance.now();
    const end = await run.sidecar.stop();
    const tookMs = performance.now() - from;
    assert.deepEqual(end, { code: 0, signal: null });
    assert.ok(tookMs > 900 && tookMs < 4_000, `${tookMs} ms`);
    assert.equal(await client.receiveAll(), "");
    assert.ok(
      run.sidecar.logEntries.some(({ cut }) => cut === 1),
      run.sidecar.log,
    );
  });

  test("that comes a second time ends the process at once", async () => {
    await using run = await story("--drain-time-s", "600");
    await run.inFlight();
    run.sidecar.signal("SIGTERM");
    await until(
      "draining",
      async () => (await run.sidecar.admin("/ready")).status,
      (status) => status === 503,
    );
    const from = performance.now();
    run.sidecar.signal("SIGTERM");
    await run.sidecar.untilEnded();
    assert.ok(performance.now() - from < 2_000);
  });
});

suite("npm start", { timeout: 60_000 }, () => {
  test("serves the demo with its header, and SIGTERM to npm ends all of it and frees its ports", async (t) => {
    const ports = {
      app: await freePort(),
      "control-plane": await freePort(),
      listener: await freePort(),
      admin: await freePort(),
    };
    const flags = Object.entries(ports).map(([name, port]) => `--${name}-port=${port}`);
    // npm of its own cache, so that it writes nothing of the user's.
    const cache = mkdtempSync(join(tmpdir(), "outrigger-npm-"));
    t.after(() => rmSync(cache, { recursive: true, force: true }));
    const child = spawn("npm", ["start", "--", ...flags], {
      cwd: ROOT,
      env: { ...process.env, npm_config_cache: cache, npm_config_update_notifier: "false" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const npm = new Launched(child);
    t.after(() => npm.end("SIGKILL"));
    const answer = await until(
      "the demo",
      () => {
        assert.equal(npm.hasEnded, false, npm.stderr.all.join("\n"));
        return fetch(`http://127.0.0.1:${ports.listener}/`);
      },
      ({ status }) => status === 200,
    );
    assert.equal(answer.headers.get("x-go-wasm"), "APISIX");
    await answer.text();
    child.kill("SIGTERM");
    await within(npm.ended, "npm's end", 10_000);
    for (const [name, port] of Object.entries(ports)) {
      await until(`${name}'s port is free`, () => refused(port), Boolean);
    }
  });
});
