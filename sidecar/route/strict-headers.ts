// The router's `strict_check_headers`: x-envoy- fields of requests that must make sense, or the request is refused. Compiled by
// live-config.ts, asked by proxy.ts. Source: Envoy's FilterUtility::StrictHeaderChecker.

import type { HeaderMap } from "../http/headers.ts";

const RETRY_ON = new Set([
  "5xx",
  "gateway-error",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "reset",
  "reset-before-request",
  "http3-post-connect-failure",
]);
const RETRY_GRPC_ON = new Set(["cancelled", "deadline-exceeded", "resource-exhausted", "unavailable", "internal"]);

const MAX_NUMBER = 2n ** 64n - 1n;

/** The first field of `names` that makes no sense; undefined: all do. */
export function strictProblem(
  names: readonly string[],
  headers: HeaderMap,
): { readonly name: string; readonly value: string } | undefined {
  for (const name of names) {
    const value = headers.get(name);
    if (value !== undefined && !isValid(name, value)) {
      return { name, value };
    }
  }
  return undefined;
}

function isValid(name: string, value: string): boolean {
  switch (name) {
    case "x-envoy-retry-on":
      return isListOf(RETRY_ON, value);
    case "x-envoy-retry-grpc-on":
      return isListOf(RETRY_GRPC_ON, value);
    default:
      return /^\d{1,20}$/.test(value) && BigInt(value) <= MAX_NUMBER;
  }
}

function isListOf(known: ReadonlySet<string>, value: string): boolean {
  return value.split(",").every((part) => part.trim() === "" || known.has(part.trim()));
}
