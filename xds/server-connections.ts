// Opens the streams of one source: picks the server, reads tokens and certificates anew for each, and finds the way back to
// a better server. One for each gRPC source; sources.ts joins it with a GrpcSource.

import type { DiscoveryStream, StreamCodec, StreamSettings, StreamSink } from "./ads-stream.ts";
import { callMetadata } from "./call-metadata.ts";
import type { Clock } from "./clock.ts";
import type { DiscoveryRequest } from "./discovery-messages.ts";
import type { ServerAddress } from "./grpc-targets.ts";
import { canConnectLazily, failedStream, openLazily } from "./lazy-stream.ts";
import type { TlsContext } from "./model/tls.ts";
import type { TlsDial } from "./secrets/handshake.ts";
import type { Loaded } from "./secrets/material.ts";
import type { Environment } from "./secrets/read-data.ts";
import type { TlsMaterial } from "./secrets/tls-material.ts";
import { ServerOrder } from "./server-order.ts";
import { ServerReturn } from "./server-return.ts";

export type ServerConnectionsDeps = Readonly<{
  /** Best first, equals together; none is empty. */
  tiers: readonly (readonly ServerAddress[])[];
  /** What all streams of the source have. */
  stream: Pick<StreamSettings, "method" | "variant" | "node" | "connectTimeoutMs" | "maxMessageBytes">;
  environment: Environment;
  material(tls: TlsContext): Loaded<TlsMaterial>;
  /** A better server can be reached: open the next stream now. */
  onBack(): void;
  clock: Clock;
  random: () => number;
}>;

export type Opened<Request> = Readonly<{ target: string; stream: DiscoveryStream<Request> }>;

type Settings = Omit<StreamSettings, "metadata">;

export class ServerConnections {
  readonly #deps: ServerConnectionsDeps;
  readonly #order: ServerOrder<ServerAddress>;
  readonly #return: ServerReturn;
  #current: ServerAddress | undefined;
  #needsSecret = false;

  constructor(deps: ServerConnectionsDeps) {
    this.#deps = deps;
    this.#order = new ServerOrder(deps.tiers, deps.random);
    this.#return = new ServerReturn({ clock: deps.clock, probe: () => this.#probe(), onBack: () => deps.onBack() });
  }

  /** For people: the first server. */
  get name(): string {
    return this.#deps.tiers[0]?.[0]?.target ?? "";
  }

  /** The last stream was not opened because a certificate could not be had. */
  get needsSecret(): boolean {
    return this.#needsSecret;
  }

  /** `failures`: attempts in a row that failed before this one. What cannot be opened ends with the reason. */
  open(failures: number, sink: StreamSink): Opened<DiscoveryRequest> {
    return this.#open(failures, sink, (settings) => openLazily(sink, (grpc) => grpc.openStream(settings, sink)));
  }

  /** The same for other messages than discovery's. */
  openMessages<Request, Response>(
    failures: number,
    sink: StreamSink<Response>,
    codec: StreamCodec<Request, Response>,
  ): Opened<Request> {
    return this.#open(failures, sink, (settings) => {
      return openLazily(sink, (grpc) => grpc.openMessages(settings, sink, codec));
    });
  }

  #open<Request>(
    failures: number,
    sink: Pick<StreamSink, "onEnd">,
    open: (settings: StreamSettings) => DiscoveryStream<Request>,
  ): Opened<Request> {
    const server = this.#order.pick(failures);
    this.#current = server;
    const { target } = server;
    const settings = this.#settings(server);
    this.#needsSecret = typeof settings === "string";
    if (typeof settings === "string") return { target, stream: failedStream(sink, settings) };
    const metadata = callMetadata(server.service, this.#deps.environment);
    if (typeof metadata === "string") return { target, stream: failedStream(sink, metadata) };
    return { target, stream: open({ ...settings, metadata }) };
  }

  /** The present stream has brought its first message. */
  onWorking(): void {
    if (this.#current === undefined) return;
    if (this.#order.betterThan(this.#current) === undefined) this.#return.onBest();
    else this.#return.onSecondBest();
  }

  /** The present stream has ended, or the source. */
  onEnd(): void {
    this.#return.stop();
  }

  /** Or why there is no certificate. */
  #settings(server: ServerAddress): Settings | string {
    const tls = this.#dial(server);
    if (typeof tls === "string") return tls;
    const { target, authority, keepAlive, tcpKeepAliveMs } = server;
    return { ...this.#deps.stream, target, authority, keepAlive, tcpKeepAliveMs, tls };
  }

  #dial({ tls, serverName }: ServerAddress): TlsDial | undefined | string {
    if (tls === undefined) return undefined;
    const material = this.#deps.material(tls);
    return material.ok ? { tls, material: material.value, serverName, alpn: ["h2"] } : material.problem;
  }

  #probe(): Promise<boolean> {
    const better = this.#current === undefined ? undefined : this.#order.betterThan(this.#current);
    const settings = better === undefined ? "" : this.#settings(better);
    return typeof settings === "string" ? Promise.resolve(false) : canConnectLazily(settings);
  }
}
