import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../../sidecar/http/message.ts";
import {
  requestField,
  responseField,
  setRequestField,
  setResponseField,
} from "../../../sidecar/http/pseudo-headers.ts";

test("requestField() reads pseudo-headers, Host as the authority, and joined fields", () => {
  const headers = HeaderMap.from([
    ["Host", "a"],
    ["X-A", "1"],
    ["x-a", "2"],
  ]);
  const head = new RequestHead("GET", "/p?q", "a", "http", headers);
  const names = [":method", ":path", ":authority", "host", ":scheme", "x-a", ":status", "x-b"];
  assert.deepEqual(
    names.map((name) => requestField(head, name)),
    ["GET", "/p?q", "a", "a", "http", "1,2", undefined, undefined],
  );
});

test("setRequestField() keeps Host and the authority in step and refuses unknown pseudo-headers", () => {
  const head = new RequestHead("GET", "/", "a", "http", HeaderMap.from([["HOST", "a"]]));
  assert.ok(setRequestField(head, ":authority", "b"));
  assert.equal(head.authority, "b");
  assert.equal(head.headers.write(), "HOST: b\r\n");
  assert.ok(setRequestField(head, "host", "c"));
  assert.equal(head.authority, "c");
  assert.ok(setRequestField(head, ":path", "/x"));
  assert.ok(setRequestField(head, ":method", "PUT"));
  assert.ok(setRequestField(head, ":scheme", "https"));
  assert.deepEqual([head.method, head.path, head.scheme], ["PUT", "/x", "https"]);
  assert.equal(setRequestField(head, ":status", "200"), false);
  assert.ok(setRequestField(head, "x-a", "1"));
  assert.equal(head.headers.get("x-a"), "1");
});

test("setResponseField() takes a status only when it is one", () => {
  const head = new ResponseHead(200, "Fine");
  assert.ok(setResponseField(head, ":status", "200"));
  assert.equal(head.reason, "Fine");
  assert.ok(setResponseField(head, ":status", "404"));
  assert.deepEqual([head.status, head.reason, responseField(head, ":status")], [404, "", "404"]);
  for (const status of ["", "20", "2000", "abc", "099", "200 OK\r\nX: y"]) {
    assert.equal(setResponseField(head, ":status", status), false, status);
  }
  assert.equal(setResponseField(head, ":path", "/"), false);
  assert.ok(setResponseField(head, "x-a", "1"));
  assert.equal(responseField(head, "x-a"), "1");
});
