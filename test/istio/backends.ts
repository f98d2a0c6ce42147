// The backends of the mesh: each answers with its name and with what it saw of the request.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Names in mesh/, as __NAME__, stand for their ports. */
const BACKENDS = ["CATALOG_V1", "CATALOG_V2", "PRICES", "APPLICATION"] as const;
const SLOW_MS = 1_000;

/** Ports by name. */
export async function startBackends(owned: AsyncDisposableStack): Promise<Readonly<Record<string, number>>> {
  const ports: Record<string, number> = {};
  for (const name of BACKENDS) {
    const server = createServer((request, response) => respond(name, request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    owned.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    ports[name] = (server.address() as AddressInfo).port;
  }
  return ports;
}

function respond(name: string, request: IncomingMessage, response: ServerResponse): void {
  const { host, ...rest } = request.headers;
  const kept = Object.entries(rest).filter(([key]) => key.startsWith("x-") && key !== "x-request-id");
  kept.sort(([a], [b]) => (a < b ? -1 : 1));
  const seen = { backend: name, method: request.method, path: request.url, host, ...Object.fromEntries(kept) };
  const text = JSON.stringify(seen, undefined, 1);
  const answer = () => response.setHeader("x-backend", name).end(text);
  request.resume().on("end", () => {
    if (request.url?.startsWith("/slow") === true) setTimeout(answer, SLOW_MS).unref();
    else answer();
  });
}
