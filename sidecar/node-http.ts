// Node's HTTP server and client, for the admin port, the webhook and module downloads (no request that is proxied passes here).
// Not by `import`: naming one export of node:http evaluates all of them, WebSocket and fetch too, and that takes 8 MB.

import type http from "node:http";
import type https from "node:https";
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);

export const { createServer, request: requestHttp } = load("node:http") as typeof http;

/** TLS is loaded with the first call. */
export function requestHttps(options: https.RequestOptions): http.ClientRequest {
  return (load("node:https") as typeof https).request(options);
}

/** The same for a server. */
export function createHttpsServer(options: https.ServerOptions, onRequest: http.RequestListener): https.Server {
  return (load("node:https") as typeof https).createServer(options, onRequest);
}
