/**
 * One keep-alive connection of the load client (load.ts): sends a request when told to, one at a time, times it,
 * and opens itself again when the peer has closed. No pipelining.
 */
import net from "node:net";

import { ResponseReader, type Reply } from "./response-reader.ts";

export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  /** The whole request, head and body. */
  readonly request: Buffer;
  readonly isHead: boolean;
  /** A request without a complete answer after this long is an error. Milliseconds. */
  readonly timeoutMs: number;
}

/** How one request ended: with a reply, or with what went wrong. */
export type Outcome = { readonly reply: Reply } | { readonly error: string };

/** Told once for every request sent, with the time that the request began (performance.now()). */
export type OutcomeListener = (connection: LoadConnection, outcome: Outcome, startedAt: number) => void;

export class LoadConnection {
  readonly #target: ConnectionTarget;
  readonly #onOutcome: OutcomeListener;
  #socket: net.Socket | undefined;
  #startedAt = 0;
  #busy = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(target: ConnectionTarget, onOutcome: OutcomeListener) {
    this.#target = target;
    this.#onOutcome = onOutcome;
  }

  /** Sends one request; only when the one before has ended. `startedAt` is where its time is counted from. */
  send(startedAt: number): void {
    this.#busy = true;
    this.#startedAt = startedAt;
    const socket = this.#socket ?? this.#open();
    socket.write(this.#target.request);
    this.#timer ??= setTimeout(() => this.#onTimeout(), this.#target.timeoutMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#busy = false;
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): net.Socket {
    const socket = net.connect({ host: this.#target.host, port: this.#target.port, noDelay: true });
    const reader = new ResponseReader((reply) => this.#onReply(socket, reply), this.#target.isHead);
    socket.on("data", (chunk: Buffer) => {
      if (socket === this.#socket && !this.#busy) this.#drop(socket);
      else reader.push(chunk);
    });
    socket.on("end", () => {
      reader.end();
      this.#onClosed(socket, "closed before the response");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => this.#onClosed(socket, error.code ?? error.message));
    this.#socket = socket;
    return socket;
  }

  #onReply(socket: net.Socket, reply: Reply): void {
    if (socket !== this.#socket || !this.#busy) return;
    if (reply.closes) this.#drop(socket);
    this.#settle({ reply });
  }

  #onClosed(socket: net.Socket, why: string): void {
    if (socket !== this.#socket) return;
    this.#drop(socket);
    if (this.#busy) this.#settle({ error: why });
  }

  /** One timer for many requests: it looks whether the current one is old enough, and waits on when not. */
  #onTimeout(): void {
    this.#timer = undefined;
    if (!this.#busy) return;
    const left = this.#target.timeoutMs - (performance.now() - this.#startedAt);
    if (left > 1) {
      this.#timer = setTimeout(() => this.#onTimeout(), left);
      return;
    }
    if (this.#socket !== undefined) this.#drop(this.#socket);
    this.#settle({ error: `no response within ${this.#target.timeoutMs} ms` });
  }

  #drop(socket: net.Socket): void {
    socket.destroy();
    if (socket === this.#socket) this.#socket = undefined;
  }

  #settle(outcome: Outcome): void {
    this.#busy = false;
    this.#onOutcome(this, outcome, this.#startedAt);
  }
}
