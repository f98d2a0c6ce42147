// The verb run, up to where a start is none: a bootstrap that is wrong starts no thread of a worker.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runVerb } from "../../../sidecar/cli/run.ts";

for (const [what, text, problem] of [
  ["is no YAML", "a: [", /b\.yaml:1:\d+: not valid YAML/],
  ["has a mistake", "static_resources: { clusters: [{ nam: a }] }", /clusters\[0\]\.nam: unknown field/],
  [
    "names a file that is not there",
    `static_resources: { clusters: [{ name: a, transport_socket: { name: t, typed_config: {
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext,
      common_tls_context: { validation_context: { trusted_ca: { filename: /nowhere/ca.pem } } } } } }] }`,
    /trusted_ca\.filename: "\/nowhere\/ca\.pem"/,
  ],
] as const) {
  test(`a bootstrap that ${what} ends run without a worker`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "outrigger-run-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "b.yaml");
    writeFileSync(path, text);
    let workers = 0;
    const count = () => {
      workers += 1;
    };
    process.on("worker", count);
    t.after(() => process.off("worker", count));
    let printed = "";
    const { signal } = new AbortController();
    const io = {
      out: () => {},
      err: (line: string) => {
        printed += line;
      },
      env: {},
      stop: signal,
      kill: signal,
    };
    assert.equal(await runVerb.run(["-c", path, "--concurrency", "2"], io), 1);
    assert.match(printed, problem);
    assert.equal(workers, 0);
  });
}
