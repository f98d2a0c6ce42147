/** The load client must see what goes wrong: every check here fails when its check in load.ts is removed. */
import assert from "node:assert/strict";
import net from "node:net";
import { test, type TestContext } from "node:test";

import fc from "fast-check";

import { runLoad } from "./load.ts";
import { ResponseReader, type Reply } from "./response-reader.ts";

const GOOD = "HTTP/1.1 200 OK\r\nX-Go-Wasm: APISIX\r\nContent-Length: 5\r\n\r\nhello";

/** A server that answers the n-th request of the whole run with what `answer` says; "" resets, null closes. */
async function serve(t: TestContext, answer: (n: number) => string | null): Promise<number> {
  let count = 0;
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      for (let i = 0; i < chunk.toString("latin1").split("\r\n\r\n").length - 1; i++) {
        const text = answer(count++);
        if (text === null) socket.end();
        else if (text === "") socket.resetAndDestroy();
        else socket.write(text);
      }
    });
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as net.AddressInfo).port;
}

test("runLoad() sends exactly as many requests as asked and finds no error in good answers", async (t) => {
  let seen = 0;
  const port = await serve(t, () => (seen++, GOOD));
  const result = await runLoad({ port, connections: 7, requests: 200, expectHeader: "x-go-wasm: APISIX" });
  assert.deepEqual([result.requests, result.errors, seen], [200, 0, 200]);
  assert.deepEqual(result.statuses, { 200: 200 });
  assert.ok(result.p50Ms > 0 && result.p50Ms <= result.p99Ms && result.p99Ms <= result.maxMs);
});

test("runLoad() counts a missing header, a wrong one, a wrong status, a reset and a short body", async (t) => {
  const bad: readonly (string | null)[] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Go-Wasm: other\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
    "",
    null,
  ];
  const port = await serve(t, (n) => (n < bad.length ? (bad[n] ?? null) : GOOD));
  const result = await runLoad({ port, connections: 1, requests: 20, expectHeader: "X-Go-Wasm: APISIX" });
  assert.deepEqual([result.requests, result.errors], [20, 5]);
  assert.deepEqual(result.problems, {
    "no header x-go-wasm": 1,
    'header x-go-wasm is "other"': 1,
    "status 503": 1,
    ECONNRESET: 1,
    "closed before the response": 1,
  });
});

test("runLoad() opens a connection again when the server closes it between requests", async (t) => {
  const port = await serve(t, () => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  const result = await runLoad({ port, connections: 3, requests: 30 });
  assert.deepEqual([result.requests, result.errors], [30, 0]);
});

test("runLoad() with a rate keeps to it and counts waiting as latency", async (t) => {
  const port = await serve(t, () => GOOD);
  const result = await runLoad({ port, connections: 5, requests: 100, rate: 500 });
  assert.deepEqual([result.requests, result.errors], [100, 0]);
  assert.ok(result.seconds > 0.15 && result.seconds < 2, `${result.seconds} s for 100 requests at 500/s`);
});

test("runLoad() with a rate sends nothing after it has ended", async (t) => {
  let seen = 0;
  const port = await serve(t, () => (seen++, GOOD));
  const runs = Array.from({ length: 40 }, () => runLoad({ port, connections: 2, seconds: 0.05, rate: 1000 }));
  const requests = (await Promise.all(runs)).reduce((sum, result) => sum + result.requests, 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(seen, requests);
});

test("runLoad() ends a request that is never answered", async (t) => {
  const port = await serve(t, () => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  const result = await runLoad({ port, connections: 2, requests: 2, timeoutMs: 50 });
  assert.deepEqual(result.problems, { "no response within 50 ms": 2 });
});

/** All replies that a reader finds when the bytes come in pieces that end at the given places. */
function readAll(bytes: Buffer, cuts: readonly number[], isHead = false): Reply[] {
  const replies: Reply[] = [];
  const reader = new ResponseReader((reply) => replies.push(reply), isHead);
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    if (cut > from) reader.push(bytes.subarray(from, cut));
    from = Math.max(from, cut);
  }
  reader.end();
  return replies;
}

const STREAM = Buffer.from(
  `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${GOOD}` +
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n" +
    "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\nuntil the end",
);

test("ResponseReader reads the same replies wherever the bytes are cut", () => {
  const whole = readAll(STREAM, []);
  assert.deepEqual(
    whole.map((reply) => [reply.status, reply.bodyBytes, reply.closes, reply.problem]),
    [
      [200, 5, false, undefined],
      [200, 13, false, undefined],
      [204, 0, false, undefined],
      [404, 13, true, undefined],
    ],
  );
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 20 }), (cuts) => {
      assert.deepEqual(readAll(STREAM, cuts), whole);
    }),
  );
});

test("ResponseReader never throws, and says what it cannot frame", () => {
  const cases: readonly [string, RegExp][] = [
    ["garbage\r\n\r\n", /not an HTTP\/1 response/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", /content-length/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", /transfer-encoding/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", /chunk size/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", /longer than its size/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", /middle/],
  ];
  for (const [text, problem] of cases) assert.match(readAll(Buffer.from(text), [])[0]?.problem ?? "none", problem);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readAll(Buffer.from(bytes), [7, 50])));
});
