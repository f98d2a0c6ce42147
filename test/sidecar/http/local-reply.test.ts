import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import {
  buildReply,
  grpcStatus,
  isGrpcRequest,
  LOCAL_REPLIES,
  timeoutStatus,
} from "../../../sidecar/http/local-reply.ts";
import { RequestHead } from "../../../sidecar/http/message.ts";

function request(contentType?: string): RequestHead {
  const headers = HeaderMap.from(contentType === undefined ? [] : [["Content-Type", contentType]]);
  return new RequestHead("POST", "/", "a", "http", headers);
}

test("LOCAL_REPLIES has Envoy's words", () => {
  assert.deepEqual(LOCAL_REPLIES.no_healthy_upstream, {
    status: 503,
    flag: "UH",
    details: "no_healthy_upstream",
    body: "no healthy upstream",
    close: false,
  });
  assert.deepEqual(LOCAL_REPLIES.upstream_overflow.flag, "UO");
  assert.equal(LOCAL_REPLIES.upstream_timeout.body, "upstream request timeout");
  for (const [code, reply] of Object.entries(LOCAL_REPLIES)) {
    assert.ok(reply.status === 0 || (reply.status >= 400 && reply.status < 600), code);
    assert.match(reply.details, /^[a-z0-9_.{}|]*$/, code);
  }
  assert.deepEqual([timeoutStatus(false), timeoutStatus(true)], [408, 504]);
});

test("buildReply() makes a plain reply", () => {
  const { head, body } = buildReply(503, "no healthy upstream", request());
  assert.equal(head.status, 503);
  assert.equal(head.reason, "Service Unavailable");
  assert.equal(head.headers.write(), "content-length: 19\r\ncontent-type: text/plain\r\n");
  assert.equal(Buffer.from(body).toString(), "no healthy upstream");
  const empty = buildReply(404, "", undefined);
  assert.equal(empty.head.headers.size, 0);
  assert.equal(empty.body.length, 0);
  assert.equal(buildReply(200, "é", undefined).head.headers.get("content-length"), "2");
});

test("buildReply() tells a gRPC client in its own way", () => {
  const { head, body } = buildReply(503, "no healthy % upstream\n", request("application/grpc+proto"));
  assert.equal(head.status, 200);
  assert.equal(
    head.headers.write(),
    "content-type: application/grpc\r\ngrpc-status: 14\r\ngrpc-message: no healthy %25 upstream%0A\r\n",
  );
  assert.equal(body.length, 0);
});

test("isGrpcRequest() knows gRPC from its relatives", () => {
  const types: [string | undefined, boolean][] = [
    ["application/grpc", true],
    ["application/grpc+json", true],
    ["application/grpc;x=y", true],
    ["application/grpc-web", false],
    ["text/plain", false],
    [undefined, false],
  ];
  for (const [type, expected] of types) {
    assert.equal(isGrpcRequest(request(type)), expected, String(type));
  }
});

test("grpcStatus() maps as Envoy does", () => {
  const expected: [number, number][] = [
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [500, 2],
    [200, 2],
  ];
  for (const [status, code] of expected) {
    assert.equal(grpcStatus(status), code, String(status));
  }
});
