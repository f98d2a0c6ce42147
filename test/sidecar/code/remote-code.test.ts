import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { FetchedCode, RemotePluginCode } from "../../../sidecar/code/code-fetch.ts";
import { RemoteCode } from "../../../sidecar/code/remote-code.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";

const GOOD: FetchedCode = { ok: true, bytes: Buffer.from("module") };
const BAD: FetchedCode = { ok: false, problem: "away", isFinal: false };
const FINAL: FetchedCode = { ok: false, problem: "no scheme", isFinal: true };

function code(sha256: string, parts: Partial<RemotePluginCode> = {}): RemotePluginCode {
  const rest = { timeoutMs: 1_000, retries: 1, retryBaseMs: 100, retryMaxMs: 250 };
  return { kind: "remote", uri: `http://a/${sha256}`, cluster: "c", sha256, ...rest, ...parts };
}

/** A cache over answers that are given one after the other; the last again and again. */
function setUp(answers: readonly FetchedCode[], onDisk?: FetchedCode) {
  const stats = new StatsTable({ onDefine: () => undefined });
  const seen = { fetches: 0, delays: [] as number[], now: 0 };
  const remote = new RemoteCode({
    stats,
    fetch: (_, attempt, signal) => {
      assert.equal(signal.aborted, false);
      const answer = answers[Math.min(seen.fetches++, answers.length - 1)];
      return answer === undefined ? Promise.reject(new Error(`attempt ${attempt}`)) : Promise.resolve(answer);
    },
    cached: () => Promise.resolve(onDisk),
    deadlineMs: () => 60_000,
    now: () => seen.now,
    random: () => 0.5,
    delay: (ms) => {
      seen.delays.push(ms);
      return Promise.resolve();
    },
  });
  const count = (name: string): number => stats.counter(`wasm.remote_load_${name}`).value + 0;
  return { remote, seen, stats, count };
}

suite("RemoteCode", () => {
  test("fetches equal code once, wherever it comes from, and then has it at once", async () => {
    const { remote, seen, count, stats } = setUp([GOOD]);
    const [first, second] = [remote.poll(code("a"), true), remote.poll(code("a", { uri: "oci://b/c" }), true)];
    assert.ok(first instanceof Promise && second instanceof Promise);
    assert.deepEqual(await Promise.all([first, second]), [GOOD, GOOD]);
    assert.deepEqual(remote.poll(code("a"), true), GOOD);
    assert.equal(seen.fetches, 1);
    assert.deepEqual(
      ["cache_misses", "cache_hits", "cache_negative_hits", "fetch_successes", "fetch_failures"].map(count),
      [2, 1, 0, 1, 0],
    );
    assert.equal(stats.gauge("wasm.remote_load_cache_entries").value, 1);
  });

  test("tries again as often as the policy says, later and later", async () => {
    const { remote, seen, count } = setUp([BAD]);
    assert.deepEqual(await remote.poll(code("a", { retries: 4 }), true), BAD);
    assert.equal(seen.fetches, 5);
    assert.deepEqual(seen.delays, [50, 100, 125, 125], "half of 100, 200, 250, 250");
    assert.deepEqual([count("fetch_successes"), count("fetch_failures")], [0, 1]);
  });

  test("stops trying when it succeeds, and when trying makes no sense", async () => {
    const good = setUp([BAD, GOOD]);
    assert.deepEqual(await good.remote.poll(code("a", { retries: 9 }), true), GOOD);
    assert.equal(good.seen.fetches, 2);
    const final = setUp([FINAL]);
    assert.deepEqual(await final.remote.poll(code("a", { retries: 9 }), true), FINAL);
    assert.equal(final.seen.fetches, 1);
  });

  test("remembers a failure for ten seconds", async () => {
    const { remote, seen, count } = setUp([BAD, GOOD]);
    await remote.poll(code("a", { retries: 0 }), true);
    seen.now = 9_999;
    assert.deepEqual(remote.poll(code("a"), true), BAD);
    assert.equal(count("cache_negative_hits"), 1);
    seen.now = 10_000;
    assert.deepEqual(await remote.poll(code("a"), true), GOOD);
    assert.equal(seen.fetches, 2);
  });

  test("counts one and the same configuration once", async () => {
    const { remote, count } = setUp([GOOD]);
    await remote.poll(code("a"), true);
    await remote.poll(code("a"), false);
    assert.deepEqual([count("cache_misses"), count("cache_hits")], [1, 0]);
  });

  test("forgets what nobody has used for a day", async () => {
    const { remote, seen, stats } = setUp([GOOD]);
    await remote.poll(code("a"), true);
    seen.now = 24 * 3_600_000 + 1;
    await remote.poll(code("b"), true);
    assert.equal(stats.gauge("wasm.remote_load_cache_entries").value, 1);
    assert.ok(remote.poll(code("a"), true) instanceof Promise);
  });

  test("keeps a bounded number of entries", async () => {
    const { remote, stats } = setUp([GOOD]);
    for (let i = 0; i < 300; i++) {
      await remote.poll(code(String(i)), true);
    }
    assert.equal(stats.gauge("wasm.remote_load_cache_entries").value, 256);
    assert.ok(remote.poll(code("299"), true) instanceof Promise === false, "the newest stay");
  });

  test("keeps a bounded number of bytes, and the newest in any case", async () => {
    const large: FetchedCode = { ok: true, bytes: new Uint8Array(100 * 1024 * 1024) };
    const { remote } = setUp([large]);
    await remote.poll(code("a"), true);
    await remote.poll(code("b"), true);
    assert.equal(remote.poll(code("b"), true), large);
    assert.ok(remote.poll(code("a"), true) instanceof Promise);
  });

  test("peek() finds what is in memory or on disk, and fetches nothing", async () => {
    const empty = setUp([GOOD]);
    assert.equal(await empty.remote.peek(code("a")), undefined);
    assert.equal(empty.seen.fetches, 0);
    const disk = setUp([BAD], GOOD);
    assert.deepEqual(await disk.remote.peek(code("a")), GOOD);
    assert.deepEqual(disk.remote.poll(code("a"), true), GOOD);
    assert.equal(disk.seen.fetches, 0);
  });

  test("does not ask the network for what is on disk", async () => {
    const { remote, seen, count } = setUp([BAD], GOOD);
    assert.deepEqual(await remote.poll(code("a"), true), GOOD);
    assert.deepEqual([seen.fetches, count("fetch_successes")], [0, 0]);
  });
});
