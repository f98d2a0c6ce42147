import assert from "node:assert/strict";
import { test } from "node:test";
import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { fakePorts, ManualClock } from "./support/fake-ports.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { goodModule, specOf } from "./support/specs.ts";
import { WatGuest } from "./support/wat-guest.ts";

/** A millisecond later at each look. */
class CountingClock extends ManualClock {
  override monotonicMs(): number {
    return ++this.nowMs;
  }
}

const RESULTS: Readonly<Record<string, string>> = {
  proxy_on_request_headers: "(i32.const 0)",
  proxy_on_done: "(i32.const 1)",
};

/** Name, start and end of what ran on two streams one after the other, times counted from the first one's. */
function hooksOf(...callbacks: readonly string[]): string[] {
  const guest = new WatGuest();
  for (const name of callbacks) guest.on(name, RESULTS[name] ?? "");
  const hooks: { name: string; from: number; to: number }[] = [];
  const runtime = new PluginRuntime({
    ports: { ...fakePorts(), clock: new CountingClock() },
    observer: {
      hook: ({ callback, startedAt, endedAt }) =>
        void hooks.push({ name: CALLBACK_NAMES[callback] ?? "", from: startedAt, to: endedAt }),
    },
  });
  const loaded = runtime.load(specOf(goodModule(guest.bytes())));
  if (!loaded.ok) assert.fail(loaded.problem);
  hooks.length = 0;
  for (let i = 0; i < 2; i++) {
    const context = loaded.plugin.createHttpContext(new FakeStream());
    context.onRequestHeaders(3, true);
    context.close();
  }
  const base = hooks[0]?.from ?? 0;
  return hooks.map(({ name, from, to }) => `${name.replace("proxy_on_", "")} ${from - base}-${to - base}`);
}

test("a callback that follows another at once begins where that one ended", () => {
  assert.deepEqual(
    hooksOf("proxy_on_context_create", "proxy_on_request_headers", "proxy_on_done", "proxy_on_delete").slice(0, 4),
    ["context_create 0-1", "request_headers 1-2", "done 3-4", "delete 4-5"],
  );
});

test("a callback that the plugin does not have lets no time of an earlier one count", () => {
  assert.deepEqual(hooksOf("proxy_on_request_headers", "proxy_on_delete"), [
    "request_headers 0-1",
    "delete 2-3",
    "request_headers 4-5",
    "delete 6-7",
  ]);
});
