import assert from "node:assert/strict";
import { test } from "node:test";
import { H1_REQUEST_LIMITS, H1Parser } from "../../../sidecar/http/h1-parser.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import {
  restoreUpgrade,
  stripRequestFields,
  stripResponseFields,
  stripTrailerFields,
} from "../../../sidecar/http/hop-by-hop.ts";

/** What is left of a request's fields, and the upgrade that was asked for. */
function strip(lines: string[]): { left: string[]; upgrade: string } {
  const ignore = (): void => undefined;
  const parser = new H1Parser("request", { onHead: ignore, onBody: ignore, onTrailers: ignore }, H1_REQUEST_LIMITS);
  const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`);
  parser.execute(bytes, 0, bytes.length);
  assert.equal(parser.failure, undefined);
  const upgrade = stripRequestFields(parser.headers, parser.fields);
  return { left: [...parser.headers].map((pair) => pair.join(": ")), upgrade };
}

test("stripRequestFields() removes what belongs to the connection and keeps the rest in place", () => {
  const cases: [string[], string[], string][] = [
    [["Host: a", "A: b"], ["Host: a", "A: b"], ""],
    [["Host: a", "Connection: close", "A: b"], ["Host: a", "A: b"], ""],
    [["Connection: X-Foo, x-bar", "x-foo: 1", "A: b", "X-FOO: 2", "X-Bar: 3"], ["A: b"], ""],
    [["Connection: a", "Connection: b", "A: 1", "B: 2", "C: 3"], ["C: 3"], ""],
    [["Keep-Alive: 5", "Proxy-Connection: x", "Transfer-Encoding: chunked"], [], ""],
    // A client must not be able to take framing, routing or its own address away.
    [
      ["Host: a", "Connection: host, content-length, x-forwarded-for", "Content-Length: 0", "X-Forwarded-For: 1"],
      ["Host: a", "Content-Length: 0", "X-Forwarded-For: 1"],
      "",
    ],
    [["TE: trailers, gzip;q=0.5"], ["TE: trailers"], ""],
    [["TE: gzip"], [], ""],
    [["TE: trailers;q=1", "Connection: TE"], ["TE: trailers"], ""],
    [["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"], [], "h2c"],
    [["Upgrade: websocket"], [], ""],
    [["Connection: keep-alive, Upgrade", "Upgrade: websocket"], [], "websocket"],
    [["Connection: , ,", "A: b"], ["A: b"], ""],
  ];
  for (const [lines, left, upgrade] of cases) {
    assert.deepEqual(strip(lines), { left, upgrade }, lines.join(" | "));
  }
});

test("restoreUpgrade() brings a configured upgrade back", () => {
  const headers = HeaderMap.from([["Host", "a"]]);
  restoreUpgrade(headers, "websocket");
  assert.equal(headers.write(), "Host: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n");
});

test("stripResponseFields() removes what belongs to the upstream's connection", () => {
  const headers = HeaderMap.from([
    ["Connection", "X-A"],
    ["X-A", "1"],
    ["Keep-Alive", "timeout=5"],
    ["Proxy-Connection", "x"],
    ["Upgrade", "h2"],
    ["Set-Cookie", "a"],
    ["Set-Cookie", "b"],
  ]);
  stripResponseFields(headers);
  assert.equal(headers.write(), "Set-Cookie: a\r\nSet-Cookie: b\r\n");
  const plain = HeaderMap.from([
    ["Keep-Alive", "timeout=5"],
    ["Upgrade", "h2"],
    ["A", "b"],
  ]);
  stripResponseFields(plain);
  assert.equal(plain.write(), "A: b\r\n");
});

test("stripTrailerFields() leaves only what may be a trailer", () => {
  const trailers = HeaderMap.from([
    ["Connection", "x"],
    ["TE", "trailers"],
    ["grpc-status", "0"],
  ]);
  stripTrailerFields(trailers);
  assert.equal(trailers.write(), "grpc-status: 0\r\n");
});
