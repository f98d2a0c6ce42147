import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { CodeResult } from "../../../sidecar/code/code-loader.ts";
import { CodeWarming } from "../../../sidecar/code/code-warming.ts";
import type { PluginCode, PluginConfig } from "../../../xds/model/plugin-config.ts";

const FAILED: CodeResult = { ok: false, problem: "away" };

/** `polls` are answered one after the other. */
function setUp(...polls: (CodeResult | Promise<CodeResult>)[]) {
  const seen = { changes: 0, delays: [] as number[], run: [] as (() => void)[], cancelled: 0 };
  const warming = new CodeWarming({
    code: { poll: () => polls.shift() ?? FAILED, environmentOf: () => ({}) },
    onChanged: () => seen.changes++,
    schedule: (ms, run) => {
      seen.delays.push(ms);
      seen.run.push(run);
      return () => seen.cancelled++;
    },
  });
  return { warming, seen };
}

function plugin(kind: "file" | "remote"): PluginConfig {
  const code = kind === "file" ? { kind, path: "x" } : { kind, uri: "http://a/b" };
  return { name: "p", code: code as PluginCode, environment: { A: "b" } } as unknown as PluginConfig;
}

suite("CodeWarming", () => {
  test("does not wait for remote code, and tells once when it is worth asking again", async () => {
    const { promise, resolve } = Promise.withResolvers<CodeResult>();
    const { warming, seen } = setUp(promise, promise);
    const config = plugin("remote");
    assert.deepEqual(
      [await warming.prepare(config), await warming.prepare(config)],
      [{ kind: "warming" }, { kind: "warming" }],
    );
    assert.equal(seen.changes, 0);
    resolve(FAILED);
    await new Promise(setImmediate);
    assert.equal(seen.changes, 1);
  });

  test("waits for local code, which has no stand-in", async () => {
    const { warming } = setUp(Promise.resolve(FAILED));
    assert.deepEqual(await warming.prepare(plugin("file")), { kind: "failed", problem: "away", standIn: undefined });
  });

  test("has a stand-in for remote code that cannot be had", async () => {
    const { warming } = setUp(FAILED);
    const prepared = await warming.prepare(plugin("remote"));
    assert.deepEqual(prepared.kind === "failed" ? [prepared.standIn?.code, prepared.standIn?.environment] : [], [
      { kind: "missing", problem: "away" },
      {},
    ]);
  });

  test("takes a plugin that comes without code as it is: Istio's agent could not have it", async () => {
    const { warming, seen } = setUp();
    const config = { ...plugin("file"), code: { kind: "missing", problem: "not in the registry" } } as const;
    assert.deepEqual(await warming.prepare(config), {
      kind: "failed",
      problem: "not in the registry",
      standIn: config,
    });
    warming.settled();
    assert.deepEqual(seen.delays, []);
  });

  test("tries what failed again, later and later up to five minutes, one timer at a time", async () => {
    const { warming, seen } = setUp();
    for (let i = 0; i < 7; i++) {
      for (const _publication of [1, 2]) {
        await warming.prepare(plugin("remote"));
        warming.settled();
      }
      seen.run[i]?.();
    }
    assert.deepEqual(seen.delays, [10_500, 21_000, 42_000, 84_000, 168_000, 300_000, 300_000]);
    assert.equal(seen.changes, 7);
  });

  test("begins with the short time again, and no timer is left, once nothing fails", async () => {
    const { warming, seen } = setUp();
    await warming.prepare(plugin("remote"));
    warming.settled();
    warming.settled();
    assert.equal(seen.cancelled, 1);
    await warming.prepare(plugin("remote"));
    warming.settled();
    assert.deepEqual(seen.delays, [10_500, 10_500]);
  });
});
