// Whether a listener's address can be bound, asked on the main thread before workers bind it with SO_REUSEPORT: with that
// option a second process would quietly share the port instead of failing. Port 0 becomes a real one here, the same for
// all workers.

import { createServer } from "node:net";
import type { Address } from "../xds/model/address.ts";
import type { Listener } from "../xds/model/listener.ts";

/** Addresses that this process has bound already are known to be ours. */
export class PortCheck {
  readonly #ours = new Set<string>();
  /** What port 0 has become, by listener and address: a new version of the listener keeps it, and so its sockets. */
  readonly #chosen = new Map<string, number>();

  /** The listener with port 0 replaced, or what is wrong with its address. */
  async bindable(listener: Listener): Promise<Listener | string> {
    if (!listener.bindToPort) {
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

  async #check(name: string, place: number, address: Address): Promise<Address | string> {
    if (address.kind === "pipe" || this.#ours.has(`${address.host} ${address.port}`)) {
      return address;
    }
    const key = `${name} ${place} ${address.host}`;
    const chosen = address.port === 0 ? this.#chosen.get(key) : undefined;
    if (chosen !== undefined) {
      return { ...address, port: chosen };
    }
    const port = await tryBind(address.host, address.port);
    if (typeof port === "string") {
      return `Cannot bind listener "${name}" to ${address.host}:${address.port}: ${port}`;
    }
    this.#ours.add(`${address.host} ${port}`);
    if (address.port === 0) {
      this.#chosen.set(key, port);
    }
    return { ...address, port };
  }
}

/** Binds and closes again: the port, or why not. */
function tryBind(host: string, port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(bindProblem(error)));
    server.listen({ host, port, exclusive: true }, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === "object" && bound !== null ? bound.port : port));
    });
  });
}

/** A bind error in words that say what to do. */
export function bindProblem(error: NodeJS.ErrnoException): string {
  switch (error.code ?? "") {
    case "EADDRINUSE":
      return "the address is in use by another process";
    case "EACCES":
      return "permission denied: ports below 1024 need CAP_NET_BIND_SERVICE";
    case "EADDRNOTAVAIL":
      return "this machine has no such address";
    default:
      return error.code ?? error.message;
  }
}
