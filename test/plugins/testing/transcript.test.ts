// The transcript itself: times, the start of an instance, its bounds, and its text.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PluginRuntime } from "../../../plugins/plugin-runtime.ts";
import { Transcript } from "../../../plugins/testing/transcript.ts";
import { transcriptLines } from "../../../plugins/testing/transcript-text.ts";
import { fakePorts } from "../support/fake-ports.ts";
import { FakeStream } from "../support/fake-stream.ts";
import { goodModule, specOf } from "../support/specs.ts";
import { WatGuest } from "../support/wat-guest.ts";

const CLOCK_TIME = "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64)))";

/** A guest that calls the host once while it starts and once with each request, on a clock that moves when it is read. */
function watched(): Transcript {
  const guest = new WatGuest();
  guest.on("_initialize", CLOCK_TIME);
  guest.on("proxy_on_request_headers", `${guest.log("hello")} (i32.const 1)`);
  const ports = fakePorts();
  ports.clock.monotonicMs = () => ++ports.clock.nowMs;
  const transcript = new Transcript(ports.clock);
  const runtime = new PluginRuntime({ ports, observer: transcript, onHostCall: transcript.onHostCall });
  const loaded = runtime.load(specOf(goodModule(guest.bytes())));
  assert.ok(loaded.ok);
  loaded.plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
  return transcript;
}

suite("Transcript", () => {
  test("times callbacks and host calls, without what listening itself took", () => {
    const callback = watched().callbacks.find(({ name }) => name === "proxy_on_request_headers");
    const [call] = callback?.hostCalls ?? [];
    assert.equal(call?.tookMs, 1);
    // Read four times between: before and after the call, after listening to it, and at the end.
    assert.equal(callback?.tookMs, 4 - 1);
  });

  test("has what an instance calls while it starts in an entry of its own", () => {
    const [first, second] = watched().callbacks;
    assert.deepEqual([first?.name, first?.hostCalls.map(({ name }) => name)], ["(start)", ["clock_time_get"]]);
    assert.notEqual(second?.name, "(start)");
  });

  test("counts what it has no room for", () => {
    const transcript = new Transcript(fakePorts().clock);
    for (let i = 0; i < 100_003; i++) transcript.note("again");
    assert.deepEqual([transcript.entries.length, transcript.dropped], [100_000, 3]);
  });

  test("is text, with and without times, long values cut", () => {
    const transcript = watched();
    transcript.note("the end");
    const lines = transcriptLines(transcript.entries, { times: false, maxValue: 4 });
    assert.ok(
      lines.includes('    proxy_log(level="inf… (6 characters), message="hel… (7 characters)) = Ok'),
      lines.join("\n"),
    );
    assert.ok(lines.some((line) => /^◀ pause, fuel \d+$/.test(line)));
    assert.equal(lines.at(-1), "· the end");
    assert.match(transcriptLines(transcript.entries).at(-1) ?? "", /^ +\d+\.000 {2}· the end$/);
  });
});
