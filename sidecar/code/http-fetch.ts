// One GET for a plugin's code, over Node's own HTTP client: bounded in bytes, time and redirects, and kept from reaching
// where somebody else sends it (address-guard.ts). The main thread's; called by remote-code.ts and registry.ts.
// A result, never an exception: whatever a server does is a problem in one line.

import { lookup as systemLookup, type LookupAddress } from "node:dns";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { isIP, type LookupFunction } from "node:net";
import { requestHttp, requestHttps } from "../node-http.ts";
import { addressProblem, isLoopbackHost } from "./address-guard.ts";

export interface FetchRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the first URL's origin and to no other. */
  readonly authorization: string | undefined;
  /** Connect there instead of to the URL's host: an endpoint of a cluster, which the configuration trusts. */
  readonly endpoint: { readonly host: string; readonly port: number } | undefined;
  readonly maxBytes: number;
  readonly maxRedirects: number;
  /** Ends the whole fetch; a TimeoutError is reported as a timeout. */
  readonly signal: AbortSignal;
  /** Whether the machine itself may be reached. */
  readonly loopbackAllowed: boolean;
  /** PEM of authorities to trust instead of Node's own. */
  readonly ca: string | undefined;
}

export interface FetchedBody {
  readonly ok: true;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export type FetchResult = FetchedBody | { readonly ok: false; readonly problem: string };

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What is read of an answer that is none of use, such as a 401. */
const MAX_ERROR_BYTES = 64 * 1024;

/** Follows redirects; the last answer, whatever its status. */
export async function fetchBytes(request: FetchRequest): Promise<FetchResult> {
  let { url } = request;
  for (let hops = 0; ; hops++) {
    const isFirst = hops === 0;
    const answer = await get(request, url, isFirst);
    const location = answer.ok && REDIRECTS.has(answer.status) ? answer.headers.location : undefined;
    if (location === undefined) {
      return answer;
    }
    if (hops === request.maxRedirects) {
      return failed(url, `more than ${request.maxRedirects} redirects`);
    }
    const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
    const problem = next === undefined ? "a redirect to no URL" : redirectProblem(url, next);
    if (next === undefined || problem !== undefined) {
      return failed(url, problem ?? "");
    }
    url = next;
  }
}

/** A URL without what may be secret in it: user, query. */
export function urlText(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function redirectProblem(from: URL, to: URL): string | undefined {
  if (to.protocol !== "https:" && to.protocol !== "http:") {
    return `a redirect to ${to.protocol}, only http: and https: are followed`;
  }
  return from.protocol === "https:" && to.protocol === "http:"
    ? `a redirect from https: to ${urlText(to)}, which is not encrypted`
    : undefined;
}

function get(request: FetchRequest, url: URL, isFirst: boolean): Promise<FetchResult> {
  const isOrigin = url.origin === request.url.origin;
  const endpoint = isOrigin ? request.endpoint : undefined;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const guarded = endpoint === undefined;
  const problem = guarded ? hostProblem(host, request.loopbackAllowed) : undefined;
  if (problem !== undefined) {
    return Promise.resolve(failed(url, isFirst ? problem : `a redirect there is refused: ${problem}`));
  }
  const isTls = url.protocol === "https:";
  const defaultPort = isTls ? 443 : 80;
  return new Promise((resolve) => {
    const fail = (error: unknown): void => resolve(failed(url, describe(error, request.signal)));
    const send = isTls ? requestHttps : requestHttp;
    const outgoing = send({
      agent: false,
      method: "GET",
      host: endpoint?.host ?? host,
      port: endpoint?.port ?? (url.port === "" ? defaultPort : Number(url.port)),
      path: `${url.pathname}${url.search}`,
      headers: {
        host: url.host,
        "user-agent": "outrigger",
        "accept-encoding": "identity",
        ...request.headers,
        ...(isOrigin && request.authorization !== undefined ? { authorization: request.authorization } : {}),
      },
      signal: request.signal,
      ...(guarded ? { lookup: guardedLookup(request.loopbackAllowed) } : {}),
      ...(isTls && isIP(host) === 0 ? { servername: host } : {}),
      ...(isTls && request.ca !== undefined ? { ca: request.ca } : {}),
    });
    outgoing.on("error", fail);
    outgoing.on("response", (incoming) => {
      const maxBytes = incoming.statusCode === 200 ? request.maxBytes : Math.min(request.maxBytes, MAX_ERROR_BYTES);
      collect(incoming, url, maxBytes, incoming.statusCode === 200).then(resolve, fail);
    });
    outgoing.end();
  });
}

/** The body, at most `maxBytes`: more is a problem when the body is wanted, and else cut off. */
async function collect(incoming: IncomingMessage, url: URL, maxBytes: number, isWanted: boolean): Promise<FetchResult> {
  const chunks: Buffer[] = [];
  let size = 0;
  const announced = Number(incoming.headers["content-length"] ?? 0);
  if (isWanted && announced > maxBytes) {
    incoming.destroy();
    return failed(url, `the answer has ${announced} bytes, at most ${maxBytes} are allowed`);
  }
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      incoming.destroy();
      if (isWanted) {
        return failed(url, `the answer has more than ${maxBytes} bytes`);
      }
      break;
    }
    chunks.push(chunk);
  }
  return { ok: true, status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) };
}

/** What can be said by the host's text alone; names are looked at again when they are resolved. */
function hostProblem(host: string, loopbackAllowed: boolean): string | undefined {
  if (isIP(host) !== 0) {
    return addressProblem(host, loopbackAllowed);
  }
  return !loopbackAllowed && isLoopbackHost(host) ? `"${host}" is this machine's own name` : undefined;
}

/** DNS that keeps only addresses that may be reached; the connection is made to one of these very addresses. */
function guardedLookup(loopbackAllowed: boolean): LookupFunction {
  return (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) {
        callback(error, "", 0);
        return;
      }
      const allowed = found.filter(({ address }) => addressProblem(address, loopbackAllowed) === undefined);
      const [first] = allowed;
      if (first === undefined) {
        const why = addressProblem(found[0]?.address ?? "", loopbackAllowed) ?? "it has no address";
        callback(new Error(`"${hostname}" must not be reached: ${why}`), "", 0);
      } else if (options.all === true) {
        callback(null, allowed);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

function describe(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) {
    return (signal.reason as Error | undefined)?.name === "TimeoutError" ? "no answer in time" : "given up";
  }
  const { code, message } = error as NodeJS.ErrnoException;
  return CONNECTION_PROBLEMS[code ?? ""] ?? message;
}

const CONNECTION_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ENOTFOUND: "the name cannot be resolved",
  EAI_AGAIN: "the name cannot be resolved",
  ECONNRESET: "the connection was cut",
};

function failed(url: URL, problem: string): FetchResult {
  return { ok: false, problem: `GET ${urlText(url)}: ${problem}` };
}
