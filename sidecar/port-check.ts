// Whether a listener's address can be bound, asked on the main thread before workers bind it with SO_REUSEPORT: with that
// option a second process would quietly share the port instead of failing. Port 0 becomes a real one here, the same for
// all workers; its socket is kept until the workers have bound theirs, or another process would get the port in between.

import { createServer, type Server } from "node:net";
import type { Address } from "../xds/model/address.ts";
import type { Listener } from "../xds/model/listener.ts";

/** Addresses that this process has bound already are known to be ours. */
export class PortCheck {
  readonly #ours = new Set<string>();
  /** What port 0 has become, by listener and address: a new version of the listener keeps it, and so its sockets. */
  readonly #chosen = new Map<string, number>();
  #held: Server[] = [];

  /** The listener with port 0 replaced, or what is wrong with its address. */
  async bindable(listener: Listener): Promise<Listener | string> {
    // An address of another machine cannot be tried without the socket option.
    if (!listener.bindToPort || listener.interception.freebind) {
      return listener;
    }
    const address = await this.#check(listener.name, 0, listener.address);
    if (typeof address === "string") {
      return address;
    }
    const additional: Address[] = [];
    for (const [index, each] of listener.additionalAddresses.entries()) {
      const checked = await this.#check(listener.name, index + 1, each);
      if (typeof checked === "string") {
        return checked;
      }
      additional.push(checked);
    }
    return { ...listener, address, additionalAddresses: additional };
  }

  /** The workers have bound what was bindable: the sockets that kept ports for them are closed. */
  release(): void {
    for (const server of this.#held) {
      server.close();
    }
    this.#held = [];
  }

  async #check(name: string, place: number, address: Address): Promise<Address | string> {
    if (address.kind === "pipe" || this.#ours.has(`${address.host} ${address.port}`)) {
      return address;
    }
    const key = `${name} ${place} ${address.host}`;
    const chosen = address.port === 0 ? this.#chosen.get(key) : undefined;
    if (chosen !== undefined) {
      return { ...address, port: chosen };
    }
    const bound = await bind(address.host, address.port);
    if (typeof bound === "string") {
      return `${bindFailure(name)}to ${address.host}:${address.port}: ${bound}`;
    }
    const { server, port } = bound;
    if (address.port === 0) {
      this.#held.push(server);
    } else {
      await new Promise((resolve) => server.close(resolve));
    }
    this.#ours.add(`${address.host} ${port}`);
    if (address.port === 0) {
      this.#chosen.set(key, port);
    }
    return { ...address, port };
  }
}

/** The bound socket and its port, or why not. A port of the kernel's choice is shared with the workers that will bind it. */
function bind(host: string, port: number): Promise<{ readonly server: Server; readonly port: number } | string> {
  return new Promise((resolve) => {
    // Nobody knows the port yet; who comes all the same must try again.
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => resolve(bindProblem(error)));
    server.listen({ host, port, exclusive: true, reusePort: port === 0 }, () => {
      const bound = server.address();
      resolve({ server, port: typeof bound === "object" && bound !== null ? bound.port : port });
    });
  });
}

function bindFailure(name: string): string {
  return `Cannot bind listener "${name}" `;
}

/** Whether a problem says that this listener's address cannot be bound. */
export function isBindFailure(problem: string, name: string): boolean {
  return problem.startsWith(bindFailure(name));
}

/** A bind error in words that say what to do. */
export function bindProblem(error: NodeJS.ErrnoException): string {
  switch (error.code ?? "") {
    case "EADDRINUSE":
      return "the address is in use by another process; change the port or stop that process";
    case "EACCES":
      return "permission denied: ports below 1024 need CAP_NET_BIND_SERVICE";
    case "EADDRNOTAVAIL":
      return "this machine has no such address";
    default:
      return error.code ?? error.message;
  }
}
