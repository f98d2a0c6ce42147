// One discovery stream over gRPC: open, send, receive, end. Knows messages, not resources, and never reconnects:
// grpc-source.ts opens the next one. With server/ the only importer of @grpc/grpc-js.
// Source: gRPC over HTTP/2; envoy.service.discovery.v3.

import type { Socket } from "node:net";
import { Client, Metadata, connectivityState, credentials, logVerbosity, setLogVerbosity, status } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientDuplexStream } from "@grpc/grpc-js";
import type { DiscoveryRequest, DiscoveryResponse, Variant } from "./discovery-messages.ts";
import { decodeResponse, encodeRequest } from "./discovery-wire.ts";
import type { Parsed } from "./discovery-wire.ts";
import type { KeepAlive } from "./model/config-source.ts";
import { handshake } from "./secrets/handshake.ts";
import { tlsProblem } from "./secrets/tls-problem.ts";
import type { TlsDial } from "./secrets/handshake.ts";
import type { Node } from "./gen/envoy/config/core/v3/base_pb.ts";

export type StreamSettings = Readonly<{
  /** gRPC target: `dns:///host:port`, `ipv4:1.2.3.4:5`, `ipv6:[::1]:5` or `unix:/path`. */
  target: string;
  /** `:authority`; empty means the target's own. */
  authority: string;
  /** Full method path, such as `/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources`. */
  method: string;
  variant: Variant;
  metadata: readonly { readonly key: string; readonly value: string }[];
  /** Undefined for plaintext. */
  tls: TlsDial | undefined;
  /** Undefined for ours. */
  keepAlive: KeepAlive | undefined;
  tcpKeepAliveMs: number | undefined;
  node: Node;
  /** A connection that is not made in this time is given up. */
  connectTimeoutMs: number;
  /** A response larger than this ends the stream. */
  maxMessageBytes: number;
}>;

/** The messages of a stream as bytes. */
export type StreamCodec<Request, Response> = Readonly<{
  encode(request: Request): Uint8Array;
  decode(bytes: Uint8Array): Parsed<Response>;
}>;

/** What the owner of a stream is told. Nothing is called before `openStream` has returned. */
export interface StreamSink<Response = DiscoveryResponse> {
  /** The connection stands; the server may still refuse the stream. */
  onConnected(): void;
  onResponse(response: Response): void;
  /** Sending may go on after `send` said false. */
  onDrain(): void;
  /** The last call, exactly once, also after `close()`. `reason` is for people. */
  onEnd(reason: string): void;
}

export interface DiscoveryStream<Request = DiscoveryRequest> {
  /** False: sent, but wait for `onDrain` before the next. */
  send(request: Request): boolean;
  pause(): void;
  resume(): void;
  /** Ends the stream and its connection. */
  close(): void;
}

/**
 * gRPC servers written in Go end a connection that pings more often than every 5 minutes, unless told otherwise;
 * a dead peer between pings is found by the next ACK that is not acknowledged.
 */
const KEEPALIVE: KeepAlive = { intervalMs: 300_000, timeoutMs: 20_000 };

const CHANNEL_OPTIONS = {
  // One connection for each stream, closed with it: grpc-js's own reconnection pauses would add to ours.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // The control plane is named by configuration, never reached through $http_proxy.
  "grpc.enable_http_proxy": 0,
};

/** A stream of discovery. */
export function openStream(settings: StreamSettings, sink: StreamSink): DiscoveryStream {
  return openMessages(settings, sink, {
    encode: (request) => encodeRequest(request, settings.node),
    decode: (bytes) => decodeResponse(settings.variant, bytes),
  });
}

/** A stream of other messages to the same servers. */
export function openMessages<Request, Response>(
  settings: Omit<StreamSettings, "variant" | "node">,
  sink: StreamSink<Response>,
  codec: StreamCodec<Request, Response>,
): DiscoveryStream<Request> {
  // grpc-js writes to stderr by itself; what it says there is also the reason of `onEnd`.
  setLogVerbosity(logVerbosity.NONE);
  let client: Client;
  let call: ClientDuplexStream<Uint8Array, Parsed<Response>>;
  let isConnected = false;
  const sockets: Socket[] = [];
  try {
    client = makeClient(settings, (socket) => sockets.push(socket));
    call = makeCall(client, settings, codec.decode);
  } catch (error) {
    // Configuration that grpc-js refuses: a target that is no URI, a metadata key that is no header name.
    queueMicrotask(() => sink.onEnd(`cannot connect to ${settings.target}: ${String(error)}`));
    return { send: () => false, pause() {}, resume() {}, close() {} };
  }
  let giveUpReason: string | undefined;
  const giveUp = (reason: string) => {
    giveUpReason ??= reason;
    call.cancel();
  };
  watchConnection(client, () => {
    isConnected = true;
    sink.onConnected();
  });
  const timeout = setTimeout(() => {
    if (isConnected) return;
    giveUp(`no connection to ${settings.target} within ${settings.connectTimeoutMs} ms`);
  }, settings.connectTimeoutMs);
  timeout.unref();
  call.on("data", (parsed: Parsed<Response>) => {
    if (parsed.ok) sink.onResponse(parsed.value);
    else giveUp(`the response does not parse: ${parsed.problem}`);
  });
  call.on("drain", () => sink.onDrain());
  // grpc-js reports a failed call twice; "status" comes for every end, so that one counts.
  call.on("error", () => {});
  call.on("status", (end) => {
    clearTimeout(timeout);
    client.close();
    // grpc-js leaves a connection open that was not established yet: one for each attempt at a server that is silent.
    if (!isConnected) for (const socket of sockets) socket.destroy();
    sink.onEnd(giveUpReason ?? (end.code === status.OK ? "the server ended the stream" : endReason(end)));
  });
  return {
    send: (request) => call.write(codec.encode(request)),
    pause: () => call.pause(),
    resume: () => call.resume(),
    close: () => giveUp("closed"),
  };
}

const NO_CONNECTION = /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note: /s;

/** grpc-js says when, after a new line. */
const WHEN = /\s*\(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/;

const CONNECT_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused, nothing listens there",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "there is no route to that host",
  ENETUNREACH: "there is no route to that network",
  ENOENT: "there is no such socket",
};

/** A server that asks for TLS does so when it is spoken to in the clear, and one that refuses a certificate may. */
const CLOSED_AT_ONCE =
  "the server closed the connection before it said anything; is it meant to be reached by TLS, or as somebody else?";

/** What Node.js's HTTP/2 says of an answer in HTTP/1.1 or any other protocol. */
const NO_HTTP2 = "what answers there does not speak HTTP/2, so it is no gRPC server; is the port another one's?";

/** A failed call in words; what grpc-js says of a connection that was never made is made short. */
function endReason({ code, details }: { readonly code: status; readonly details: string }): string {
  const [, problem] = NO_CONNECTION.exec(details) ?? [];
  if (problem === undefined) return `${status[code] ?? code}: ${tlsProblem(details)}`;
  const [, errno = "", address = ""] = /^connect (E[A-Z]+) (\S+)/.exec(problem) ?? [];
  const words = CONNECT_PROBLEMS[errno];
  if (words !== undefined) return `cannot connect: ${address}: ${words} (${errno})`;
  const text = problem.replace(WHEN, "");
  if (text === "Protocol error") return `cannot connect: ${NO_HTTP2}`;
  return `cannot connect: ${text === "Failed to connect" ? CLOSED_AT_ONCE : tlsProblem(text)}`;
}

type ConnectionSettings = Pick<
  StreamSettings,
  "target" | "authority" | "tls" | "keepAlive" | "tcpKeepAliveMs" | "connectTimeoutMs" | "maxMessageBytes"
>;

function makeClient(settings: ConnectionSettings, onSocket: (socket: Socket) => void): Client {
  const { intervalMs, timeoutMs } = settings.keepAlive ?? KEEPALIVE;
  return new Client(settings.target, channelCredentials(settings, onSocket), {
    ...CHANNEL_OPTIONS,
    "grpc.keepalive_time_ms": intervalMs,
    "grpc.keepalive_timeout_ms": timeoutMs,
    "grpc.max_receive_message_length": settings.maxMessageBytes,
    ...(settings.authority === "" ? {} : { "grpc.default_authority": settings.authority }),
  });
}

/** Credentials that tell of each TCP connection, and speak TLS over it where they are to. */
function channelCredentials(
  { tls, tcpKeepAliveMs }: ConnectionSettings,
  onSocket: (socket: Socket) => void,
): ChannelCredentials {
  const insecure = credentials.createInsecure();
  const createConnector = insecure._createSecureConnector.bind(insecure);
  insecure._createSecureConnector = (target, options, callCredentials) => {
    const connector = createConnector(target, options, callCredentials);
    return {
      connect: async (socket) => {
        onSocket(socket);
        if (tcpKeepAliveMs !== undefined) socket.setKeepAlive(true, tcpKeepAliveMs);
        if (tls === undefined) return connector.connect(socket);
        return { socket: await handshake(socket, tls), secure: true };
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  };
  return insecure;
}

/** Whether a connection can be made, TLS and HTTP/2 included; it is closed at once. Never rejects. */
export function canConnect(settings: ConnectionSettings): Promise<boolean> {
  setLogVerbosity(logVerbosity.NONE);
  const sockets: Socket[] = [];
  return new Promise((resolve) => {
    let client: Client | undefined;
    const finish = (isThere: boolean) => {
      clearTimeout(timeout);
      client?.close();
      if (!isThere) for (const socket of sockets) socket.destroy();
      resolve(isThere);
    };
    const timeout = setTimeout(() => finish(false), settings.connectTimeoutMs);
    timeout.unref();
    try {
      client = makeClient(settings, (socket) => sockets.push(socket));
    } catch {
      finish(false);
      return;
    }
    watchConnection(
      client,
      () => finish(true),
      () => finish(false),
    );
    client.getChannel().getConnectivityState(true);
  });
}

function makeCall<Response>(
  client: Client,
  settings: Pick<StreamSettings, "method" | "metadata">,
  decode: (bytes: Uint8Array) => Parsed<Response>,
): ClientDuplexStream<Uint8Array, Parsed<Response>> {
  const metadata = new Metadata();
  for (const { key, value } of settings.metadata) metadata.add(key, key.endsWith("-bin") ? Buffer.from(value) : value);
  return client.makeBidiStreamRequest(
    settings.method,
    (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    (bytes: Buffer) => decode(bytes),
    metadata,
  );
}

/** Calls back once when the connection stands, or cannot be made. (`waitForReady` would do, but its timer keeps the process alive.) */
function watchConnection(client: Client, onReady: () => void, onFailed?: () => void): void {
  const channel = client.getChannel();
  const look = () => {
    const state = channel.getConnectivityState(false);
    if (state === connectivityState.READY) onReady();
    else if (state === connectivityState.TRANSIENT_FAILURE && onFailed !== undefined) onFailed();
    else if (state !== connectivityState.SHUTDOWN) channel.watchConnectivityState(state, Infinity, look);
  };
  look();
}
