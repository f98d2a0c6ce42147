// Random plugins on streams in the sidecar's own filter chain: whatever they call, answer, pause, reply and break, nothing is thrown at
// the host, no fault is the host's, every stream comes to its end, and nothing stays open.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadPluginModule } from "../../plugins/plugin-module.ts";
import { TestClock } from "../../plugins/testing/test-clock.ts";
import { TestLog } from "../../plugins/testing/test-sinks.ts";
import { HeaderMap } from "../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../sidecar/http/message.ts";
import { type PluginSettings, RunProblem } from "../../sidecar/cli/plugin/plugin-flags.ts";
import { PluginHost } from "../../sidecar/cli/plugin/plugin-host.ts";
import type { RunStream } from "../../sidecar/cli/plugin/run-stream.ts";
import type { Scene } from "../../sidecar/cli/plugin/scene-flags.ts";
import { randomPlugin } from "../plugins/support/random-plugin.ts";

const FUEL = 200_000;
const TIMEOUT_MS = 100_000;

function headers(...fields: readonly string[]): HeaderMap {
  const map = new HeaderMap();
  for (let i = 0; i < fields.length; i += 2) map.add(fields[i] as string, fields[i + 1] as string);
  return map;
}

function sceneOf(parts: number): Scene {
  const body = (count: number): Buffer[] => Array.from({ length: count }, (_, i) => Buffer.alloc(40 + i, 0x61 + i));
  const trailers = (isThere: boolean): HeaderMap | undefined => (isThere ? headers("x-t", "1") : undefined);
  return {
    request: () => ({
      head: new RequestHead("POST", "/path", "host", "http", headers("host", "host", "x-a", "1")),
      body: body(parts & 3),
      trailers: trailers((parts & 4) !== 0),
    }),
    response: () => ({
      head: new ResponseHead(200, "OK", headers("x-a", "2")),
      body: body((parts >> 3) & 3),
      trailers: trailers((parts & 32) !== 0),
    }),
    callouts: new Map([
      ["known", [{ kind: "response", response: { status: 200, headers: { "x-b": "3" }, body: "answer" } }]],
      ["slow", [{ kind: "timeout" }]],
      ["failing", [{ kind: "failure", message: "reset" }]],
    ]),
    grpcCallouts: new Map([
      ["known", [{ kind: "message", message: Buffer.from("answer") }]],
      ["slow", [{ kind: "timeout" }]],
      ["failing", [{ kind: "status", status: 14, message: "away" }]],
    ]),
    properties: { "my.own": "text" },
  };
}

interface Seen {
  faults: number;
  replies: number;
  resets: number;
  pauses: number;
  calls: number;
  passed: number;
  refused: number;
}

async function runStreams(host: PluginHost, clock: TestClock, seen: Seen): Promise<void> {
  const streams: RunStream[] = [host.stream(), host.stream()];
  for (const stream of streams) stream.start();
  const end = clock.monotonicMs() + TIMEOUT_MS;
  for (let turns = 0; turns < 60 && streams.some(({ isOver }) => !isOver); turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    const next = clock.nextTimerMs;
    if (next === undefined || next > end) break;
    clock.advanceToNextTimer();
  }
  for (const stream of streams) {
    if (stream.isReset) seen.resets++;
    else if (!stream.isOver) seen.pauses++;
    else if (stream.replyDetails === undefined) seen.passed++;
    else seen.replies++;
    const hasAnswer = stream.client?.isComplete === true;
    assert.ok(!stream.isOver || stream.isReset || hasAnswer, "a stream that is over was answered, or cut");
    stream.giveUp();
    assert.ok(stream.isOver);
  }
}

test("random plugins throw nothing at the host, and every stream ends", async () => {
  const seen: Seen = { faults: 0, replies: 0, resets: 0, pauses: 0, calls: 0, passed: 0, refused: 0 };
  const numbers = fc.array(fc.nat(255), { maxLength: 600, size: "max" });
  await fc.assert(
    fc.asyncProperty(
      numbers,
      fc.nat(63),
      fc.constantFrom("closed" as const, "open" as const),
      async (choices, parts, failurePolicy) => {
        const bytes = randomPlugin(choices);
        const loaded = loadPluginModule(bytes);
        if (!loaded.ok) assert.fail(loaded.problem);
        const clock = new TestClock({});
        const none = new Uint8Array(0);
        const settings: PluginSettings = {
          file: "",
          name: "p",
          rootId: "",
          vmId: "v",
          configuration: Buffer.from("{}"),
          vmConfiguration: none,
          environment: { A: "b" },
          failurePolicy,
          allowOnHeadersStopIteration: false,
          memoryMib: 2,
          fuel: FUEL,
        };
        const log = new TestLog();
        let host: PluginHost;
        try {
          host = new PluginHost({
            settings,
            module: loaded.module,
            scene: sceneOf(parts),
            clock,
            log,
            bufferLimitBytes: 1_000,
            note: () => undefined,
          });
        } catch (error) {
          if (!(error instanceof RunProblem)) throw error;
          assert.doesNotMatch(error.message, /host_error/);
          seen.refused++;
          return;
        }
        await runStreams(host, clock, seen);
        const view = host.plugin.view();
        assert.equal(view.openStreams, 0, "no stream stays open");
        assert.equal(view.faultsByKind.host_error, undefined, "no fault is the host's");
        seen.faults += view.faults;
        seen.calls += host.calls.all.length;
        host.runtime.dispose();
      },
    ),
    { numRuns: 300 },
  );
  const { faults, replies, resets, pauses, calls, passed } = seen;
  assert.ok(Math.min(faults, replies, pauses, passed) > 20 && Math.min(resets, calls) > 5, JSON.stringify(seen));
});
