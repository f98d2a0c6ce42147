// What the verb `status` prints: the answers of an admin port for people. Pure.

import type { CanaryStatus, PlaneStatus, SidecarStatus } from "./status-view.ts";
import { ageText, printable, textTable } from "./text-table.ts";

/** One row for each sidecar and a line for each refusal. */
export function planeStatusText(status: PlaneStatus): string {
  const { control_plane: plane, summary, sidecars } = status;
  const head =
    `outrigger ${plane.version} control plane, up ${ageText(plane.uptime_s)}\n` +
    `${count(summary.sidecars)}: ${summary.acknowledged} acknowledged, ${summary.pending} pending, ${summary.refused} refused\n`;
  const served = `${head}${servedText(status)}`;
  if (sidecars.length === 0) return served;
  const rows = sidecars.map((each) => [
    each.node.id,
    each.address,
    ageText(each.connected_s),
    String(each.release),
    each.state,
    each.types.map(typeText).join(" "),
  ]);
  return `${served}\n${textTable([["NODE", "ADDRESS", "FOR", "RELEASE", "STATE", "ACKNOWLEDGED"], ...rows])}${refusals(sidecars)}`;
}

/** What is served, and how a canary goes. */
function servedText({ serving, canary }: PlaneStatus): string {
  let text = "";
  if (serving !== null) text += `serving release ${serving.release} of ${serving.at}, ${printable(serving.origin)}\n`;
  return canary === null ? text : `${text}${canaryText(canary)}\n`;
}

/** One line: where a canary is, and why. */
export function canaryText(canary: CanaryStatus): string {
  const { release, state, step, steps, percent, reason } = canary;
  const where = state === "complete" ? "" : `, step ${step} of ${steps} (${percent} %)`;
  const count = `${canary.acknowledged} of ${canary.sidecar_count} acknowledged`;
  const rate =
    canary.error_percent === null
      ? "no load reported"
      : `${canary.error_percent} % errors of ${canary.requests} requests, compared with ${canary.baseline_error_percent ?? "-"} %`;
  return `canary of release ${release}: ${state}${where}, ${count}, ${rate}${reason === "" ? "" : `; ${printable(reason)}`}`;
}

function count(sidecars: number): string {
  return `${sidecars} sidecar${sidecars === 1 ? "" : "s"}`;
}

/** `CDS=1a2b3c4d`, and what is wrong behind it. */
function typeText({ type, acknowledged, pending_s: pending, refused }: SidecarStatus["types"][number]): string {
  const version = acknowledged === "" ? "-" : acknowledged.slice(0, 8);
  const problem = refused !== null ? "(refused)" : pending !== null ? `(pending ${ageText(pending)})` : "";
  return `${type}=${version}${problem}`;
}

function refusals(sidecars: readonly SidecarStatus[]): string {
  let text = "";
  for (const { node, types } of sidecars) {
    for (const { type, refused } of types) {
      if (refused === null) continue;
      const { version, message, age_s: age } = refused;
      text += `\n${printable(node.id)} refused ${type} ${version} ${ageText(age)} ago:\n  ${printable(message)}\n`;
    }
  }
  return text;
}

/** The parts of a sidecar's /server_info that are shown. */
export interface SidecarInfo {
  readonly version: string;
  readonly state: string;
  readonly uptime_current_epoch: string;
}

export function sidecarInfoText(info: SidecarInfo): string {
  return `outrigger ${printable(info.version)} sidecar, ${info.state}, up ${info.uptime_current_epoch}\n`;
}

/** The parts of a sidecar's /xds that are shown. */
export interface XdsAnswer {
  readonly servers: readonly {
    readonly server: string;
    readonly connected: boolean;
    readonly last_error?: string;
    readonly types: readonly {
      readonly type_url: string;
      readonly version: string;
      readonly refused?: { readonly reason: string };
      readonly resources: readonly { readonly name: string; readonly state: string; readonly in_use_at?: string }[];
    }[];
  }[];
}

export function xdsText({ servers }: XdsAnswer, labelOf: (typeUrl: string) => string): string {
  let text = "";
  for (const { server, connected, last_error: error, types } of servers) {
    text += `\n${printable(server)}: ${connected ? "connected" : "not connected"}`;
    text += error === undefined ? "\n" : `, last error: ${printable(error)}\n`;
    const rows = types.map(({ type_url: typeUrl, version, resources, refused }) => [
      `  ${labelOf(typeUrl)}`,
      version === "" ? "-" : version,
      `${resources.length} resources`,
      `${resources.filter((each) => each.in_use_at !== undefined).length} in use`,
      refused === undefined ? "" : `REFUSED: ${refused.reason}`,
    ]);
    text += textTable(rows);
  }
  return text;
}
