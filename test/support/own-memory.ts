// How much memory a process holds, one measure for every test.

import { readFileSync } from "node:fs";

/** Bytes that a process holds of its own (Linux): what is read of its program's files is not growth. */
export function ownMemoryBytes(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}
