// Answers that are not the upstream's, as heads and bodies: failures by code, what a filter asked for, what a route says.
// proxy.ts sends them. The table of failures is http/local-reply.ts.

import type { ErrorCode } from "./errors.ts";
import type { FilterReply } from "./filter/filter.ts";
import { type BuiltReply, finishReply, LOCAL_REPLIES, replyHead, timeoutStatus } from "./http/local-reply.ts";
import type { HeaderMap } from "./http/headers.ts";
import type { RequestHead, ResponseHead } from "./http/message.ts";
import type { LocalReplies } from "./local-replies.ts";
import type { MutationList } from "./route/header-mutations.ts";
import type { RouteMatch } from "./route/route-table.ts";
import { strictProblem } from "./route/strict-headers.ts";
import type { StreamRecord } from "./stream-record.ts";

/** Nothing is sent to a second host yet. */
const ONE_ATTEMPT: FilterReply["headers"] = [["x-envoy-attempt-count", "1"]];
const NO_FIELDS: FilterReply["headers"] = [];
const EMPTY = new Uint8Array(0);

/**
 * The reply for a failure that can be answered. `status` overrides the table's, as a route may. `attempted`: the route that the router
 * has followed up to a host; undefined: it has not.
 */
export function failureReply(
  code: ErrorCode,
  requestEnded: boolean,
  status: number | undefined,
  attempted: RouteMatch | undefined,
): FilterReply {
  const showsAttempts = attempted?.virtualHost.includeAttemptCountInResponse === true;
  const entry = LOCAL_REPLIES[code];
  return {
    status: status ?? (entry.status === 408 ? timeoutStatus(requestEnded) : entry.status),
    details: entry.details,
    body: entry.body === "" ? EMPTY : Buffer.from(entry.body, "latin1"),
    headers: showsAttempts ? ONE_ATTEMPT : NO_FIELDS,
    grpcStatus: -1,
    flag: entry.flag,
  };
}

/** The reply to a request with one of the fields that the router checks and that makes no sense; undefined: it has none. */
export function strictReply(names: readonly string[], headers: HeaderMap): FilterReply | undefined {
  const problem = strictProblem(names, headers);
  return (
    problem && {
      status: 400,
      details: `request_headers_failed_strict_check{${problem.name}}`,
      body: Buffer.from(`invalid header '${problem.name}' with value '${problem.value}'`, "latin1"),
      headers: NO_FIELDS,
      grpcStatus: -1,
      flag: "IH",
    }
  );
}

/** What is added to an answer, and what becomes of it. */
export interface AnswerRules {
  readonly mutations: MutationList | undefined;
  readonly localReplies: LocalReplies | undefined;
}

/** The reply as a message, with what the route adds to responses, unless a filter has made the whole of it. */
export function routedReply(reply: FilterReply, facts: StreamRecord, rules: AnswerRules): BuiltReply {
  if (reply.isWhole === true) {
    return replyMessage(reply, facts.requestHead);
  }
  const head = replyHead(reply.status);
  // The route first, as in Envoy: what a filter asks for is left alone.
  rules.mutations?.apply(head.headers, facts);
  addFields(head, reply);
  return finished(head, reply, facts, rules.localReplies);
}

/** A filter's or failure's reply in the form that this request can read (gRPC's, for gRPC). */
export function replyMessage(reply: FilterReply, request: RequestHead): BuiltReply {
  const head = replyHead(reply.status);
  addFields(head, reply);
  return finishReply(head, reply.body, request, reply.grpcStatus);
}

function addFields({ headers }: ResponseHead, reply: FilterReply): void {
  for (const [name, value] of reply.headers) {
    const lower = name.toLowerCase();
    if (lower === "content-type") {
      headers.set(name, value);
    } else if (lower !== "content-length") {
      // The length is the body's, whatever a filter says.
      headers.add(name, value);
    }
  }
}

/** The answer of a redirect or direct response. */
export function routeMessage(
  match: RouteMatch,
  facts: StreamRecord,
  localReplies: LocalReplies | undefined,
): BuiltReply {
  const { bodyFormatter } = match;
  const plain = match.body ?? EMPTY;
  const status = match.redirect?.status ?? (match.action.kind === "direct_response" ? match.action.status : 404);
  const reply = {
    body: bodyFormatter === undefined ? plain : (bodyFormatter.render(facts, plain) ?? plain),
    grpcStatus: -1,
  };
  const head = replyHead(status);
  const location = match.redirect?.location(facts.requestHead) ?? ownLocation(status, facts.requestHead);
  if (location !== undefined) {
    head.headers.add("location", location);
  }
  match.responseMutations?.apply(head.headers, facts);
  if (bodyFormatter !== undefined && !head.headers.has("content-type")) {
    head.headers.add("content-type", bodyFormatter.contentType);
  }
  // Of redirects too, as in Envoy.
  facts.responseCodeDetails = "direct_response";
  const built = finished(head, reply, facts, localReplies);
  if (built.body.length === 0) {
    head.headers.set("content-length", "0");
  }
  return built;
}

/** A direct response with such a status says where the request went to, as in Envoy. */
function ownLocation(status: number, { scheme, authority, path }: RequestHead): string | undefined {
  return status === 201 || (status >= 300 && status < 400) ? `${scheme}://${authority}${path}` : undefined;
}

function finished(
  head: ResponseHead,
  { body, grpcStatus }: Pick<FilterReply, "body" | "grpcStatus">,
  facts: StreamRecord,
  localReplies: LocalReplies | undefined,
): BuiltReply {
  const rest = localReplies === undefined ? body : localReplies.rewrite(head, body, facts);
  if (rest.length === 0) {
    head.headers.remove("content-type");
  }
  return finishReply(head, rest, facts.requestHead, grpcStatus);
}
