// A control plane that does what a test tells it to: real gRPC on a free port, every response written by hand, also
// those that no decent server would send. For the decent one see xds/server/.

import assert from "node:assert/strict";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Metadata, MethodDefinition, ServerDuplexStream } from "@grpc/grpc-js";
import type { DiscoveryResponse, Variant } from "../../xds/discovery-messages.ts";
import { decodeRequest, encodeResponse } from "../../xds/discovery-wire.ts";
import type { ReceivedRequest } from "../../xds/discovery-wire.ts";
import { ADS_METHODS, TYPE_METHODS } from "../../xds/type-urls.ts";
import { EventLog } from "./events.ts";

type Call = ServerDuplexStream<ReceivedRequest, Uint8Array>;

/** One stream of a client. */
export class FakeStream {
  readonly path: string;
  readonly metadata: Metadata;
  readonly requests = new EventLog<ReceivedRequest>();
  readonly #call: Call;
  #read = 0;

  constructor(call: Call) {
    this.#call = call;
    this.path = call.getPath();
    this.metadata = call.metadata;
    call.on("data", (request: ReceivedRequest) => this.requests.push(request));
    call.on("error", () => {});
    call.on("end", () => call.end());
  }

  /** Whose certificate the client has shown, as its common name. */
  get peerName(): string | undefined {
    return this.#call.getAuthContext().sslPeerCertificate?.subject.CN?.toString();
  }

  /** The next request that was not read yet. */
  async next(): Promise<ReceivedRequest> {
    const from = this.#read;
    this.#read += 1;
    return this.requests.first("request", () => true, from);
  }

  send(response: DiscoveryResponse): void {
    this.#call.write(encodeResponse(response));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#call.write(bytes);
  }

  end(): void {
    this.#call.end();
  }

  fail(code: number, details: string): void {
    this.#call.emit("error", { code, details });
  }
}

export class FakeControlPlane {
  readonly streams = new EventLog<FakeStream>();
  readonly #server = new Server({ "grpc.max_send_message_length": -1 });
  #read = 0;

  /** `address`: the host that it is bound to, or `unix:PATH`. */
  async listen(port = 0, credentials = ServerCredentials.createInsecure(), address = "127.0.0.1"): Promise<number> {
    for (const methods of [ADS_METHODS, ...TYPE_METHODS.values()]) {
      const definition = {
        sotw: methodOf(methods.sotw, "sotw"),
        delta: methodOf(methods.delta, "delta"),
      };
      const onCall = (call: Call) => this.streams.push(new FakeStream(call));
      this.#server.addService(definition, { sotw: onCall, delta: onCall });
    }
    return new Promise((resolve, reject) => {
      const place = address.startsWith("unix:") ? address : `${address}:${port}`;
      this.#server.bindAsync(place, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  /** The next stream that was not handed out yet. */
  async nextStream(): Promise<FakeStream> {
    const from = this.#read;
    this.#read += 1;
    return this.streams.first("stream", () => true, from);
  }

  close(): void {
    this.#server.forceShutdown();
  }
}

function methodOf(path: string, variant: Variant): MethodDefinition<ReceivedRequest, Uint8Array> {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: (bytes) => {
      const parsed = decodeRequest(variant, bytes);
      assert.ok(parsed.ok);
      return parsed.value;
    },
    responseSerialize: (bytes) => Buffer.from(bytes),
    responseDeserialize: () => new Uint8Array(),
  };
}
