// A control plane as a library: serves resources to any number of clients, over ADS and the services of each type, state
// of the world and delta. The CLI's `control-plane` verb, the demo and tests run it.

import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { DiscoveryResponse, Variant } from "../discovery-messages.ts";
import { decodeRequest, encodeResponse } from "../discovery-wire.ts";
import type { NodeInfo, ReceivedRequest } from "../discovery-wire.ts";
import { ADS_METHODS, TYPE_METHODS } from "../type-urls.ts";
import { ConnectedClient } from "./connected-client.ts";
import type { ClientView } from "./connected-client.ts";
import { Counters } from "./counters.ts";
import type { CounterName } from "./counters.ts";
import { GrpcServer } from "./grpc-server.ts";
import type { Peer, ServerStream, StreamOwner } from "./grpc-server.ts";
import { ResourceGroups } from "./resource-groups.ts";
import type { Admission, ResourceGroup } from "./resource-groups.ts";
import type { ServedResource } from "./resource-set.ts";
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
  onEvent?(event: ControlPlaneEvent): void;
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
  /** Serves these from now on, each group to its clients. */
  setGroups(groups: readonly ResourceGroup[]): void;
  clients(): ClientView[];
  /** What has been counted since the start, and how many clients there are. */
  counters(): ReadonlyMap<CounterName, number>;
  /** Ends every stream and the server. */
  close(): void;
}

const DEFAULT_MAX_CLIENTS = 5_000;
const DEFAULT_MAX_CLIENTS_OF_ADDRESS = 2_000;
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
  #groups: ResourceGroups;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#server = new GrpcServer(this.#clock);
    this.#groups = ResourceGroups.of(options.groups ?? [{ resources: options.resources ?? [] }]);
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
    this.#groups = ResourceGroups.of(groups, this.#groups);
    for (const client of this.#clients) client.refresh();
  }

  clients(): ClientView[] {
    return [...this.#clients].map((client) => client.view());
  }

  counters(): ReadonlyMap<CounterName, number> {
    return this.#counters.values(this.#clients.size);
  }

  close(): void {
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
      ? this.#groups.admit(client)
      : ({ ok: false, problem: `the SPIFFE id of this client is not allowed: ${who}` } as const);
    if (!admission.ok) this.#counters.count("streams_denied");
    return admission;
  }

  #remove(client: ConnectedClient, host: string, reason: string): void {
    if (!this.#clients.delete(client)) return;
    const left = (this.#ofAddress.get(host) ?? 1) - 1;
    if (left === 0) this.#ofAddress.delete(host);
    else this.#ofAddress.set(host, left);
    client.close();
    this.#emit(client, { kind: "disconnected", reason });
  }

  #emit(client: ConnectedClient, event: EventOf<ControlPlaneEvent>): void {
    this.#counters.onEvent(event.kind);
    this.#options.onEvent?.({ client: client.name, ...event });
  }
}

type EventOf<T> = T extends unknown ? Omit<T, "client"> : never;

/** The address of `address:port` and `[address]:port`. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon < 0 ? address : address.slice(0, colon);
}
