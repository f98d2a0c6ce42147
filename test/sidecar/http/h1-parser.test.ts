import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { H1_REQUEST_LIMITS, H1_RESPONSE_LIMITS, H1Parser } from "../../../sidecar/http/h1-parser.ts";
import { parseAll, slices, split, type Transcript } from "../../support/h1-transcript.ts";

const LIMITS = { maxHeadBytes: 400, maxFields: 6, maxChunkExtensionBytes: 40 };

function request(text: string, limits = H1_REQUEST_LIMITS): Transcript {
  return parseAll("request", [Buffer.from(text, "latin1")], { limits });
}

function response(
  text: string,
  expect: { toHead?: boolean; mayUpgrade?: boolean }[] = [{}],
  finish = false,
): Transcript {
  return parseAll("response", [Buffer.from(text, "latin1")], { limits: H1_RESPONSE_LIMITS, expect, finish });
}

const CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

// Every ambiguity by which requests are smuggled, and what llhttp refuses: each must end the connection.
const REFUSED_REQUESTS: [string, string, string][] = [
  [
    "both lengths",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "both Content-Length and Transfer-Encoding",
  ],
  [
    "both lengths, other order",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    "both Content-Length and Transfer-Encoding",
  ],
  [
    "equal lengths twice",
    "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "repeated Content-Length",
  ],
  [
    "different lengths",
    "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "repeated Content-Length",
  ],
  ["list of lengths", "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx", "invalid Content-Length"],
  ["signed length", "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx", "invalid Content-Length"],
  ["negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nx", "invalid Content-Length"],
  ["hex length", "POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\nx", "invalid Content-Length"],
  ["empty length", "POST / HTTP/1.1\r\nContent-Length: \r\n\r\nx", "invalid Content-Length"],
  ["length with a fraction", "POST / HTTP/1.1\r\nContent-Length: 1.0\r\n\r\nx", "invalid Content-Length"],
  ["length above 2^53", "POST / HTTP/1.1\r\nContent-Length: 9007199254740992\r\n\r\nx", "invalid Content-Length"],
  ["length that wraps", "POST / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\nx", "invalid Content-Length"],
  ["identity", "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", "Transfer-Encoding other than chunked"],
  ["xchunked", "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", "Transfer-Encoding other than chunked"],
  [
    "gzip, chunked",
    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "Transfer-Encoding other than chunked",
  ],
  [
    "chunked, identity",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    "Transfer-Encoding other than chunked",
  ],
  ["quoted coding", 'POST / HTTP/1.1\r\nTransfer-Encoding: "chunked"\r\n\r\n', "Transfer-Encoding other than chunked"],
  [
    "chunked twice",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "repeated Transfer-Encoding",
  ],
  ["coding with VT", "POST / HTTP/1.1\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", "invalid character in a field value"],
  ["space before colon", "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", "malformed field name"],
  [
    "coding in HTTP/1.0",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding in an HTTP/1.0 message",
  ],
  ["folded line", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "folded field line"],
  ["folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "folded field line"],
  ["bare LF after start line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "line not ended by CR LF"],
  ["bare LF after field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "line not ended by CR LF"],
  ["bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "line not ended by CR LF"],
  ["bare CR in value", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "line not ended by CR LF"],
  ["bare CR before the end", "GET / HTTP/1.1\r\nHost: a\r\n\rGET", "line not ended by CR LF"],
  ["NUL in value", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", "invalid character in a field value"],
  ["DEL in value", "GET / HTTP/1.1\r\nHost: a\x7fb\r\n\r\n", "invalid character in a field value"],
  ["NUL in name", "GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", "malformed field name"],
  ["obs-text in name", "GET / HTTP/1.1\r\nHo\xffst: a\r\n\r\n", "malformed field name"],
  ["empty name", "GET / HTTP/1.1\r\n: a\r\n\r\n", "malformed field name"],
  ["no colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", "malformed field name"],
  ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "repeated Host"],
  ["HTTP/0.9", "GET /\r\n", "malformed start line"],
  ["HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP version other than 1.0 and 1.1"],
  ["HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "HTTP version other than 1.0 and 1.1"],
  ["HTTP/1.01", "GET / HTTP/1.01\r\nHost: a\r\n\r\n", "malformed start line"],
  ["http/1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", "malformed start line"],
  ["two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "malformed start line"],
  ["space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "malformed start line"],
  ["tab in start line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "malformed start line"],
  ["trailing space", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "malformed start line"],
  ["leading space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", "malformed start line"],
  ["0x80 in target", "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", "malformed start line"],
  ["method not a token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "malformed start line"],
  ["TLS hello", "\x16\x03\x01\x02\x00\x01", "malformed start line"],
  ["LF before a request", "\nGET / HTTP/1.1\r\n\r\n", "line not ended by CR LF"],
  ["many empty lines", "\r\n".repeat(9), "too many empty lines before a request"],
  ["0x chunk size", `${CHUNKED}0x1\r\na\r\n0\r\n\r\n`, "malformed chunk size"],
  ["signed chunk size", `${CHUNKED}+1\r\na\r\n0\r\n\r\n`, "malformed chunk size"],
  ["space after chunk size", `${CHUNKED}1 \r\na\r\n0\r\n\r\n`, "malformed chunk size"],
  ["empty chunk size", `${CHUNKED}\r\n`, "malformed chunk size"],
  ["overflowing chunk size", `${CHUNKED}fffffffffffffffff\r\n`, "malformed chunk size"],
  ["chunk size above 2^53", `${CHUNKED}20000000000000\r\n`, "malformed chunk size"],
  ["LF after chunk size", `${CHUNKED}1\na\r\n0\r\n\r\n`, "line not ended by CR LF"],
  ["LF in extension", `${CHUNKED}1;a\nb\r\na\r\n0\r\n\r\n`, "chunk extensions malformed or above the size limit"],
  ["LF after chunk data", `${CHUNKED}1\r\na\n0\r\n\r\n`, "chunk not ended by CR LF"],
  ["junk after chunk data", `${CHUNKED}1\r\nab\r\n0\r\n\r\n`, "chunk not ended by CR LF"],
  ["LF after last chunk", `${CHUNKED}0\n\r\n`, "line not ended by CR LF"],
  ["trailer Content-Length", `${CHUNKED}0\r\nContent-Length: 5\r\n\r\n`, "trailer that names a framing field"],
  [
    "trailer Transfer-Encoding",
    `${CHUNKED}0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    "trailer that names a framing field",
  ],
  ["trailer Host", `${CHUNKED}0\r\nhost: b\r\n\r\n`, "trailer that names a framing field"],
  ["folded trailer", `${CHUNKED}0\r\nA: b\r\n c\r\n\r\n`, "folded field line"],
];

test("H1Parser refuses ambiguous requests, however they are split", () => {
  for (const [name, text, message] of REFUSED_REQUESTS) {
    const bytes = Buffer.from(text, "latin1");
    for (const size of [bytes.length, 1, 2, 3, 7]) {
      const result = parseAll("request", slices(bytes, size), { limits: H1_REQUEST_LIMITS });
      assert.equal(result.failure, message, `${name} in pieces of ${size}`);
      assert.ok(!result.messages.at(-1)?.isComplete, name);
    }
  }
});

const REFUSED_RESPONSES: [string, string, string][] = [
  [
    "both lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "both Content-Length and Transfer-Encoding",
  ],
  ["lengths twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "repeated Content-Length"],
  [
    "coding in HTTP/1.0",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding in an HTTP/1.0 message",
  ],
  ["101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "101 that nobody asked for"],
  [
    "204 with a body",
    "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
    "Transfer-Encoding in a message that cannot have a body",
  ],
  [
    "100 with chunks",
    "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding in a message that cannot have a body",
  ],
  ["status below 100", "HTTP/1.1 099 X\r\n\r\n", "malformed start line"],
  ["status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "malformed start line"],
  ["status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "malformed start line"],
  ["version", "HTTP/2.0 200 OK\r\n\r\n", "HTTP version other than 1.0 and 1.1"],
  ["empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", "malformed start line"],
  ["ICY", "ICY 200 OK\r\n\r\n", "malformed start line"],
  ["1xx flood", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(101), "too many informational responses"],
];

test("H1Parser refuses ambiguous responses, however they are split", () => {
  for (const [name, text, message] of REFUSED_RESPONSES) {
    for (const size of [text.length, 1, 3]) {
      const pieces = slices(Buffer.from(text, "latin1"), size);
      assert.equal(parseAll("response", pieces, { limits: H1_RESPONSE_LIMITS }).failure, message, name);
    }
  }
});

test("H1Parser reads a request's head with order, case and obs-text kept", () => {
  const { messages, failure } = request(
    "FOO /a?b#c HTTP/1.1\r\nHOST:  a\t \r\nx-A: \xe9\xff\r\nX-a:\r\n__proto__: 1\r\n\r\n",
  );
  assert.equal(failure, undefined);
  assert.equal(messages[0]?.start, "FOO /a?b#c 1.1");
  assert.deepEqual(messages[0]?.headers, [
    ["HOST", "a"],
    ["x-A", "\xe9\xff"],
    ["X-a", ""],
    ["__proto__", "1"],
  ]);
  assert.ok(messages[0]?.isComplete);
});

test("H1Parser stops at the end of each message", () => {
  let heads = 0;
  const parser = new H1Parser(
    "request",
    { onHead: () => heads++, onBody: () => assert.fail(), onTrailers: () => assert.fail() },
    H1_REQUEST_LIMITS,
  );
  const one = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const bytes = Buffer.from(one + one);
  assert.equal(parser.execute(bytes, 0, bytes.length), one.length);
  assert.equal(heads, 1);
  assert.ok(parser.isDone);
  parser.nextRequest();
  assert.equal(parser.execute(bytes, one.length, bytes.length), bytes.length);
  assert.equal(heads, 2);
});

test("H1Parser reads pipelined requests with every framing", () => {
  const { messages, failure } = request(
    "\r\nPOST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.0\r\n\r\n" +
      "PUT /3 HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1;x=y\r\na\r\n00a\r\n0123456789\r\n000\r\nT: u\r\n\r\n" +
      "POST /4 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
  );
  assert.equal(failure, undefined);
  assert.deepEqual(
    messages.map((m) => [m.start, m.body, m.trailers, m.keepAlive, m.isComplete]),
    [
      ["POST /1 1.1", "abc", undefined, true, true],
      ["GET /2 1.0", "", undefined, false, true],
      ["PUT /3 1.1", "a0123456789", [["T", "u"]], true, true],
      ["POST /4 1.1", "", undefined, true, true],
    ],
  );
});

test("H1Parser decides keep-alive by version and Connection", () => {
  const cases: [string, string, boolean][] = [
    ["1.1", "", true],
    ["1.0", "", false],
    ["1.1", "Connection: close\r\n", false],
    ["1.1", "Connection: Keep-Alive, CLOSE\r\n", false],
    ["1.1", "Connection: x\r\nConnection: close\r\n", false],
    ["1.1", "Connection: closed\r\n", true],
    ["1.0", "Connection: keep-alive\r\n", true],
    ["1.0", "Connection: x, Keep-Alive\r\n", true],
    ["1.0", "Connection: keep-alive\r\nConnection: close\r\n", false],
  ];
  for (const [version, field, keepAlive] of cases) {
    const { messages } = request(`GET / HTTP/${version}\r\n${field}\r\n`);
    assert.equal(messages[0]?.keepAlive, keepAlive, version + field);
  }
});

test("H1Parser reads responses without a body", () => {
  const bodiless: [string, boolean][] = [
    ["HTTP/1.1 204 No Content\r\n\r\n", false],
    ["HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false],
    ["HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", false],
    ["HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false],
    ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", true],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true],
    ["HTTP/1.1 200 OK\r\n\r\n", true],
    ["HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false],
  ];
  for (const [text, toHead] of bodiless) {
    const { messages, failure } = response(text, [{ toHead }]);
    assert.equal(failure, undefined, text);
    assert.ok(messages[0]?.isComplete, text);
    assert.ok(messages[0]?.keepAlive, text);
  }
});

test("H1Parser reads a response up to the close of the connection", () => {
  const open = response("HTTP/1.1 200 OK\r\n\r\nabc");
  assert.equal(open.messages[0]?.isComplete, false);
  const closed = response("HTTP/1.1 200 OK\r\n\r\nabc", [{}], true);
  assert.equal(closed.messages[0]?.body, "abc");
  assert.equal(closed.messages[0]?.isComplete, true);
  assert.equal(closed.messages[0]?.keepAlive, false);
});

test("H1Parser passes 1xx heads on before the response", () => {
  const { messages } = response(
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
  );
  assert.deepEqual(
    messages.map((m) => m.start),
    ["100 Continue 1.1", "103 Early Hints 1.1", "200 OK 1.1"],
  );
  assert.equal(messages[2]?.body, "a");
});

test("H1Parser passes everything after an awaited 101 on", () => {
  const { messages } = response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\0\n any", [
    { mayUpgrade: true },
  ]);
  assert.equal(messages[0]?.body, "\0\n any");
});

test("H1Parser takes no byte of a response that nobody awaits", () => {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
  assert.equal(response(text).rest, "HTTP/1.1 200 OK\r\n\r\n".length);
  assert.equal(response(text, []).rest, text.length);
});

test("H1Parser.finish() reports a message that is cut", () => {
  const whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n";
  for (let length = 0; length < whole.length; length++) {
    assert.equal(
      response(whole.slice(0, length), [{}], true).failure,
      "connection closed inside a message",
      `${length}`,
    );
  }
  assert.equal(response(whole, [{}], true).failure, undefined);
  const idle = parseAll("request", [Buffer.from("GET / HTTP/1.1\r\n\r\n")], {
    limits: H1_REQUEST_LIMITS,
    finish: true,
  });
  assert.equal(idle.failure, undefined);
});

test("H1Parser keeps its limits to the byte", () => {
  const head = (fill: number): string => `GET / HTTP/1.1\r\nX: ${"a".repeat(fill)}\r\n\r\n`;
  const spare = LIMITS.maxHeadBytes - head(0).length;
  assert.equal(request(head(spare), LIMITS).failure, undefined);
  assert.equal(request(head(spare + 1), LIMITS).failure, "head above the size limit");
  assert.equal(
    request(`GET /${"a".repeat(400)} HTTP/1.1\r\n\r\n`, LIMITS).failure,
    "request line above the size limit",
  );
  assert.equal(request(`GET / HTTP/1.1\r\n${"A: b\r\n".repeat(6)}\r\n`, LIMITS).failure, undefined);
  assert.equal(request(`GET / HTTP/1.1\r\n${"A: b\r\n".repeat(7)}\r\n`, LIMITS).failure, "more fields than the limit");
  assert.equal(request(`${CHUNKED}0\r\n${"A: b\r\n".repeat(7)}\r\n`, LIMITS).failure, "more fields than the limit");
  assert.equal(request(`${CHUNKED}0\r\nA: ${"b".repeat(400)}\r\n\r\n`, LIMITS).failure, "head above the size limit");
  const extended = (bytes: number): string =>
    `${CHUNKED}1;${"a".repeat(bytes)}\r\nx\r\n1;${"a".repeat(bytes)}\r\nx\r\n0\r\n\r\n`;
  assert.equal(request(extended(19), LIMITS).failure, undefined);
  assert.equal(request(extended(20), LIMITS).failure, "chunk extensions malformed or above the size limit");
});

test("H1Parser gives the same events at every split of broken bytes", () => {
  const seeds = [
    ...REFUSED_REQUESTS.map(([, text]) => text),
    `${CHUNKED}3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
  ];
  const edit = fc.tuple(fc.nat(), fc.constantFrom("\r", "\n", " ", ":", ";", "0", "g", "\0", "\x80", "", "\r\n\r\n"));
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 3 }), fc.nat(), (seed, edits, cut) => {
      let text = seed;
      for (const [place, replacement] of edits) {
        const at = place % (text.length + 1);
        text = text.slice(0, at) + replacement + text.slice(at + 1);
      }
      const bytes = Buffer.from(text, "latin1");
      const whole = parseAll("request", [bytes], { limits: LIMITS });
      assert.deepEqual(parseAll("request", split(bytes, [cut]), { limits: LIMITS }), whole);
      assert.deepEqual(parseAll("request", slices(bytes, 1), { limits: LIMITS }), whole);
    }),
    { numRuns: 1500 },
  );
});

test("H1Parser work is linear in the bytes of a head that comes one by one", () => {
  const bytes = Buffer.from(`GET / HTTP/1.1\r\nX: ${"a".repeat(60_000)}\r\n\r\n`);
  const started = performance.now();
  assert.equal(parseAll("request", slices(bytes, 1), { limits: H1_REQUEST_LIMITS }).failure, undefined);
  // A quadratic scan takes seconds here.
  assert.ok(performance.now() - started < 1000);
});
