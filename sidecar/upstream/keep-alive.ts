// How long an upstream keeps an idle connection, from its `Keep-Alive: timeout=N` (RFC 2068 §19.7.1.1; Node, Apache and
// gunicorn send it). Called by connection.ts for responses that have the field.

import type { HeaderMap } from "../http/headers.ts";

/** We close this much earlier, so that our request and the upstream's close do not meet. */
const MARGIN_MS = 1_000;
const TIMEOUT = /(?:^|[,;\s])timeout\s*=\s*"?(\d{1,9})/i;

/**
 * The shorter of the cluster's idle timeout (0: none) and what the upstream says, less the margin. A timeout of one second
 * leaves half of it. Negative: do not reuse the connection at all.
 */
export function keepAliveTimeoutMs(headers: HeaderMap, clusterIdleTimeoutMs: number): number {
  const seconds = TIMEOUT.exec(headers.get("keep-alive") ?? "")?.[1];
  if (seconds === undefined) {
    return clusterIdleTimeoutMs;
  }
  const theirs = Number(seconds) * 1_000;
  if (theirs === 0) {
    return -1;
  }
  const ours = Math.max(theirs - MARGIN_MS, theirs / 2);
  return clusterIdleTimeoutMs === 0 ? ours : Math.min(ours, clusterIdleTimeoutMs);
}
