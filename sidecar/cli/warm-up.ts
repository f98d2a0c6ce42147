// The verb `warm-up`: starts a small sidecar (warm-up-bootstrap.ts), so that the program is in the compile cache, and ends.
// A start that finds the cache filled is quicker, and smaller by 40 MB: it need not load what strips types. The launcher
// runs this verb before the first start; an image runs it when it is built.

import { warmUpBootstrap } from "../warm-up-bootstrap.ts";
import { serve } from "./run.ts";
import { parseRunOptions } from "./run-flags.ts";
import { type CliIo, type VerbAction, wrongUsage } from "./verb.ts";

const POLL_MS = 10;
/** It ends then, with what is in the cache; nothing depends on it. */
const DEADLINE_MS = 20_000;

export const warmUpVerb: VerbAction = {
  words: {},
  help: () =>
    "outrigger warm-up\n\nFills the compile cache in $NODE_COMPILE_CACHE (default ~/.cache/outrigger) and ends. It has no flags.\n",
  run: async (argv, io) => {
    if (argv.length > 0) {
      return wrongUsage(io, "warm-up", `unexpected argument "${argv[0]}"`);
    }
    const parsed = parseRunOptions(["--config-yaml", warmUpBootstrap(), "--concurrency", "1", "--log-level", "off"]);
    if (!parsed.ok) {
      return wrongUsage(io, "warm-up", parsed.problem);
    }
    // What a sidecar loads only when its configuration asks for it.
    await Promise.all([
      import("../../xds/ads-stream.ts"),
      import("../../xds/server/control-plane.ts"),
      import("./control/control-plane.ts"),
      import("../telemetry/tracing.ts"),
    ]);
    const stop = new AbortController();
    const ended: CliIo = { ...io, stop: AbortSignal.any([io.stop, stop.signal, AbortSignal.timeout(DEADLINE_MS)]) };
    return serve(parsed.options, ended, (supervisor) => {
      const timer = setInterval(() => {
        if (supervisor.state === "LIVE") {
          clearInterval(timer);
          stop.abort("done");
        }
      }, POLL_MS);
    });
  },
};
