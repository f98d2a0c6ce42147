import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { decompress, isTar, readTarFile } from "../../../sidecar/code/archive.ts";
import { paxRecord, type TarEntry, tarArchive } from "../../support/tar-archive.ts";

const MODULE = Buffer.from("\0asm module");
const OTHER = Buffer.from("something else");

function read(entries: readonly TarEntry[], name: string | undefined = "plugin.wasm"): string {
  const found = readTarFile(tarArchive(entries), name);
  return found.ok ? Buffer.from(found.bytes).toString() : found.problem;
}

suite("readTarFile()", () => {
  const found: readonly [name: string, entries: readonly TarEntry[]][] = [
    ["alone", [{ name: "plugin.wasm", content: MODULE }]],
    [
      "with a leading ./",
      [
        { name: "./", type: "5" },
        { name: "./plugin.wasm", content: MODULE },
      ],
    ],
    [
      "after other files, a folder's own among them",
      [
        { name: "a", content: OTHER },
        { name: "d/plugin.wasm", content: OTHER },
        { name: "plugin.wasm", content: MODULE },
      ],
    ],
    [
      "named by a pax header",
      [
        { name: "p", type: "x", content: paxRecord("path", "plugin.wasm") },
        { name: "cut", content: MODULE },
      ],
    ],
    [
      "named by GNU tar",
      [
        { name: "././@LongLink", type: "L", content: Buffer.from("plugin.wasm\0") },
        { name: "cut", content: MODULE },
      ],
    ],
    [
      "after a global header",
      [
        { name: "g", type: "g", content: paxRecord("comment", "x") },
        { name: "plugin.wasm", content: MODULE },
      ],
    ],
    [
      "with times in a pax header",
      [
        { name: "p", type: "x", content: paxRecord("mtime", "1.5") },
        { name: "plugin.wasm", content: MODULE },
      ],
    ],
  ];
  for (const [name, entries] of found) {
    test(`finds plugin.wasm ${name}`, () => assert.equal(read(entries), MODULE.toString()));
  }

  test("takes the first regular file when none is named", () => {
    assert.equal(
      read(
        [
          { name: "d", type: "5" },
          { name: "x.wasm", content: MODULE },
        ],
        undefined,
      ),
      "the archive has no file plugin.wasm",
    );
    const archive = tarArchive([
      { name: "d", type: "5" },
      { name: "x.wasm", content: MODULE },
      { name: "y", content: OTHER },
    ]);
    const first = readTarFile(archive, undefined);
    assert.ok(first.ok);
    assert.equal(Buffer.from(first.bytes).toString(), MODULE.toString());
  });

  const refused: readonly [name: string, entries: readonly TarEntry[], problem: RegExp][] = [
    ["none of that name", [{ name: "other.wasm", content: MODULE }], /no file plugin.wasm/],
    ["one in a folder", [{ name: "plugin.wasm", prefix: "d", content: MODULE }], /no file plugin.wasm/],
    [
      "two of that name",
      [
        { name: "plugin.wasm", content: MODULE },
        { name: "./plugin.wasm", content: OTHER },
      ],
      /twice/,
    ],
    ["a link", [{ name: "plugin.wasm", type: "2" }], /no regular file/],
    ["a hard link", [{ name: "plugin.wasm", type: "1" }], /no regular file/],
    ["a way out", [{ name: "../plugin.wasm", content: MODULE }], /leads out/],
    ["an absolute name", [{ name: "/plugin.wasm", content: MODULE }], /absolute/],
    [
      "a way out in a pax header",
      [
        { name: "p", type: "x", content: paxRecord("path", "a/../../plugin.wasm") },
        { name: "plugin.wasm", content: MODULE },
      ],
      /leads out/,
    ],
    [
      "a size in a pax header",
      [
        { name: "p", type: "x", content: paxRecord("size", "3") },
        { name: "plugin.wasm", content: MODULE },
      ],
      /not understood/,
    ],
    [
      "a broken pax header",
      [
        { name: "p", type: "x", content: Buffer.from("99999 path=x") },
        { name: "plugin.wasm", content: MODULE },
      ],
      /not understood/,
    ],
    ["more content than there is", [{ name: "plugin.wasm", size: 1_000_000 }], /cut short/],
    ["too many entries", Array.from({ length: 4_097 }, () => ({ name: "a" })), /more than 4096/],
  ];
  for (const [name, entries, problem] of refused) {
    test(`refuses an archive with ${name}`, () => assert.match(read(entries), problem));
  }

  test("refuses a header whose checksum is wrong", () => {
    const archive = tarArchive([{ name: "plugin.wasm", content: MODULE }]);
    archive[0] = 0x51;
    assert.equal(isTar(archive), false);
    assert.deepEqual(readTarFile(archive, "plugin.wasm"), {
      ok: false,
      problem: "the archive is damaged or cut short",
    });
  });

  test("answers for any bytes, and for an archive with any byte changed", () => {
    const archive = tarArchive([
      { name: "p", type: "x", content: paxRecord("path", "plugin.wasm") },
      { name: "a", content: MODULE },
    ]);
    fc.assert(
      fc.property(fc.nat(archive.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(archive);
        changed[at] = byte;
        readTarFile(changed, "plugin.wasm");
        readTarFile(changed.subarray(0, at), undefined);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 1_200 }), (bytes) => void readTarFile(bytes, undefined)));
  });
});

suite("decompress()", () => {
  test("gives what was compressed", async () => {
    const result = await decompress(gzipSync(MODULE), 1_000);
    assert.ok(result.ok);
    assert.equal(Buffer.from(result.bytes).toString(), MODULE.toString());
  });

  test("ends a bomb at the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const before = process.memoryUsage().rss;
    assert.deepEqual(await decompress(bomb, 100_000), {
      ok: false,
      problem: "it decompresses to more than 100000 bytes",
    });
    assert.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024);
  });

  test("refuses damaged data", async () => {
    const damaged = gzipSync(MODULE);
    damaged.fill(0xff, 12);
    assert.deepEqual(await decompress(damaged, 1_000), { ok: false, problem: "its gzip data is damaged" });
  });
});
