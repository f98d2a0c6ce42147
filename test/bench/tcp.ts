/**
 * CPU time of the TCP proxy for each GiB, each round trip of a small message, and each connection, beside Envoy's with the same
 * bootstrap and HAProxy's. Rounds are interleaved; the load and the origin are in this process.
 * Run: node test/bench/tcp.ts [--mib 512] [--rounds 3] [--plugin]   (with a plugin that does nothing: ours and Envoy only)
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bootstrap, cluster } from "../support/bootstrap-builder.ts";
import { findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { freePort } from "../support/sidecar-story.ts";
import { plugin, tcp } from "../support/tcp-plugins.ts";
import { findProgram, start, stopAll } from "./child.ts";
import { cpuSpent, cpuTimes } from "./machine.ts";

const { values } = parseArgs({
  options: {
    mib: { type: "string", default: "512" },
    rounds: { type: "string", default: "3" },
    plugin: { type: "boolean", default: false },
  },
});
const MIB = Number(values.mib);
const CHUNK = Buffer.alloc(256 * 1024, "x");
const CONNECTIONS = 50;
const ROUND_TRIPS = 400;
const CONNECTS = 2_000;

interface Subject {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
}

/** Echoes what begins with `e`, swallows what begins with `x` and answers with one byte at its end. */
const origin = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let isEcho: boolean | undefined = undefined;
  socket.on("data", (chunk: Buffer) => {
    isEcho ??= chunk[0] === "e".charCodeAt(0);
    if (isEcho) {
      socket.write(chunk);
    }
  });
  socket.on("end", () => socket.end("."));
  socket.on("error", () => socket.destroy());
});

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

async function stream(port: number): Promise<number> {
  const socket = await open(port);
  for (let sent = 0; sent < MIB * 1024 * 1024; sent += CHUNK.length) {
    if (!socket.write(CHUNK)) {
      await once(socket, "drain");
    }
  }
  socket.end();
  socket.resume();
  await once(socket, "close");
  return MIB / 1024;
}

async function pingPong(port: number): Promise<number> {
  const message = Buffer.alloc(64, "e");
  const one = async (): Promise<void> => {
    const socket = await open(port);
    for (let trip = 0; trip < ROUND_TRIPS; trip++) {
      socket.write(message);
      await once(socket, "data");
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
  return CONNECTIONS * ROUND_TRIPS;
}

async function connects(port: number): Promise<number> {
  const one = async (): Promise<void> => {
    for (let made = 0; made < CONNECTS / CONNECTIONS; made++) {
      const socket = await open(port);
      socket.end("x");
      socket.resume();
      await once(socket, "close");
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
  return CONNECTS;
}

const WORK = [
  ["ms/GiB", 1e6, stream],
  ["µs/round trip", 1e3, pingPong],
  ["µs/connection", 1e3, connects],
] as const;

async function haproxy(originPort: number, folder: string): Promise<Subject | undefined> {
  const program = await findProgram("haproxy");
  if (program === undefined || values.plugin) {
    return undefined;
  }
  const port = await freePort();
  const file = join(folder, "haproxy.cfg");
  const lines = [
    "global\n  nbthread 1",
    "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1h\n  timeout server 1h",
    `listen bench\n  bind 127.0.0.1:${port}\n  server origin 127.0.0.1:${originPort}\n`,
  ];
  writeFileSync(file, lines.join("\n"));
  const child = await start("haproxy", 0, [program, "-f", file]);
  for (;;) {
    try {
      (await open(port)).destroy();
      return { name: "haproxy", pid: child.pid, port };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

origin.listen(0, "127.0.0.1");
await once(origin, "listening");
const originPort = (origin.address() as AddressInfo).port;
const filters = values.plugin ? [plugin("nothing", "tcp")] : [];
const config = bootstrap({ listeners: [tcp("bench", ...filters)], clusters: [cluster("up", [originPort])] });
const folder = mkdtempSync(join(tmpdir(), "outrigger-bench-tcp-"));
const envoy = findEnvoy();
const proxies = [await ProxyProcess.start(undefined, config)];
if (envoy !== undefined) {
  proxies.push(await ProxyProcess.start(envoy, config));
}
const other = await haproxy(originPort, folder);
const subjects: Subject[] = [
  ...proxies.map((proxy) => ({
    name: proxy.isEnvoy ? "envoy" : "outrigger",
    pid: proxy.pid,
    port: proxy.port("bench"),
  })),
  ...(other === undefined ? [] : [other]),
];
for (const [unit, scale, work] of WORK) {
  const results = new Map<string, number[]>();
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const { name, pid, port } of subjects) {
      const before = cpuTimes(pid);
      const done = await work(port);
      const spent = cpuSpent(before, cpuTimes(pid)) / scale / done;
      // The first round warms up.
      if (round > 0) {
        results.set(name, [...(results.get(name) ?? []), spent]);
      }
    }
  }
  const row = [...results].map(([name, all]) => `${name} ${median(all).toFixed(1)}`);
  console.log(`${unit.padEnd(14)} ${row.join("   ")}`);
}
for (const proxy of proxies) {
  await proxy[Symbol.asyncDispose]();
}
await stopAll();
rmSync(folder, { recursive: true });
origin.close();
process.exit(0);
