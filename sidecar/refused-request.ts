// The facts of a request that is refused before it becomes a stream, and its answer where the connection manager has a say in local
// replies. Asked by listener-set.ts; without `local_reply_config` the connection answers by itself.

import { HeaderMap } from "./http/headers.ts";
import { dateField } from "./http/date-field.ts";
import { type BuiltReply, finishReply } from "./http/local-reply.ts";
import { RequestHead, ResponseHead } from "./http/message.ts";
import type { ConnectionInfo } from "./http/stream.ts";
import type { HttpServing } from "./http-serving.ts";
import type { Rejection } from "./listener/rejection.ts";
import { StreamRecord } from "./stream-record.ts";

/** With all fields but Connection. Of the request nothing is known: what could be read of it cannot be trusted. */
export function refusedReply(
  rejection: Rejection,
  connection: ConnectionInfo,
  serving: HttpServing,
): BuiltReply | undefined {
  const { localReplies, hcm, origin } = serving;
  if (localReplies === undefined) {
    return undefined;
  }
  const request = {
    head: new RequestHead("", "", "", "", new HeaderMap()),
    connection,
    protocol: "HTTP/1.1",
    startedAt: performance.now(),
    requestHeaderBytes: 0,
    responseHeaderBytes: 0,
  };
  const facts = new StreamRecord(request, origin);
  facts.responseCodeDetails = rejection.details;
  const head = new ResponseHead(rejection.status, "");
  if (rejection.location !== "") {
    head.headers.add("location", rejection.location);
  }
  const body = localReplies.rewrite(head, Buffer.from(rejection.body), facts);
  const reply = finishReply(head, body, undefined);
  head.headers.add("date", dateField(Date.now()));
  head.headers.add("server", hcm.serverName);
  return reply;
}
