// Several data workers in the real process: both serve, and when one dies it is replaced and counted while the other one
// goes on without a failed request.

import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, examplePlugin, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const KILLER = join(import.meta.dirname, "../support/worker-killer.ts");
const CONNECTIONS = 24;

interface Traces {
  readonly traces: readonly { readonly worker: number; readonly path: string }[];
}

suite("data workers", { timeout: 60_000 }, () => {
  test("a worker that dies is replaced and counted; the other one serves on", async () => {
    await using origin = await RecordingOrigin.start(() => undefined);
    await using sidecar = await SidecarProcess.start(
      bootstrap({
        listeners: [
          listener("main", {
            filters: [wasmFilter("tiny", examplePlugin("go"), '{"headers":[{"name":"X-Go","value":"1"}]}')],
          }),
        ],
        clusters: [cluster("origin", [origin.port])],
      }),
      { args: ["--concurrency", "2"], env: { NODE_OPTIONS: `--import=${KILLER}` } },
    );
    const clients = await openClients(sidecar, "first");
    const before = await workersOf(sidecar, "first");
    assert.deepEqual(new Set(before.values()), new Set([0, 1]), "both workers serve");

    sidecar.signal("SIGUSR2");
    await sidecar.untilStat("server.worker_restarts", 1);
    for (const [index, client] of clients.entries()) {
      if (before.get(`/first/${index}`) === 0) {
        await client.receiveAll();
        continue;
      }
      // The surviving worker's connections are the same ones, and answer at once.
      for (let i = 0; i < 5; i++) {
        await ask(client, `/second/${index}`);
      }
    }
    assert.equal((await sidecar.admin("/ready")).status, 200);
    assert.ok(
      sidecar.logEntries.some(
        ({ level, worker, message }) => level === "error" && worker === 0 && /ended unexpectedly/.test(String(message)),
      ),
      sidecar.log,
    );

    await until(
      "the new worker in use",
      () => openClients(sidecar, "third").then(async () => new Set((await workersOf(sidecar, "third")).values())),
      (serving) => serving.size === 2,
    );
    assert.equal(await sidecar.stat("server.worker_restarts"), 1);
    clients.forEach((client) => client.destroy());
    assert.deepEqual(await sidecar.stop(), { code: 0, signal: null });
  });
});

async function openClients(sidecar: SidecarProcess, word: string): Promise<RawClient[]> {
  const clients = [];
  for (let index = 0; index < CONNECTIONS; index++) {
    const client = await RawClient.connect(sidecar.port("main"));
    await ask(client, `/${word}/${index}`);
    clients.push(client);
  }
  return clients;
}

async function ask(client: RawClient, path: string): Promise<void> {
  client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  assert.match(await client.receiveUntil(`GET ${path}`), /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*X-Go: 1\r\n/i);
}

/** Which worker served which path. */
async function workersOf(sidecar: SidecarProcess, word: string): Promise<Map<string, number>> {
  const { traces } = await sidecar.adminJson<Traces>("/traces?limit=200");
  return new Map(traces.filter(({ path }) => path.startsWith(`/${word}/`)).map(({ path, worker }) => [path, worker]));
}
