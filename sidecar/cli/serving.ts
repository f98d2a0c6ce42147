// What the verb `run` does while the workers' threads load their code: a good bootstrap becomes a sidecar, until a signal or /quitquitquit ends it.
// Exit codes: 0 a clean stop, 1 a configuration or start-up error with every problem printed, 2 wrong usage.

import { openAdmin } from "../admin-state.ts";
import type { PodServer } from "../pod/pod-server.ts";
import { Supervisor } from "../supervisor.ts";
import { type Log, parseComponentLevels, parseLogLevel } from "../telemetry/log-level.ts";
import { RootLog } from "../telemetry/log.ts";
import { VERSION } from "../version.ts";
import type { WorkerThreads } from "../worker-threads.ts";
import type { RunOptions } from "./run-flags.ts";
import { describeLocated, environmentOf, type GoodBootstrap } from "./usable-bootstrap.ts";
import { placed } from "./validate.ts";
import { type CliIo, wrongUsage } from "./verb.ts";

/** Called once the sidecar has started (it may still wait for its control plane). */
export type OnStarted = (supervisor: Supervisor) => void;

/** Runs until the end: its exit code. */
export async function serveUntilTheEnd(
  options: RunOptions,
  io: CliIo,
  loaded: GoodBootstrap,
  threads: WorkerThreads,
  onStarted?: OnStarted,
): Promise<number> {
  const log = openLog(options);
  if (typeof log === "string") {
    io.err(`outrigger run: ${log}\n`);
    return 1;
  }
  const components = parseComponentLevels(options.componentLogLevel);
  if (components.problems.length > 0) {
    return wrongUsage(io, "run", `--component-log-level: ${components.problems.join("; ")}`);
  }
  components.levels.forEach((level, component) => log.setLevel(component, level));
  for (const warning of loaded.warnings) {
    log.warn({ at: describeLocated(warning) }, "configuration accepted with a remark");
  }
  if (options.inert.length > 0) {
    log.info({ flags: options.inert }, "flags of Envoy without a meaning here are ignored");
  }
  const supervisor = new Supervisor({
    options,
    bootstrap: loaded.value,
    log,
    environment: environmentOf(io),
    version: VERSION,
    openAdmin,
    threads,
  });
  const problems = await supervisor.start();
  if (problems.length > 0) {
    return failed(supervisor, await placed(problems, loaded, io), io);
  }
  const pod = await openPod(supervisor, options);
  if (typeof pod === "string") {
    return failed(supervisor, [`outrigger: ${pod}`], io);
  }
  io.onReopen?.(() => supervisor.reopenLogs());
  // As Envoy: whoever sends it wants the configuration read again, and that happens by itself.
  io.onHangup?.(() =>
    log.warn({}, "SIGHUP is ignored: files of resources are read again when they are moved into place"),
  );
  onStarted?.(supervisor);
  const why = await untilTheEnd(supervisor, io, log);
  await pod?.close();
  return typeof why === "number" ? why : failed(supervisor, await placed(why, loaded, io), io);
}

/** A text says why it cannot be opened. */
function openLog({ logLevel, logFormat, logPath }: RunOptions): RootLog | string {
  try {
    return new RootLog({ level: parseLogLevel(logLevel) ?? "info", format: logFormat, path: logPath });
  } catch (error) {
    return `--log-path ${logPath}: cannot be opened for writing: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The ports that a pod asks at; loaded only where there are any. */
async function openPod(supervisor: Supervisor, options: RunOptions): Promise<PodServer | string | undefined> {
  if (options.statusPort === 0 && options.healthPort === 0 && !options.exitWithApplication) {
    return undefined;
  }
  const { openPodServer, watchApplication } = await import("../pod-services.ts");
  if (options.exitWithApplication) {
    watchApplication(supervisor);
  }
  return openPodServer(supervisor, options);
}

/** The exit code of a clean stop, or the problems of a static listener that no worker could bring up. */
async function untilTheEnd(supervisor: Supervisor, io: CliIo, log: Log): Promise<number | readonly string[]> {
  const signal = Promise.withResolvers<string>();
  io.stop.addEventListener("abort", () => signal.resolve(String(io.stop.reason)));
  if (io.stop.aborted) {
    signal.resolve(String(io.stop.reason));
  }
  const why = await Promise.race([signal.promise, supervisor.quitAsked.then(() => "quitquitquit"), supervisor.fatal]);
  if (typeof why !== "string") {
    return why;
  }
  log.info({ why }, "draining");
  const cut = await supervisor.drain(io.kill);
  await supervisor.stop();
  log.info({ cut }, cut === 0 ? "stopped" : "stopped; requests in flight were cut");
  return 0;
}

async function failed(supervisor: Supervisor, lines: readonly string[], io: CliIo): Promise<number> {
  for (const line of lines) {
    io.err(`${line}\n`);
  }
  await supervisor.stop();
  return 1;
}
