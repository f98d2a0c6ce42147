// Fuzzes the HTTP/1.1 parser with mutated requests and holds its reading against that of Node's own parser (llhttp): what
// both accept they must read alike, or two servers in a row could be made to disagree about where a request ends.
// FUZZ_RUNS sets how many requests are tried.

import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { H1_REQUEST_LIMITS } from "../../sidecar/http/h1-parser.ts";
import { parseAll } from "../support/h1-transcript.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 1_000);

const SEEDS = [
  "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
  "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
  "PUT /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
  "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX-A:  b \r\n\r\n",
  "POST /g HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\nContent-Length: 03\r\n\r\nabc",
  "GET /h HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
];
const PIECES = [
  "\r\n",
  "\n",
  "\r",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "1",
  "a",
  "f",
  "\0",
  "\x0b",
  "\x7f",
  "\x80",
  "-",
  "+",
  "_",
  "chunked",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Content-Length: 1\r\n",
  "Content-Length: 5\r\n",
  "0\r\n\r\n",
  "HTTP/1.0",
  "\r\n\r\n",
  "GET /z HTTP/1.1\r\nHost: b\r\n\r\n",
];

// The parser takes any token for a method and anything without a space for a target; the connection checks both afterwards.
const CHECKED_LATER = /^(?!(?:GET|POST|PUT) \/)/;
// Chunk extensions end here, so their grammar is nobody's business; only the line's end counts.
const CHUNK_EXTENSION = /^[0-9a-f]+;/m;
// RFC 9110 §5.5 lets tabs surround a value; Node refuses them around these. We write both fields anew.
const PADDED_BY_TAB = /^(?:content-length|transfer-encoding):(?: *\t| *\S+[ \t]*\t)/im;

interface Reading {
  method: string;
  url: string;
  body: string;
}

const readings: Reading[] = [];
const server = createServer({ requireHostHeader: false, keepAliveTimeout: 0 }, collect);
let port = 0;

function collect(request: IncomingMessage, response: ServerResponse): void {
  const reading: Reading = { method: request.method ?? "", url: request.url ?? "", body: "" };
  request.setEncoding("latin1");
  request.on("data", (text: string) => (reading.body += text));
  request.on("error", () => undefined);
  request.on("end", () => {
    readings.push(reading);
    response.end("ok");
  });
}

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

/** Node's complete requests in `bytes`, and whether it refused the rest. */
async function readByNode(bytes: Buffer): Promise<{ messages: Reading[]; refused: boolean }> {
  readings.length = 0;
  const answer = await new Promise<string>((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.end(bytes));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
  });
  return { messages: [...readings], refused: /^HTTP\/1\.1 4\d\d/m.test(answer) };
}

test("H1Parser never disagrees with Node about where a request ends", async () => {
  const edit = fc.record({
    place: fc.nat(),
    piece: fc.constantFrom(...PIECES),
    remove: fc.nat({ max: 3 }),
  });
  const input = fc.record({
    seeds: fc.array(fc.constantFrom(...SEEDS), { minLength: 1, maxLength: 2 }),
    edits: fc.array(edit, { maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(input, async ({ seeds, edits }) => {
      let text = seeds.join("");
      for (const { place, piece, remove } of edits) {
        const at = place % (text.length + 1);
        text = text.slice(0, at) + piece + text.slice(at + remove);
      }
      const bytes = Buffer.from(text, "latin1");
      const ours = parseAll("request", [bytes], { limits: H1_REQUEST_LIMITS });
      const complete = ours.messages.filter((message) => message.isComplete);
      const node = await readByNode(bytes);
      // Either may refuse earlier than the other; as far as both have read, they have read the same.
      for (const [index, message] of complete.entries()) {
        const theirs = node.messages[index];
        if (theirs === undefined) {
          const isExplained =
            CHECKED_LATER.test(message.start) ||
            CHUNK_EXTENSION.test(text) ||
            PADDED_BY_TAB.test(text) ||
            complete.slice(0, index).some((m) => !m.keepAlive);
          assert.ok(isExplained, JSON.stringify(text));
          break;
        }
        assert.equal(message.start.slice(0, -4), `${theirs.method} ${theirs.url}`, JSON.stringify(text));
        assert.equal(message.body, theirs.body, JSON.stringify(text));
      }
    }),
    { numRuns: RUNS },
  );
});
