// A real listener on port 0 with a scripted handler, for tests of the downstream side without a proxy.

import type { HttpConnectionManager } from "../../xds/model/listener.ts";
import type { ProxyError } from "../../sidecar/errors.ts";
import { HeaderMap } from "../../sidecar/http/headers.ts";
import { ResponseHead } from "../../sidecar/http/message.ts";
import type { ConnectionInfo, DownstreamStream, RequestSink } from "../../sidecar/http/stream.ts";
import { TimerWheel } from "../../sidecar/http/timer-wheel.ts";
import { connectionOptions, type ConnectionOptions } from "../../sidecar/listener/connection-options.ts";
import { downstreamStats, listenerStats } from "../../sidecar/listener/downstream-stats.ts";
import { Listener } from "../../sidecar/listener/listener.ts";
import type { Rejection } from "../../sidecar/listener/rejection.ts";
import type { Counter, Gauge, Histogram, StatsScope } from "../../sidecar/stats/scope.ts";

/** Statistics as a plain map. */
export class PlainStats implements StatsScope {
  readonly values = new Map<string, number>();

  counter(name: string): Counter & Gauge {
    const values = this.values;
    const change = (amount: number): void => {
      values.set(name, (values.get(name) ?? 0) + amount);
    };
    return {
      inc: () => change(1),
      dec: () => change(-1),
      add: change,
      set: (value) => values.set(name, value),
      get value() {
        return values.get(name) ?? 0;
      },
    };
  }

  gauge(name: string): Gauge {
    return this.counter(name);
  }

  histogram(name: string): Histogram {
    const counter = this.counter(name);
    return { record: () => counter.inc() };
  }

  /** Value of a statistic of the test's connection manager. */
  http(name: string): number {
    return this.values.get(`http.test.${name}`) ?? 0;
  }
}

/** One request as the handler saw it. */
export class SeenRequest implements RequestSink {
  readonly stream: DownstreamStream;
  body = "";
  isComplete: boolean;
  trailers: [string, string][] | undefined = undefined;
  reset: ProxyError | undefined = undefined;
  isDone = false;
  blocked: boolean[] = [];
  /** Called after each event. */
  onChange: (() => void) | undefined = undefined;

  constructor(stream: DownstreamStream) {
    this.stream = stream;
    this.isComplete = stream.endOfRequest;
  }

  onRequestData(chunk: Uint8Array, end: boolean): void {
    this.body += Buffer.from(chunk).toString("latin1");
    this.isComplete = end;
    this.onChange?.();
  }

  onRequestTrailers(trailers: HeaderMap): void {
    this.trailers = [...trailers];
    this.isComplete = true;
    this.onChange?.();
  }

  onDownstreamReset(error: ProxyError): void {
    this.reset = error;
    this.onChange?.();
  }

  onResponseBlocked(blocked: boolean): void {
    this.blocked.push(blocked);
    this.onChange?.();
  }

  onDownstreamDone(): void {
    this.isDone = true;
    this.onChange?.();
  }

  /** Answers with a body of known length. */
  reply(body: string, status = 200): void {
    const headers = HeaderMap.from([["content-length", String(body.length)]]);
    this.stream.respond(new ResponseHead(status, "", headers), body === "");
    if (body !== "") {
      this.stream.data(Buffer.from(body, "latin1"), true);
    }
  }

  /** Waits for something to become true of this request. */
  until(isTrue: (request: SeenRequest) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("Waited 5000 ms for a request's event")), 5_000);
      this.onChange = () => {
        if (isTrue(this)) {
          clearTimeout(timer);
          this.onChange = undefined;
          resolve();
        }
      };
      this.onChange();
    });
  }
}

export const MANAGER_DEFAULTS: HttpConnectionManager = {
  kind: "http",
  statPrefix: "test",
  codec: "auto",
  routes: { kind: "rds", name: "", source: { kind: "ads" } } as unknown as HttpConnectionManager["routes"],
  httpFilters: [],
  useRemoteAddress: false,
  xffNumTrustedHops: 0,
  skipXffAppend: false,
  internalAddressCidrs: [],
  generateRequestId: true,
  preserveExternalRequestId: false,
  alwaysSetRequestIdInResponse: false,
  serverName: "envoy",
  serverHeader: "overwrite",
  via: "",
  appendXForwardedPort: false,
  addUserAgent: false,
  schemeToOverwrite: "",
  schemeMatchesUpstream: false,
  proxyStatus: undefined,
  maxRequestHeadersBytes: 61_440,
  maxHeadersCount: 100,
  headersWithUnderscores: "allow",
  normalizePath: false,
  mergeSlashes: false,
  escapedSlashes: "keep_unchanged",
  stripMatchingHostPort: false,
  stripAnyHostPort: false,
  stripTrailingHostDot: false,
  acceptHttp10: false,
  defaultHostForHttp10: "",
  enableTrailers: false,
  allowAbsoluteUrl: true,
  proxy100Continue: false,
  streamIdleTimeoutMs: 300_000,
  requestTimeoutMs: 0,
  requestHeadersTimeoutMs: 0,
  idleTimeoutMs: 3_600_000,
  maxConnectionDurationMs: 0,
  maxStreamDurationMs: 0,
  drainTimeoutMs: 5_000,
  delayedCloseTimeoutMs: 1_000,
  maxRequestsPerConnection: 0,
  upgrades: [],
  accessLogs: [],
  localReplies: undefined,
  accessLogFlushIntervalMs: 0,
  logsOnStart: false,
  tracing: undefined,
};

export type ServerOptions = Partial<HttpConnectionManager> &
  Partial<Pick<ConnectionOptions, "bufferLimitBytes" | "keepsHalfClosed">>;

export class H1Server {
  readonly stats = new PlainStats();
  readonly requests: SeenRequest[] = [];
  readonly rejections: Rejection[] = [];
  readonly wheel = new TimerWheel();
  readonly listener: Listener;
  #onRequest: (request: SeenRequest) => void;
  #waiting: (() => void) | undefined = undefined;

  private constructor(options: ServerOptions, maxConnections: number) {
    this.#onRequest = (request) => request.reply("ok");
    const full: ConnectionOptions = {
      ...connectionOptions(
        { ...MANAGER_DEFAULTS, ...options },
        options.bufferLimitBytes ?? 1_048_576,
        downstreamStats(this.stats, "test"),
        {
          onStream: (stream) => this.#onStream(stream),
          onRejected: (rejection: Rejection, _info: ConnectionInfo) => this.rejections.push(rejection),
        },
      ),
      ...(options.keepsHalfClosed === undefined ? {} : { keepsHalfClosed: options.keepsHalfClosed }),
    };
    this.listener = new Listener(
      { address: { kind: "tcp", host: "127.0.0.1", port: 0 }, reusePort: false, backlog: 128, maxConnections },
      () => full,
      { wheel: this.wheel, readBuffer: Buffer.allocUnsafeSlow(65_536) },
      listenerStats(this.stats, "test"),
    );
  }

  static async start(options: ServerOptions = {}, maxConnections = 0): Promise<H1Server> {
    const server = new H1Server(options, maxConnections);
    await server.listener.start();
    return server;
  }

  get port(): number {
    return this.listener.boundAddress?.port ?? 0;
  }

  /** What to do with each request from now on, called before `onStream` returns. */
  handle(onRequest: (request: SeenRequest) => void): void {
    this.#onRequest = onRequest;
  }

  /** Waits until there have been `count` requests and returns the last of them. */
  async request(count: number): Promise<SeenRequest> {
    while (this.requests.length < count) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("Waited 5000 ms for a request")), 5_000);
        this.#waiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.requests[count - 1] as SeenRequest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.listener.destroy();
    this.wheel.close();
    await this.listener.drain();
  }

  #onStream(stream: DownstreamStream): RequestSink {
    const request = new SeenRequest(stream);
    this.requests.push(request);
    this.#onRequest(request);
    this.#waiting?.();
    return request;
  }
}
