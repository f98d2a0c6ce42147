// A control plane as a library: serves one set of resources to any number of clients, over ADS and the services of each
// type, state of the world and delta. The CLI's `control-plane` verb, the demo and tests run it. With ads-stream.ts the
// only importer of @grpc/grpc-js. Nothing a client sends ends more than its own stream.

import { Server, ServerCredentials, logVerbosity, setLogVerbosity, status } from "@grpc/grpc-js";
import type { MethodDefinition, ServerDuplexStream } from "@grpc/grpc-js";
import { systemClock } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { DiscoveryResponse, Variant } from "../discovery-messages.ts";
import { decodeRequest, encodeResponse } from "../discovery-wire.ts";
import type { NodeInfo, Parsed, ReceivedRequest } from "../discovery-wire.ts";
import { ADS_METHODS, TYPE_METHODS } from "../type-urls.ts";
import { ResourceSet } from "./resource-set.ts";
import type { ServedResource } from "./resource-set.ts";
import { Session } from "./session.ts";
import type { SessionEvent, TypeView } from "./session.ts";

export type ControlPlaneOptions = Readonly<{
  resources: readonly ServedResource[];
  /** control_plane.identifier of every response. Default "outrigger". */
  identifier?: string;
  clock?: Clock;
  /** Streams beyond this are refused. Default 1,000. */
  maxClients?: number;
  onEvent?(event: ControlPlaneEvent): void;
}>;

/** `client` is stable for a stream and readable: the node id with the peer's address. */
export type ControlPlaneEvent = Readonly<{ client: string }> &
  (
    | SessionEvent
    | Readonly<{ kind: "connected"; node: NodeInfo; variant: Variant }>
    | Readonly<{ kind: "disconnected"; reason: string }>
  );

export type ClientView = Readonly<{ client: string; variant: Variant; types: readonly TypeView[] }>;

export interface ControlPlane {
  /** Binds; `port` 0 lets the kernel choose. Resolves to the port, rejects when it cannot be bound. */
  listen(address: string, port: number): Promise<number>;
  /** Serves these from now on; clients get what changed. */
  setResources(resources: readonly ServedResource[]): void;
  clients(): ClientView[];
  /** Ends every stream and the server. */
  close(): void;
}

/** A first request of a client that resumes 50,000 resources is some 5 MiB. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
const DEFAULT_MAX_CLIENTS = 1_000;
/** Of what clients say about themselves, in events. */
const MAX_TEXT = 200;

type Call = ServerDuplexStream<Parsed<ReceivedRequest>, DiscoveryResponse>;

type Client = {
  name: string;
  readonly variant: Variant;
  readonly session: Session;
  readonly fail: (reason: string) => void;
};

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  return new GrpcControlPlane(options);
}

class GrpcControlPlane implements ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #server = new Server({
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    "grpc.max_send_message_length": -1,
  });
  readonly #clients = new Set<Client>();
  #resources: ResourceSet;

  constructor(options: ControlPlaneOptions) {
    // grpc-js writes to stderr by itself; what it says there is also the rejection of `listen()`.
    setLogVerbosity(logVerbosity.NONE);
    this.#options = options;
    this.#resources = ResourceSet.of(options.resources);
    for (const methods of [ADS_METHODS, ...TYPE_METHODS.values()]) {
      const paths = [
        [methods.sotw, "sotw"],
        [methods.delta, "delta"],
      ] as const;
      const definition = Object.fromEntries(paths.map(([path, variant]) => [path, methodOf(path, variant)]));
      const handlers = paths.map(([path, variant]) => [path, (call: Call) => this.#onStream(call, variant)] as const);
      this.#server.addService(definition, Object.fromEntries(handlers));
    }
  }

  listen(address: string, port: number): Promise<number> {
    const host = address.includes(":") ? `[${address}]` : address;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  setResources(resources: readonly ServedResource[]): void {
    this.#resources = ResourceSet.of(resources);
    for (const { session } of this.#clients) session.setResources(this.#resources);
  }

  clients(): ClientView[] {
    return [...this.#clients].map(({ name, variant, session }) => ({ client: name, variant, types: session.view() }));
  }

  close(): void {
    for (const client of this.#clients) client.session.close();
    this.#server.forceShutdown();
  }

  #onStream(call: Call, variant: Variant): void {
    // A call that fails after its client left reports an error that nobody needs.
    call.on("error", () => {});
    if (this.#clients.size >= (this.#options.maxClients ?? DEFAULT_MAX_CLIENTS)) {
      fail(call, status.RESOURCE_EXHAUSTED, "too many clients");
      return;
    }
    const client = this.#addClient(call, variant);
    let hasNode = false;
    call.on("data", (parsed: Parsed<ReceivedRequest>) => {
      if (!this.#clients.has(client)) return;
      if (!parsed.ok) {
        client.fail(`the request does not parse: ${parsed.problem}`);
        return;
      }
      const { request, node } = parsed.value;
      if (!hasNode) {
        hasNode = true;
        const info = node ?? { id: "", cluster: "", userAgent: "" };
        client.name = `${readable(info.id === "" ? "(no node id)" : info.id)} ${call.getPeer()}`;
        this.#emit(client, { kind: "connected", node: info, variant });
      }
      const problem = client.session.onRequest(request);
      if (problem !== undefined) client.fail(problem);
    });
    call.on("end", () => {
      this.#remove(client, "the client ended the stream");
      call.end();
    });
    call.on("cancelled", () => this.#remove(client, "the client went away"));
  }

  #addClient(call: Call, variant: Variant): Client {
    const session: Session = new Session({
      variant,
      resources: this.#resources,
      controlPlane: this.#options.identifier ?? "outrigger",
      clock: this.#options.clock ?? systemClock,
      send: (response) => void call.write(response),
      onEvent: (event) => this.#emit(client, event),
    });
    const client: Client = {
      name: call.getPeer(),
      variant,
      session,
      fail: (reason) => {
        this.#remove(client, reason);
        fail(call, status.INVALID_ARGUMENT, reason);
      },
    };
    this.#clients.add(client);
    return client;
  }

  #remove(client: Client, reason: string): void {
    if (!this.#clients.delete(client)) return;
    client.session.close();
    this.#emit(client, { kind: "disconnected", reason });
  }

  #emit(client: Client, event: EventOf<ControlPlaneEvent>): void {
    this.#options.onEvent?.({ client: client.name, ...event });
  }
}

function methodOf(path: string, variant: Variant): MethodDefinition<Parsed<ReceivedRequest>, DiscoveryResponse> {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: (bytes) => decodeRequest(variant, bytes),
    responseSerialize: (response) => Buffer.from(encodeResponse(response)),
    responseDeserialize: () => {
      throw new Error("a server does not read responses");
    },
  };
}

type EventOf<T> = T extends unknown ? Omit<T, "client"> : never;

/** grpc-js takes a status other than OK as an error event of the call. */
function fail(call: Call, code: status, details: string): void {
  call.emit("error", { code, details });
}

/** Text of a client for people: no control characters, not too long. */
function readable(text: string): string {
  return JSON.stringify(text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text).slice(1, -1);
}
