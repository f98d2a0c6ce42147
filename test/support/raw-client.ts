// A TCP client that sends exactly the bytes it is told and collects what comes back: for tests of what no HTTP client sends.

import { connect, type Socket } from "node:net";

const DEADLINE_MS = 15_000;

export class RawClient {
  readonly #socket: Socket;
  #received = "";
  #ended = false;
  #closed = false;
  #waiting: (() => void) | undefined = undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
      this.#waiting?.();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#waiting?.();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#closed = true;
      this.#waiting?.();
    });
  }

  static async connect(port: number, host = "127.0.0.1"): Promise<RawClient> {
    const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawClient(socket);
  }

  /** Everything received so far, as latin1. */
  get received(): string {
    return this.#received;
  }

  /** True once the server has closed its side. */
  get hasEnded(): boolean {
    return this.#ended || this.#closed;
  }

  send(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** Shuts the sending side. */
  end(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Waits until what has been received satisfies `isEnough`; takes it out and returns it. */
  async receive(isEnough: (received: string) => boolean): Promise<string> {
    await this.#until(() => isEnough(this.#received), "the expected bytes");
    const text = this.#received;
    this.#received = "";
    return text;
  }

  /** Waits for text that ends so. */
  receiveUntil(ending: string): Promise<string> {
    return this.receive((received) => received.endsWith(ending));
  }

  /** Waits for the server's end and returns what came before it. */
  async receiveAll(): Promise<string> {
    await this.#until(() => this.hasEnded, "the end");
    const text = this.#received;
    this.#received = "";
    return text;
  }

  /** Waits until `text` has come or the server has ended; takes out and returns what came. */
  async receiveUntilEndOr(text: string): Promise<string> {
    await this.#until(() => this.hasEnded || this.#received.includes(text), `the end or ${JSON.stringify(text)}`);
    const received = this.#received;
    this.#received = "";
    return received;
  }

  async #until(isTrue: () => boolean, what: string): Promise<void> {
    if (isTrue()) {
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = undefined;
        reject(new Error(`Waited ${DEADLINE_MS} ms for ${what}; received ${JSON.stringify(this.#received)}`));
      }, DEADLINE_MS);
      this.#waiting = () => {
        if (isTrue()) {
          clearTimeout(timer);
          this.#waiting = undefined;
          resolve();
        } else if (this.#closed) {
          clearTimeout(timer);
          this.#waiting = undefined;
          reject(new Error(`Closed before ${what}; received ${JSON.stringify(this.#received)}`));
        }
      };
    });
  }
}
