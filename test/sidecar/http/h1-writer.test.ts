import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { H1_RESPONSE_LIMITS } from "../../../sidecar/http/h1-parser.ts";
import { H1Writer } from "../../../sidecar/http/h1-writer.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../../sidecar/http/message.ts";
import { parseAll } from "../../support/h1-transcript.ts";

/** A writer and what it has written: one entry for each write. */
function recorder(): { writer: H1Writer; writes: string[]; text: () => string } {
  const writes: string[] = [];
  const write = (bytes: string | Uint8Array): void => {
    writes.push(typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("latin1"));
  };
  return { writer: new H1Writer({ write }), writes, text: () => writes.join("") };
}

function request(method: string, pairs: [string, string][] = []): RequestHead {
  return new RequestHead(method, "/p", "a", "http", HeaderMap.from([["Host", "a"], ...pairs]));
}

test("H1Writer sends head and first body bytes in one write", () => {
  const { writer, writes } = recorder();
  writer.response(new ResponseHead(200, "OK", HeaderMap.from([["Content-Length", "3"]])), false, "none");
  assert.equal(writes.length, 0);
  writer.data(Buffer.from("abc"), true);
  assert.deepEqual(writes, ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"]);
  writer.response(new ResponseHead(200, "", HeaderMap.from([["content-length", "100000"]])), false, "none");
  writer.data(Buffer.alloc(100_000, "x"), true);
  assert.equal(writes.length, 2);
  assert.equal(writes[1]?.length, 100_000 + writer.headBytes);
});

test("H1Writer keeps a borrowed chunk's bytes when the chunk is overwritten", () => {
  for (const length of [10, 20_000]) {
    const { writer, text } = recorder();
    const shared = Buffer.alloc(length, "a");
    writer.request(request("POST", [["content-length", String(length)]]), false, "none");
    writer.data(shared, true);
    shared.fill("b");
    assert.ok(text().endsWith("a".repeat(length)));
  }
});

test("H1Writer frames requests by what is known of their body", () => {
  const cases: [string, [string, string][], boolean, string][] = [
    ["GET", [], true, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["DELETE", [], true, "DELETE /p HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["POST", [], true, "POST /p HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n"],
    ["POST", [["Content-Length", "0"]], true, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"],
    [
      "PUT",
      [
        ["Transfer-Encoding", "chunked"],
        ["Connection", "x"],
        ["Keep-Alive", "1"],
      ],
      true,
      "PUT /p HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n",
    ],
    ["GET", [], false, "GET /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
    ["POST", [["Content-Length", "3"]], false, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"],
    [
      "POST",
      [
        ["Content-Length", "3"],
        ["Content-Length", "4"],
      ],
      false,
      "POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
    [
      "POST",
      [["Content-Length", "3x"]],
      false,
      "POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
  ];
  for (const [method, pairs, end, expected] of cases) {
    const { writer, text } = recorder();
    writer.request(request(method, pairs), end, "none");
    if (!end) {
      writer.data(Buffer.from("abc"), true);
    }
    assert.equal(text(), expected);
    assert.equal(writer.isOpen, false);
    assert.equal(writer.isBroken, false);
  }
});

test("H1Writer writes a CONNECT target as the authority", () => {
  const { writer, text } = recorder();
  writer.isTunnel = true;
  writer.request(new RequestHead("CONNECT", "", "a:443", "http", HeaderMap.from([["Host", "a:443"]])), false, "none");
  writer.data(Buffer.from("raw"), false);
  assert.equal(text(), "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nraw");
});

test("H1Writer says what the connection does after a response", () => {
  const { writer, text } = recorder();
  writer.response(new ResponseHead(404, ""), true, "close");
  assert.equal(text(), "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  const old = recorder();
  old.writer.toHttp10 = true;
  old.writer.response(new ResponseHead(799, "Odd"), false, "keep-alive");
  old.writer.data(Buffer.from("abc"), true);
  assert.equal(old.text(), "HTTP/1.1 799 Odd\r\nconnection: close\r\n\r\nabc");
  assert.equal(old.writer.framing, "close");
});

test("H1Writer reports a body that does not have its announced length", () => {
  const tooLong = recorder();
  tooLong.writer.response(new ResponseHead(200, "", HeaderMap.from([["content-length", "2"]])), false, "none");
  tooLong.writer.data(Buffer.from("abc"), false);
  assert.ok(tooLong.writer.isBroken);
  assert.equal(tooLong.text(), "");
  const tooShort = recorder();
  tooShort.writer.response(new ResponseHead(200, "", HeaderMap.from([["content-length", "4"]])), false, "none");
  tooShort.writer.data(Buffer.from("ab"), false);
  assert.equal(tooShort.writer.isBroken, false);
  tooShort.writer.data(Buffer.from("c"), true);
  assert.ok(tooShort.writer.isBroken);
});

test("H1Writer leaves trailers out where the framing cannot carry them", () => {
  const chunked = recorder();
  chunked.writer.request(request("POST"), false, "none");
  chunked.writer.trailers(HeaderMap.from([["T", "1"]]));
  assert.equal(chunked.text(), "POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\n");
  const sized = recorder();
  sized.writer.request(request("POST", [["content-length", "1"]]), false, "none");
  sized.writer.data(Buffer.from("a"), false);
  sized.writer.trailers(HeaderMap.from([["T", "1"]]));
  assert.ok(sized.text().endsWith("\r\n\r\na"));
  assert.equal(sized.writer.isOpen, false);
  assert.equal(sized.writer.isBroken, false);
});

test("H1Writer.flush() sends a head whose body is late, once", () => {
  const { writer, writes } = recorder();
  writer.response(new ResponseHead(200, ""), false, "none");
  assert.ok(writer.hasPending);
  writer.flush();
  writer.flush();
  assert.deepEqual(writes, ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]);
  writer.data(Buffer.alloc(0), false);
  assert.equal(writes.length, 1);
});

test("H1Writer and H1Parser agree on every message", () => {
  const chunk = fc.oneof(fc.string({ maxLength: 20 }), fc.constant("x".repeat(9_000)));
  const message = fc.record({
    status: fc.constantFrom(200, 204, 304, 404, 500),
    sized: fc.boolean(),
    toHead: fc.boolean(),
    chunks: fc.array(chunk, { maxLength: 4 }),
    trailer: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), (messages) => {
      const { writer, text } = recorder();
      for (const { status, sized, toHead, chunks, trailer } of messages) {
        const bodies = chunks.map((part) => Buffer.from(part));
        const length = bodies.reduce((sum, part) => sum + part.length, 0);
        const headers = HeaderMap.from(sized ? [["Content-Length", String(length)]] : []);
        writer.toHead = toHead;
        writer.response(new ResponseHead(status, "", headers), bodies.length === 0 && !sized, "none");
        for (const [index, part] of bodies.entries()) {
          writer.data(part, index === bodies.length - 1 && !trailer);
        }
        if (writer.isOpen) {
          writer.trailers(HeaderMap.from(trailer ? [["t", "1"]] : []));
        }
      }
      const result = parseAll("response", [Buffer.from(text(), "latin1")], {
        limits: H1_RESPONSE_LIMITS,
        expect: messages.map(({ toHead }) => ({ toHead })),
      });
      assert.equal(result.failure, undefined);
      assert.equal(result.rest, 0);
      for (const [index, { status, toHead, chunks }] of messages.entries()) {
        const hasBody = !toHead && status !== 204 && status !== 304;
        assert.equal(result.messages[index]?.body, hasBody ? Buffer.from(chunks.join("")).toString("latin1") : "");
        assert.ok(result.messages[index]?.isComplete);
      }
    }),
    { numRuns: 300 },
  );
});
