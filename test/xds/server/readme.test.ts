// The example of xds/server/README.md does what it says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const ROOT = join(import.meta.dirname, "../../..");

test("the example of xds/server/README.md runs", async () => {
  const readme = readFileSync(join(ROOT, "xds/server/README.md"), "utf8");
  const [, code = ""] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  assert.match(code, /createControlPlane/);
  const flags = ["--input-type=module-typescript", "--disable-warning=ExperimentalWarning"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "-e", code], {
    cwd: ROOT,
    timeout: 60_000,
  });
  assert.match(stdout, /^sidecars connect to port \d+\n\[ 'removed everywhere' \]\nserving\n/);
  assert.match(stdout, /\{\n {2}id: 3,[^}]*origin: 'rollback to 1',[^}]*state: 'serving',/);
});
