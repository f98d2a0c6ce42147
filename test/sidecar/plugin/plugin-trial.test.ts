// What a trial tells, with real guests, and that it takes nothing away from a plugin that serves.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test, type TestContext } from "node:test";
import { createSharedMemory } from "../../../plugins/shared-store.ts";
import type { PluginSpec } from "../../../plugins/plugin-spec.ts";
import { tryPlugin } from "../../../sidecar/plugin/plugin-trial.ts";
import { PluginWorkshop } from "../../../sidecar/plugin-workshop.ts";
import type { PluginConfig } from "../../../xds/model/plugin-config.ts";
import { goodModule, specOf } from "../../plugins/support/specs.ts";
import { guest } from "../../support/bootstrap-builder.ts";

const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(guest(name)));
const deps = () => ({ sharedMemory: createSharedMemory(), properties: { property: () => undefined } });

function spec(name: string, configuration: string, changes: Partial<PluginSpec> = {}): PluginSpec {
  return specOf(goodModule(bytesOf(name)), { pluginConfiguration: Buffer.from(configuration), ...changes });
}

suite("tryPlugin()", () => {
  test("has nothing to say of a plugin that starts", () => {
    assert.equal(tryPlugin(spec("refuse", "fine"), deps()).problem, undefined);
  });

  test("says why another does not start, with what it logged", () => {
    const { problem, lines } = tryPlugin(spec("refuse", "refuse this"), deps());
    assert.equal(
      problem,
      'plugin "guest" failed in proxy_on_configure: refused: the callback answered false; it logged: plugin configuration refused: refuse this',
    );
    assert.equal(lines.at(-1)?.message, "plugin configuration refused: refuse this");
  });

  test("does not answer calls, and the plugin that makes them starts", () => {
    assert.equal(tryPlugin(spec("http-call", "cluster auth\ntick_ms 1"), deps()).problem, undefined);
  });

  test("ends with the start fuel", () => {
    const fuel = { perCallback: 1_000, start: 10_000_000, perCallbackName: "a", startName: "the key" };
    assert.match(tryPlugin(spec("loops", "configure", { fuel }), deps()).problem ?? "", /out_of_fuel.*the key/);
  });
});

suite("PluginWorkshop", () => {
  function workshop(t: TestContext, deadlineMs?: number): { made: PluginWorkshop; lines: string[] } {
    const lines: string[] = [];
    const write = (_fields: object, message: string): void => void lines.push(message);
    const log = { trace: write, debug: write, info: write, warn: write, error: write, critical: write };
    const made = new PluginWorkshop({
      environment: {},
      settings: () => ({ "outrigger.wasm.plugin.p.start_fuel": deadlineMs === undefined ? 1e9 : 0 }),
      log: log as unknown as ConstructorParameters<typeof PluginWorkshop>[0]["log"],
      sharedData: createSharedMemory(),
      node: { id: "", cluster: "", metadata: {}, locality: { region: "", zone: "", subZone: "" } } as unknown as never,
      nodeBytes: new Uint8Array(),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
    t.after(() => made.close());
    return { made, lines };
  }
  const plugin = (configuration: string): PluginConfig =>
    ({
      name: "p",
      rootId: "",
      vmId: "",
      vmConfiguration: new Uint8Array(),
      configuration: Buffer.from(configuration),
      failurePolicy: "closed",
      hostEnvironmentKeys: [],
      environment: {},
    }) as unknown as PluginConfig;

  test("makes a module from bytes, tries more plugins with it, and keeps its thread when one does not start", async (t) => {
    const { made, lines } = workshop(t);
    const [first, second] = await Promise.all([
      made.make(plugin("fine"), bytesOf("refuse"), {}),
      made.make(plugin("refuse this"), bytesOf("refuse"), {}),
    ]);
    assert.ok(first.ok);
    assert.equal(second.ok, false);
    assert.ok(second.module !== undefined, "the module is good");
    assert.match(second.problem, /proxy_on_configure/);
    assert.deepEqual(lines, ["plugin configuration refused: refuse this"]);
    assert.ok((await made.make(plugin("also fine"), first.module, {})).ok);
    const bad = await made.make(plugin("fine"), new Uint8Array([1, 2, 3, 4]), {});
    assert.deepEqual([bad.ok, bad.module], [false, undefined]);
  });

  test("ends a start that nothing else ends, and goes on with the next", async (t) => {
    const { made } = workshop(t, 2500);
    const endless = await made.make(plugin("configure"), bytesOf("loops"), { metering: false });
    assert.deepEqual(endless, { ok: false, problem: "it did not start within 2.5 s", module: undefined });
    assert.ok((await made.make(plugin("fine"), bytesOf("loops"), {})).ok);
  });
});
