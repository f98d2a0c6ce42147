// When a worker is ended, with fakes for it and for time. The real thread is in integration/watchdog.test.ts.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Watchdog } from "../../sidecar/watchdog.ts";
import { createPulse, PulseWriter, readPulse } from "../../sidecar/worker-pulse.ts";
import type { PluginIdentity } from "../../plugins/ports.ts";

const TICK = 3;

function plugin(name: string, index = 1): PluginIdentity {
  return { index, name, rootId: "", vmId: "", digest: "", abiVersion: "0.2.1" };
}

/** One worker whose processor time and clock are moved by hand. */
function setUp() {
  const memory = createPulse();
  const pulse = new PulseWriter(memory);
  const time = { now: 0, cpu: 0 };
  const reasons: string[] = [];
  const ended: string[] = [];
  const worker = {
    index: 0,
    pulse: () => readPulse(memory),
    cpuMs: async () => time.cpu,
    terminate: (reason: string) => void reasons.push(reason),
  };
  const watchdog = new Watchdog({ workers: [worker], onEnded: (name) => ended.push(name), now: () => time.now });
  const look = async (ms: number, cpu: number): Promise<void> => {
    time.now += ms;
    time.cpu += cpu;
    await watchdog.look();
  };
  return { pulse, look, reasons, ended, watchdog };
}

suite("Watchdog", () => {
  test("ends a worker that has been inside one callback for longer than its deadline", async () => {
    const { pulse, look, reasons, ended, watchdog } = setUp();
    pulse.enter(plugin("p"), TICK, 200);
    await look(0, 0);
    await look(199, 199);
    assert.deepEqual(reasons, []);
    await look(1, 1);
    assert.equal(reasons.length, 1);
    assert.match(reasons[0] ?? "", /^plugin "p" was in proxy_on_\w+ for more than 200 ms .*plugin\.p\.deadline_ms/);
    assert.deepEqual([ended, watchdog.suspectsOf(0), watchdog.suspectsOf(1)], [["p"], ["p"], []]);
  });

  test("leaves one alone that goes from callback to callback, that waits, or that has no deadline", async () => {
    const busy = setUp();
    for (let i = 0; i < 10; i++) {
      busy.pulse.enter(plugin("p"), TICK, 200);
      await busy.look(150, 150);
      busy.pulse.leave();
    }
    await busy.look(1_000, 1_000);
    assert.deepEqual(busy.reasons, []);
    const endless = setUp();
    endless.pulse.enter(plugin("p"), TICK, 0);
    await endless.look(0, 0);
    await endless.look(10_000, 10_000);
    assert.deepEqual(endless.reasons, []);
  });

  test("leaves one alone that had no processor, until it has had one for long enough", async () => {
    const { pulse, look, reasons } = setUp();
    pulse.enter(plugin("p"), TICK, 200);
    await look(0, 0);
    await look(1_000, 20);
    assert.deepEqual(reasons, []);
    await look(100, 90);
    assert.equal(reasons.length, 1);
  });
});

test("a pulse says which plugin and callback, also with many plugins and long names", () => {
  const memory = createPulse();
  const pulse = new PulseWriter(memory);
  for (let index = 0; index < 200; index++) {
    pulse.enter(plugin(`plugin ${index} ${"x".repeat(index)}`, index), -1, 3_000);
    const { isInGuest, allowedMs, plugin: name, callback } = readPulse(memory);
    assert.deepEqual([isInGuest, allowedMs, callback], [true, 3_000, "the start"]);
    assert.equal(name, `plugin ${index} ${"x".repeat(index)}`.slice(0, 64));
    pulse.leave();
    assert.equal(readPulse(memory).isInGuest, false);
  }
});
