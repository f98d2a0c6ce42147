// The state of a control plane as JSON: GET /status, and what the verb `status --control-plane` prints. Keys are
// snake_case, times are RFC 3339 and ages seconds. Pure.

import type { ClientView, RolloutView, TypeView } from "../../xds/server/index.ts";
import { typeLabel } from "../../xds/type-urls.ts";
import type { ReleaseJson } from "./config-routes.ts";

const MAX_CANARIES = 100;

/** GET /status. */
export interface PlaneStatus {
  readonly control_plane: { readonly version: string; readonly started: string; readonly uptime_s: number };
  readonly summary: {
    readonly sidecars: number;
    readonly acknowledged: number;
    readonly pending: number;
    readonly refused: number;
  };
  readonly serving: ReleaseJson | null;
  /** The canary that runs, or the last one. */
  readonly canary: CanaryStatus | null;
  readonly sidecars: readonly SidecarStatus[];
}

export interface CanaryStatus {
  readonly release: number;
  readonly state: RolloutView["state"];
  /** Why it halted, or what it waits for. */
  readonly reason: string;
  readonly step: number;
  readonly steps: number;
  readonly percent: number;
  /** Node ids; the first ones. */
  readonly sidecars: readonly string[];
  readonly sidecar_count: number;
  readonly acknowledged: number;
  readonly started: string;
  readonly step_s: number;
  /** Of the canaries since the step was acknowledged; null while nobody reports load. */
  readonly requests: number | null;
  readonly errors: number | null;
  readonly error_percent: number | null;
  /** Of the other sidecars in that time, or of these before. */
  readonly baseline_error_percent: number | null;
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
  /** The release that it gets. */
  readonly release: number;
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
    release: client.release,
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

export function canaryStatus(release: number, view: RolloutView, now: number): CanaryStatus {
  const { state, reason, step, steps, fraction, sidecars, acknowledged, load, baseline } = view;
  return {
    release,
    state,
    reason,
    step,
    steps,
    percent: rounded(fraction * 100),
    sidecars: sidecars.slice(0, MAX_CANARIES),
    sidecar_count: sidecars.length,
    acknowledged,
    started: new Date(view.startedAt).toISOString(),
    step_s: seconds(view.stepAt, now),
    requests: load?.requests ?? null,
    errors: load?.errors ?? null,
    error_percent: load === undefined || load.requests === 0 ? null : rounded((load.errors / load.requests) * 100),
    baseline_error_percent: baseline === undefined ? null : rounded(baseline * 100),
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
