// One stream of a client: who it is, its session, and whether it may have what it asks for. Made by control-plane.ts at
// the first request, which names the node.

import type { Clock } from "../clock.ts";
import type { DiscoveryResponse, Variant } from "../discovery-messages.ts";
import type { NodeInfo, ReceivedRequest } from "../discovery-wire.ts";
import type { Peer, ServerStream } from "./grpc-server.ts";
import type { Admission } from "./resource-groups.ts";
import type { ClientIdentity } from "./selector.ts";
import { Session } from "./session.ts";
import type { SessionEvent, TypeView } from "./session.ts";

export type ClientView = Readonly<{
  /** Stable for a stream and readable: the node id with the peer's address. */
  client: string;
  node: NodeInfo;
  /** The peer's, `address:port`. */
  address: string;
  spiffeIds: readonly string[];
  /** ms since the epoch. */
  connectedAt: number;
  variant: Variant;
  types: readonly TypeView[];
  /** Nothing is on its way and nothing waits. */
  isSettled: boolean;
  /** The number of the release that it gets. */
  release: number;
}>;

export type ClientDeps = Readonly<{
  peer: Peer;
  stream: ServerStream<DiscoveryResponse>;
  variant: Variant;
  identifier: string;
  clock: Clock;
  /** What this client gets at present. */
  admit(client: ConnectedClient): Admission;
  onConnected(client: ConnectedClient): void;
  onEvent(client: ConnectedClient, event: SessionEvent): void;
}>;

const NOBODY: NodeInfo = {
  id: "",
  cluster: "",
  userAgent: "",
  locality: { region: "", zone: "", subZone: "" },
  metadata: {},
};

/** Of what clients say about themselves, in events. */
const MAX_TEXT = 200;
/** Of a node's metadata as JSON, characters: it is kept while the client is there. */
const MAX_METADATA = 64 * 1024;
const MAX_NODE_ID = 1_024;

export class ConnectedClient implements ClientIdentity {
  readonly peer: Peer;
  readonly variant: Variant;
  readonly connectedAt: number;
  name: string;
  node: NodeInfo = NOBODY;
  readonly #deps: ClientDeps;
  #session: Session | undefined;

  constructor(deps: ClientDeps) {
    this.#deps = deps;
    this.peer = deps.peer;
    this.variant = deps.variant;
    this.connectedAt = deps.clock.now();
    this.name = deps.peer.address;
  }

  get spiffeIds(): readonly string[] {
    return this.peer.spiffeIds;
  }

  /** The node is known. */
  get isIdentified(): boolean {
    return this.#session !== undefined;
  }

  get isSettled(): boolean {
    return this.#session?.isSettled ?? false;
  }

  onRequest({ request, node }: ReceivedRequest): void {
    const session = this.#session ?? this.#open(node ?? NOBODY);
    const problem = session?.onRequest(request);
    if (problem !== undefined) this.#deps.stream.fail("invalid", problem);
  }

  /** Gives it what it should have now; one that may no longer have it is sent away. */
  refresh(): void {
    if (this.#session === undefined) return;
    const admission = this.#deps.admit(this);
    if (admission.ok) this.#session.setResources(admission.resources);
    else this.#deps.stream.fail("denied", admission.problem);
  }

  fail(code: "unavailable" | "exhausted" | "invalid", reason: string): void {
    this.#deps.stream.fail(code, reason);
  }

  close(): void {
    this.#session?.close();
  }

  get refusals(): readonly Readonly<{ typeUrl: string; message: string; at: number }>[] {
    return this.#session?.refusals() ?? [];
  }

  view(release: number): ClientView {
    const { name, node, variant, connectedAt, spiffeIds, isSettled } = this;
    const types = this.#session?.view() ?? [];
    const { address } = this.peer;
    return { client: name, node, address, spiffeIds, connectedAt, variant, types, isSettled, release };
  }

  #open(node: NodeInfo): Session | undefined {
    const { peer, stream, variant, identifier, clock, onConnected, onEvent } = this.#deps;
    if (node.id.length > MAX_NODE_ID || JSON.stringify(node.metadata).length > MAX_METADATA) {
      stream.fail("invalid", `the node has more than ${MAX_METADATA} characters of metadata, or ${MAX_NODE_ID} of id`);
      return undefined;
    }
    this.node = node;
    this.name = `${readable(node.id === "" ? "(no node id)" : node.id)} ${peer.address}`;
    const admission = this.#deps.admit(this);
    if (!admission.ok) {
      onConnected(this);
      stream.fail("denied", admission.problem);
      return undefined;
    }
    this.#session = new Session({
      variant,
      resources: admission.resources,
      controlPlane: identifier,
      clock,
      send: (response) => stream.send(response),
      onEvent: (event) => onEvent(this, event),
    });
    onConnected(this);
    return this.#session;
  }
}

/** Text of a client for people: no control characters, not too long. */
function readable(text: string): string {
  return JSON.stringify(text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text).slice(1, -1);
}
