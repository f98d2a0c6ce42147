// The network filters of one connection, before whatever ends its filter chain (the TCP proxy, or HTTP): lets the connection
// begin when all have let it, passes bytes through in order (to the client: in reverse), holds its sources up when filters
// hold too much. Made for connections that have filters, and for no others.
//
//   client ─▶ filter 1 ─▶ filter 2 ─▶ onDownstreamPassed        onUpstreamPassed ◀─ filter 1 ◀─ filter 2 ◀─ upstream
//
// Source: Envoy's Network::FilterManagerImpl. There all filters share one buffer, so that a filter sees bytes again which a
// later one has held; here each filter sees each byte once.

import { BodyBuffer } from "../http/body-buffer.ts";
import { DataPass } from "./data-pass.ts";
import type { CloseSide, FilterConnection, NetworkFilter, NetworkFilterFactory } from "./network-filter.ts";
import type { TcpRecord } from "./tcp-record.ts";

export interface ChainOwner {
  readonly facts: TcpRecord;
  /** All filters have let the connection begin. */
  onAdmitted(): void;
  /** Bytes are borrowed. */
  onDownstreamPassed(bytes: Uint8Array, end: boolean): void;
  onUpstreamPassed(bytes: Uint8Array, end: boolean): void;
  /** Filters hold more of what the client sends (true) than the limit, or no longer do. */
  onDownstreamHeld(isFull: boolean): void;
  onUpstreamHeld(isFull: boolean): void;
  /** A filter closes the connection, after what has been written. */
  onFilterClose(): void;
}

export class NetworkChain {
  readonly #owner: ChainOwner;
  readonly #filters: readonly NetworkFilter[];
  readonly #downstream: DataPass<NetworkFilter>;
  readonly #upstream: DataPass<NetworkFilter>;
  readonly #limits: readonly [downstream: number, upstream: number];
  /** The filter that is asked next to let the connection begin, and whether one has stopped it. */
  #beginAt = 0;
  #isWaiting = false;
  #isDownstreamFull = false;
  #isUpstreamFull = false;
  #isStopped = false;
  #isClosed = false;

  /** `limits`: bytes that filters may hold before the source is asked to wait. */
  constructor(
    factories: readonly NetworkFilterFactory[],
    owner: ChainOwner,
    limits: readonly [downstream: number, upstream: number],
  ) {
    this.#owner = owner;
    this.#limits = limits;
    const filters: NetworkFilter[] = [];
    for (const factory of factories) {
      const connection = new Connection(this);
      const filter = factory.create(connection);
      if (filter !== undefined) {
        connection.filter = filter;
        filters.push(filter);
      }
    }
    this.#filters = filters;
    this.#downstream = new DataPass(
      filters,
      (filter, data, end) => filter.onDownstreamData(data, end),
      (bytes, end) => owner.onDownstreamPassed(bytes, end),
    );
    this.#upstream = new DataPass(
      filters.toReversed(),
      (filter, data, end) => filter.onUpstreamData(data, end),
      (bytes, end) => owner.onUpstreamPassed(bytes, end),
    );
  }

  get facts(): TcpRecord {
    return this.#owner.facts;
  }

  /** Asks the filters, in order, to let the connection begin. */
  begin(): void {
    while (this.#beginAt < this.#filters.length) {
      const filter = this.#filters[this.#beginAt++] as NetworkFilter;
      this.#isWaiting = filter.onNewConnection() === "stop";
      if (this.#isWaiting || this.#isStopped) {
        return;
      }
    }
    this.#owner.onAdmitted();
  }

  /** Bytes from the client; borrowed. */
  downstream(bytes: Uint8Array, end: boolean): void {
    this.#downstream.push(bytes, end);
    this.#checkHeld();
  }

  /** Bytes for the client; borrowed. */
  upstream(bytes: Uint8Array, end: boolean): void {
    this.#upstream.push(bytes, end);
    this.#checkHeld();
  }

  /** The client's connection is closed. */
  close(by: CloseSide): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    this.stop();
    for (const filter of this.#filters) {
      filter.onClosed(by);
    }
  }

  /** The connection is about to be closed: nothing is passed on any more, and `close` will follow. */
  stop(): void {
    this.#downstream.close();
    this.#upstream.close();
    this.#isStopped = true;
  }

  // For the filters' connections

  downstreamData(filter: NetworkFilter): BodyBuffer {
    return this.#downstream.buffer(filter);
  }

  upstreamData(filter: NetworkFilter): BodyBuffer {
    return this.#upstream.buffer(filter);
  }

  continueDownstream(filter: NetworkFilter): void {
    if (this.#isStopped) {
      return;
    }
    if (this.#isWaiting && this.#filters[this.#beginAt - 1] === filter) {
      this.#isWaiting = false;
      this.begin();
      return;
    }
    this.#downstream.resume(filter);
    this.#checkHeld();
  }

  continueUpstream(filter: NetworkFilter): void {
    this.#upstream.resume(filter);
    this.#checkHeld();
  }

  askClose(): void {
    if (!this.#isStopped) {
      this.stop();
      this.#owner.onFilterClose();
    }
  }

  #checkHeld(): void {
    const isDownstreamFull = this.#downstream.heldBytes > this.#limits[0];
    if (isDownstreamFull !== this.#isDownstreamFull && !this.#isStopped) {
      this.#isDownstreamFull = isDownstreamFull;
      this.#owner.onDownstreamHeld(isDownstreamFull);
    }
    const isUpstreamFull = this.#upstream.heldBytes > this.#limits[1];
    if (isUpstreamFull !== this.#isUpstreamFull && !this.#isStopped) {
      this.#isUpstreamFull = isUpstreamFull;
      this.#owner.onUpstreamHeld(isUpstreamFull);
    }
  }
}

/** The connection as one filter sees it. */
class Connection implements FilterConnection {
  readonly #chain: NetworkChain;
  /** Set when the filter has been made: filters ask for nothing before. */
  filter: NetworkFilter | undefined = undefined;

  constructor(chain: NetworkChain) {
    this.#chain = chain;
  }

  get facts(): TcpRecord {
    return this.#chain.facts;
  }

  downstreamData(): BodyBuffer {
    return this.filter === undefined ? new BodyBuffer() : this.#chain.downstreamData(this.filter);
  }

  upstreamData(): BodyBuffer {
    return this.filter === undefined ? new BodyBuffer() : this.#chain.upstreamData(this.filter);
  }

  continueDownstream(): void {
    if (this.filter !== undefined) {
      this.#chain.continueDownstream(this.filter);
    }
  }

  continueUpstream(): void {
    if (this.filter !== undefined) {
      this.#chain.continueUpstream(this.filter);
    }
  }

  close(): void {
    this.#chain.askClose();
  }
}
