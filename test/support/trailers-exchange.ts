// Requests that may end with trailers, and what a proxy must be told to let trailers through on both sides.

import { once } from "node:events";
import { type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";

/** Of a connection manager. */
export const TRAILERS_ENABLED = { http_protocol_options: { enable_trailers: true } };

/** Of a cluster. */
export const UPSTREAM_TRAILERS_ENABLED = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: TRAILERS_ENABLED,
    },
  },
};

/** POSTs without a body, or with a short one and trailers; the response when it has come to its end. */
export async function exchange(
  port: number,
  path: string,
  headers: OutgoingHttpHeaders,
  trailers?: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const asked = request({ port, path, method: "POST", headers: { host: "shop", ...headers } });
  if (trailers !== undefined) {
    asked.setHeader("trailer", Object.keys(trailers).join(", "));
    asked.write("body");
    asked.addTrailers(trailers);
  }
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  return response;
}
