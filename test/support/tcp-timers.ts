// Which timer the kernel runs for a TCP connection: Linux's /proc/net/tcp.

import { readFileSync } from "node:fs";

/** The kernel's `tr` of the connection to a port of 127.0.0.1: 2 is keep-alive; undefined when there is no such connection. */
export function timerOfConnectionTo(port: number): number | undefined {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n")) {
    const [, , to, state, , timer] = line.trim().split(/\s+/);
    if (to === remote && state === "01") return Number.parseInt(timer?.split(":")[0] ?? "", 16);
  }
  return undefined;
}

export const KEEP_ALIVE_TIMER = 2;
