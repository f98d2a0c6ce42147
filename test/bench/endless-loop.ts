/**
 * A plugin that loops for ever in one request a second, while others run through the same plugin on the same worker: how long the
 * looping request waits for its answer, and what the others feel of it. First without loops, then with.
 * Run: node test/bench/endless-loop.ts [--seconds 10] [--rate 2000]
 * Exit code 1 when another request failed, a looping one was not answered with 503, or the others' p99 rose by more than 60 ms.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setInterval } from "node:timers";
import { parseArgs } from "node:util";

import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { findProgram, stopAll } from "./child.ts";
import { runLoad, type LoadResult } from "./load.ts";
import { startOrigin } from "./origin.ts";
import { freePorts, LOAD_CORE } from "./variants.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "10" }, rate: { type: "string", default: "2000" } },
});
const ALLOWED_RISE_MS = 60;
const PATHS = ["/loop", "/loop-body", "/loop-response", "/loop-host"] as const;

const folder = mkdtempSync(join(tmpdir(), "outrigger-loop-"));
const [originPort = 0, unusedPort = 0] = await freePorts(2);
const nginx = (await findProgram("nginx")) ?? (existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : undefined);
await startOrigin(LOAD_CORE, folder, { origin: originPort, collector: unusedPort }, nginx);
const sidecar = await SidecarProcess.start(
  bootstrap({
    runtime: { "outrigger.wasm.max_faults": 1_000_000 },
    listeners: [listener("in", { filters: [wasmFilter("loops", guest("loops"))] })],
    clusters: [cluster("origin", [originPort])],
  }),
  { args: ["-l", "off"] },
);

const others = (): Promise<LoadResult> =>
  runLoad({
    port: sidecar.port("in"),
    connections: 50,
    seconds: Number(values.seconds),
    rate: Number(values.rate),
    expectHeader: "x-guest: loops",
  });

const waits: { readonly path: string; readonly status: number; readonly ms: number }[] = [];
async function loop(path: string): Promise<void> {
  const start = performance.now();
  const answer = await fetch(sidecar.url("in", path), { method: "POST", body: "body" });
  await answer.text();
  waits.push({ path, status: answer.status, ms: performance.now() - start });
}

await others();
const before = await others();
let next = 0;
const timer = setInterval(() => void loop(PATHS[next++ % PATHS.length] ?? ""), 1000);
const during = await others();
clearInterval(timer);

const describe = (name: string, load: LoadResult): string =>
  `${name}: ${load.requests} requests, ${load.errors} failed, p50 ${load.p50Ms.toFixed(2)} ms, p99 ${load.p99Ms.toFixed(1)} ms, max ${load.maxMs.toFixed(0)} ms`;
console.log(describe("without loops", before));
console.log(describe("with loops", during));
for (const { path, status, ms } of waits) {
  console.log(`  ${path} answered ${status} after ${ms.toFixed(0)} ms`);
}
const isWrong = waits.length === 0 || waits.some(({ status }) => status !== 503);
if (isWrong || during.errors > 0 || during.p99Ms - before.p99Ms > ALLOWED_RISE_MS) {
  process.exitCode = 1;
}
await sidecar[Symbol.asyncDispose]();
await stopAll();
rmSync(folder, { recursive: true, force: true });
