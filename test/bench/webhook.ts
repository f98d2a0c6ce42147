/**
 * How long the API server waits for the webhook: `outrigger webhook` as a process, reviews of every pod of pod-shapes.ts over TLS on
 * connections that are kept, each with one review under way at a time: one connection, then four that are always busy. Prints the
 * percentiles of the waits and the process's CPU time for each review. The first second, in which the code is compiled, has a line of its own.
 * Run: node test/bench/webhook.ts [--seconds 5]; exit code 1 when the aim is missed. NODE_OPTIONS="--cpu-prof …" goes to the webhook too.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { Launched } from "../support/launcher.ts";
import { ANNOTATIONS, SKIPS } from "../sidecar/inject/pod-choices.ts";
import { CONTAINERS, KINDS, PROBES } from "../sidecar/inject/pod-shapes.ts";
import { POD, podReview } from "../sidecar/webhook/review.ts";
import { ResponseReader } from "./response-reader.ts";
import { cpuSpent, cpuTimes } from "./machine.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "5" } },
});
const SECONDS = Number(values.seconds);
/** What the API server may wait, of one connection and of four. */
const AIM_P99_MS = 10;

/** A pod of a shape, with everything that the API server has put into pods when it asks. */
function podOf(yaml: string): unknown {
  const walk = (value: unknown): Record<string, unknown> | undefined => {
    if (typeof value !== "object" || value === null) {
      return undefined;
    }
    const object = value as Record<string, unknown>;
    const { spec } = object;
    return typeof spec === "object" && spec !== null && "containers" in spec
      ? object
      : Object.values(object)
          .map(walk)
          .find((each) => each !== undefined);
  };
  const { metadata, spec } = walk(parse(yaml)) as { metadata: object; spec: { containers: object[] } };
  const containers = spec.containers.map((container) => ({ ...POD.spec.containers[0], ...container }));
  return { metadata: { ...POD.metadata, ...metadata }, spec: { ...POD.spec, ...spec, containers } };
}

const REQUESTS: readonly Buffer[] = [...KINDS, ...CONTAINERS, ...PROBES, ...ANNOTATIONS, ...SKIPS].map(({ yaml }) => {
  const body = JSON.stringify(podReview({ object: podOf(yaml) }));
  return Buffer.from(
    `POST /inject?timeout=10s HTTP/1.1\r\nhost: outrigger-webhook.outrigger-system.svc:443\r\nuser-agent: kube-apiserver-admission\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\naccept: application/json, */*\r\ncontent-type: application/json\r\n\r\n${body}`,
  );
});

interface Target {
  readonly port: number;
  readonly ca: string;
  readonly pid: number;
}

/** Sends the reviews in turn, the next when the one before is answered, until the time is over; resolves with the waits in milliseconds. */
function busy(socket: TLSSocket, from: number, untilMs: number): Promise<number[]> {
  const waits: number[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<number[]>();
  let next = from;
  let began = 0;
  const send = (): void => {
    began = performance.now();
    socket.write(REQUESTS[next++ % REQUESTS.length] ?? "");
  };
  const reader = new ResponseReader(({ status }) => {
    const now = performance.now();
    waits.push(now - began);
    if (status !== 200) {
      reject(new Error(`answered ${status}`));
    } else if (now < untilMs) {
      send();
    } else {
      resolve(waits);
    }
  }, false);
  socket.on("data", (chunk: Buffer) => reader.push(chunk));
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("the webhook closed the connection")));
  send();
  return promise;
}

function open(port: number, ca: string): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({ host: "127.0.0.1", port, ca, servername: "localhost", minVersion: "TLSv1.2" });
  socket.setNoDelay(true);
  socket.once("error", reject);
  socket.once("secureConnect", () => resolve(socket));
  return promise;
}

interface Load {
  readonly name: string;
  readonly connections: number;
  readonly seconds: number;
}

/** Prints what the load saw; its p99 in milliseconds. */
async function measure({ port, ca, pid }: Target, { name, connections, seconds }: Load): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port, ca)));
  const before = cpuTimes(pid);
  const began = performance.now();
  const untilMs = began + seconds * 1_000;
  const all = await Promise.all(sockets.map((socket, index) => busy(socket, index * 7, untilMs)));
  const tookMs = performance.now() - began;
  const cpu = cpuSpent(before, cpuTimes(pid));
  sockets.forEach((socket) => socket.removeAllListeners("close").destroy());
  const waits = all.flat().toSorted((a, b) => a - b);
  const at = (part: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * part))] ?? 0;
  console.log(
    `${name}: ${((waits.length / tookMs) * 1_000).toFixed(0)} reviews/s, p50 ${at(0.5).toFixed(2)} ms, ` +
      `p99 ${at(0.99).toFixed(2)} ms, p99.9 ${at(0.999).toFixed(2)} ms, longest ${at(1).toFixed(1)} ms; ` +
      `CPU ${(cpu / 1e6 / waits.length).toFixed(3)} ms a review`,
  );
  return at(0.99);
}

const folder = mkdtempSync(join(tmpdir(), "outrigger-bench-"));
const child = spawn(
  join(import.meta.dirname, "../../outrigger"),
  ["webhook", "--port=0", "--metrics-port=0", "--address=127.0.0.1", "--drain-time-s=0", `--cert-dir=${folder}`],
  { stdio: ["ignore", "pipe", "pipe"] },
);
const webhook = new Launched(child);
const line = await webhook.stderr.first("serving", (text) => text.includes('"serving"'));
const { port } = JSON.parse(line) as { port: number };
const target = { port, pid: child.pid ?? 0, ca: readFileSync(join(folder, "ca.crt"), "utf8") };
await measure(target, { name: "one connection, just started", connections: 1, seconds: 1 });
const one = await measure(target, { name: "one connection", connections: 1, seconds: SECONDS });
const four = await measure(target, { name: "four busy", connections: 4, seconds: SECONDS });
if (one > AIM_P99_MS || four > AIM_P99_MS) {
  process.exitCode = 1;
}
await webhook.end();
rmSync(folder, { recursive: true, force: true });
