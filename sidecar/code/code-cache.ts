// Fetched bytes on disk, by their sha256, so that a restart needs no registry, and metered code, by what it was made of and with
// (plugins/plugin-module.ts, meteredKey), so that a restart need not rewrite it. Several processes may share the folder: a file is
// written beside and renamed into place, it is checked when it is read, and what another process took away is a miss.
// Bounded: the least recently used files go first. Called by remote-code.ts; a folder that cannot be written turns it off.

import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../folders.ts";
import type { Counter, Gauge, StatsScope } from "../stats/scope.ts";

export interface CodeCacheOptions {
  /** Empty: no cache. */
  readonly folder: string;
  readonly maxBytes: number;
  readonly stats: StatsScope;
  /** Called once, when the folder turns out to be of no use. */
  readonly onUnusable: (problem: string) => void;
}

const FILE = /^[0-9a-f]{64}$/;
/** Metered code with the sha256 of it at its end: its name does not tell its content. */
const METERED = /^[0-9a-f]{64}\.metered$/;
const TEMPORARY = /^\.[0-9a-f]{64}(\.metered)?\.[0-9a-f-]{36}$/;
const DIGEST_BYTES = 32;
/** A temporary file of a process that died. */
const STALE_MS = 3_600_000;

export class CodeCache {
  readonly #options: CodeCacheOptions;
  readonly #counters: Readonly<
    Record<"hits" | "misses" | "corrupt" | "evictions" | "metered_hits" | "metered_misses", Counter>
  >;
  readonly #bytes: Gauge;
  #isOff: boolean;
  #tidying: Promise<void> | undefined = undefined;

  constructor(options: CodeCacheOptions) {
    this.#options = options;
    this.#isOff = options.folder === "";
    const counter = (name: string): Counter => options.stats.counter(`outrigger_wasm_code_cache_${name}_total`);
    this.#counters = {
      hits: counter("hits"),
      misses: counter("misses"),
      corrupt: counter("corrupt"),
      evictions: counter("evictions"),
      metered_hits: counter("metered_hits"),
      metered_misses: counter("metered_misses"),
    };
    this.#bytes = options.stats.gauge("outrigger_wasm_code_cache_bytes");
  }

  /** The bytes with this sha256 (64 hexadecimal digits), read and checked; undefined when they are not there. Never rejects. */
  async read(sha256: string): Promise<Uint8Array | undefined> {
    if (this.#isOff || !FILE.test(sha256)) {
      return undefined;
    }
    const bytes = await this.#readFile(sha256, (content) => (sha256Of(content) === sha256 ? content : undefined));
    this.#counters[bytes === undefined ? "misses" : "hits"].inc();
    return bytes;
  }

  /** Keeps `bytes`, whose sha256 the caller has checked. Never rejects. */
  async write(sha256: string, bytes: Uint8Array): Promise<void> {
    await this.#writeFile(sha256, [bytes]);
  }

  /** The metered code that was kept under this key (64 hexadecimal digits), undamaged. Never rejects. */
  async readMetered(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#isOff) {
      return undefined;
    }
    const code = await this.#readFile(`${key}.metered`, (content) => {
      const end = Math.max(0, content.length - DIGEST_BYTES);
      const body = content.subarray(0, end);
      return content.subarray(end).equals(createHash("sha256").update(body).digest()) ? body : undefined;
    });
    this.#counters[code === undefined ? "metered_misses" : "metered_hits"].inc();
    return code;
  }

  /** Keeps metered code. Never rejects. */
  async writeMetered(key: string, code: Uint8Array): Promise<void> {
    await this.#writeFile(`${key}.metered`, [code, createHash("sha256").update(code).digest()]);
  }

  /** What `check` makes of the file; a file that it does not believe is removed. */
  async #readFile<T>(name: string, check: (content: Buffer<ArrayBuffer>) => T | undefined): Promise<T | undefined> {
    const path = join(this.#options.folder, name);
    const content = await readFile(path).catch(() => undefined);
    if (content === undefined) {
      return undefined;
    }
    const checked = check(content);
    if (checked === undefined) {
      this.#counters.corrupt.inc();
      await rm(path, { force: true }).catch(() => undefined);
      return undefined;
    }
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined);
    return checked;
  }

  async #writeFile(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const { folder, maxBytes } = this.#options;
    if (this.#isOff || parts.reduce((sum, { length }) => sum + length, 0) > maxBytes) {
      return;
    }
    const temporary = join(folder, `.${name}.${randomUUID()}`);
    try {
      await makeFolder(folder, 0o700);
      await writeFile(temporary, parts, { mode: 0o600, flag: "wx" });
      await rename(temporary, join(folder, name));
    } catch (error) {
      this.#isOff = true;
      await rm(temporary, { force: true }).catch(() => undefined);
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      this.#options.onUnusable(`Cannot keep plugin modules in "${folder}": ${code}`);
      return;
    }
    await this.#tidy();
  }

  /** One at a time: two that run at once would count what the other takes away. */
  async #tidy(): Promise<void> {
    while (this.#tidying !== undefined) {
      await this.#tidying;
    }
    this.#tidying = this.#evict().catch(() => undefined);
    await this.#tidying;
    this.#tidying = undefined;
  }

  async #evict(): Promise<void> {
    const { folder, maxBytes } = this.#options;
    const files: { path: string; size: number; usedAt: number }[] = [];
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const found = isKept(name) || TEMPORARY.test(name) ? await stat(path).catch(() => undefined) : undefined;
      if (found === undefined || !found.isFile()) {
        continue;
      }
      if (isKept(name)) {
        files.push({ path, size: found.size, usedAt: found.mtimeMs });
      } else if (Date.now() - found.mtimeMs > STALE_MS) {
        await rm(path, { force: true });
      }
    }
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files.toSorted((a, b) => a.usedAt - b.usedAt)) {
      if (total <= maxBytes) {
        break;
      }
      await rm(path, { force: true });
      this.#counters.evictions.inc();
      total -= size;
    }
    this.#bytes.set(total);
  }
}

function isKept(name: string): boolean {
  return FILE.test(name) || METERED.test(name);
}

/** 64 hexadecimal digits. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
