// A filter chain with network filters before the HTTP connection manager: the listener hands it the bare socket, and the
// HTTP connection begins behind the filters when they have let it. Made by listener-set.ts.

import type { Socket } from "node:net";
import { Deadline, type DeadlineOwner } from "./http/timer-wheel.ts";
import type { ConnectionInfo } from "./http/stream.ts";
import type { AcceptedConnection, ConnectionObserver, RawChain } from "./listener/accepted-connection.ts";
import type { CloseChoice } from "./listener/close-choice.ts";
import { ServerConnection } from "./listener/connection.ts";
import type { ConnectionOptions, WorkerContext } from "./listener/connection-options.ts";
import type { ConnectionTracing } from "./tcp/connection-tracing.ts";
import { FilteredSocket, type FilteredSocketOwner } from "./tcp/filtered-socket.ts";
import type { NetworkFilterFactory } from "./tcp/network-filter.ts";
import { TcpRecord, type ConnectionOrigin } from "./tcp/tcp-record.ts";

export class FilteredHttpChain implements RawChain {
  readonly kind = "raw";
  readonly bufferLimitBytes: number;
  readonly options: ConnectionOptions;
  readonly context: WorkerContext;
  readonly filters: readonly NetworkFilterFactory[];
  readonly origin: ConnectionOrigin;
  readonly tracing: ConnectionTracing;

  constructor(
    options: ConnectionOptions,
    context: WorkerContext,
    filters: readonly NetworkFilterFactory[],
    origin: ConnectionOrigin,
    tracing: ConnectionTracing,
  ) {
    this.tracing = tracing;
    this.bufferLimitBytes = options.bufferLimitBytes;
    this.options = options;
    this.context = context;
    this.filters = filters;
    this.origin = origin;
  }

  open(socket: Socket, info: ConnectionInfo, observer: ConnectionObserver): AcceptedConnection {
    return new FilteredHttpConnection(this, socket, info, observer);
  }
}

class FilteredHttpConnection implements AcceptedConnection, ConnectionObserver, FilteredSocketOwner, DeadlineOwner {
  readonly openedAt = performance.now();
  readonly #chain: FilteredHttpChain;
  readonly #observer: ConnectionObserver;
  readonly #facts: TcpRecord;
  readonly #socket: FilteredSocket;
  readonly #server: ServerConnection;
  /** A plugin may make a connection wait; not for longer than an idle one may stay. */
  readonly #admission = new Deadline(this, 0);
  #isAdmitted = false;
  #isClosed = false;

  constructor(chain: FilteredHttpChain, socket: Socket, info: ConnectionInfo, observer: ConnectionObserver) {
    this.#chain = chain;
    this.#observer = observer;
    this.#facts = new TcpRecord(info, this.openedAt, chain.origin);
    this.#socket = new FilteredSocket(socket, this.#facts, chain.filters, this, chain.bufferLimitBytes);
    const context = { wheel: chain.context.wheel, readBuffer: this.#socket.buffer };
    this.#server = new ServerConnection(this.#socket, info, chain.options, context, this);
  }

  get protocol(): string {
    return this.#server.protocol;
  }

  start(): void {
    this.#chain.context.wheel.arm(this.#admission, this.#chain.options.idleTimeoutMs);
    this.#facts.trace = this.#chain.tracing.begin(this.openedAt);
    this.#socket.begin();
  }

  drain(): void {
    if (this.#isAdmitted) {
      this.#server.drain();
    } else {
      this.#socket.destroy();
    }
  }

  destroy(): void {
    if (this.#isAdmitted) {
      this.#server.destroy();
    } else {
      this.#socket.destroy();
    }
  }

  onRead(bytes: number): boolean {
    this.#socket.onRead(this.#chain.context.readBuffer.subarray(0, bytes));
    return true;
  }

  onDeadline(): void {
    this.#chain.options.stats.cxIdleTimeout.inc();
    this.#socket.destroy();
  }

  // FilteredSocketOwner

  onAdmitted(): void {
    this.#isAdmitted = true;
    this.#chain.context.wheel.cancel(this.#admission);
    this.#server.start();
  }

  onFiltered(bytes: number): void {
    this.#server.onRead(bytes);
  }

  onClosed(): void {
    const { trace } = this.#facts;
    if (trace !== undefined) {
      this.#facts.trace = undefined;
      this.#facts.endedAt = performance.now();
      this.#chain.tracing.finish(trace, this.#facts);
    }
    if (!this.#isAdmitted) {
      this.#close();
    }
  }

  // ConnectionObserver, for the HTTP connection

  get closeChoice(): CloseChoice | undefined {
    return this.#observer.closeChoice;
  }

  onConnectionClosed(): void {
    this.#close();
  }

  #close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#chain.context.wheel.cancel(this.#admission);
      this.#observer.onConnectionClosed(this);
    }
  }
}
