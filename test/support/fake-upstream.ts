// An upstream that does exactly what a test says, byte by byte: a TCP server on a free port whose connections the test drives.

import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

const DEADLINE_MS = 15_000;

/** Rejects when `promise` takes longer than the deadline; `what` names what did not happen. */
export async function within<T>(promise: Promise<T>, what: string, ms = DEADLINE_MS): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(new Error(`Not within ${ms} ms: ${what}`)), ms);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Something that changes, and tests that wait for it to become so. */
export class Signal {
  readonly #checks = new Set<() => void>();

  notify(): void {
    for (const check of Array.from(this.#checks)) {
      check();
    }
  }

  /** Resolves when `isTrue`, which is asked now and at every change. */
  async until(isTrue: () => boolean, what: string): Promise<void> {
    const done = Promise.withResolvers<void>();
    const check = (): void => {
      if (isTrue()) {
        done.resolve();
      }
    };
    this.#checks.add(check);
    check();
    try {
      await within(done.promise, what);
    } finally {
      this.#checks.delete(check);
    }
  }
}

/** The upstream's end of one connection. */
export class FakeConnection {
  readonly socket: Socket;
  /** Everything that has come, as latin1. */
  received = "";
  receivedBytes = 0;
  isClosed = false;
  readonly #changed = new Signal();
  readonly #keepsText: boolean;

  constructor(socket: Socket, keepsText: boolean) {
    this.socket = socket;
    this.#keepsText = keepsText;
    socket.on("data", (chunk: Buffer) => {
      this.receivedBytes += chunk.length;
      if (this.#keepsText) {
        this.received += chunk.toString("latin1");
      }
      this.#changed.notify();
    });
    socket.on("error", () => {});
    socket.on("end", () => this.#close());
    socket.on("close", () => this.#close());
  }

  send(bytes: string | Uint8Array): void {
    if (typeof bytes === "string") {
      this.socket.write(bytes, "latin1");
    } else {
      this.socket.write(bytes);
    }
  }

  /** Sends what is unsent, then FIN. */
  end(): void {
    this.socket.end();
  }

  /** Sends RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async untilReceived(text: string): Promise<void> {
    await this.#changed.until(() => this.received.includes(text), `${JSON.stringify(text)} at the upstream`);
  }

  /** Resolves when `count` requests without bodies have come. */
  async untilRequests(count: number): Promise<void> {
    await this.#changed.until(
      () => this.received.split("\r\n\r\n").length > count,
      `${count} requests at the upstream`,
    );
  }

  async untilBytes(count: number): Promise<void> {
    await this.#changed.until(() => this.receivedBytes >= count, `${count} bytes at the upstream`);
  }

  /** The proxy has closed the connection. */
  async untilClosed(): Promise<void> {
    await this.#changed.until(() => this.isClosed, "close of the upstream connection");
  }

  #close(): void {
    this.isClosed = true;
    this.#changed.notify();
  }
}

export interface FakeUpstreamOptions {
  /** Answers every request head with this text at once. */
  readonly respond?: string;
  /** False for tests that move megabytes. */
  readonly keepsText?: boolean;
  readonly host?: string;
}

export class FakeUpstream {
  readonly connections: FakeConnection[] = [];
  readonly #server: Server;
  readonly #accepted = new Signal();

  private constructor(options: FakeUpstreamOptions) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      const connection = new FakeConnection(socket, options.keepsText ?? true);
      this.connections.push(connection);
      if (options.respond !== undefined) {
        answerHeads(connection, options.respond);
      }
      this.#accepted.notify();
    });
  }

  static async start(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
    const upstream = new FakeUpstream(options);
    upstream.#server.listen(0, options.host ?? "127.0.0.1");
    await once(upstream.#server, "listening");
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connection `index`, counted from 0, once it has been accepted. */
  async connection(index: number): Promise<FakeConnection> {
    await this.#accepted.until(() => this.connections.length > index, `connection ${index} at the upstream`);
    return this.connections[index] as FakeConnection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const connection of this.connections) {
      connection.socket.destroy();
    }
    await closed;
  }
}

function answerHeads(connection: FakeConnection, response: string): void {
  let answered = 0;
  connection.socket.on("data", () => {
    const heads = connection.received.split("\r\n\r\n").length - 1;
    for (; answered < heads; answered++) {
      connection.send(response);
    }
  });
}
