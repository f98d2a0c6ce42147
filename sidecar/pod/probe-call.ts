// One probe of the application: as the kubelet would make it (k8s.io/kubernetes pkg/probe), from 127.0.0.6 or ::6, which the capture rules let
// through to the application instead of into the sidecar's own inbound listener.

import { createRequire } from "node:module";
import type http2 from "node:http2";
import { connect, isIPv6, type Socket } from "node:net";
import type tls from "node:tls";
import { requestHttp, requestHttps } from "../node-http.ts";
import type { AppProbe, HttpProbe } from "./app-probes.ts";

export interface ProbeOutcome {
  readonly isWell: boolean;
  /** For people: `the application answered 503`. */
  readonly text: string;
}

const MAX_REDIRECTS = 10;
const load = createRequire(import.meta.url);

/** Asks the application at `host` (the pod's address). Never rejects. */
export async function callProbe({ target, timeoutMs }: AppProbe, host: string): Promise<ProbeOutcome> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    switch (target.kind) {
      case "http":
        return await askHttp(target, host, signal);
      case "tcp":
        (await open(host, target.port, signal)).destroy();
        return { isWell: true, text: "the application accepts connections" };
      case "grpc":
        return await askGrpc(target.port, target.service, host, signal);
    }
  } catch (error) {
    const why = signal.aborted
      ? `no answer within ${timeoutMs} ms`
      : error instanceof Error
        ? error.message
        : String(error);
    return { isWell: false, text: `the application at ${host} port ${target.port}: ${why}` };
  }
}

/** 200 to 399 is well. Redirects to the same host are followed; to another one they count as well, as for the kubelet. */
async function askHttp(probe: HttpProbe, host: string, signal: AbortSignal): Promise<ProbeOutcome> {
  let { path } = probe;
  for (let redirects = 0; ; redirects++) {
    const { status, location } = await getOnce({ ...probe, path }, host, signal);
    const next = status >= 300 && status < 400 ? sameHostPath(location, host, probe, path) : undefined;
    if (next === undefined) {
      return { isWell: status >= 200 && status < 400, text: `the application answered ${status}` };
    }
    if (redirects === MAX_REDIRECTS) {
      return { isWell: false, text: `the application redirected ${MAX_REDIRECTS} times` };
    }
    path = next;
  }
}

function sameHostPath(
  location: string | undefined,
  host: string,
  { isTls, port }: HttpProbe,
  path: string,
): string | undefined {
  const origin = `${isTls ? "https" : "http"}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const url = location === undefined ? null : URL.parse(location, `${origin}${path}`);
  return url !== null && url.origin === new URL(origin).origin ? `${url.pathname}${url.search}` : undefined;
}

function getOnce(
  probe: HttpProbe,
  host: string,
  signal: AbortSignal,
): Promise<{ status: number; location: string | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; location: string | undefined }>();
  void open(host, probe.port, signal).then((socket) => {
    const headers: Record<string, string> = { "user-agent": "kube-probe/outrigger", accept: "*/*" };
    for (const [name, value] of probe.headers) {
      headers[name.toLowerCase()] = value;
    }
    headers["host"] ??= `${isIPv6(host) ? `[${host}]` : host}:${probe.port}`;
    const options = { host, port: probe.port, path: probe.path, headers, signal };
    // With an agent Node would open a connection of its own.
    const request = probe.isTls
      ? // The kubelet does not verify either: it has no name to expect.
        requestHttps({ ...options, createConnection: () => connectTls({ socket, rejectUnauthorized: false }) })
      : requestHttp({ ...options, createConnection: () => socket });
    request.on("error", reject);
    request.on("response", (response) => {
      resolve({ status: response.statusCode ?? 0, location: response.headers.location });
      // Only the status counts; the body may be endless.
      request.destroy();
    });
    request.end();
  }, reject);
  return promise;
}

/** TLS is loaded with the first probe that needs it. */
function connectTls(options: tls.ConnectionOptions): tls.TLSSocket {
  return (load("node:tls") as typeof tls).connect(options);
}

/** grpc.health.v1.Health/Check in plain HTTP/2. */
async function askGrpc(port: number, service: string, host: string, signal: AbortSignal): Promise<ProbeOutcome> {
  const socket = await open(host, port, signal);
  const { promise, resolve, reject } = Promise.withResolvers<ProbeOutcome>();
  const session = (load("node:http2") as typeof http2).connect(`http://${isIPv6(host) ? `[${host}]` : host}:${port}`, {
    createConnection: () => socket,
  });
  const onAbort = (): void => reject(new Error("aborted"));
  signal.addEventListener("abort", onAbort);
  session.on("error", reject);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let status: string | undefined;
    stream.on("response", (headers) => (status = textOf(headers["grpc-status"]) ?? status));
    stream.on("trailers", (headers) => (status = textOf(headers["grpc-status"]) ?? status));
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      // A HealthCheckResponse has two bytes after its frame's head.
      if (bytes > 1_024) {
        stream.destroy(new Error("the answer is no HealthCheckResponse"));
      }
      chunks.push(chunk);
    });
    stream.on("error", reject);
    stream.on("close", () => resolve(healthOf(status, Buffer.concat(chunks))));
    stream.end(checkRequest(service));
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    session.destroy();
  }
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** One gRPC frame with HealthCheckRequest {service = 1}. */
function checkRequest(service: string): Buffer {
  const name = Buffer.from(service.slice(0, 120));
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  return Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
}

/** HealthCheckResponse {status = 1}: 1 is SERVING. */
function healthOf(status: string | undefined, frame: Buffer): ProbeOutcome {
  if (status !== "0") {
    return { isWell: false, text: `the application's health service answered status ${status ?? "none"}` };
  }
  const health = frame.length >= 7 && frame[5] === 0x08 ? frame[6] : 0;
  return {
    isWell: health === 1,
    text: `the application's health service says ${["UNKNOWN", "SERVING", "NOT_SERVING"][health ?? 0] ?? health}`,
  };
}

/** A connection from the address that is not captured; without it where this machine does not have that address. */
function open(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const localAddress = isIPv6(host) ? "::6" : "127.0.0.6";
  return openFrom(host, port, signal, localAddress).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EADDRNOTAVAIL" || error.code === "EINVAL") {
      return openFrom(host, port, signal, undefined);
    }
    throw error;
  });
}

function openFrom(host: string, port: number, signal: AbortSignal, localAddress: string | undefined): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
  const onAbort = (): void => {
    socket.destroy(new Error("aborted"));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  socket.once("error", reject);
  socket.once("connect", () => {
    socket.off("error", reject);
    // Whoever takes it listens from now on; one that is reset before must not end the process.
    socket.on("error", () => undefined);
    resolve(socket);
  });
  socket.once("close", () => signal.removeEventListener("abort", onAbort));
  return promise;
}
