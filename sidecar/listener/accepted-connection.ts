// What a listener needs of a connection, whatever is spoken on it, and of a filter chain that takes the bare socket.
// HTTP connections are connection.ts; the TCP proxy's are made by a RawChain, which listener-set.ts hands in. Types only.

import type { Socket } from "node:net";
import type { ConnectionInfo } from "../http/stream.ts";
import type { CloseChoice } from "./close-choice.ts";

export interface AcceptedConnection {
  /** Milliseconds of `performance.now()`. */
  readonly openedAt: number;
  /** Of the latest request, as `HTTP/1.1`; empty before, and where bytes are spoken. */
  readonly protocol: string;
  /** Begins; may end it at once. */
  start(): void;
  /** The listener goes: whatever can end by itself soon should. */
  drain(): void;
  /** Closes now, whatever is under way. */
  destroy(): void;
  /** `bytes` have been read into the start of the worker's buffer. */
  onRead(bytes: number): boolean;
}

/** What a connection tells its listener. */
export interface ConnectionObserver {
  /** Set while the listener drains: whether a response closes its connection. */
  readonly closeChoice: CloseChoice | undefined;
  /** Last call of a connection. */
  onConnectionClosed(connection: AcceptedConnection): void;
}

/** A connection that is over. */
export interface EndedConnection<Chain> {
  readonly connection: AcceptedConnection;
  readonly info: ConnectionInfo;
  readonly chain: Chain;
  /** For its counts of bytes. */
  readonly socket: Socket;
}

/** Who is told of the connections of a listener that has access logs. */
export interface ConnectionLog<Chain> {
  /** `onClosed` follows. */
  onOpened(): void;
  onClosed(ended: EndedConnection<Chain>): void;
  onNoChain(info: ConnectionInfo): void;
}

/** A filter chain without HTTP. */
export interface RawChain {
  readonly kind: "raw";
  /** Unsent bytes from which the client's source is asked to wait. */
  readonly bufferLimitBytes: number;
  /** The socket is half-open capable and does not read yet. */
  open(socket: Socket, info: ConnectionInfo, observer: ConnectionObserver): AcceptedConnection;
}
