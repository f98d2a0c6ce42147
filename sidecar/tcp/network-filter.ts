// What a network filter is: it sees a connection's beginning, its bytes in both directions, and its end.
// network-chain.ts runs them; wasm-network-filter.ts is a plugin's. Types only.

import type { BodyBuffer } from "../http/body-buffer.ts";
import type { TcpRecord } from "./tcp-record.ts";

/** Whether the connection, or what was offered, goes on to the next filter; `stop` holds it at this one. */
export type FilterVerdict = "go" | "stop";

export type CloseSide = "local" | "remote";

export interface NetworkFilter {
  /** Nothing has been read. */
  onNewConnection(): FilterVerdict;
  /** From the client. What a filter held before is offered again with what came; it may be changed. */
  onDownstreamData(data: BodyBuffer, end: boolean): FilterVerdict;
  /** To the client. */
  onUpstreamData(data: BodyBuffer, end: boolean): FilterVerdict;
  /** The client's connection is closed. Last call. */
  onClosed(by: CloseSide): void;
}

/** What a filter may ask of its connection. */
export interface FilterConnection {
  readonly facts: TcpRecord;
  /** What the filter is offered, or holds, in a direction; empty when there is nothing. */
  downstreamData(): BodyBuffer;
  upstreamData(): BodyBuffer;
  /** Sends on what the filter holds; the connection's beginning goes on with the downstream direction. */
  continueDownstream(): void;
  continueUpstream(): void;
  /** Closes both sides, the client's after what has been written to it. */
  close(): void;
}

export interface NetworkFilterFactory {
  readonly name: string;
  /** undefined: this connection goes without the filter. */
  create(connection: FilterConnection): NetworkFilter | undefined;
}
