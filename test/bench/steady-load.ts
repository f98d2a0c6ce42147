// A load at a steady rate beside something else that a bench does: load.ts as a process of its own, until it is stopped.

import { join } from "node:path";

import { start } from "./child.ts";
import type { LoadResult } from "./load.ts";

export interface SteadyLoad {
  /** Ends it; its result. */
  stop(): Promise<LoadResult>;
}

/** The load client, until it is stopped: every response must come by a route that was pushed. */
export async function startLoad(port: number, rate: number): Promise<SteadyLoad> {
  const flags = ["--json", "--rate", String(rate), "--seconds", "600", "--expect-header", "x-version"];
  const script = join(import.meta.dirname, "load.ts");
  const child = await start("load", 1, [process.execPath, script, ...flags, `http://127.0.0.1:${port}/`]);
  let result: Promise<LoadResult> | undefined;
  return {
    stop: () => {
      if (result === undefined) {
        child.signal("SIGINT");
        result = child.result(15_000).then((text) => JSON.parse(text) as LoadResult);
      }
      return result;
    },
  };
}
