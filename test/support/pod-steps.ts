// A program for a network namespace: reads steps as JSON from stdin, runs the verb `iptables` or lines of sh in this process, and
// writes what came of each. One process for many steps, because starting one costs more than all that they do.

import { execFileSync } from "node:child_process";
import { text } from "node:stream/consumers";
import { runIptables } from "../../sidecar/cli/iptables/iptables.ts";
import type { Ran } from "./network-namespace.ts";

/** Arguments of `outrigger iptables`, or a script. */
export type PodStep = readonly string[] | string;

async function perform(step: PodStep): Promise<Ran> {
  if (typeof step === "string") {
    return { code: 0, stdout: execFileSync("sh", ["-e"], { input: step, encoding: "utf8" }), stderr: "" };
  }
  let stdout = "";
  let stderr = "";
  const { signal } = new AbortController();
  const code = await runIptables(step, {
    out: (words) => (stdout += words),
    err: (words) => (stderr += words),
    env: {},
    stop: signal,
    kill: signal,
    user: {
      uid: process.geteuid?.() ?? 0,
      become: (uid) => {
        process.seteuid?.(uid);
        return true;
      },
    },
  });
  return { code, stdout, stderr };
}

const results: Ran[] = [];
for (const step of JSON.parse(await text(process.stdin)) as readonly PodStep[]) {
  results.push(await perform(step));
}
process.stdout.write(JSON.stringify(results));
