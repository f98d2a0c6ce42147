// Counts a TCP connection for somebody from its start to its end. Used by tcp-serving.ts where the configuration has such a meter.

import type { AcceptedConnection, ConnectionObserver } from "../listener/accepted-connection.ts";
import type { CloseChoice } from "../listener/close-choice.ts";
import type { TcpRecord } from "./tcp-record.ts";

export interface TcpMeter {
  /** The facts grow while the connection lives; `end` is called once, when they are final. */
  begin(facts: TcpRecord): { end(): void };
}

export class MeteredObserver implements ConnectionObserver {
  readonly #observer: ConnectionObserver;
  readonly #meter: TcpMeter;
  #running: { end(): void } | undefined = undefined;

  constructor(observer: ConnectionObserver, meter: TcpMeter) {
    this.#observer = observer;
    this.#meter = meter;
  }

  begin(facts: TcpRecord): void {
    this.#running = this.#meter.begin(facts);
  }

  get closeChoice(): CloseChoice | undefined {
    return this.#observer.closeChoice;
  }

  onConnectionClosed(connection: AcceptedConnection): void {
    this.#running?.end();
    this.#running = undefined;
    this.#observer.onConnectionClosed(connection);
  }
}
