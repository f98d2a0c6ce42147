// The gRPC side of the control plane: binds, plaintext or TLS, and turns calls into streams of messages. It knows neither
// resources nor clients; control-plane.ts does. With ads-stream.ts and client-status.ts the only importer of
// @grpc/grpc-js. Nothing that a client sends ends more than its own stream.

import { Server, ServerCredentials, experimental, logVerbosity, setLogVerbosity, status } from "@grpc/grpc-js";
import type { MethodDefinition, ServerDuplexStream } from "@grpc/grpc-js";
import type { Clock } from "../clock.ts";
import type { Parsed } from "../discovery-wire.ts";
import { spiffeIdsOf } from "./peer-identity.ts";
import { readTlsFiles, watchTlsFiles } from "./tls-files.ts";
import type { TlsFiles, TlsMaterial } from "./tls-files.ts";

/** Who is on the other end. `spiffeIds` are those of a certificate that was verified. */
export type Peer = Readonly<{ address: string; spiffeIds: readonly string[] }>;

/** A stream as its owner sees it. After `fail` or `end` nothing is sent. */
export interface ServerStream<Response> {
  send(response: Response): void;
  end(): void;
  /** Ends it with a status: `invalid` for what the client said, and so on. */
  fail(code: FailCode, reason: string): void;
}

export type FailCode = "invalid" | "denied" | "exhausted" | "unavailable";

const CODES: Readonly<Record<FailCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  denied: status.PERMISSION_DENIED,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
};

/** What happens on a stream. `onEnd` comes once, at the last. */
export interface StreamOwner<Request> {
  onRequest(request: Request): void;
  onEnd(reason: string): void;
}

/** One method, its messages, and who takes its streams. */
export type StreamMethod<Request, Response> = Readonly<{
  path: string;
  decode(bytes: Uint8Array): Parsed<Request>;
  /** Into bytes of their own. */
  encode(response: Response): Uint8Array;
  onStream(peer: Peer, stream: ServerStream<Response>): StreamOwner<Request> | undefined;
}>;

/** A first request of a client that resumes 50,000 resources is some 5 MiB. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
/** Messages up to this size are left to the garbage collector. */
const MAX_LEFT_BYTES = 1 << 16;
/** A client that is gone without a word is found by then. */
const KEEPALIVE_INTERVAL_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
/** Streams of one connection: ADS, load reports, and one for each type and variant at most. */
const MAX_STREAMS_OF_CONNECTION = 256;

export class GrpcServer {
  readonly #clock: Clock;
  readonly #server = new Server({
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": KEEPALIVE_INTERVAL_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.max_concurrent_streams": MAX_STREAMS_OF_CONNECTION,
  });
  #unwatch = () => {};

  constructor(clock: Clock) {
    // grpc-js writes to stderr by itself; what it says there is also the rejection of `listen()`.
    setLogVerbosity(logVerbosity.NONE);
    this.#clock = clock;
  }

  serve<Request, Response>(method: StreamMethod<Request, Response>): void {
    const { path } = method;
    const definition: MethodDefinition<Parsed<Request>, Response> = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes) => method.decode(bytes),
      responseSerialize: (response) => handedOver(method.encode(response)),
      responseDeserialize: () => {
        throw new Error("a server does not read responses");
      },
    };
    const handler = (call: ServerDuplexStream<Parsed<Request>, Response>) => onCall(call, method);
    this.#server.addService({ [path]: definition }, { [path]: handler });
  }

  /** Binds; `port` 0 lets the kernel choose. Resolves to the port, rejects when it cannot be bound or `tls` not be read. */
  async listen(
    address: string,
    port: number,
    tls?: TlsFiles,
    onTlsProblem?: (problem: string) => void,
  ): Promise<number> {
    const host = address.includes(":") ? `[${address}]` : address;
    const credentials = tls === undefined ? ServerCredentials.createInsecure() : this.#tls(tls, onTlsProblem);
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  close(): void {
    this.#unwatch();
    this.#server.forceShutdown();
  }

  #tls(files: TlsFiles, onProblem: ((problem: string) => void) | undefined): ServerCredentials {
    const material = readTlsFiles(files);
    if (typeof material === "string") throw new Error(material);
    const provider = new MaterialProvider(material);
    this.#unwatch();
    const tell = onProblem ?? (() => {});
    this.#unwatch = watchTlsFiles(files, this.#clock, (next) => provider.set(next), tell);
    const hasCa = files.clientCa !== undefined;
    // grpc-js names the parameters the other way round than it takes them: the identity comes first.
    return experimental.createCertificateProviderServerCredentials(provider, hasCa ? provider : null, hasCa);
  }
}

type Listener<T> = (update: T | null) => void;
type CaUpdate = Readonly<{ caCertificate: Buffer }>;
type IdentityUpdate = Readonly<{ certificate: Buffer; privateKey: Buffer }>;

/** Hands certificates to grpc-js, and again when they change; connections that stand are kept. */
class MaterialProvider {
  #material: TlsMaterial;
  readonly #ca = new Set<Listener<CaUpdate>>();
  readonly #identity = new Set<Listener<IdentityUpdate>>();

  constructor(material: TlsMaterial) {
    this.#material = material;
  }

  set(material: TlsMaterial): void {
    this.#material = material;
    for (const listener of this.#ca) this.#tellCa(listener);
    for (const listener of this.#identity) this.#tellIdentity(listener);
  }

  addCaCertificateListener(listener: Listener<CaUpdate>): void {
    this.#ca.add(listener);
    queueMicrotask(() => this.#tellCa(listener));
  }

  removeCaCertificateListener(listener: Listener<CaUpdate>): void {
    this.#ca.delete(listener);
  }

  addIdentityCertificateListener(listener: Listener<IdentityUpdate>): void {
    this.#identity.add(listener);
    queueMicrotask(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: Listener<IdentityUpdate>): void {
    this.#identity.delete(listener);
  }

  #tellCa(listener: Listener<CaUpdate>): void {
    const { clientCa } = this.#material;
    listener(clientCa === undefined ? null : { caCertificate: clientCa });
  }

  #tellIdentity(listener: Listener<IdentityUpdate>): void {
    const { certificate, key } = this.#material;
    listener({ certificate, privateKey: key });
  }
}

function onCall<Request, Response>(
  call: ServerDuplexStream<Parsed<Request>, Response>,
  method: StreamMethod<Request, Response>,
): void {
  // A call that fails after its client left reports an error that nobody needs.
  call.on("error", () => {});
  let isOver = false;
  let owner: StreamOwner<Request> | undefined;
  const over = (reason: string) => {
    if (isOver) return;
    isOver = true;
    owner?.onEnd(reason);
  };
  const fail = (code: FailCode, reason: string) => {
    if (isOver) return;
    over(reason);
    // grpc-js takes a status other than OK as an error event of the call.
    call.emit("error", { code: CODES[code], details: reason });
  };
  const certificate = call.getAuthContext()?.sslPeerCertificate?.raw;
  const peer = { address: call.getPeer(), spiffeIds: spiffeIdsOf(certificate) };
  owner = method.onStream(peer, {
    send: (response) => {
      if (!isOver) call.write(response);
    },
    end: () => {
      over("the server ended the stream");
      call.end();
    },
    fail,
  });
  call.on("data", (parsed: Parsed<Request>) => {
    if (isOver) return;
    if (parsed.ok) owner?.onRequest(parsed.value);
    else fail("invalid", `the request does not parse: ${parsed.problem}`);
  });
  call.on("end", () => {
    over("the client ended the stream");
    call.end();
  });
  call.on("cancelled", () => over("the client went away"));
}

/**
 * To grpc-js, which copies a message into its frame as soon as it has it. A large one is freed then: waiting for the garbage collector, a
 * few of them are reason enough to search all of a heap that holds thousands of resources.
 */
function handedOver(bytes: Uint8Array): Buffer {
  if (bytes.byteLength > MAX_LEFT_BYTES) queueMicrotask(() => (bytes.buffer as ArrayBuffer).transfer(0));
  return bufferOf(bytes);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
