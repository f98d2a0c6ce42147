// Client Status Discovery Service: what a client's xDS resources are and what became of them, for tools that speak gRPC
// (grpcdebug, grpcurl). Served on connections that the admin port hands over. Answers carry each resource as it is in use,
// without secrets' contents. Source: envoy/service/status/v3/csds.proto; answers have the shape that gRPC's own clients give.

import { Server, ServerCredentials, logVerbosity, setLogVerbosity, status } from "@grpc/grpc-js";
import type { MethodDefinition, ServerDuplexStream, ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import type { Duplex } from "node:stream";
import type { Parsed } from "../discovery-wire.ts";
import { decodeStatusRequest, encodeStatusResponse } from "../client-status-wire.ts";
import type { ClientStatus, ClientStatusRequest } from "../client-status-wire.ts";

const SERVICE = "/envoy.service.status.v3.ClientStatusDiscoveryService/";
const MAX_REQUEST_BYTES = 64 * 1024;
/** Streams at once of one connection. */
const MAX_STREAMS = 16;

type Request = Parsed<ClientStatusRequest>;
type Method = MethodDefinition<Request, Uint8Array>;

export class ClientStatusService {
  readonly #statusOf: () => ClientStatus;
  readonly #server: Server;
  readonly #injector: ReturnType<Server["createConnectionInjector"]>;

  /** `statusOf` is asked once for each request. */
  constructor(statusOf: () => ClientStatus) {
    setLogVerbosity(logVerbosity.NONE);
    this.#statusOf = statusOf;
    this.#server = new Server({
      "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": MAX_STREAMS,
    });
    this.#server.addService(
      { fetch: method("FetchClientStatus", false), stream: method("StreamClientStatus", true) },
      {
        fetch: (call: ServerUnaryCall<Request, Uint8Array>, done: sendUnaryData<Uint8Array>) =>
          this.#onFetch(call.request, done),
        stream: (call: ServerDuplexStream<Request, Uint8Array>) => this.#onStream(call),
      },
    );
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Serves a connection whose first bytes are HTTP/2's; they are still to be read from it. */
  accept(socket: Duplex): void {
    this.#injector.injectConnection(socket);
  }

  close(): void {
    this.#injector.destroy();
    this.#server.forceShutdown();
  }

  #onFetch(request: Request, done: sendUnaryData<Uint8Array>): void {
    const problem = problemOf(request);
    if (problem === undefined && request.ok) done(null, this.#answer(request.value));
    else done({ code: status.INVALID_ARGUMENT, details: problem ?? "" });
  }

  #onStream(call: ServerDuplexStream<Request, Uint8Array>): void {
    // A call that fails after its client left reports an error that nobody needs.
    call.on("error", () => {});
    call.on("data", (request: Request) => {
      const problem = problemOf(request);
      if (problem !== undefined || !request.ok) {
        call.emit("error", { code: status.INVALID_ARGUMENT, details: problem ?? "" });
        return;
      }
      // Who asks faster than it reads waits.
      if (!call.write(this.#answer(request.value))) {
        call.pause();
        call.once("drain", () => call.resume());
      }
    });
    call.on("end", () => call.end());
  }

  #answer(request: ClientStatusRequest): Uint8Array {
    return encodeStatusResponse(this.#statusOf(), request);
  }
}

function problemOf(request: Request): string | undefined {
  if (!request.ok) return `the request does not parse: ${request.problem}`;
  // As gRPC's own clients answer: who is asked speaks of itself only.
  return request.value.hasNodeMatchers
    ? "node_matchers are not supported: this is one client, ask without them"
    : undefined;
}

function method(name: string, isStream: boolean): Method {
  return {
    path: `${SERVICE}${name}`,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: decodeStatusRequest,
    responseSerialize: (response) => Buffer.from(response.buffer, response.byteOffset, response.byteLength),
    responseDeserialize: () => {
      throw new Error("a server does not read responses");
    },
  };
}
