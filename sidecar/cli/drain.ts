// The verb `drain`: tells a running sidecar that its pod is about to end. The hook that Kubernetes runs before it stops a native sidecar.
// Exit codes: 0 told, 1 the sidecar did not take it, 2 wrong usage.

import { ADMIN_FLAG, SidecarAdmin } from "./asking/sidecar-admin.ts";
import { describeFlags, type Flag, parseFlags } from "./flags.ts";
import { type CliIo, type Verb, wrongUsage } from "./verb.ts";

const REQUEST_MS = 5_000;

const FLAGS: readonly Flag[] = [
  ADMIN_FLAG,
  { name: "all", kind: "boolean", help: "outbound listeners too" },
  { name: "stop", kind: "boolean", help: "stop listening when the sidecar's --drain-time-s is over" },
];

export const drainVerb: Verb = {
  name: "drain",
  usage: "drain",
  summary: "lets the connections of a running sidecar end, before its pod does",
  words: () => ({ flags: FLAGS }),
  help: () => `outrigger drain

Inbound connections of the running sidecar end with their next responses; it serves on meanwhile, and so does outbound
traffic. The same as POST /drain_listeners?graceful&inboundonly&skip_exit on its admin port.

${describeFlags(FLAGS)}`,
  run,
};

async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) {
    return wrongUsage(io, "drain", parsed.problem);
  }
  if (parsed.positionals.length > 0) {
    return wrongUsage(io, "drain", `unexpected argument "${parsed.positionals[0]}"`);
  }
  const admin = SidecarAdmin.of("drain", parsed.values, io);
  if (typeof admin === "number") {
    return admin;
  }
  const query = [
    "graceful",
    ...(parsed.values["all"] === true ? [] : ["inboundonly"]),
    ...(parsed.values["stop"] === true ? [] : ["skip_exit"]),
  ];
  const answer = await admin.text(`/drain_listeners?${query.join("&")}`, "POST", REQUEST_MS);
  return answer === undefined ? 1 : 0;
}
