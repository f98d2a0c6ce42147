// The verb `control-plane`: serves the resources of files and folders to sidecars, follows the files, and prints who is
// connected and what each client acknowledged or refused. The work is xds/server's; the admin port is sidecar/control's.

import { ServedFiles } from "../../../xds/server/served-files.ts";
import type { ControlPlane } from "../../../xds/server/index.ts";
import { isLoopbackHost } from "../../admin/foreign-request.ts";
import { describeChanges, describeEvent, summary } from "../../control/event-text.ts";
import { routesOf } from "../../control/rest-routes.ts";
import { RestServer } from "../../control/rest-server.ts";
import { canaryText } from "../../control/status-text.ts";
import { canaryStatus } from "../../control/status-view.ts";
import { printable } from "../../control/text-table.ts";
import { formatProblem } from "../../telemetry/format.ts";
import { CONTROL_PLANE_FLAGS, controlPlaneHelp, parseControlPlaneFlags } from "./control-plane-flags.ts";
import type { ControlPlaneSettings } from "./control-plane-flags.ts";
import { wrongUsage } from "../verb.ts";
import type { CliIo, VerbAction } from "../verb.ts";

export const CONTROL_PLANE: VerbAction = {
  words: { flags: CONTROL_PLANE_FLAGS },
  help: controlPlaneHelp,
  run: runControlPlane,
};

/** Serves until `io.stop` is aborted. Exit codes: 0 stopped, 1 bad file or port, 2 wrong usage. */
export async function runControlPlane(argv: readonly string[], io: CliIo): Promise<number> {
  const settings = parseControlPlaneFlags(argv);
  if (typeof settings === "string") return wrongUsage(io, "control-plane", settings);
  const { paths } = settings;
  // gRPC is not loaded for the other verbs.
  const { createControlPlane } = await import("../../../xds/server/control-plane.ts");
  const files = paths.join(", ");
  const how = settings.canary === undefined ? {} : { canary: settings.canary };
  const served = new ServedFiles({
    paths,
    formatProblem,
    onGroups: (groups) => {
      say(io, `${files} changed: ${describeChanges(serving, groups)}`);
      serving = groups;
      plane.push(groups, { origin: files, ...how });
    },
    onProblems: (problems) => {
      io.err(`${problems.join("\n")}\n${files} is refused, the last good version stays in force\n`);
    },
  });
  const first = served.open();
  if (!first.ok) {
    io.err(`${first.problems.join("\n")}\n`);
    return 1;
  }
  let serving = first.groups;
  const plane = createControlPlane({
    groups: first.groups,
    origin: files,
    ...(settings.allowSpiffeIds.length === 0 ? {} : { allowSpiffeIds: settings.allowSpiffeIds }),
    maxClients: settings.maxClients,
    onRollout: ({ id }, view) => say(io, canaryText(canaryStatus(id, view, Date.now()))),
    onEvent: settings.isQuiet ? () => {} : (event) => say(io, describeEvent(event)),
  });
  try {
    return await serve(plane, settings, io, `serving ${files}: ${summary(first.groups)}`);
  } finally {
    served.close();
    plane.close();
  }
}

async function serve(plane: ControlPlane, settings: ControlPlaneSettings, io: CliIo, what: string): Promise<number> {
  const { address, port, tls, admin } = settings;
  let isReady = false;
  const routes = routesOf({
    plane,
    formatProblem,
    canary: settings.canary,
    onChange: ({ id, origin, state }) => say(io, `release ${id} (${printable(origin)}) is ${state}`),
    startedAt: Date.now(),
    now: Date.now,
    isReady: () => isReady,
  });
  const onError = (problem: string) => io.err(`admin: ${problem}\n`);
  const rest = new RestServer({ routes, allowRemoteChanges: admin.allowChanges, onError });
  try {
    const adminPort = await rest.listen(admin.address, admin.port);
    if (typeof adminPort === "string") {
      const where = `${admin.address}:${admin.port}`;
      io.err(
        `Cannot listen on ${where} for status: ${adminPort}; choose another with --admin-port or --admin-address\n`,
      );
      return 1;
    }
    const onTlsProblem = (problem: string) => io.err(`${problem}; the certificates before stay in use\n`);
    const bound = await plane.listen(address, port, tls, onTlsProblem);
    isReady = true;
    if (!isLoopbackHost(address) && tls === undefined) {
      io.err(
        `Warning: ${address} is not loopback and there is no TLS: whoever reaches the port can read all resources\n`,
      );
    }
    const how = tls === undefined ? "" : tls.clientCa === undefined ? " with TLS" : " with mutual TLS";
    say(io, `listening on ${address}:${bound}${how}, ${what}; status on ${admin.address}:${adminPort}`);
    await aborted(io.stop);
    return 0;
  } catch (error) {
    io.err(`Cannot listen on ${address}:${port}: ${listenProblem(error)}\n`);
    return 1;
  } finally {
    rest.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function listenProblem(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (text.includes("EADDRINUSE")) return "the port is taken; choose another with --port";
  if (text.includes("EACCES")) return "permission denied; choose a port above 1023 with --port";
  if (text.includes("EADDRNOTAVAIL")) return "this machine does not have that address; choose one with --address";
  return text;
}

function say(io: CliIo, text: string): void {
  io.out(`${new Date().toISOString()} ${text}\n`);
}
