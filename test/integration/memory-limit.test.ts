// A container with a memory limit, as a control group: a data worker whose heap grows without end is ended at its share of the limit, alone, before
// the kernel ends the process, and another one takes its place.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const HOARDER = join(import.meta.dirname, "../support/worker-hoarder.ts");
const LIMIT_MIB = 160;
/** Version 1, and version 2 where the controller is given to groups of the root. */
const ROOTS = [
  { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes" },
  { root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak" },
];

interface Group {
  readonly path: string;
  readonly root: string;
  readonly peak: string;
}

/** A group with the limit; undefined: none can be made here. */
function makeGroup(): Group | undefined {
  for (const { root, limit, peak } of ROOTS) {
    const path = join(root, `outrigger-limit-${process.pid}`);
    try {
      mkdirSync(path);
    } catch {
      continue;
    }
    try {
      writeFileSync(join(path, limit), String(LIMIT_MIB * 1_048_576), { flag: "r+" });
      return { path, root, peak };
    } catch {
      rmdirSync(path);
    }
  }
  return undefined;
}

const group = makeGroup();
const skip = group === undefined ? "missing here: a control group of memory that can be made (root)" : false;

test("a worker that fills its heap is replaced within the container's memory", { skip, timeout: 60_000 }, async (t) => {
  assert.ok(group !== undefined);
  t.after(() =>
    until(
      "an empty group",
      () => rmdirSync(group.path),
      () => true,
    ),
  );
  await using upstream = await FakeUpstream.start({ respond: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" });
  const groupOf = (pid: number, path: string): void => writeFileSync(join(path, "cgroup.procs"), String(pid));
  // The sidecar begins in the group of whoever starts it.
  groupOf(process.pid, group.path);
  const starting = SidecarProcess.start(
    bootstrap({ listeners: [listener("in")], clusters: [cluster("origin", [upstream.port])] }),
    { env: { NODE_OPTIONS: `--import=${HOARDER}` } },
  );
  groupOf(process.pid, group.root);
  await using sidecar = await starting;
  assert.equal((await fetch(sidecar.url("in"))).status, 200);
  for (let restarts = 1; restarts <= 2; restarts++) {
    sidecar.signal("SIGUSR2");
    await sidecar.untilStat("server.worker_restarts", restarts);
    await until(
      "an answer of the next worker",
      () =>
        fetch(sidecar.url("in")).then(
          ({ status }) => status,
          () => 0,
        ),
      (status) => status === 200,
    );
  }
  const reasons = sidecar.logEntries.filter(({ message }) => /ended unexpectedly/.test(String(message)));
  assert.equal(reasons.length, 2, sidecar.log);
  assert.ok(
    reasons.every(({ reason }) => /memory limit/.test(String(reason))),
    JSON.stringify(reasons),
  );
  const peakMib = Number(readFileSync(join(group.path, group.peak), "utf8")) / 1_048_576;
  t.diagnostic(`at most ${peakMib.toFixed(0)} of ${LIMIT_MIB} MiB`);
});
