// A sidecar as a control plane sees it, without what a sidecar does: one connection, one ADS stream, every response
// acknowledged. A thousand of them fit into one process. It subscribes as a sidecar does: endpoints of the clusters and
// routes that it was told.

import { once } from "node:events";
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Variant } from "../../xds/discovery-messages.ts";
import { decodeResponse } from "../../xds/discovery-wire.ts";
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
} from "../../xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { ADS_METHODS, CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";

export type LightClientOptions = Readonly<{
  port: number;
  variant: Variant;
  node: Readonly<{ id: string; cluster: string }>;
  /** Names of routes and endpoints that it asks for. */
  routes: readonly string[];
  endpoints: readonly string[];
  /** After each response, before its ACK is sent. */
  onResponse(typeUrl: string, version: string, resources: number): void;
}>;

export class LightClient {
  readonly #options: LightClientOptions;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  #buffered: Buffer[] = [];
  #size = 0;
  #nodeSent = false;

  private constructor(options: LightClientOptions, session: ClientHttp2Session) {
    this.#options = options;
    this.#session = session;
    this.#stream = session.request({
      ":method": "POST",
      ":path": ADS_METHODS[options.variant],
      "content-type": "application/grpc",
      te: "trailers",
    });
    this.#stream.on("error", () => {});
    this.#stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    for (const [typeUrl, names] of [
      [CLUSTER_TYPE, []],
      [ENDPOINTS_TYPE, options.endpoints],
      [LISTENER_TYPE, []],
      [ROUTE_TYPE, options.routes],
    ] as const) {
      this.#request(typeUrl, names);
    }
  }

  static async connect(options: LightClientOptions): Promise<LightClient> {
    const session = connect(`http://127.0.0.1:${options.port}`);
    session.on("error", () => {});
    await once(session, "connect");
    return new LightClient(options, session);
  }

  close(): void {
    this.#session.destroy();
  }

  #request(typeUrl: string, names: readonly string[], answered?: { version: string; nonce: string }): void {
    const node = this.#nodeSent ? {} : { node: this.#options.node };
    this.#nodeSent = true;
    const responseNonce = answered?.nonce ?? "";
    const message =
      this.#options.variant === "sotw"
        ? toBinary(
            DiscoveryRequestSchema,
            create(DiscoveryRequestSchema, {
              ...node,
              typeUrl,
              resourceNames: [...names],
              versionInfo: answered?.version ?? "",
              responseNonce,
            }),
          )
        : toBinary(
            DeltaDiscoveryRequestSchema,
            create(DeltaDiscoveryRequestSchema, {
              ...node,
              typeUrl,
              responseNonce,
              resourceNamesSubscribe: answered === undefined ? [...names] : [],
            }),
          );
    const frame = Buffer.alloc(5 + message.length);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, 5);
    this.#stream.write(frame);
  }

  #onData(chunk: Buffer): void {
    this.#buffered.push(chunk);
    this.#size += chunk.length;
    // Joined only when a whole message is there: a large one comes in hundreds of pieces.
    while (this.#size >= 5) {
      const head = this.#peek();
      if (this.#size < 5 + head) return;
      const all = Buffer.concat(this.#buffered);
      const message = all.subarray(5, 5 + head);
      const rest = all.subarray(5 + head);
      this.#buffered = rest.length === 0 ? [] : [rest];
      this.#size = rest.length;
      this.#onMessage(message);
    }
  }

  /** The length of the message that begins the buffer. */
  #peek(): number {
    let [first = Buffer.alloc(0)] = this.#buffered;
    if (first.length < 5) {
      first = Buffer.concat(this.#buffered);
      this.#buffered = [first];
    }
    return first.readUInt32BE(1);
  }

  #onMessage(message: Buffer): void {
    const parsed = decodeResponse(this.#options.variant, message);
    if (!parsed.ok) throw new Error(parsed.problem);
    const { typeUrl, version, nonce, resources } = parsed.value;
    this.#options.onResponse(typeUrl, version, resources.length);
    const names =
      typeUrl === ENDPOINTS_TYPE ? this.#options.endpoints : typeUrl === ROUTE_TYPE ? this.#options.routes : [];
    this.#request(typeUrl, names, { version, nonce });
  }
}
