// The two ends of a proxied TCP connection, driven by a test: what each has received, and how its connection ended.
// A TcpPeer is one end; a TcpServer hands them out as connections come.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Signal } from "./fake-upstream.ts";

export class TcpPeer {
  readonly socket: Socket;
  /** Everything that has come, as latin1. */
  received = "";
  /** The other side has shut its sending side. */
  hasEnd = false;
  /** `end` when the connection was closed in order, else the error's code. */
  closed = "";
  readonly #changed = new Signal();
  #error = "";

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
      this.#changed.notify();
    });
    socket.on("end", () => {
      this.hasEnd = true;
      this.#changed.notify();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => (this.#error = error.code ?? error.message));
    socket.on("close", () => {
      this.closed = this.#error === "" ? "end" : this.#error;
      this.#changed.notify();
    });
  }

  static async connect(port: number): Promise<TcpPeer> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    return new TcpPeer(socket);
  }

  send(bytes: string | Uint8Array): void {
    if (typeof bytes === "string") {
      this.socket.write(bytes, "latin1");
    } else {
      this.socket.write(bytes);
    }
  }

  /** FIN after what was sent. */
  end(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  untilReceived(text: string): Promise<void> {
    return this.#changed.until(() => this.received.includes(text), `${JSON.stringify(text)} at a peer`);
  }

  untilBytes(count: number): Promise<void> {
    return this.#changed.until(() => this.received.length >= count, `${count} bytes at a peer`);
  }

  /** The other side's FIN. */
  untilEnd(): Promise<void> {
    return this.#changed.until(() => this.hasEnd || this.closed !== "", "the other side's end");
  }

  /** The end of the connection; answers how. Shuts our side when the other side has shut its own. */
  async untilClosed(): Promise<string> {
    await this.untilEnd();
    this.socket.end();
    await this.#changed.until(() => this.closed !== "", "the connection's end");
    return this.closed;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export class TcpServer {
  readonly #server: Server;
  readonly #peers: TcpPeer[] = [];
  readonly #accepted = new Signal();
  #taken = 0;

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#peers.push(new TcpPeer(socket));
      this.#accepted.notify();
    });
  }

  static async start(port = 0): Promise<TcpServer> {
    const made = new TcpServer();
    made.#server.listen(port, "127.0.0.1");
    await once(made.#server, "listening");
    return made;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next connection that nobody has asked for yet. */
  async next(): Promise<TcpPeer> {
    const index = this.#taken++;
    await this.#accepted.until(() => this.#peers.length > index, `connection ${index} at the server`);
    return this.#peers[index] as TcpPeer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) {
      peer.destroy();
    }
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}
