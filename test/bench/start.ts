// How long a start takes: from `run` to the first 200 of /ready, with a static configuration and the tiny Rust plugin, the CPU that it
// took on all threads, and the memory after it.
//
//   node test/bench/start.ts [--rounds 10] [FOLDER …]
//
// A folder holds ./outrigger: this tree (the default), or an npm package (node_modules/outrigger of a folder where the packed file was
// installed: `npm pack`, then `npm i --ignore-scripts FILE`). All take turns in each round, after one start each that fills the
// compile cache. The process says in its log when it is ready; only then is it asked, so asking costs it nothing.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { median } from "./report.ts";

const TREE = resolve(import.meta.dirname, "../..");
const PLUGIN = join(TREE, "plugins/examples/rust/plugin.wasm");
const LONGEST_START_MS = 60_000;
/** /proc counts processor time in these. */
const TICK_MS = 10;
const LOOPBACK = "{ socket_address: { address: 127.0.0.1, port_value: 0 } }";

const BOOTSTRAP = `
admin: { address: ${LOOPBACK} }
static_resources:
  listeners:
    - name: main
      address: ${LOOPBACK}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: main
                route_config:
                  virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: app } }] }]
                http_filters:
                  - name: tiny
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: tiny
                        vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: "${PLUGIN}" } } }
                        configuration:
                          "@type": type.googleapis.com/google.protobuf.StringValue
                          value: '{"headers":[{"name":"X","value":"Y"}]}'
                  - name: router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
    - name: app
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: app
        endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9 } } } }] }]
`;

interface Start {
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly residentMib: number;
  /** Without what is mapped from files, most of it Node.js itself: how much of that counts depends on the page cache. */
  readonly ownMib: number;
}

async function measure(root: string, folder: string): Promise<Start> {
  const config = join(folder, "bootstrap.yaml");
  const adminFile = join(folder, "admin");
  writeFileSync(config, BOOTSTRAP);
  const flags = ["run", "-c", config, "--concurrency", "1", "--admin-address-path", adminFile];
  const startedAt = performance.now();
  const child = spawn(join(root, "outrigger"), flags, { stdio: ["ignore", "ignore", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), LONGEST_START_MS);
  try {
    await readyLine(child);
    await askReady(readFileSync(adminFile, "utf8"));
    const readyMs = performance.now() - startedAt;
    return { readyMs, ...usageOf(child.pid ?? 0) };
  } finally {
    clearTimeout(timer);
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
}

/** Throws what the process wrote when it ends before. */
async function readyLine(child: ChildProcess): Promise<void> {
  const seen: string[] = [];
  if (child.stderr !== null) {
    for await (const line of createInterface({ input: child.stderr })) {
      seen.push(line);
      if (line.includes('"message":"ready"')) {
        // Nobody reads on; the pipe must not fill.
        child.stderr.resume();
        return;
      }
    }
  }
  throw new Error(`it did not get ready:\n${seen.join("\n")}`);
}

async function askReady(address: string): Promise<void> {
  const [host = "", port = ""] = address.trim().split(":");
  const socket = connect(Number(port), host);
  socket.end(`GET /ready HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  const [head] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  if (!head.toString("latin1").startsWith("HTTP/1.1 200")) {
    throw new Error(`it said that it is ready, and then ${head.toString("latin1")}`);
  }
}

/** CPU of all threads, those that ended and the launcher's programs too. */
function usageOf(pid: number): Omit<Start, "readyMs"> {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ").slice(11, 15).map(Number) ?? [];
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) / 1024;
  return {
    cpuMs: fields.reduce((sum, ticks) => sum + ticks, 0) * TICK_MS,
    residentMib: mib("VmRSS"),
    ownMib: mib("RssAnon"),
  };
}

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "10" } },
  allowPositionals: true,
});
const roots = positionals.length === 0 ? [TREE] : positionals.map((root) => resolve(root));
const results = new Map<string, Start[]>(roots.map((root) => [root, []]));
const folder = mkdtempSync(join(tmpdir(), "outrigger-start-"));
try {
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [root, starts] of results) {
      const start = await measure(root, folder);
      if (round > 0) starts.push(start);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log("ready ms (least)   CPU ms (least)   RSS MiB   own MiB   folder");
for (const [root, starts] of results) {
  const ready = starts.map(({ readyMs }) => readyMs);
  const cpu = starts.map(({ cpuMs }) => cpuMs);
  const columns = [
    `${median(ready).toFixed(0)} (${Math.min(...ready).toFixed(0)})`.padEnd(18),
    `${median(cpu).toFixed(0)} (${Math.min(...cpu).toFixed(0)})`.padEnd(16),
    median(starts.map(({ residentMib }) => residentMib))
      .toFixed(1)
      .padEnd(9),
    median(starts.map(({ ownMib }) => ownMib))
      .toFixed(1)
      .padEnd(9),
  ];
  console.log(`${columns.join(" ")} ${root}`);
}
