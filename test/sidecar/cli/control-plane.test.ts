// The verb `control-plane`: what it prints and how it ends, with a real client on a real port.

import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { runControlPlane } from "../../../sidecar/cli/control/control-plane.ts";
import { CLUSTER_TYPE } from "../../../xds/type-urls.ts";
import { EventLog } from "../../support/events.ts";
import { startClient } from "../../support/xds-client.ts";
import { adsBootstrap } from "../../support/xds-resources.ts";

type Run = { lines: EventLog<string>; stop: () => void; done: Promise<number> };

function run(t: TestContext, ...argv: string[]): Run {
  const lines = new EventLog<string>();
  const stop = new AbortController();
  const print = (text: string) => lines.push(text.trimEnd());
  const io = { out: print, err: print, env: {}, stop: stop.signal, kill: stop.signal };
  t.after(() => stop.abort("SIGTERM"));
  return { lines, stop: () => stop.abort("SIGTERM"), done: runControlPlane(argv, io) };
}

async function temporaryFile(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "control-plane-"));
  t.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "resources.yaml");
  await writeFile(file, text);
  return file;
}

const cluster = (name: string, extra = "") => `- "@type": ${CLUSTER_TYPE}
  name: ${name}
  connect_timeout: 1s
  type: STATIC
  ${extra}
`;

async function portOf(started: Run): Promise<number> {
  const line = await started.lines.first("listening line", (text) => text.includes("listening on"));
  const [, port] = /listening on 127\.0\.0\.1:(\d+)/.exec(line) ?? [];
  return Number(port);
}

test("control-plane serves a file, follows it, and refuses a bad version", async (t) => {
  const file = await temporaryFile(t, cluster("a"));
  const started = run(t, "-f", file, "--port", "0");
  const { client, until } = startClient(adsBootstrap(await portOf(started), "DELTA_GRPC"));
  t.after(() => client.close());
  await until("a", ({ clusters }) => clusters.has("a"));
  await started.lines.first("client", (text) =>
    /test-node 127\.0\.0\.1:\d+ connected \(delta, cluster "test-cluster"/.test(text),
  );
  await started.lines.first("ACK", (text) => /CDS [0-9a-f]{16} acknowledged/.test(text));

  await writeFile(file, cluster("a") + cluster("b"));
  await until("b", ({ clusters }) => clusters.has("b"));
  await started.lines.first("change", (text) => text.endsWith('resources.yaml changed: added Cluster "b"'));
  await started.lines.first("push", (text) => text.endsWith(" sent: 1 resource"));

  await writeFile(file, cluster("a") + cluster("c", "no_such_field: 1"));
  const refused = await started.lines.first("refusal", (text) => text.includes("is refused"));
  assert.match(refused, /resources\.yaml:10:3: .*no_such_field/);
  assert.ok(client.snapshot.clusters.has("b"));

  // As editors do: another file is moved into place.
  await writeFile(`${file}.new`, cluster("a") + cluster("d"));
  await rename(`${file}.new`, file);
  await until("d without b", ({ clusters }) => clusters.has("d") && !clusters.has("b"));
  await started.lines.first("removal", (text) => text.endsWith('added Cluster "d", removed Cluster "b"'));

  started.stop();
  assert.equal(await started.done, 0);
});

test("control-plane says what is wrong with a file at the start and ends with 1", async (t) => {
  const file = await temporaryFile(t, cluster("a", "no_such_field: 1"));
  const started = run(t, "-f", file, "--port", "0");
  assert.equal(await started.done, 1);
  assert.match(started.lines.all.join("\n"), /resources\.yaml:5:3: .*no_such_field/);
  assert.equal(await run(t, "-f", `${file}.missing`).done, 1);
});

test("control-plane names the flag for a port that is taken and ends with 1", async (t) => {
  const file = await temporaryFile(t, cluster("a"));
  const port = await portOf(run(t, "-f", file, "--port", "0"));
  const second = run(t, "-f", file, "--port", String(port), "--admin-port", "0");
  assert.equal(await second.done, 1);
  assert.match(second.lines.all.join("\n"), /port is taken; choose another with --port/);
});

test("control-plane ends with 2 on wrong usage", async (t) => {
  for (const argv of [[], ["--port", "1"], ["-f", "x", "--port", "70000"], ["-f", "x", "extra"], ["--nope"]]) {
    assert.equal(await run(t, ...argv).done, 2, argv.join(" "));
  }
});

test("control-plane listens on an address that is not loopback only with TLS, or when told to", async (t) => {
  const file = await temporaryFile(t, cluster("a"));
  const refused = run(t, "-f", file, "--port", "0", "--address", "0.0.0.0");
  assert.equal(await refused.done, 2);
  assert.match(refused.lines.all.join("\n"), /give --tls-cert and --tls-key, or --allow-plaintext/);
  const allowed = run(t, "-f", file, "--port", "0", "--address", "0.0.0.0", "--allow-plaintext");
  await allowed.lines.first("warning", (line) =>
    line.startsWith("Warning: 0.0.0.0 is not loopback and there is no TLS"),
  );
  for (const argv of [
    ["--tls-cert", "x"],
    ["--tls-client-ca", "x"],
    ["--allow-spiffe-id", "spiffe://a/b"],
    ["--canary", "10,5"],
    ["--admin-port", "70000"],
  ]) {
    assert.equal(await run(t, "-f", file, ...argv).done, 2, argv.join(" "));
  }
  const unreadable = run(t, "-f", file, "--port", "0", "--tls-cert", "/no/cert", "--tls-key", "/no/key");
  assert.equal(await unreadable.done, 1);
  assert.match(unreadable.lines.all.join("\n"), /\/no\/cert: cannot be read/);
});
