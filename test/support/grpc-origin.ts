// A gRPC server for plugins to call, on port 0: the service test.Echo, whose messages are plain bytes. `requests` tells what
// came; `/test.Odd/…` is answered by hand over HTTP/2, for answers that no gRPC server gives.

import { type EventEmitter, once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { MethodDefinition, ServerDuplexStream, ServerUnaryCall, ServiceError, sendUnaryData } from "@grpc/grpc-js";

type ServerSurfaceCall = Pick<ServerUnaryCall<Buffer, Buffer>, "metadata" | "getDeadline">;

export interface GrpcRequest {
  readonly method: string;
  readonly metadata: Metadata;
  readonly deadline: number;
  messages: number;
  bytes: number;
  /** "": not over yet. */
  end: "" | "half-closed" | "cancelled";
}

type Bytes = Buffer;

function definition(method: string, isStream: boolean): MethodDefinition<Bytes, Bytes> {
  return {
    path: `/test.Echo/${method}`,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: (bytes) => bytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  };
}

function failure(code: status, details: string): ServiceError {
  const metadata = new Metadata();
  metadata.set("x-reason", "test");
  return Object.assign(new Error(details), { code, details, metadata });
}

export class GrpcOrigin implements AsyncDisposable {
  readonly requests: GrpcRequest[] = [];
  readonly #server = new Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  port = 0;

  static async start(): Promise<GrpcOrigin> {
    const origin = new GrpcOrigin();
    origin.#addMethods();
    origin.port = await new Promise<number>((resolve, reject) => {
      origin.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return origin;
  }

  /** The latest request of a method. */
  seen(method: string): GrpcRequest | undefined {
    return this.requests.findLast((request) => request.method === method);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    return Promise.resolve();
  }

  #addMethods(): void {
    const unary = ["Echo", "Fail", "Slow", "Big"];
    const streams = ["Chat", "Count", "Refuse", "Abrupt", "Hold"];
    this.#server.addService(
      Object.fromEntries([
        ...unary.map((name) => [name, definition(name, false)]),
        ...streams.map((name) => [name, definition(name, true)]),
      ]),
      {
        Echo: this.#unary("Echo", (message, answer) => answer(null, Buffer.concat([Buffer.from("echo:"), message]))),
        Fail: this.#unary("Fail", (_, answer) => answer(failure(status.PERMISSION_DENIED, "50% no"))),
        Slow: this.#unary("Slow", () => {}),
        Big: this.#unary("Big", (message, answer) => answer(null, Buffer.alloc(message.length * 1024, "b"))),
        Chat: this.#stream("Chat", (stream, request) => {
          stream.on("data", (message: Bytes) => stream.write(Buffer.concat([Buffer.from("chat:"), message])));
          stream.on("end", () => {
            const trailers = new Metadata();
            trailers.set("x-messages", String(request.messages));
            stream.end(trailers);
          });
        }),
        Count: this.#stream("Count", (stream) => {
          stream.once("data", () => {
            for (const each of ["one", "two", ""]) stream.write(Buffer.from(each));
            stream.end();
          });
        }),
        Refuse: this.#stream("Refuse", (stream) => {
          stream.once("data", () => stream.emit("error", failure(status.RESOURCE_EXHAUSTED, "enough")));
        }),
        Abrupt: this.#stream("Abrupt", (stream) => {
          stream.once("data", (message: Bytes) => stream.write(message));
        }),
        Hold: this.#stream("Hold", () => {}),
      },
    );
  }

  #unary(method: string, run: (message: Bytes, answer: sendUnaryData<Bytes>) => void) {
    return (call: ServerUnaryCall<Bytes, Bytes>, answer: sendUnaryData<Bytes>): void => {
      const request = this.#note(method, call);
      request.messages = 1;
      request.bytes = call.request.length;
      request.end = "half-closed";
      run(call.request, answer);
    };
  }

  #stream(method: string, run: (stream: ServerDuplexStream<Bytes, Bytes>, request: GrpcRequest) => void) {
    return (stream: ServerDuplexStream<Bytes, Bytes>): void => {
      const request = this.#note(method, stream);
      const initial = new Metadata();
      initial.set("x-initial", "1");
      stream.sendMetadata(initial);
      stream.on("data", (message: Bytes) => {
        request.messages++;
        request.bytes += message.length;
      });
      stream.on("end", () => (request.end ||= "half-closed"));
      run(stream, request);
    };
  }

  #note(method: string, call: ServerSurfaceCall & EventEmitter): GrpcRequest {
    const deadline = call.getDeadline();
    const request: GrpcRequest = {
      method,
      metadata: call.metadata,
      deadline: typeof deadline === "number" ? deadline : deadline.getTime(),
      messages: 0,
      bytes: 0,
      end: "",
    };
    call.on("cancelled", () => (request.end = "cancelled"));
    this.requests.push(request);
    return request;
  }
}

/** A frame of gRPC's wire format: flag, length, message. */
export function grpcFrame(message: string, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(Buffer.byteLength(message), 1);
  return Buffer.concat([head, Buffer.from(message)]);
}

/** What an HTTP/2 server does with a request; by the method's name. */
export type OddAnswers = Readonly<Record<string, (stream: http2.ServerHttp2Stream) => void>>;

/** An HTTP/2 server whose answers are no gRPC server's. */
export class OddGrpcOrigin implements AsyncDisposable {
  readonly #server: http2.Http2Server;
  readonly #sockets = new Set<Socket>();
  readonly sessions = new Set<http2.ServerHttp2Session>();
  opened = 0;
  port = 0;

  private constructor(answers: OddAnswers) {
    this.#server = http2.createServer();
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("session", (session) => {
      this.opened++;
      this.sessions.add(session);
      session.on("error", () => {});
      session.on("close", () => this.sessions.delete(session));
    });
    this.#server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
      stream.on("error", () => {});
      const method = String(headers[":path"]).split("/")[2] ?? "";
      answers[method]?.(stream);
    });
  }

  static async start(answers: OddAnswers): Promise<OddGrpcOrigin> {
    const origin = new OddGrpcOrigin(answers);
    origin.#server.listen(0, "127.0.0.1");
    await once(origin.#server, "listening");
    origin.port = (origin.#server.address() as AddressInfo).port;
    return origin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
