// What compare.ts asks of each proxy, through listeners that istiod has made, and what must be the same.

import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";

export interface Asked {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const OUT = { port: 28101, host: "catalog.shop.test" };
const PREFLIGHT = { "access-control-request-method": "PUT" };

export const REQUESTS: readonly Asked[] = [
  { ...OUT, path: "/", headers: { "x-version": "v2" } },
  { ...OUT, path: "/without/x" },
  { ...OUT, path: "/re/12?a=1" },
  { ...OUT, path: "/exact" },
  { ...OUT, path: "/EXACT" },
  { ...OUT, path: "/old/a?b=c" },
  { ...OUT, path: "/items/shoes/1" },
  { ...OUT, path: "/moved/away" },
  { ...OUT, path: "/direct" },
  { ...OUT, path: "/abort" },
  { ...OUT, path: "/abort", headers: { "content-type": "application/grpc" } },
  { ...OUT, path: "/delay" },
  { ...OUT, path: "/slow" },
  { ...OUT, path: "/headers", headers: { "x-gone": "1", "x-add": "mine", "x-set": "mine" } },
  { ...OUT, path: "/cors", headers: { origin: "https://shop.test" } },
  { ...OUT, path: "/cors", headers: { origin: "https://a.shop.test" } },
  { ...OUT, path: "/cors", headers: { origin: "https://evil.test" } },
  { ...OUT, path: "/cors", method: "OPTIONS", headers: { origin: "https://shop.test", ...PREFLIGHT } },
  { ...OUT, path: "/cors", method: "OPTIONS", headers: { origin: "https://evil.test", ...PREFLIGHT } },
  { ...OUT, path: "/body", method: "POST", headers: { "x-version": "v2" } },
  { ...OUT, host: "catalog.shop.test:28101", path: "/exact" },
  { ...OUT, host: "CATALOG.shop.test", path: "/exact" },
  { ...OUT, host: "catalog.shop.test.", path: "/exact" },
  { ...OUT, path: "/exact?query=1" },
  { ...OUT, path: "/a/../exact" },
  { ...OUT, path: "//exact" },
  { ...OUT, path: "/%65xact" },
  { ...OUT, path: "/old%2Fa" },
  { ...OUT, path: "/old/%2e%2e/exact" },
  { ...OUT, path: "/re/12?a=1", headers: { "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https" } },
  { ...OUT, path: "/exact", headers: { "x-envoy-upstream-rq-timeout-ms": "100", "x-envoy-retry-on": "5xx" } },
  { ...OUT, path: "/slow", headers: { "x-envoy-upstream-rq-timeout-ms": "250" } },
  { ...OUT, path: "/exact", headers: { "x-envoy-decorator-operation": "mine", "x-envoy-internal": "true" } },
  { ...OUT, path: "/exact", headers: { "x-envoy-attempt-count": "7", "x-envoy-original-path": "/mine" } },
  { ...OUT, path: "/without/x", headers: { "x-no": "1" } },
  { ...OUT, path: "/abort", headers: { "x-version": "v2" } },
  { ...OUT, path: "/delay", method: "POST" },
  { ...OUT, path: "/moved/away?query" },
  { ...OUT, path: "/direct", method: "POST" },
  { ...OUT, path: "/direct", method: "HEAD" },
  { ...OUT, host: "prices.shop.test", path: "/p" },
  { ...OUT, host: "nobody.test", path: "/" },
  { port: 28180, host: "app", path: "/in" },
  { port: 28180, host: "app:28180", path: "/in/../x?y", method: "POST" },
  { port: 28180, host: "app", path: "/in", headers: { "x-forwarded-client-cert": "By=spiffe://mine", te: "trailers" } },
  { port: 28180, host: "app", path: "/in", headers: { "x-forwarded-for": "9.9.9.9", "x-request-id": "not-an-id" } },
  { port: 28180, host: "app", path: "/in", headers: { "content-type": "application/grpc", "grpc-timeout": "1S" } },
  { port: 28102, host: "over-tcp", path: "/tcp" },
];

/** Chance: asked often, counted. */
export const SPLIT: Asked = { ...OUT, path: "/anything" };

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** What the backend saw, or the proxy's own text. */
  readonly body: string;
  /** Of requests that a rule keeps waiting: whether they did. */
  readonly waited?: boolean;
}

const WAITING = /^\/(delay|slow)/;
const WAIT_MS = 190;

/** Differs from request to request. */
const CHANGING = new Set(["date", "x-envoy-upstream-service-time", "x-request-id"]);

/** `at`: another port than istiod's. */
export async function ask(
  { port, host, path, method = "GET", headers = {} }: Asked,
  at: number = port,
): Promise<Answer> {
  const before = performance.now();
  const asked = request({ port: at, path, method, headers: { host, ...headers }, agent: false });
  asked.end(method === "POST" ? "a body" : undefined);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  const kept = Object.entries(response.headers).filter(([name]) => !CHANGING.has(name));
  // Where a codec adds its own fields is its business.
  const sorted = kept.toSorted(([a], [b]) => (a < b ? -1 : 1));
  // A split is chance.
  const even = (text: string): string =>
    response.headers["x-route"] === "split" ? text.replace("CATALOG_V2", "CATALOG_V1") : text;
  const names = JSON.parse(even(JSON.stringify(Object.fromEntries(sorted)))) as Answer["headers"];
  const answer = { status: response.statusCode ?? 0, headers: names, body: even(body) };
  return WAITING.test(path) ? { ...answer, waited: performance.now() - before > WAIT_MS } : answer;
}

/** Which backend answers. */
export async function backendOf({ port, host, path }: Asked): Promise<unknown> {
  const asked = request({ port, path, headers: { host }, agent: false });
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.headers["x-backend"];
}
