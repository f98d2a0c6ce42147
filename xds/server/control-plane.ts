// A control plane as a library: serves resources to any number of clients, over ADS and the services of each type, state
// of the world and delta. The CLI's `control-plane` verb, the demo and tests run it.

import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { DiscoveryResponse, Variant } from "../discovery-messages.ts";
import { decodeRequest, encodeResponse } from "../discovery-wire.ts";
import type { NodeInfo, ReceivedRequest } from "../discovery-wire.ts";
import { decodeLoadReport, encodeLoadReportWish, LOAD_STATS_METHOD } from "../load-report-wire.ts";
import type { LoadReport, LoadReportWish } from "../load-report-wire.ts";
import { ADS_METHODS, TYPE_METHODS } from "../type-urls.ts";
import { diffGroups } from "./config-diff.ts";
import type { ConfigDiff } from "./config-diff.ts";
import { ConnectedClient } from "./connected-client.ts";
import type { ClientView } from "./connected-client.ts";
import { Counters } from "./counters.ts";
import type { CounterName } from "./counters.ts";
import { GrpcServer } from "./grpc-server.ts";
import type { Peer, ServerStream, StreamOwner } from "./grpc-server.ts";
import { LoadReports, reporterKey } from "./load-reports.ts";
import { Releases } from "./releases.ts";
import type { PushOptions, Release, ReleasesDeps, ReleaseView } from "./releases.ts";
import { ResourceGroups } from "./resource-groups.ts";
import type { Admission, ResourceGroup } from "./resource-groups.ts";
import { ResourceSet } from "./resource-set.ts";
import type { ServedResource } from "./resource-set.ts";
import type { Member, RolloutView } from "./rollout.ts";
import { isAllowed } from "./selector.ts";
import type { SessionEvent } from "./session.ts";
import type { TlsFiles } from "./tls-files.ts";

export type ControlPlaneOptions = Readonly<{
  /** The same for every client. Use `groups` to tell clients apart. */
  resources?: readonly ServedResource[];
  groups?: readonly ResourceGroup[];
  /** control_plane.identifier of every response. Default "outrigger". */
  identifier?: string;
  /** Patterns of SPIFFE ids: a client must have one of these. Default: whoever TLS lets in. */
  allowSpiffeIds?: readonly string[];
  clock?: Clock;
  /** Streams beyond this are refused. Default 5,000. */
  maxClients?: number;
  /** The same for one IP address. Default 2,000. */
  maxClientsOfAddress?: number;
  /** Releases that are kept, for rolling back. Default 20. */
  history?: number;
  /** How often clients are asked to report load, ms. Default 5,000. */
  loadReportIntervalMs?: number;
  /** Where the first configuration comes from, for people. Default "start". */
  origin?: string;
  onEvent?(event: ControlPlaneEvent): void;
  /** A canary has begun, gone on or ended. */
  onRollout?(release: ReleaseView, view: RolloutView): void;
}>;

/** `client` is stable for a stream and readable: the node id with the peer's address. */
export type ControlPlaneEvent = Readonly<{ client: string }> &
  (
    | SessionEvent
    | Readonly<{ kind: "connected"; node: NodeInfo; variant: Variant }>
    | Readonly<{ kind: "disconnected"; reason: string }>
  );

export interface ControlPlane {
  /**
   * Binds; `port` 0 lets the kernel choose. Resolves to the port, rejects when it cannot be bound. `tls` names PEM files,
   * which are followed; `onTlsProblem` is told when a change of them cannot be used.
   */
  listen(address: string, port: number, tls?: TlsFiles, onTlsProblem?: (problem: string) => void): Promise<number>;
  /** Serves these from now on, to every client; clients get what changed. */
  setResources(resources: readonly ServedResource[]): void;
  /** Serves these from now on, each group to its clients: a push without a canary. */
  setGroups(groups: readonly ResourceGroup[]): void;
  /** Serves these as a new release, or begins to, by a canary. Content that is served already makes none. */
  push(groups: readonly ResourceGroup[], options: PushOptions): ReleaseView;
  /** Serves an older release's content again; without `to` the one before. Ends a canary. A text says why it cannot. */
  rollback(to?: number): ReleaseView | string;
  /** What a push of these would change, and for how many of the clients that are there. */
  diff(groups: readonly ResourceGroup[]): ConfigDiff;
  /** The releases that are kept, the newest first. */
  releases(): ReleaseView[];
  /** The canary that runs, or the last one. */
  rollout(): Readonly<{ release: number; view: RolloutView }> | undefined;
  clients(): ClientView[];
  /** What has been counted since the start, and how many clients there are. */
  counters(): ReadonlyMap<CounterName, number>;
  /** Ends every stream and the server. */
  close(): void;
}

const DEFAULT_MAX_CLIENTS = 5_000;
const DEFAULT_MAX_CLIENTS_OF_ADDRESS = 2_000;
/** Clients that get a change in one turn of the event loop. */
const REFRESHED_AT_ONCE = 50;
const DEFAULT_HISTORY = 20;
const DEFAULT_LOAD_REPORT_MS = 5_000;
/** A stream without a first request is ended after this. */
const FIRST_REQUEST_MS = 15_000;

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  return new GrpcControlPlane(options);
}

class GrpcControlPlane implements ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #clock: Clock;
  readonly #server: GrpcServer;
  readonly #clients = new Set<ConnectedClient>();
  readonly #ofAddress = new Map<string, number>();
  readonly #counters = new Counters();
  /** Clients that have not got the newest change yet. */
  #stale = new Set<ConnectedClient>();
  #cancelRefresh = () => {};
  readonly #loads: LoadReports;
  readonly #releases: Releases;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#server = new GrpcServer(this.#clock);
    const { groups = [{ resources: options.resources ?? [] }], origin = "start" } = options;
    const { loadReportIntervalMs: intervalMs = DEFAULT_LOAD_REPORT_MS, history = DEFAULT_HISTORY } = options;
    this.#loads = new LoadReports({
      clock: this.#clock,
      intervalMs,
      maxStreams: options.maxClients ?? DEFAULT_MAX_CLIENTS,
    });
    const deps: ReleasesDeps = {
      clock: this.#clock,
      limit: Math.max(1, history),
      members: (present, next) => this.#members(present, next),
      load: (keys, from, to) => this.#loads.between(keys, from, to),
      onChange: () => this.#refresh(),
      onRollout: ({ id }, view) => options.onRollout?.(this.#view(id), view),
    };
    this.#releases = new Releases(deps, groups, origin);
    this.#server.serve<LoadReport, LoadReportWish>({
      path: LOAD_STATS_METHOD,
      decode: decodeLoadReport,
      encode: encodeLoadReportWish,
      onStream: (peer, stream) => this.#onLoadStream(peer, stream),
    });
    for (const methods of [ADS_METHODS, ...TYPE_METHODS.values()]) {
      for (const variant of ["sotw", "delta"] as const) {
        this.#server.serve<ReceivedRequest, DiscoveryResponse>({
          path: methods[variant],
          decode: (bytes) => decodeRequest(variant, bytes),
          encode: encodeResponse,
          onStream: (peer, stream) => this.#onStream(peer, stream, variant),
        });
      }
    }
  }

  listen(address: string, port: number, tls?: TlsFiles, onTlsProblem?: (problem: string) => void): Promise<number> {
    return this.#server.listen(address, port, tls, onTlsProblem);
  }

  setResources(resources: readonly ServedResource[]): void {
    this.setGroups([{ resources }]);
  }

  setGroups(groups: readonly ResourceGroup[]): void {
    this.push(groups, { origin: "push" });
  }

  push(groups: readonly ResourceGroup[], options: PushOptions): ReleaseView {
    return this.#view(this.#releases.push(groups, options).id);
  }

  rollback(to?: number): ReleaseView | string {
    const result = this.#releases.rollback(to);
    return result.ok ? this.#view(result.release.id) : result.problem;
  }

  diff(groups: readonly ResourceGroup[]): ConfigDiff {
    const { serving } = this.#releases;
    const clients = [...this.#clients].filter(({ isIdentified }) => isIdentified);
    return diffGroups(serving.groups, ResourceGroups.of(groups, serving.groups), clients);
  }

  releases(): ReleaseView[] {
    return this.#releases.views();
  }

  rollout(): Readonly<{ release: number; view: RolloutView }> | undefined {
    const last = this.#releases.rolloutView();
    return last === undefined ? undefined : { release: last.release.id, view: last.view };
  }

  clients(): ClientView[] {
    return [...this.#clients].map((client) => {
      const view = client.view(this.#releases.for(client.node.id).id);
      return this.#stale.has(client) ? { ...view, isSettled: false } : view;
    });
  }

  counters(): ReadonlyMap<CounterName, number> {
    return this.#counters.values(this.#clients.size);
  }

  close(): void {
    this.#releases.close();
    this.#cancelRefresh();
    for (const client of this.#clients) client.close();
    this.#server.close();
  }

  #onStream(
    peer: Peer,
    stream: ServerStream<DiscoveryResponse>,
    variant: Variant,
  ): StreamOwner<ReceivedRequest> | undefined {
    const { maxClients = DEFAULT_MAX_CLIENTS, maxClientsOfAddress = DEFAULT_MAX_CLIENTS_OF_ADDRESS } = this.#options;
    const host = hostOf(peer.address);
    const ofAddress = this.#ofAddress.get(host) ?? 0;
    if (this.#clients.size >= maxClients || ofAddress >= maxClientsOfAddress) {
      this.#counters.count("streams_refused");
      stream.fail("exhausted", this.#clients.size >= maxClients ? "too many clients" : `too many clients of ${host}`);
      return undefined;
    }
    const client = new ConnectedClient({
      peer,
      stream,
      variant,
      identifier: this.#options.identifier ?? "outrigger",
      clock: this.#clock,
      admit: (each) => this.#admit(each),
      onConnected: ({ node }) => this.#emit(client, { kind: "connected", node, variant }),
      onEvent: (each, event) => this.#emit(each, event),
    });
    this.#clients.add(client);
    this.#ofAddress.set(host, ofAddress + 1);
    this.#counters.count("streams");
    const cancel = this.#clock.after(FIRST_REQUEST_MS, () => {
      if (!client.isIdentified) client.fail("exhausted", `no request within ${FIRST_REQUEST_MS} ms`);
    });
    return {
      onRequest: (request) => client.onRequest(request),
      onEnd: (reason) => {
        cancel();
        this.#remove(client, host, reason);
      },
    };
  }

  #admit(client: ConnectedClient): Admission {
    const { allowSpiffeIds } = this.#options;
    const isKnown = allowSpiffeIds === undefined || isAllowed(allowSpiffeIds, client.spiffeIds);
    const who = client.spiffeIds.length === 0 ? "it has none" : `it is ${client.spiffeIds.join(", ")}`;
    const admission = isKnown
      ? this.#releases.for(client.node.id).groups.admit(client)
      : ({ ok: false, problem: `the SPIFFE id of this client is not allowed: ${who}` } as const);
    if (!admission.ok) this.#counters.count("streams_denied");
    return admission;
  }

  #remove(client: ConnectedClient, host: string, reason: string): void {
    if (!this.#clients.delete(client)) return;
    this.#stale.delete(client);
    const left = (this.#ofAddress.get(host) ?? 1) - 1;
    if (left === 0) this.#ofAddress.delete(host);
    else this.#ofAddress.set(host, left);
    client.close();
    this.#emit(client, { kind: "disconnected", reason });
  }

  /**
   * Gives every client what it should have now. Not all in one turn: their responses would all be in memory at once, and
   * nobody's answer would be read meanwhile. A change that comes before the last has its turn begins again.
   */
  #refresh(): void {
    this.#cancelRefresh();
    this.#stale = new Set(this.#clients);
    const next = () => {
      let count = 0;
      for (const client of this.#stale) {
        if (count++ === REFRESHED_AT_ONCE) {
          this.#cancelRefresh = this.#clock.endOfTurn(next);
          return;
        }
        this.#stale.delete(client);
        client.refresh();
      }
    };
    next();
  }

  #view(id: number): ReleaseView {
    const view = this.#releases.views().find((each) => each.id === id);
    if (view === undefined) throw new Error(`release ${id} is not kept`);
    return view;
  }

  #members(present: Release, next: Release): Member[] {
    const members: Member[] = [];
    for (const client of this.#clients) {
      if (!client.isIdentified) continue;
      const { node, spiffeIds, refusals } = client;
      const isSettled = client.isSettled && !this.#stale.has(client);
      const before = present.groups.admit(client);
      const after = next.groups.admit(client);
      const isAffected = !before.ok || !after.ok || ResourceSet.differ(before.resources, after.resources);
      members.push({ nodeId: node.id, loadKey: reporterKey(spiffeIds, node.id), isAffected, isSettled, refusals });
    }
    return members;
  }

  #onLoadStream(peer: Peer, stream: ServerStream<LoadReportWish>): StreamOwner<LoadReport> | undefined {
    const { allowSpiffeIds } = this.#options;
    if (allowSpiffeIds === undefined || isAllowed(allowSpiffeIds, peer.spiffeIds))
      return this.#loads.onStream(peer, stream);
    this.#counters.count("streams_denied");
    stream.fail("denied", "the SPIFFE id of this client is not allowed");
    return undefined;
  }

  #emit(client: ConnectedClient, event: EventOf<ControlPlaneEvent>): void {
    this.#counters.onEvent(event.kind);
    this.#options.onEvent?.({ client: client.name, ...event });
    if (event.kind === "refused") this.#releases.look();
  }
}

type EventOf<T> = T extends unknown ? Omit<T, "client"> : never;

/** The address of `address:port` and `[address]:port`. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon < 0 ? address : address.slice(0, colon);
}
