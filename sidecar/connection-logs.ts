// The access logs of a listener: one line for each connection that is over, whatever was spoken on it, and for each that no
// filter chain took. listener-set.ts makes one for a listener that has such logs; the listener tells it of its connections.
// Source: envoy.config.listener.v3.Listener.access_log.

import type { AccessLogs } from "./access-logs.ts";
import type { ConnectionInfo } from "./http/stream.ts";
import type { ConnectionLog, EndedConnection } from "./listener/accepted-connection.ts";
import { TcpConnection } from "./tcp/tcp-connection.ts";
import { type ConnectionOrigin, TcpRecord } from "./tcp/tcp-record.ts";

export class ConnectionLogs<Chain extends object> implements ConnectionLog<Chain> {
  readonly #logs: AccessLogs;
  readonly #listener: ConnectionOrigin;
  readonly #origins: ReadonlyMap<Chain, ConnectionOrigin>;

  /** `listener`: the origin of connections that no chain took. */
  constructor(logs: AccessLogs, listener: ConnectionOrigin, origins: ReadonlyMap<Chain, ConnectionOrigin>) {
    this.#logs = logs;
    this.#listener = listener;
    this.#origins = origins;
  }

  onOpened(): void {
    this.#logs.begin();
  }

  onClosed({ connection, info, chain, socket }: EndedConnection<Chain>): void {
    if (connection instanceof TcpConnection) {
      this.#end(connection.facts);
      return;
    }
    const record = new TcpRecord(info, connection.openedAt, this.#origins.get(chain) ?? this.#listener);
    record.protocol = connection.protocol;
    record.requestBodyBytes = socket.bytesRead;
    record.responseBodyBytes = socket.bytesWritten;
    this.#end(record);
  }

  onNoChain(info: ConnectionInfo): void {
    const record = new TcpRecord(info, performance.now(), this.#listener);
    record.flag("NR");
    record.responseCodeDetails = "filter_chain_not_found";
    this.#logs.begin();
    this.#end(record);
  }

  #end(record: TcpRecord): void {
    record.endedAt = performance.now();
    record.accessLogType = "NotSet";
    this.#logs.end(record);
  }
}
