/**
 * What the kernel knows: CPU time of a process tree with all its threads, its memory, how busy a core was, and what
 * machine this is. Linux only; everything is read from /proc.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";

/** Process ids of a process and of all its descendants that live now. */
function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(
      read(`/proc/${name}/stat`)
        ?.replace(/^.*\) . /s, "")
        .split(" ")[0],
    );
    if (Number.isNaN(parent)) continue;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [pid]);
    else siblings.push(pid);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** CPU time in nanoseconds by thread, of all threads of a process tree (`/proc/PID/task/TID/schedstat`). */
export type CpuTimes = ReadonlyMap<string, number>;

export function cpuTimes(root: number): CpuTimes {
  const times = new Map<string, number>();
  for (const pid of processTree(root)) {
    let threads: string[] = [];
    try {
      threads = readdirSync(`/proc/${pid}/task`);
    } catch {
      continue;
    }
    for (const thread of threads) {
      const spent = Number(read(`/proc/${pid}/task/${thread}/schedstat`)?.split(" ")[0]);
      if (!Number.isNaN(spent)) times.set(`${pid}/${thread}`, spent);
    }
  }
  return times;
}

/** Nanoseconds of CPU spent between two looks. A thread that ended in between is not in it. */
export function cpuSpent(before: CpuTimes, after: CpuTimes): number {
  let spent = 0;
  for (const [thread, time] of after) spent += time - (before.get(thread) ?? 0);
  return spent;
}

/** Resident memory of a process tree, in MiB. Pages that processes share count once for each. */
export function residentMib(root: number): number {
  let kib = 0;
  for (const pid of processTree(root)) {
    kib += Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? 0);
  }
  return kib / 1024;
}

/** The most resident memory that a process has had since its start, or since resetPeak, in MiB. */
export function peakResidentMib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? 0) / 1024;
}

/** Lets the peak of a process of the same user begin again at what it has now. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** Busy time of one core since boot, in nanoseconds (ticks of 10 ms). */
export function coreBusy(core: number): number {
  const line =
    new RegExp(`^cpu${core} (.*)$`, "m")
      .exec(read("/proc/stat") ?? "")?.[1]
      ?.split(" ")
      .map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line;
  return (user + nice + system + irq + softirq + steal) * 1e7;
}

export interface MachineInfo {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly loadAverage: readonly number[];
}

export function machineInfo(): MachineInfo {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.cpus().length,
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    node: process.version,
    loadAverage: os.loadavg().map((load) => Number(load.toFixed(2))),
  };
}
