// The verb `control-plane`: serves the resources of a file over ADS, follows the file, and prints who is connected and
// what each client acknowledged or refused. The work is xds/server's.

import type { FileResource } from "../../xds/decode/resources-file.ts";
import type { ControlPlaneEvent } from "../../xds/server/control-plane.ts";
import { ServedFile } from "../../xds/server/served-file.ts";
import { typeLabel } from "../../xds/type-urls.ts";
import { formatProblem } from "../telemetry/format.ts";
import { describeFlags, parseFlags } from "./flags.ts";
import type { Flag } from "./flags.ts";
import { wrongUsage } from "./verb.ts";
import type { CliIo, Verb } from "./verb.ts";

const USAGE = "control-plane -f FILE [--port PORT] [--address ADDRESS]";

const DEFAULT_PORT = 18_000;
const DEFAULT_ADDRESS = "127.0.0.1";

const FLAGS: readonly Flag[] = [
  {
    name: "file",
    short: "f",
    kind: "string",
    value: "FILE",
    help: 'YAML or JSON: resources with "@type", or static_resources',
  },
  {
    name: "port",
    kind: "number",
    value: "PORT",
    defaultText: String(DEFAULT_PORT),
    help: "port to listen on; 0 takes a free one",
  },
  { name: "address", kind: "string", value: "ADDRESS", defaultText: DEFAULT_ADDRESS, help: "IP address to listen on" },
];

type Settings = Readonly<{ file: string; port: number; address: string }>;

export const CONTROL_PLANE: Verb = {
  name: "control-plane",
  usage: USAGE,
  summary: "serve the resources of a file over ADS, and follow the file",
  help: () => `outrigger ${USAGE}

Serves Envoy v3 resources over ADS, state of the world and delta, plaintext. A change of
the file is pushed to every client; a bad file is refused with file, line and column, and
the last good one stays in force.

${describeFlags(FLAGS)}`,
  run: runControlPlane,
};

/** Serves until `io.stop` is aborted. Exit codes: 0 stopped, 1 bad file or port, 2 wrong usage. */
export async function runControlPlane(argv: readonly string[], io: CliIo): Promise<number> {
  const settings = settingsOf(argv);
  if (typeof settings === "string") return wrongUsage(io, "control-plane", settings);
  const { file, port, address } = settings;
  // gRPC is not loaded for the other verbs.
  const { createControlPlane } = await import("../../xds/server/control-plane.ts");
  const served = new ServedFile({
    path: file,
    formatProblem,
    onResources: (resources) => {
      say(io, `${file} changed: ${describeChanges(serving, resources)}`);
      serving = resources;
      server.setResources(resources);
    },
    onProblems: (problems) => {
      io.err(`${problems.join("\n")}\n${file} is refused, the last good version stays in force\n`);
    },
  });
  const first = served.open();
  if (!first.ok) {
    io.err(`${first.problems.join("\n")}\n`);
    return 1;
  }
  let serving = first.resources;
  const server = createControlPlane({ resources: first.resources, onEvent: (event) => say(io, describe(event)) });
  try {
    const bound = await server.listen(address, port);
    say(io, `listening on ${address}:${bound}, serving ${file}: ${summary(first.resources)}`);
    await aborted(io.stop);
    return 0;
  } catch (error) {
    io.err(`Cannot listen on ${address}:${port}: ${listenProblem(error)}\n`);
    return 1;
  } finally {
    served.close();
    server.close();
  }
}

function settingsOf(argv: readonly string[]): Settings | string {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) return parsed.problem;
  const { file, port = DEFAULT_PORT, address = DEFAULT_ADDRESS } = parsed.values;
  if (parsed.positionals.length > 0) return `unexpected argument "${parsed.positionals[0]}"`;
  if (typeof file !== "string") return "needs a file of resources: -f FILE";
  if (typeof port !== "number" || port > 65_535) return `flag --port got "${port}": must be 0 to 65535`;
  return { file, port, address: String(address) };
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

function summary(resources: readonly FileResource[]): string {
  const counts = new Map<string, number>();
  for (const { typeUrl } of resources) counts.set(typeUrl, (counts.get(typeUrl) ?? 0) + 1);
  const parts = [...counts].map(([typeUrl, count]) => `${count} ${nounOf(typeUrl)}`);
  return parts.length === 0 ? "no resources" : parts.join(", ");
}

/** How many changes are named; the rest is counted. */
const MAX_CHANGES = 8;

/** `Cluster "app", added Listener "in", removed Cluster "old"`. */
function describeChanges(before: readonly FileResource[], after: readonly FileResource[]): string {
  const keyOf = ({ typeUrl, name }: FileResource) => `${nounOf(typeUrl)} ${quoted(name)}`;
  const left = new Map(before.map((resource) => [keyOf(resource), resource.value]));
  const changes: string[] = [];
  for (const resource of after) {
    const key = keyOf(resource);
    const value = left.get(key);
    left.delete(key);
    if (value === undefined) changes.push(`added ${key}`);
    else if (Buffer.compare(value, resource.value) !== 0) changes.push(key);
  }
  for (const key of left.keys()) changes.push(`removed ${key}`);
  if (changes.length === 0) return "nothing that is served";
  const more = changes.length - MAX_CHANGES;
  return changes.slice(0, MAX_CHANGES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function nounOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
}

function describe(event: ControlPlaneEvent): string {
  const { client } = event;
  switch (event.kind) {
    case "connected": {
      const { userAgent, cluster } = event.node;
      const variant = event.variant === "delta" ? "delta" : "state of the world";
      const about = [
        variant,
        cluster === "" ? "" : `cluster ${quoted(cluster)}`,
        userAgent === "" ? "" : quoted(userAgent),
      ];
      return `${client} connected (${about.filter((each) => each !== "").join(", ")})`;
    }
    case "disconnected":
      return `${client} disconnected: ${event.reason}`;
    case "pushed": {
      const removed = event.removed === 0 ? "" : ` and ${event.removed} removed`;
      return `${client} ${typeLabel(event.typeUrl)} ${event.version} sent: ${event.resources} resource${event.resources === 1 ? "" : "s"}${removed}`;
    }
    case "acknowledged":
      return `${client} ${typeLabel(event.typeUrl)} ${event.version} acknowledged`;
    case "refused":
      return `${client} ${typeLabel(event.typeUrl)} ${event.version} REFUSED: ${printable(event.message)}`;
    case "unknown type":
      return `${client} asks for ${quoted(event.typeUrl)}, a type that is not served`;
  }
}

/** Text of a client on one line: a refusal has a line for each resource. */
function printable(text: string): string {
  return quoted(text.slice(0, 4096)).slice(1, -1).replaceAll("\\n", "; ").replaceAll('\\"', '"');
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 4096 ? `${text.slice(0, 4096)}…` : text);
}
