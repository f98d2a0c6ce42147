// A plugin that pauses a stream and never resumes it: some timeout of the stream answers the client, the same one with the same
// words in Envoy and in outrigger. Where the answer has begun already, it is cut.

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { within } from "../support/fake-upstream.ts";
import { ProxyProcess } from "../support/proxy-process.ts";

const TRAILERS = { http_protocol_options: { enable_trailers: true } };
const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const SOON = "0.3s";
/** The idle timeout that answers where the limit under test does not. */
const LATER = "1.2s";

interface Limits {
  readonly manager: object;
  readonly route?: object;
}

const LISTENERS: Readonly<Record<string, Limits>> = {
  idle: { manager: { stream_idle_timeout: SOON } },
  request: { manager: { stream_idle_timeout: LATER, request_timeout: SOON } },
  duration: { manager: { stream_idle_timeout: LATER, common_http_protocol_options: { max_stream_duration: SOON } } },
  "route-timeout": { manager: { stream_idle_timeout: LATER }, route: { timeout: SOON } },
  "route-idle": { manager: { stream_idle_timeout: LATER }, route: { timeout: "0s", idle_timeout: SOON } },
  "route-duration": {
    manager: { stream_idle_timeout: LATER },
    route: { timeout: "0s", max_stream_duration: { max_stream_duration: SOON } },
  },
};

const IDLE = "stream timeout";
const REQUEST = "request timeout";
const DURATION = "downstream duration timeout";
const CUT = "200 cut";

/** By listener: held in request headers, in request trailers, in response headers, in response trailers. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  idle: [`504 ${IDLE}`, `504 ${IDLE}`, `504 ${IDLE}`, CUT],
  request: [`504 ${REQUEST}`, `504 ${REQUEST}`, `504 ${IDLE}`, CUT],
  duration: [`504 ${DURATION}`, `504 ${DURATION}`, `504 ${DURATION}`, CUT],
  // The route's timeout is the upstream's, which has not been asked yet or has answered already.
  "route-timeout": [`504 ${IDLE}`, `504 ${IDLE}`, `504 ${IDLE}`, CUT],
  "route-idle": [`504 ${IDLE}`, `504 ${IDLE}`, `504 ${IDLE}`, CUT],
  "route-duration": [`504 ${DURATION}`, `504 ${DURATION}`, `504 ${DURATION}`, CUT],
};
const PHASES = ["request-headers", "request-trailers", "response-headers", "response-trailers"];

function config(port: number): object {
  const listeners = Object.entries(LISTENERS).map(([name, { manager, route }]) =>
    listener(name, {
      filters: [wasmFilter("p", guest("pause-forever"))],
      manager: { ...TRAILERS, ...manager },
      routes: [{ match: { prefix: "/" }, route: { cluster: "origin", ...route } }],
    }),
  );
  const options = { "@type": `type.googleapis.com/${HTTP_OPTIONS}`, explicit_http_config: TRAILERS };
  const typed_extension_protocol_options = { [HTTP_OPTIONS]: options };
  return bootstrap({ listeners, clusters: [cluster("origin", [port], { typed_extension_protocol_options })] });
}

/** Answers when the request has ended, with trailers. */
async function origin() {
  const server = createServer((asked, response) => {
    asked.on("error", () => undefined).resume();
    asked.on("end", () => {
      response.writeHead(200, { trailer: "x-t" });
      response.addTrailers({ "x-t": "1" });
      response.end("ok");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Status and text, or that it was cut. */
function answer(port: number, path: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const asked = request({ port, path, method: "POST", agent: false, headers: { trailer: "x-r" } }, (response) => {
    let text = "";
    response.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
    response.on("error", () => resolve(`${response.statusCode} cut`));
    response.on("end", () => resolve(`${response.statusCode} ${text}`));
  });
  asked.on("error", (error) => resolve(error.message));
  asked.write("abc");
  asked.addTrailers({ "x-r": "1" });
  asked.end();
  return within(promise, `an answer to ${path}`, 8_000);
}

const oracle = findEnvoy();

suite("a stream that a plugin pauses for good", () => {
  for (const name of ["outrigger", "Envoy"] as const) {
    const skip = name === "Envoy" && oracle === undefined ? ENVOY_MISSING : false;
    test(`${name}: is answered by its timeouts`, { skip }, async () => {
      using upstream = await origin();
      await using proxy = await ProxyProcess.start(name === "Envoy" ? oracle : undefined, config(upstream.port));
      const answers = Object.keys(EXPECTED).map(async (limit) => {
        const all = PHASES.map((phase) => answer(proxy.port(limit), `/${phase}`));
        return [limit, await Promise.all(all)] as const;
      });
      assert.deepEqual(Object.fromEntries(await Promise.all(answers)), EXPECTED);
    });
  }
});
