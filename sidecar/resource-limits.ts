// What the container may use, and what follows from it: how many data workers, and how large the heap of each may get. Without this a pod with half a
// CPU on a node with 64 would start 64 workers, and their heaps together would be let grow until the kernel ends the process. A worker that
// meets its own limit is ended alone, counted and started again. Control groups of version 2 and 1; Node's own figure does not know quotas of version 1.

import { readFileSync } from "node:fs";

export interface ResourceLimits {
  /** CPUs, with fractions; undefined: no limit. */
  readonly cpus: number | undefined;
  readonly memoryBytes: number | undefined;
}

const MIB = 1_048_576;
const ROOT = "/sys/fs/cgroup";
/** Code, the main thread, and what is shared; measured after a start. */
const BASE_MIB = 64;
/** What a worker needs besides its heap grows with plugins and connections; with less than this for each there are fewer of them. */
const LEAST_WORKER_MIB = 32;
/** Of what is left, the part for heaps: buffers, plugins' memories and machine code are outside. */
const HEAP_SHARE = 0.6;
const LEAST_HEAP_MIB = 32;

/** `read` gives a file's text, or undefined when it is not there. */
export function resourceLimits(read: (path: string) => string | undefined = readText): ResourceLimits {
  const groups = groupPaths(read("/proc/self/cgroup") ?? "");
  const cpus: number[] = [];
  const memory: number[] = [];
  for (const at of ancestors(groups.get("") ?? "")) {
    const [quota = "", period = ""] = (read(`${ROOT}${at}/cpu.max`) ?? "").trim().split(" ");
    cpus.push(Number(quota) / Number(period));
    memory.push(numberOf(read(`${ROOT}${at}/memory.max`)));
  }
  // In a container the group's own path is not there: the mount begins at it.
  for (const at of ancestors(groups.get("cpu") ?? "")) {
    const [quota, period] = ["quota", "period"].map((what) => numberOf(read(`${ROOT}/cpu${at}/cpu.cfs_${what}_us`)));
    cpus.push((quota ?? Number.NaN) / (period ?? Number.NaN));
  }
  for (const at of ancestors(groups.get("memory") ?? "")) {
    memory.push(numberOf(read(`${ROOT}/memory${at}/memory.limit_in_bytes`)));
  }
  return {
    cpus: least(cpus),
    // Version 1 says "no limit" with a number near 2^63.
    memoryBytes: least(memory.filter((bytes) => bytes < 2 ** 53)),
  };
}

/** Data workers where the command line says no number; at least 1. */
export function workersFor({ cpus, memoryBytes }: ResourceLimits, processors: number): number {
  const byCpu = cpus === undefined ? processors : Math.min(processors, Math.ceil(cpus));
  const byMemory = memoryBytes === undefined ? byCpu : Math.floor((memoryBytes / MIB - BASE_MIB) / LEAST_WORKER_MIB);
  return Math.max(1, Math.min(byCpu, byMemory));
}

/** The old generation of each worker's heap, in MiB; undefined: V8's own limit is fine. */
export function workerHeapMib({ memoryBytes }: ResourceLimits, workers: number): number | undefined {
  return memoryBytes === undefined
    ? undefined
    : Math.max(LEAST_HEAP_MIB, Math.floor(((memoryBytes / MIB - BASE_MIB) * HEAP_SHARE) / workers));
}

/** Controller → path; version 2 has one group, under "". */
function groupPaths(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const controller of controllers?.split(",") ?? []) {
      paths.set(controller, path ?? "");
    }
  }
  return paths;
}

/** `/a/b` → `/a/b`, `/a`, ``: each may limit what is below it. */
function ancestors(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return [...parts.map((_, index) => `/${parts.slice(0, parts.length - index).join("/")}`), ""];
}

/** "max", or a file that is not there: NaN. */
function numberOf(text: string | undefined): number {
  return text === undefined ? Number.NaN : Number(text);
}

function least(values: readonly number[]): number | undefined {
  const real = values.filter((value) => Number.isFinite(value) && value > 0);
  return real.length === 0 ? undefined : Math.min(...real);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
