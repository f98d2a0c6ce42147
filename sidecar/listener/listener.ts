// One listening address on one worker: bind, accept, limits, drain. Made and started by worker.ts.
// A connection gets the options of the filter chain that is live when it arrives; swapping chains leaves the socket and the
// connections that it accepted alone. Sockets are made over what was accepted so that they read into the worker's buffer.

import { createServer, type ListenOptions, type Server } from "node:net";
import type { Address } from "../../xds/model/address.ts";
import type { Interception } from "../../xds/model/listener.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import type {
  AcceptedConnection,
  ConnectionLog,
  ConnectionObserver,
  EndedConnection,
  RawChain,
} from "./accepted-connection.ts";
import { type AcceptedHandle, infoOf, socketOver, takeHandles } from "./accepted-handle.ts";
import { type Capture, keepSource, restoreDestination } from "./capture.ts";
import type { CloseChoice } from "./close-choice.ts";
import { ServerConnection } from "./connection.ts";
import type { ConnectionOptions, WorkerContext } from "./connection-options.ts";
import { boundSocket, needsOwnSocket, setListening } from "./listening-socket.ts";
import type { ListenerStats } from "./downstream-stats.ts";

export interface ListenerSettings {
  readonly address: Address;
  /** Several workers share the port; the kernel spreads connections over them. */
  readonly reusePort: boolean;
  readonly backlog: number;
  /** Accepted connections that live at the same time; 0 means unlimited. Those above it are closed at once. */
  readonly maxConnections: number;
  /** Options of the listening socket; undefined: none. */
  readonly interception?: Interception;
}

type Chain = ConnectionOptions | RawChain;

/** Those of one listener that has access logs: its log, and what it is told in the end. */
type Logged = readonly [log: ConnectionLog<Chain>, ended: EndedConnection<Chain>];

/** Picks the filter chain for a connection; undefined closes it. Replace it with `useChains`. */
export type ChainSelector = (connection: ConnectionInfo) => ConnectionOptions | RawChain | undefined;

let lastConnectionId = 0;

export class Listener implements ConnectionObserver {
  readonly #settings: ListenerSettings;
  readonly #context: WorkerContext;
  readonly #stats: ListenerStats;
  readonly #connections = new Set<AcceptedConnection>();
  /** Set while it drains; connections ask it before each response. */
  closeChoice: CloseChoice | undefined = undefined;
  #selectChain: ChainSelector;
  #log: ConnectionLog<Chain> | undefined = undefined;
  #capture: Capture<Listener> | undefined = undefined;
  /** A connection keeps the log that it was opened under. */
  readonly #logged = new Map<AcceptedConnection, Logged>();
  #server: Server | undefined = undefined;
  #onDrained: (() => void) | undefined = undefined;

  constructor(settings: ListenerSettings, selectChain: ChainSelector, context: WorkerContext, stats: ListenerStats) {
    this.#settings = settings;
    this.#selectChain = selectChain;
    this.#context = context;
    this.#stats = stats;
  }

  /** Connections that are open, idle ones included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Where it is bound: the real port when the configured one is 0; undefined before `start` and after `stopAccepting`. */
  get boundAddress(): { host: string; port: number } | undefined {
    const address = this.#server?.address();
    return address !== null && typeof address === "object" ? { host: address.address, port: address.port } : undefined;
  }

  /** Binds; rejects with a message that names the address and says what to do. */
  async start(): Promise<void> {
    const server = createServer();
    const { address, interception } = this.#settings;
    try {
      const options = this.#listenOptions();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(options, resolve);
      });
      if (interception !== undefined && address.kind === "tcp") {
        setListening(server, address, interception);
      }
      takeHandles(server, (handle) => this.#accept(handle));
    } catch (error) {
      server.close();
      throw bindError(address, error instanceof Error ? error : new Error(String(error)));
    }
    // Running out of file descriptors, for one: accepting goes on when some are free again.
    server.on("error", () => undefined);
    this.#server = server;
  }

  /** New connections use these chains from now on, and are told to this log. */
  useChains(selectChain: ChainSelector, log: ConnectionLog<Chain> | undefined, capture?: Capture<Listener>): void {
    this.#selectChain = selectChain;
    this.#log = log;
    this.#capture = capture;
  }

  /** Takes a connection over that another listener has accepted and that was meant for this one. */
  adopt(accepted: AcceptedHandle, info: ConnectionInfo): void {
    if (this.#hasRoom(accepted)) {
      this.#admit(accepted, info);
    }
  }

  /** Closes the listening socket; connections stay. */
  stopAccepting(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /**
   * Lets connections go: idle ones now, the others with their next response. Resolves when the last is gone; whoever
   * has a deadline calls `destroy` after it.
   */
  drain(): Promise<void> {
    for (const connection of this.#connections) {
      connection.drain();
    }
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      this.#checkDrained();
    });
  }

  /** Stops accepting and cuts every connection. */
  destroy(): void {
    this.stopAccepting();
    for (const connection of this.#connections) {
      connection.destroy();
    }
  }

  onConnectionClosed(connection: AcceptedConnection): void {
    this.#connections.delete(connection);
    this.#tellLog(connection);
    this.#stats.cxActive.dec();
    this.#stats.cxDestroy.inc();
    this.#stats.cxLengthMs.record(performance.now() - connection.openedAt);
    this.#checkDrained();
  }

  #accept(accepted: AcceptedHandle): void {
    if (!this.#hasRoom(accepted)) {
      return;
    }
    const info = infoOf(accepted, ++lastConnectionId);
    if (this.#capture === undefined) {
      this.#admit(accepted, info);
    } else {
      this.#acceptCaptured(accepted, info, this.#capture);
    }
  }

  #acceptCaptured(
    accepted: AcceptedHandle,
    info: ConnectionInfo,
    { interception, listenerOf }: Capture<Listener>,
  ): void {
    const { address } = this.#settings;
    const restored = interception.restoresDestination
      ? restoreDestination(accepted, info, interception, address.kind === "tcp" ? address.port : 0)
      : info;
    const other =
      interception.handsOff && restored.direct !== undefined
        ? listenerOf(restored.localAddress, restored.localPort)
        : undefined;
    const kept = keepSource(restored, interception);
    if (other === undefined || other === this) {
      this.#admit(accepted, kept);
    } else {
      other.adopt(accepted, kept);
    }
  }

  #hasRoom(accepted: AcceptedHandle): boolean {
    const { maxConnections } = this.#settings;
    if (maxConnections === 0 || this.#connections.size < maxConnections) {
      return true;
    }
    this.#stats.cxOverflow.inc();
    accepted.close();
    return false;
  }

  #admit(accepted: AcceptedHandle, info: ConnectionInfo): void {
    const options = this.#selectChain(info);
    if (options === undefined) {
      this.#stats.noFilterChainMatch.inc();
      this.#log?.onNoChain(info);
      accepted.close();
      return;
    }
    this.#open(accepted, info, options);
  }

  #open(accepted: AcceptedHandle, info: ConnectionInfo, options: ConnectionOptions | RawChain): void {
    const { readBuffer } = this.#context;
    const socket = socketOver(accepted, options.bufferLimitBytes, readBuffer, (bytes) => connection.onRead(bytes));
    const connection: AcceptedConnection =
      "open" in options
        ? options.open(socket, info, this)
        : new ServerConnection(socket, info, options, this.#context, this);
    this.#connections.add(connection);
    if (this.#log !== undefined) {
      this.#logged.set(connection, [this.#log, { connection, info, chain: options, socket }]);
      this.#log.onOpened();
    }
    this.#stats.cxTotal.inc();
    this.#stats.cxActive.inc();
    connection.start();
  }

  #tellLog(connection: AcceptedConnection): void {
    if (this.#logged.size > 0) {
      const logged = this.#logged.get(connection);
      this.#logged.delete(connection);
      logged?.[0].onClosed(logged[1]);
    }
  }

  #checkDrained(): void {
    if (this.#connections.size === 0) {
      this.#onDrained?.();
      this.#onDrained = undefined;
    }
  }

  #listenOptions(): ListenOptions {
    const { address, reusePort, backlog, interception } = this.#settings;
    if (address.kind === "pipe") {
      return { path: address.path, backlog };
    }
    if (interception !== undefined && needsOwnSocket(interception)) {
      return boundSocket(address, interception, { reusePort, backlog });
    }
    // `exclusive` keeps a cluster's primary out of it.
    return { host: address.host, port: address.port, backlog, reusePort, exclusive: true };
  }
}

const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use by another process",
  EACCES: "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE",
  EADDRNOTAVAIL: "no interface of this machine has the address",
};

function bindError(address: Address, error: Error): Error {
  const where = address.kind === "pipe" ? address.path : `${address.host}:${address.port}`;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return new Error(`Cannot listen on ${where}: ${HINTS[code] ?? error.message}`, { cause: error });
}
