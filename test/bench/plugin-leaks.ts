/**
 * Many requests through plugins that call out, pause and buffer: does anything stay behind? Each request is a POST that one plugin
 * pauses until a call has been answered and another holds until its body is whole; the response's body is held too. After each
 * part of the run: resident memory, and what the plugins say of their VMs, contexts and memory.
 * Run: node test/bench/plugin-leaks.ts [--requests 1000000] [--parts 10] [--connections 50]
 * Exit code 1 when a request failed, a context stayed, or memory grew by more than a tenth after the first part.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { findProgram, stopAll } from "./child.ts";
import { runLoad } from "./load.ts";
import { residentMib } from "./machine.ts";
import { startOrigin } from "./origin.ts";
import { freePorts, LOAD_CORE } from "./variants.ts";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "1000000" },
    parts: { type: "string", default: "10" },
    connections: { type: "string", default: "50" },
  },
});
const parts = Number(values.parts);
const perPart = Math.ceil(Number(values.requests) / parts);
const ALLOWED_GROWTH = 1.1;
const BODY = "x".repeat(1000);

interface PluginView {
  readonly name: string;
  readonly vms: number;
  readonly memory_bytes: number;
  readonly callbacks: readonly { readonly callback: string; readonly calls: number }[];
}

/** Contexts that were created and not deleted; the root's is one of them. */
function contextsOf(plugin: PluginView): number {
  const calls = (name: string): number => plugin.callbacks.find(({ callback }) => callback === name)?.calls ?? 0;
  return calls("proxy_on_context_create") - calls("proxy_on_delete");
}

const folder = mkdtempSync(join(tmpdir(), "outrigger-leaks-"));
const [originPort = 0, callPort = 0] = await freePorts(2);
const nginx = (await findProgram("nginx")) ?? (existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : undefined);
await startOrigin(LOAD_CORE, folder, { origin: originPort, collector: callPort }, nginx);
const sidecar = await SidecarProcess.start(
  bootstrap({
    listeners: [
      listener("in", {
        filters: [
          wasmFilter("calls", guest("http-call"), "cluster auth"),
          wasmFilter("buffers", guest("body-buffer"), "request append !\nresponse append !"),
        ],
      }),
    ],
    clusters: [cluster("origin", [originPort]), cluster("auth", [callPort])],
  }),
  { args: ["-l", "warning"] },
);

let isBad = false;
let first = 0;
let last = 0;
for (let part = 1; part <= parts; part++) {
  const load = await runLoad({
    port: sidecar.port("in"),
    connections: Number(values.connections),
    requests: perPart,
    method: "POST",
    body: BODY,
  });
  const { plugins } = await sidecar.adminJson<{ plugins: readonly PluginView[] }>("/plugins");
  last = residentMib(sidecar.pid);
  first ||= last;
  isBad ||= load.errors > 0 || plugins.some((each) => contextsOf(each) > 1 || each.vms > 1);
  const views = plugins.map(
    (each) => `${each.name}: ${contextsOf(each)} context, ${each.vms} VM of ${each.memory_bytes / 1024} KiB`,
  );
  console.log(
    `${part * perPart} requests, ${load.errors} failed${load.errors > 0 ? ` (${JSON.stringify(load.problems)})` : ""}, ${Math.round(load.requestsPerSecond)}/s, ` +
      `RSS ${last.toFixed(1)} MiB; ${views.join("; ")}`,
  );
}
if (isBad || last > first * ALLOWED_GROWTH) {
  process.exitCode = 1;
}
await sidecar[Symbol.asyncDispose]();
await stopAll();
rmSync(folder, { recursive: true, force: true });
