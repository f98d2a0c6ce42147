// The state of a control plane as JSON: GET /status, and what the verb `status --control-plane` prints. Keys are
// snake_case, times are RFC 3339 and ages seconds. Pure.

import type { ClientView, TypeView } from "../../xds/server/index.ts";
import { typeLabel } from "../../xds/type-urls.ts";

/** GET /status. */
export interface PlaneStatus {
  readonly control_plane: { readonly version: string; readonly started: string; readonly uptime_s: number };
  readonly summary: {
    readonly sidecars: number;
    readonly acknowledged: number;
    readonly pending: number;
    readonly refused: number;
  };
  readonly sidecars: readonly SidecarStatus[];
}

export interface SidecarStatus {
  readonly node: {
    readonly id: string;
    readonly cluster: string;
    readonly region: string;
    readonly zone: string;
    readonly sub_zone: string;
    readonly user_agent: string;
  };
  readonly address: string;
  readonly spiffe_id: string | null;
  readonly variant: "delta" | "state of the world";
  readonly connected_since: string;
  readonly connected_s: number;
  /** `refused` before `pending` before `acknowledged`: the worst that is true of a type. */
  readonly state: "acknowledged" | "pending" | "refused";
  readonly types: readonly TypeStatus[];
}

export interface TypeStatus {
  readonly type: string;
  readonly type_url: string;
  /** How many names are subscribed; `wildcard`: all of the type. */
  readonly names: number;
  readonly wildcard: boolean;
  readonly sent: string;
  readonly acknowledged: string;
  readonly acknowledged_s: number | null;
  /** Seconds since it was sent without an answer. */
  readonly pending_s: number | null;
  readonly refused: { readonly version: string; readonly message: string; readonly age_s: number } | null;
}

/** In order of node ids. `now`: ms since the epoch. */
export function sidecarStatuses(clients: readonly ClientView[], now: number): SidecarStatus[] {
  return clients.map((client) => sidecarStatus(client, now)).sort((a, b) => compare(a, b));
}

function compare(a: SidecarStatus, b: SidecarStatus): number {
  if (a.node.id !== b.node.id) return a.node.id < b.node.id ? -1 : 1;
  return a.address < b.address ? -1 : 1;
}

function sidecarStatus(client: ClientView, now: number): SidecarStatus {
  const { node, types, isSettled } = client;
  const { region, zone, subZone } = node.locality;
  const isRefused = types.some(({ refused }) => refused !== undefined);
  return {
    node: { id: node.id, cluster: node.cluster, region, zone, sub_zone: subZone, user_agent: node.userAgent },
    address: client.address,
    spiffe_id: client.spiffeIds[0] ?? null,
    variant: client.variant === "delta" ? "delta" : "state of the world",
    connected_since: new Date(client.connectedAt).toISOString(),
    connected_s: seconds(client.connectedAt, now),
    state: isRefused ? "refused" : isSettled ? "acknowledged" : "pending",
    types: types.map((type) => typeStatus(type, now)),
  };
}

function typeStatus(type: TypeView, now: number): TypeStatus {
  const { typeUrl, names, sent, acknowledged, acknowledgedAt, pendingSince, refused } = type;
  return {
    type: typeLabel(typeUrl),
    type_url: typeUrl,
    names: names.filter((name) => name !== "*").length,
    wildcard: names.includes("*"),
    sent,
    acknowledged,
    acknowledged_s: acknowledgedAt === undefined ? null : seconds(acknowledgedAt, now),
    pending_s: pendingSince === undefined ? null : seconds(pendingSince, now),
    refused:
      refused === undefined
        ? null
        : { version: refused.version, message: refused.message, age_s: seconds(refused.at, now) },
  };
}

function seconds(since: number, now: number): number {
  return Math.max(0, Math.round((now - since) / 100) / 10);
}
