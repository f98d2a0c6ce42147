import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { CodeCache, sha256Of } from "../../../sidecar/code/code-cache.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";

const BYTES = Buffer.from("a module");
const DIGEST = sha256Of(BYTES);

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-cache-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function open(
  folder: string,
  maxBytes = 1_000,
): { cache: CodeCache; count: (name: string) => number; problems: string[] } {
  const stats = new StatsTable({ onDefine: () => undefined });
  const problems: string[] = [];
  const cache = new CodeCache({ folder, maxBytes, stats, onUnusable: (problem) => problems.push(problem) });
  return { cache, count: (name) => stats.counter(`outrigger_wasm_code_cache_${name}_total`).value, problems };
}

suite("CodeCache", () => {
  test("gives back what another process has kept", async (t) => {
    const folder = join(folderFor(t), "made", "on demand");
    const first = open(folder);
    assert.equal(await first.cache.read(DIGEST), undefined);
    await first.cache.write(DIGEST, BYTES);
    const second = open(folder);
    assert.deepEqual(Buffer.from((await second.cache.read(DIGEST)) ?? []), BYTES);
    assert.deepEqual([first.count("misses"), second.count("hits")], [1, 1]);
    assert.deepEqual(readdirSync(folder), [DIGEST], "nothing temporary is left");
  });

  test("does not believe a file whose content is another, and removes it", async (t) => {
    const folder = folderFor(t);
    writeFileSync(join(folder, DIGEST), "something else");
    const { cache, count } = open(folder);
    assert.equal(await cache.read(DIGEST), undefined);
    assert.deepEqual(readdirSync(folder), []);
    assert.equal(count("corrupt"), 1);
  });

  test("keeps metered code by what it was made of, and does not believe it when it is damaged", async (t) => {
    const folder = folderFor(t);
    await open(folder).cache.writeMetered(DIGEST, Buffer.from("rewritten"));
    const { cache, count } = open(folder);
    assert.equal(String(await cache.readMetered(DIGEST)), "rewritten");
    assert.equal(await cache.read(DIGEST), undefined, "it is not the module itself");
    for (const content of ["", "rewritten", "rewritten".padEnd(41, "x")]) {
      writeFileSync(join(folder, `${DIGEST}.metered`), content);
      assert.equal(await cache.readMetered(DIGEST), undefined, content);
      assert.deepEqual(readdirSync(folder), []);
    }
    assert.deepEqual([count("metered_hits"), count("metered_misses"), count("corrupt")], [1, 3, 3]);
  });

  test("counts metered code to its size", async (t) => {
    const folder = folderFor(t);
    const { cache, count } = open(folder, 100);
    await cache.writeMetered(DIGEST, Buffer.alloc(40));
    await cache.write(DIGEST, Buffer.alloc(40));
    assert.deepEqual([readdirSync(folder), count("evictions")], [[DIGEST], 1]);
  });

  test("many writers at once leave one whole file", async (t) => {
    const folder = folderFor(t);
    const caches = Array.from({ length: 8 }, () => open(folder).cache);
    await Promise.all(
      caches.flatMap((cache) => [cache.write(DIGEST, BYTES), cache.read(DIGEST), cache.write(DIGEST, BYTES)]),
    );
    assert.deepEqual(readdirSync(folder), [DIGEST]);
    assert.deepEqual(Buffer.from((await caches[0]?.read(DIGEST)) ?? []), BYTES);
  });

  test("lets the least recently used go when there is too much", async (t) => {
    const folder = folderFor(t);
    const { cache, count } = open(folder, 250);
    const files = ["a", "b", "c"].map((letter) => Buffer.alloc(100, letter));
    const [a, b, c] = files.map(sha256Of) as [string, string, string];
    await cache.write(a, files[0] as Buffer);
    await cache.write(b, files[1] as Buffer);
    utimesSync(join(folder, a), 1_000, 1_000);
    utimesSync(join(folder, b), 2_000, 2_000);
    await cache.read(a);
    await cache.write(c, files[2] as Buffer);
    assert.deepEqual(readdirSync(folder).toSorted(), [a, c].toSorted(), "b was used longest ago");
    assert.equal(count("evictions"), 1);
  });

  test("keeps nothing that is larger than the whole cache", async (t) => {
    const folder = folderFor(t);
    await open(folder, 3).cache.write(DIGEST, BYTES);
    assert.deepEqual(readdirSync(folder), []);
  });

  test("removes what a writer that died left, and nothing that is not its own", async (t) => {
    const folder = folderFor(t);
    const stale = `.${DIGEST}.00000000-0000-0000-0000-000000000000`;
    for (const name of [stale, "README"]) {
      writeFileSync(join(folder, name), "x");
      utimesSync(join(folder, name), 1_000, 1_000);
    }
    await open(folder).cache.write(DIGEST, BYTES);
    assert.deepEqual(readdirSync(folder).toSorted(), [DIGEST, "README"].toSorted());
  });

  test("is off after it could not write, and says so once", async (t) => {
    const file = join(folderFor(t), "file");
    writeFileSync(file, "");
    const { cache, problems } = open(join(file, "cache"));
    await cache.write(DIGEST, BYTES);
    await cache.write(DIGEST, BYTES);
    assert.equal(await cache.read(DIGEST), undefined);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /Cannot keep plugin modules in ".*cache": ENOTDIR/);
  });

  test("never reads a path that is no digest", async (t) => {
    const folder = folderFor(t);
    writeFileSync(join(folder, "x"), "x");
    assert.equal(await open(join(folder, "sub")).cache.read("../x"), undefined);
    assert.equal(await open("").cache.read(DIGEST), undefined);
  });
});
