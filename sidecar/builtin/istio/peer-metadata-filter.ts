// istio.metadata_exchange (io.istio.http.peer_metadata): proxies of the mesh tell each other in headers which workload they are,
// and applications never see those headers. The peer is kept as filter state, where statistics, logs and plugins find it.
// Source: Istio's peer_metadata filter.
//
//   request   x-envoy-peer-metadata of the caller  ─► state "downstream_peer"; removed; our own set for the upstream
//   response  the upstream's                       ─► state "upstream_peer"; removed; our own for a caller that has sent its

import type { PeerMetadata } from "../../../xds/model/builtin-filter.ts";
import { NODE } from "../../messages/shapes.ts";
import { messageOf } from "../../messages/message-value.ts";
import type { HeaderMap } from "../../http/headers.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { type FilterFactory, HeadersStatus, type StreamFilter } from "../../filter/filter.ts";
import type { BuiltinDeps, BuiltinStream } from "../builtin-stream.ts";
import { PassFilter } from "../../filter/pass-filter.ts";
import { meshCluster } from "./mesh-cluster.ts";
import { headerOf, stateOf, type Workload, workloadOfHeader, workloadOfNode } from "./workload.ts";

const METADATA_HEADER = "x-envoy-peer-metadata";
const ID_HEADER = "x-envoy-peer-metadata-id";
/** Peers that are known by their header. */
const MAX_PEERS = 500;
const MAX_PEER_HEADER = 4_096;

export const DOWNSTREAM_PEER = "downstream_peer";
export const UPSTREAM_PEER = "upstream_peer";

export interface Peer {
  readonly workload: Workload;
  readonly state: Uint8Array;
}

const peersOfStates = new WeakMap<Uint8Array, Peer>();

/** The peer that such a filter has left in the stream's filter state. */
export function peerOf(stream: BuiltinStream, key: string): Workload | undefined {
  const bytes = stream.facts.filterState.get(key)?.bytes;
  return bytes === undefined ? undefined : peersOfStates.get(bytes)?.workload;
}

export class PeerMetadataFilterFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly config: PeerMetadata;
  readonly ownId: string;
  readonly ownHeader: string;
  readonly #peers = new Map<string, Peer>();

  constructor(name: string, config: PeerMetadata, { nodeBytes }: BuiltinDeps) {
    const id = messageOf(NODE, nodeBytes).get("id");
    this.name = name;
    this.config = config;
    this.ownId = typeof id === "string" ? id : "";
    this.ownHeader = headerOf(workloadOfNode(nodeBytes, config.additionalLabels));
  }

  create(stream: BuiltinStream): StreamFilter {
    return new PeerMetadataFilter(this, stream);
  }

  /** By the whole header: what a peer says of itself must not become what is known of another. */
  peer(header: string): Peer | undefined {
    const known = this.#peers.get(header);
    if (known !== undefined) {
      return known;
    }
    const workload = workloadOfHeader(header, this.config.additionalLabels);
    if (workload === undefined) {
      return undefined;
    }
    const peer = { workload, state: stateOf(workload) };
    peersOfStates.set(peer.state, peer);
    if (header.length <= MAX_PEER_HEADER) {
      if (this.#peers.size >= MAX_PEERS) {
        this.#peers.clear();
      }
      // A copy: the text would keep the whole head that it is a part of.
      this.#peers.set(Buffer.from(header, "latin1").toString("latin1"), peer);
    }
    return peer;
  }
}

class PeerMetadataFilter extends PassFilter {
  readonly #factory: PeerMetadataFilterFactory;
  readonly #stream: BuiltinStream;
  #hasSentId = false;
  #hasSentMetadata = false;

  constructor(factory: PeerMetadataFilterFactory, stream: BuiltinStream) {
    super();
    this.#factory = factory;
    this.#stream = stream;
  }

  override onRequestHeaders({ headers }: RequestHead, _end: boolean): HeadersStatus {
    const { config } = this.#factory;
    if (config.readsRequests) {
      this.#hasSentId = headers.has(ID_HEADER);
      this.#hasSentMetadata = headers.has(METADATA_HEADER);
      this.#take(headers, DOWNSTREAM_PEER);
    }
    if (config.tellsUpstream !== undefined && this.#mayTell(config.tellsUpstream.skipExternal)) {
      headers.set(ID_HEADER, this.#factory.ownId);
      headers.set(METADATA_HEADER, this.#factory.ownHeader);
    }
    return HeadersStatus.Continue;
  }

  override onResponseHeaders({ headers }: ResponseHead, _end: boolean): HeadersStatus {
    const { config } = this.#factory;
    if (config.readsResponses) {
      this.#take(headers, UPSTREAM_PEER);
    }
    if (config.tellsDownstream !== undefined && this.#mayTell(config.tellsDownstream.skipExternal)) {
      if (this.#hasSentId) {
        headers.set(ID_HEADER, this.#factory.ownId);
      }
      if (this.#hasSentMetadata) {
        headers.set(METADATA_HEADER, this.#factory.ownHeader);
      }
    }
    return HeadersStatus.Continue;
  }

  #take(headers: HeaderMap, key: string): void {
    const header = headers.get(METADATA_HEADER);
    const peer = header === undefined ? undefined : this.#factory.peer(header);
    const state = this.#stream.facts.filterState;
    if (peer !== undefined && state.get(key) === undefined) {
      state.setMessage(key, "google.protobuf.Struct", peer.state);
    }
    headers.remove(METADATA_HEADER);
    headers.remove(ID_HEADER);
  }

  #mayTell(skipExternal: boolean): boolean {
    this.#stream.ensureRoute();
    const { cluster, clusterName } = this.#stream.facts;
    const { isExternal, hasNoExchange } = meshCluster(cluster?.model.metadata);
    return !hasNoExchange && !(skipExternal && (isExternal || clusterName === "PassthroughCluster"));
  }
}
