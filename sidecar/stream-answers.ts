// Answers that are not the upstream's, as heads and bodies: failures by code, what a filter asked for, what a route says.
// proxy.ts sends them. The table of failures is http/local-reply.ts.

import type { ErrorCode } from "./errors.ts";
import type { FilterReply } from "./filter/filter.ts";
import { buildReply, type BuiltReply, LOCAL_REPLIES, timeoutStatus } from "./http/local-reply.ts";
import { type RequestHead, ResponseHead } from "./http/message.ts";
import type { MutationList } from "./route/header-mutations.ts";
import type { RouteMatch } from "./route/route-table.ts";
import type { StreamRecord } from "./stream-record.ts";

const EMPTY = new Uint8Array(0);

/** The reply for a failure that can be answered. `status` overrides the table's, as a route may. */
export function failureReply(code: ErrorCode, requestEnded: boolean, status: number | undefined): FilterReply {
  const entry = LOCAL_REPLIES[code];
  return {
    status: status ?? (entry.status === 408 ? timeoutStatus(requestEnded) : entry.status),
    details: entry.details,
    body: entry.body === "" ? EMPTY : Buffer.from(entry.body, "latin1"),
    headers: [],
    grpcStatus: -1,
    flag: entry.flag,
  };
}

/** The reply with what the route adds to responses, unless a filter has made the whole message. */
export function routedReply(reply: FilterReply, facts: StreamRecord, mutations: MutationList | undefined): BuiltReply {
  const built = replyMessage(reply, facts.requestHead);
  if (reply.isWhole !== true) {
    mutations?.apply(built.head.headers, facts);
  }
  return built;
}

/** A filter's or failure's reply in the form that this request can read (gRPC's, for gRPC). */
export function replyMessage(reply: FilterReply, request: RequestHead): BuiltReply {
  const built = buildReply(reply.status, reply.body, request);
  const { headers } = built.head;
  for (const [name, value] of reply.headers) {
    const lower = name.toLowerCase();
    if (lower === "content-type") {
      headers.set(name, value);
    } else if (lower !== "content-length") {
      // The length is the body's, whatever a filter says.
      headers.add(name, value);
    }
  }
  if (reply.grpcStatus >= 0 && headers.has("grpc-status")) {
    headers.set("grpc-status", String(reply.grpcStatus));
  }
  return built;
}

/** The answer of a redirect or direct response. */
export function routeMessage(match: RouteMatch, request: RequestHead): BuiltReply {
  const location = match.redirect?.location(request);
  const status = match.redirect?.status ?? (match.action.kind === "direct_response" ? match.action.status : 404);
  const body = match.body ?? EMPTY;
  const head = new ResponseHead(status, "");
  if (location !== undefined) {
    head.headers.add("location", location);
  }
  head.headers.add("content-length", String(body.length));
  if (body.length > 0) {
    head.headers.add("content-type", "text/plain");
  }
  return { head, body };
}
