// Requests and responses as people write them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFields, parseRequest, parseResponse } from "../../../../sidecar/cli/plugin/http-text.ts";

for (const [text, ...wanted] of [
  ["/", "GET", "/", "example.com", "http", ""],
  ["POST /a?b", "POST", "/a?b", "example.com", "http", ""],
  ["OPTIONS *", "OPTIONS", "*", "example.com", "http", ""],
  ["GET https://a.example:8443/x?y", "GET", "/x?y", "a.example:8443", "https", ""],
  ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", "h", "http", ""],
  ["/x\nhost: h\n\nbody\n\nmore", "POST", "/x", "h", "http", "body\n\nmore"],
] as const) {
  test(`parseRequest() reads ${JSON.stringify(text)}`, () => {
    const parsed = parseRequest(text);
    assert.ok(parsed.ok);
    const { head, body } = parsed.value;
    assert.deepEqual([head.method, head.path, head.authority, head.scheme, body.toString()], wanted);
  });
}

for (const text of ["", "GET", "G@T /", "GET x", "GET / x HTTP/1.1", "GET /\nno header\n\n", "GET http://[/"]) {
  test(`parseRequest() refuses ${JSON.stringify(text)}`, () => assert.equal(parseRequest(text).ok, false));
}

for (const [text, ...wanted] of [
  ["204", 204, "No Content", ""],
  ["404 not here\nat all", 404, "Not Found", "not here\nat all"],
  ["HTTP/1.1 503 Busy\r\nretry-after: 1\r\n\r\nlater", 503, "Busy", "later"],
] as const) {
  test(`parseResponse() reads ${JSON.stringify(text)}`, () => {
    const parsed = parseResponse(text);
    assert.ok(parsed.ok);
    const { head, body } = parsed.value;
    assert.deepEqual([head.status, head.reason, body.toString()], wanted);
  });
}

for (const text of ["", "ok", "99", "600", "200no", "HTTP/1.1 abc", "HTTP/1.1 200 OK\nbad line\n\n"]) {
  test(`parseResponse() refuses ${JSON.stringify(text)}`, () => assert.equal(parseResponse(text).ok, false));
}

test("parseFields() keeps names, repeated ones too, and writes values as UTF-8", () => {
  const parsed = parseFields(["X-A: 1", "x-a:2", "x-b: ü"]);
  assert.ok(parsed.ok);
  assert.deepEqual(
    [...parsed.value],
    [
      ["X-A", "1"],
      ["x-a", "2"],
      ["x-b", Buffer.from("ü").toString("latin1")],
    ],
  );
});
