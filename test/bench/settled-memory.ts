// What a sidecar keeps when it has had time to give memory back. Used by benches that look for growth.

import type { RunningSidecar } from "../support/sidecar-story.ts";

/** Resident memory in MiB when it no longer falls: the least of some moments. */
export async function settledRss(sidecar: RunningSidecar): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 6; i++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const memory = JSON.parse(await sidecar.text("/memory")) as { total_physical_bytes: string };
    least = Math.min(least, Number(memory.total_physical_bytes) / 2 ** 20);
  }
  return least;
}
