// A process namespace that a pod's containers share, as files: who counts as the application, and when it is gone.

import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ApplicationWatch } from "../../../sidecar/pod/application-watch.ts";
import { folderWith } from "../../support/launcher.ts";

test("ApplicationWatch tells when processes of other containers were there and are gone", (t) => {
  const proc = folderWith(t, { uptime: "1" });
  const put = (pid: string, comm: string, group: string, state = "S (sleeping)"): void => {
    mkdirSync(join(proc, pid), { recursive: true });
    writeFileSync(join(proc, pid, "comm"), `${comm}\n`);
    writeFileSync(join(proc, pid, "cgroup"), `0::/${group}\n`);
    writeFileSync(join(proc, pid, "status"), `Name:\t${comm}\nState:\t${state}\n`);
  };
  const end = (pid: string): void => rmSync(join(proc, pid), { recursive: true });
  let gone = 0;
  let seen = 0;
  const watch = new ApplicationWatch(
    () => seen++,
    () => gone++,
    proc,
  );
  const look = (times: number): void => {
    for (let i = 0; i < times; i++) {
      watch.look();
    }
  };
  put("self", "node", "");
  put("1", "pause", "../pause");
  put("7", "node", "");
  put("9", "sh", "");
  look(5);
  assert.equal(gone, 0, "an application that has not come yet is not gone");
  // It is listed in its parent's group, and joins its own a moment later.
  put("20", "job", "");
  look(2);
  assert.equal(seen, 0);
  put("20", "job", "../app");
  look(1);
  assert.equal(seen, 1);
  put("21", "helper", "../app");
  look(3);
  end("20");
  look(3);
  assert.equal(gone, 0, "one is left");
  end("21");
  look(1);
  put("22", "job-step-2", "../app");
  look(1);
  assert.equal(gone, 0, "the next step began in time");
  put("22", "job-step-2", "../app", "Z (zombie)");
  look(1);
  assert.equal(gone, 0);
  look(4);
  assert.equal(gone, 1);
});

test("ApplicationWatch sees an application that is there for a moment only", async (t) => {
  const proc = folderWith(t, { uptime: "1" });
  const put = (pid: string, group: string): void => {
    mkdirSync(join(proc, pid), { recursive: true });
    writeFileSync(join(proc, pid, "comm"), "x\n");
    writeFileSync(join(proc, pid, "status"), "State:\tS (sleeping)\n");
    writeFileSync(join(proc, pid, "cgroup"), `0::/${group}\n`);
  };
  put("self", "");
  put("7", "");
  const gone = Promise.withResolvers<void>();
  const watch = new ApplicationWatch(() => {}, gone.resolve, proc);
  t.after(() => watch.stop());
  watch.start();
  put("20", "../app");
  // The timer of the watch does not keep the process alive.
  const alive = setTimeout(() => rmSync(join(proc, "20"), { recursive: true }), 300);
  const end = setTimeout(() => gone.reject(new Error("never seen")), 10_000);
  await gone.promise;
  clearTimeout(alive);
  clearTimeout(end);
});
