// The verb `status`: asks a running sidecar, or with --control-plane a control plane, through its admin port.

import { typeLabel } from "../../../xds/type-urls.ts";
import { askAdmin } from "../../control/admin-client.ts";
import { planeStatusText, sidecarInfoText, xdsText } from "../../control/status-text.ts";
import type { SidecarInfo, XdsAnswer } from "../../control/status-text.ts";
import type { PlaneStatus } from "../../control/status-view.ts";
import { printable } from "../../control/text-table.ts";
import { describeFlags, parseFlags } from "../flags.ts";
import type { Flag } from "../flags.ts";
import { wrongUsage } from "../verb.ts";
import type { CliIo, VerbAction } from "../verb.ts";

const SIDECAR_ADMIN = "127.0.0.1:15000";
const PLANE_ADMIN = "127.0.0.1:18001";

const FLAGS: readonly Flag[] = [
  {
    name: "control-plane",
    kind: "boolean",
    help: "ask a control plane: every sidecar that it serves",
    defaultText: "false",
  },
  {
    name: "admin",
    kind: "string",
    value: "HOST:PORT",
    defaultText: `${SIDECAR_ADMIN}, of a control plane ${PLANE_ADMIN}`,
    help: "the admin port to ask",
  },
  { name: "node", kind: "string", value: "ID", help: "of a control plane: only this node" },
  {
    name: "state",
    kind: "string",
    value: "STATE",
    allowed: ["acknowledged", "pending", "refused"],
    help: "of a control plane: only sidecars in this state",
  },
  { name: "json", kind: "boolean", help: "print the answer as it is", defaultText: "false" },
];

const USAGE = "status [--control-plane] [--admin HOST:PORT]";

export const STATUS: VerbAction = {
  words: { flags: FLAGS },
  help: () => `outrigger ${USAGE}

Asks a running sidecar what came from its control plane and is in use. With --control-plane it
asks a control plane: each sidecar, its acknowledged version of each type, what it waits for,
and refusals with their text. Exit code 1: no answer, or some sidecar refuses something.

${describeFlags(FLAGS)}`,
  run: status,
};

async function status(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) return wrongUsage(io, "status", parsed.problem);
  const { values, positionals } = parsed;
  if (positionals.length > 0) return wrongUsage(io, "status", `unexpected argument "${positionals[0]}"`);
  const isPlane = values["control-plane"] === true;
  const { node, state } = values;
  if (!isPlane && (node !== undefined || state !== undefined)) {
    return wrongUsage(io, "status", "--node and --state go with --control-plane");
  }
  const admin = String(values["admin"] ?? (isPlane ? PLANE_ADMIN : SIDECAR_ADMIN));
  const isJson = values["json"] === true;
  const ask = async <T>(path: string, print: (answer: T) => void): Promise<T | undefined> => {
    const answer = await askAdmin({ admin, path });
    if (!answer.ok) io.err(`${answer.problem}\n`);
    if (!answer.ok) return undefined;
    const { ok, value } = answer.status === 200 ? parseJson<T>(answer.body) : { ok: false, value: undefined };
    if (!ok || value === undefined) {
      const other = isPlane ? "a control plane" : "a sidecar's admin port";
      io.err(`${admin}${path} does not answer as ${other}: ${answer.status} ${printable(answer.body.slice(0, 200))}\n`);
      return undefined;
    }
    if (isJson) io.out(answer.body);
    else print(value);
    return value;
  };
  if (isPlane) {
    const query = new URLSearchParams();
    if (typeof node === "string") query.set("node", node);
    if (typeof state === "string") query.set("state", state);
    const answer = await ask<PlaneStatus>(`/status?${query.toString()}`, (value) => io.out(planeStatusText(value)));
    if (answer === undefined) return 1;
    return answer.sidecars.some((each) => each.state === "refused") ? 1 : 0;
  }
  const info = await ask<SidecarInfo>("/server_info", (value) => io.out(sidecarInfoText(value)));
  const xds =
    info === undefined ? undefined : await ask<XdsAnswer>("/xds", (value) => io.out(xdsText(value, typeLabel)));
  if (xds === undefined) return 1;
  return xds.servers.some(({ types }) => types.some(({ refused }) => refused !== undefined)) ? 1 : 0;
}

function parseJson<T>(text: string): { ok: boolean; value: T | undefined } {
  try {
    return { ok: true, value: JSON.parse(text) as T };
  } catch {
    return { ok: false, value: undefined };
  }
}
