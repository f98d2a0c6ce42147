// The smallest proxy that the codec and the downstream side make: no routes, no filters, one upstream, no statistics.
// For profiles and for the ratio to nginx: what it costs above this, the rest of the product costs.
//   node test/bench/h1-proxy.ts LISTEN_PORT UPSTREAM_PORT

import { Socket } from "node:net";
import type { ProxyError } from "../../sidecar/errors.ts";
import { H1_REQUEST_LIMITS, H1_RESPONSE_LIMITS, H1Parser, type H1Sink } from "../../sidecar/http/h1-parser.ts";
import { H1Writer } from "../../sidecar/http/h1-writer.ts";
import type { HeaderMap } from "../../sidecar/http/headers.ts";
import { ResponseHead } from "../../sidecar/http/message.ts";
import type { DownstreamStream, RequestSink } from "../../sidecar/http/stream.ts";
import { TimerWheel } from "../../sidecar/http/timer-wheel.ts";
import type { ConnectionOptions } from "../../sidecar/listener/connection-options.ts";
import { downstreamStats, listenerStats } from "../../sidecar/listener/downstream-stats.ts";
import { Listener } from "../../sidecar/listener/listener.ts";
import type { StatsScope } from "../../sidecar/stats/scope.ts";

const [listenPort = "9180", upstreamPort = "9190"] = process.argv.slice(2);
const readBuffer = Buffer.allocUnsafeSlow(65_536);
const wheel = new TimerWheel();
const idle: Upstream[] = [];

class Upstream implements H1Sink {
  readonly #parser = new H1Parser("response", this, H1_RESPONSE_LIMITS);
  readonly #socket: Socket;
  readonly #writer: H1Writer;
  #relay: Relay | undefined = undefined;

  constructor() {
    const socket = new Socket({
      onread: { buffer: readBuffer, callback: (bytes) => this.#onRead(bytes) },
    });
    socket.setNoDelay(true);
    socket.connect(Number(upstreamPort), "127.0.0.1");
    socket.on("error", () => this.#relay?.fail());
    socket.on("close", () => this.#relay?.fail());
    this.#socket = socket;
    this.#writer = new H1Writer({
      write: (bytes) => void (typeof bytes === "string" ? socket.write(bytes, "latin1") : socket.write(bytes)),
    });
  }

  begin(relay: Relay): H1Writer {
    this.#relay = relay;
    this.#parser.nextResponse(relay.stream.head.method === "HEAD", false);
    this.#writer.request(relay.stream.head, relay.stream.endOfRequest, "none");
    return this.#writer;
  }

  onHead(end: boolean): void {
    const relay = this.#relay;
    const head = new ResponseHead(this.#parser.status, this.#parser.reason, this.#parser.headers);
    if (end) {
      this.#done();
    }
    relay?.stream.respond(head, end);
  }

  onBody(chunk: Uint8Array, end: boolean): void {
    const relay = this.#relay;
    if (end) {
      this.#done();
    }
    relay?.stream.data(chunk, end);
  }

  onTrailers(trailers: HeaderMap): void {
    const relay = this.#relay;
    this.#done();
    relay?.stream.trailers(trailers);
  }

  #onRead(bytes: number): boolean {
    this.#parser.execute(readBuffer, 0, bytes);
    if (this.#parser.failure !== undefined) {
      this.#socket.destroy();
    }
    return true;
  }

  #done(): void {
    this.#relay = undefined;
    if (this.#parser.keepAlive) {
      idle.push(this);
    }
  }
}

class Relay implements RequestSink {
  readonly stream: DownstreamStream;
  readonly #writer: H1Writer;

  constructor(stream: DownstreamStream) {
    this.stream = stream;
    this.#writer = (idle.pop() ?? new Upstream()).begin(this);
  }

  fail(): void {
    this.stream.abort();
  }

  onRequestData(chunk: Uint8Array, end: boolean): void {
    this.#writer.data(chunk, end);
  }

  onRequestTrailers(trailers: HeaderMap): void {
    this.#writer.trailers(trailers);
  }

  onDownstreamReset(_error: ProxyError): void {}

  onResponseBlocked(_blocked: boolean): void {}

  onDownstreamDone(): void {}
}

const nothing = { inc: () => undefined, dec: () => undefined, add: () => undefined, set: () => undefined, value: 0 };
const scope: StatsScope = {
  counter: () => nothing,
  gauge: () => nothing,
  histogram: () => ({ record: () => undefined }),
};
const options: ConnectionOptions = {
  normalizePath: false,
  mergeSlashes: false,
  escapedSlashes: "keep_unchanged",
  stripMatchingHostPort: false,
  stripAnyHostPort: false,
  stripTrailingHostDot: false,
  limits: H1_REQUEST_LIMITS,
  acceptHttp10: false,
  defaultHostForHttp10: "",
  enableTrailers: false,
  allowAbsoluteUrl: true,
  allowCustomMethods: false,
  proxy100Continue: false,
  headersWithUnderscores: "allow",
  upgrades: new Set(),
  serverName: "envoy",
  idleTimeoutMs: 3_600_000,
  headersTimeoutMs: 300_000,
  maxConnectionDurationMs: 0,
  delayedCloseTimeoutMs: 1_000,
  maxRequestsPerConnection: 0,
  bufferLimitBytes: 1_048_576,
  keepsHalfClosed: false,
  stats: downstreamStats(scope, "bench"),
  handler: { onStream: (stream) => new Relay(stream) },
};
const listener = new Listener(
  {
    address: { kind: "tcp", host: "127.0.0.1", port: Number(listenPort) },
    reusePort: false,
    backlog: 512,
    maxConnections: 0,
  },
  () => options,
  { wheel, readBuffer },
  listenerStats(scope, "bench"),
);
await listener.start();
// `--cpu-prof` writes its file at an orderly exit only.
process.on("SIGINT", () => {
  listener.destroy();
  wheel.close();
  process.exit();
});
