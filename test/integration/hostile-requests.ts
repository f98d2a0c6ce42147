// Hostile requests: bytes on a connection, and what must come of them. `~` stands for a word of the case's own, so that its
// requests are recognised at the origin. After the bytes the client sends an ordinary request for `/~/end` (but see `last`):
// when both sides agree about where the messages end, it is answered as that; else the connection is closed.
//
// A verdict reads `200 400 closed | GET /a; POST /b "body"`: the statuses that the client got, `kept` when the request for
// the end was answered or `closed`, then what the origin saw, without the request for the end.

export interface HostileCase {
  readonly name: string;
  readonly on?: "plain" | "paths" | "open";
  readonly send: string;
  readonly verdict: string;
  /** Fields that the origin's view shows. */
  readonly shows?: readonly string[];
  /** Nothing is sent behind. */
  readonly last?: true;
}

const GET = (target: string, fields = ""): string => `GET ${target} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`;
const POST = (fields: string, body: string): string => `POST /~/ HTTP/1.1\r\nHost: h\r\n${fields}\r\n${body}`;
/** What the attacker wants to be taken for a request. */
const SMUGGLED = "GET /~/smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const REJECTED = "400 closed |";

const rejected = (name: string, send: string, more: Partial<HostileCase> = {}): HostileCase => ({
  name,
  send,
  verdict: REJECTED,
  ...more,
});

const unsupported = (name: string, send: string): HostileCase => ({ name, send, verdict: "501 closed |" });

export const LENGTHS: readonly HostileCase[] = [
  rejected("CL and TE", POST(`Content-Length: 4\r\n${CHUNKED}`, `0\r\n\r\n${SMUGGLED}`)),
  rejected("TE and CL", POST(`${CHUNKED}Content-Length: 4\r\n`, `0\r\n\r\n${SMUGGLED}`)),
  rejected("CL twice, different", POST("Content-Length: 0\r\nContent-Length: 44\r\n", SMUGGLED)),
  rejected("CL twice, equal", POST("Content-Length: 1\r\nContent-Length: 1\r\n", "x")),
  rejected("CL as a list", POST("Content-Length: 1, 1\r\n", "x")),
  rejected("CL with a sign", POST("Content-Length: +1\r\n", "x")),
  rejected("CL negative", POST("Content-Length: -1\r\n", "x")),
  rejected("CL in hex", POST("Content-Length: 0x1\r\n", "x")),
  rejected("CL with a fraction", POST("Content-Length: 1.0\r\n", "x")),
  rejected("CL with an exponent", POST("Content-Length: 1e1\r\n", "x")),
  rejected("CL empty", POST("Content-Length:\r\n", "")),
  rejected("CL with an inner space", POST("Content-Length: 1 1\r\n", "x")),
  rejected("CL of 20 digits", POST("Content-Length: 18446744073709551617\r\n", "x")),
  rejected("CL above 2^63", POST("Content-Length: 9223372036854775809\r\n", "x")),
  rejected("CL in Arabic digits", POST("Content-Length: \xd9\xa1\r\n", "x")),
  rejected("CL with a space before the colon", POST("Content-Length : 5\r\n", "xxxxx")),
  rejected("CL on a folded line", POST("Content-Length:\r\n 5\r\n", "xxxxx")),
  rejected("CL with a vertical tab", POST("Content-Length: \v5\r\n", "xxxxx")),
  {
    name: "CL with leading zeros",
    send: POST("Content-Length: 0003\r\n", "abc"),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  { name: "CL in odd case", send: POST("cOnTeNt-LeNgTh: 3\r\n", "abc"), verdict: '200 200 kept | POST /~/ "abc"' },
  {
    name: "CL with a tab before it",
    send: POST("Content-Length:\t3\t\r\n", "abc"),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  { name: "CL of a GET", send: `${GET("/~/", "Content-Length: 3\r\n")}abc`, verdict: '200 200 kept | GET /~/ "abc"' },
  {
    name: "CL 0 and more",
    send: POST("Content-Length: 0\r\n", SMUGGLED),
    verdict: "200 200 200 kept | POST /~/; GET /~/smuggled",
  },
  { name: "a POST without length", send: POST("", SMUGGLED), verdict: "200 200 200 kept | POST /~/; GET /~/smuggled" },
  {
    name: "Connection names CL",
    send: POST("Connection: content-length\r\nContent-Length: 44\r\n", `${"x".repeat(44)}`),
    verdict: `200 200 kept | POST /~/ "${"x".repeat(44)}"`,
  },
];

export const CODINGS: readonly HostileCase[] = [
  rejected("TE twice", POST(`${CHUNKED}${CHUNKED}`, `0\r\n\r\n`)),
  rejected("TE twice, the second unknown", POST(`${CHUNKED}Transfer-Encoding: x\r\n`, `0\r\n\r\n`)),
  unsupported("TE chunked, chunked", POST("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")),
  unsupported("TE identity", POST("Transfer-Encoding: identity\r\n", SMUGGLED)),
  unsupported("TE identity, chunked", POST("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n")),
  unsupported("TE chunked, identity", POST("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
  unsupported("TE gzip, chunked", POST("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
  unsupported("TE xchunked", POST("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
  unsupported("TE in quotes", POST('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n")),
  unsupported("TE empty", POST("Transfer-Encoding:\r\n", "0\r\n\r\n")),
  unsupported("TE with a parameter", POST("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n")),
  unsupported("TE with a trailing comma", POST("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n")),
  rejected("TE with a space before the colon", POST("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")),
  rejected("TE with a tab before the colon", POST("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n")),
  rejected("TE with a vertical tab", POST("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n")),
  rejected("TE with a form feed behind", POST("Transfer-Encoding: chunked\f\r\n", "0\r\n\r\n")),
  unsupported("TE on a folded line", POST("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")),
  rejected(
    "TE behind a folded line",
    POST("X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
  ),
  rejected("TE behind a bare LF", POST("X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
  rejected("TE behind a bare CR", POST("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
  rejected("TE behind a NUL", POST("X: y\0Transfer-Encoding: chunked\r\n", "0\r\n\r\n")),
  rejected("TE with a NUL in its name", POST("Transfer\0-Encoding: chunked\r\n", "0\r\n\r\n")),
  rejected("TE with obs-text in its name", POST("Transfer-Encoding\xa0: chunked\r\n", "0\r\n\r\n")),
  {
    name: "TE in odd case",
    send: POST("tRANSFER-eNCODING: ChUnKeD\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  {
    name: "TE with an underscore is another field",
    send: POST("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", "abc"),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  { name: "TE of a GET", send: GET("/~/", CHUNKED) + "3\r\nabc\r\n0\r\n\r\n", verdict: '200 200 kept | GET /~/ "abc"' },
  {
    name: "Connection names TE",
    send: POST(`Connection: transfer-encoding\r\n${CHUNKED}`, "3\r\nabc\r\n0\r\n\r\n"),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  rejected("TE in HTTP/1.0", `POST /~/ HTTP/1.0\r\nHost: h\r\n${CHUNKED}\r\n0\r\n\r\n`, { on: "open" }),
];

const chunks = (name: string, body: string, more: Partial<HostileCase> = {}): HostileCase =>
  rejected(name, POST(CHUNKED, body), more);

export const CHUNKS: readonly HostileCase[] = [
  chunks("chunk size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size empty", "\r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size with a leading space", " 3\r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size with a trailing space", "3 \r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size of 17 digits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size that overflows", "FFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size with an underscore", "1_0\r\nabc\r\n0\r\n\r\n"),
  chunks("chunk size ended by LF", "3\nabc\r\n0\r\n\r\n"),
  chunks("chunk size ended by CR", "3\rabc\r\n0\r\n\r\n"),
  chunks("chunk data ended by LF", "3\r\nabc\n0\r\n\r\n"),
  chunks("chunk data without end", "3\r\nabc0\r\n\r\n"),
  chunks("chunk data longer than said", "3\r\nabcd\r\n0\r\n\r\n"),
  chunks("last chunk ended by LF", "0\n\r\n"),
  chunks("last chunk and a bare LF", "0\r\n\n"),
  chunks("chunk extension with LF", `3;a\nabc\r\n0\r\n\r\n`),
  chunks("chunk extension with CR", `3;a\rb\r\nabc\r\n0\r\n\r\n`),
  chunks("chunk extension with NUL", `3;a\0\r\nabc\r\n0\r\n\r\n`),
  chunks("chunk extensions above 16 KiB", `3;${"a".repeat(17_000)}\r\nabc\r\n0\r\n\r\n`),
  chunks("chunk extensions above 16 KiB in many chunks", `${`1;${"a".repeat(999)}\r\nx\r\n`.repeat(20)}0\r\n\r\n`),
  chunks("trailers that name CL", "0\r\nContent-Length: 5\r\n\r\n"),
  chunks("trailers that name TE", "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
  chunks("trailers that name Host", "0\r\nHost: evil\r\n\r\n"),
  chunks("trailers with a folded line", "0\r\nA: b\r\n c\r\n\r\n"),
  chunks("trailers with a broken name", "0\r\nA b: c\r\n\r\n"),
  chunks("too many trailers", `0\r\n${"a: b\r\n".repeat(120)}\r\n`, { verdict: "431 closed |" }),
  chunks("trailers above the size limit", `0\r\na: ${"b".repeat(70_000)}\r\n\r\n`, { verdict: "431 closed |" }),
  {
    name: "chunk extensions are dropped",
    send: POST(CHUNKED, '3;a=b;c="d"\r\nabc\r\n0;e\r\n\r\n'),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  {
    name: "chunk sizes with zeros in front",
    send: POST(CHUNKED, "0003\r\nabc\r\n000\r\n\r\n"),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  {
    name: "trailers are dropped by default",
    send: POST(CHUNKED, "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
    verdict: '200 200 kept | POST /~/ "abc"',
  },
  {
    name: "trailers are passed on where they are enabled",
    on: "open",
    send: POST(CHUNKED, "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
    verdict: '200 200 kept | POST /~/ "abc" +x-t: 1',
  },
  {
    name: "trailers may not name Connection's",
    on: "open",
    send: POST(CHUNKED, "3\r\nabc\r\n0\r\nConnection: x\r\nX-T: 1\r\n\r\n"),
    verdict: '200 200 kept | POST /~/ "abc" +x-t: 1',
  },
];
