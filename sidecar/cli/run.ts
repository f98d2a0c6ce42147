// The verb `run`: a sidecar from an Envoy bootstrap, until a signal or /quitquitquit ends it. When the bootstrap is known to be good, it
// starts the data workers' threads and loads the rest of the program (serving.ts) while they load theirs.

import { WorkerThreads } from "../worker-threads.ts";
import { parseRunOptions, RUN_FLAGS, RUN_FLAGS_HELP, type RunOptions } from "./run-flags.ts";
import type { OnStarted } from "./serving.ts";
import { usableBootstrap } from "./usable-bootstrap.ts";
import { type CliIo, type VerbAction, wrongUsage } from "./verb.ts";

export const runVerb: VerbAction = {
  words: { flags: RUN_FLAGS },
  help: () =>
    `outrigger run -c FILE\n\nRuns the sidecar from an Envoy v3 bootstrap. Envoy's own flags work, with or without the verb.\n\nFlags:\n${RUN_FLAGS_HELP}`,
  run: async (argv, io) => {
    const parsed = parseRunOptions(argv);
    if (!parsed.ok) {
      return wrongUsage(io, "run", parsed.problem);
    }
    return parsed.options.mode === "validate"
      ? (await import("./validate.ts")).validate(parsed.options, io)
      : serve(parsed.options, io);
  },
};

/** Runs until the end: its exit code. */
export async function serve(options: RunOptions, io: CliIo, onStarted?: OnStarted): Promise<number> {
  const loaded = await usableBootstrap(options, io);
  if (typeof loaded === "number") {
    return loaded;
  }
  const threads = new WorkerThreads(options.concurrency, io.env["NODE_COMPILE_CACHE"]);
  threads.startAll();
  const { serveUntilTheEnd } = await import("./serving.ts");
  return serveUntilTheEnd(options, io, loaded, threads, onStarted);
}
