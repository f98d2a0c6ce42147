// A plugin that takes all memory it may have and aborts, again and again, in the real process with one worker, while each VM that dies
// so has a stream that waits for its upstream: they are served, and the process holds the memory of one VM.

import assert from "node:assert/strict";
import { test } from "node:test";
import { peakResidentMib, resetPeak } from "../bench/machine.ts";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

const MEMORY_MIB = 64;
const BOMBS = 5;
/** V8 now and then gives one memory back late; more than one would be a leak. */
const ALLOWED_MIB = 2.5 * MEMORY_MIB;

test("a memory bomb costs its stream and the memory of one VM", { timeout: 60_000 }, async () => {
  await using upstream = await FakeUpstream.start();
  await using sidecar = await SidecarProcess.start(
    bootstrap({
      runtime: { "outrigger.wasm.memory_mib": MEMORY_MIB, "outrigger.wasm.max_faults": 1_000 },
      listeners: [listener("in", { filters: [wasmFilter("bomb", guest("memory-bomb"))] })],
      clusters: [cluster("origin", [upstream.port])],
    }),
  );
  resetPeak(sidecar.pid);
  const before = peakResidentMib(sidecar.pid);
  const held: Promise<Response>[] = [];
  for (let i = 0; i < BOMBS; i++) {
    held.push(fetch(sidecar.url("in", `/held/${i}`)));
    const connection = await upstream.connection(i);
    await connection.untilReceived(`/held/${i}`);
    const answer = await fetch(sidecar.url("in", "/bomb"));
    assert.equal(answer.status, 503);
  }
  for (let i = 0; i < BOMBS; i++) {
    const connection = await upstream.connection(i);
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    const answer = await (held[i] as Promise<Response>);
    assert.deepEqual([answer.status, await answer.text()], [200, "ok"]);
    // The response went through the plugin in a fresh VM.
    assert.ok(answer.headers.has("x-memory-pages"));
  }
  const grown = peakResidentMib(sidecar.pid) - before;
  assert.ok(grown < ALLOWED_MIB, `the process grew by ${grown.toFixed(0)} MiB`);
});
