// Properties of the parser: it reads back what it is given, and says the same however the bytes are split.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { H1_REQUEST_LIMITS, H1_RESPONSE_LIMITS } from "../../../sidecar/http/h1-parser.ts";
import { parseAll, slices, split } from "../../support/h1-transcript.ts";

const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/);
const value = fc.stringMatching(/^([!-~\x80-\xff]([\t -~\x80-\xff]{0,12}[!-~\x80-\xff])?)?$/);
const fieldName = token.filter((name) => !/^(host|content-length|transfer-encoding|connection)$/i.test(name));
const field = fc.tuple(fieldName, fc.constantFrom(": ", ":", ":\t ", ":  "), value, fc.constantFrom("", " ", "\t"));
const fields = fc.array(field, { maxLength: 4 });
const body = fc.oneof(
  fc.constant({ lines: "", wire: "", content: "" }),
  fc.string({ maxLength: 30 }).map((text) => {
    const content = Buffer.from(text).toString("latin1");
    return { lines: `Content-Length: ${content.length}\r\n`, wire: content, content };
  }),
  fc.array(fc.stringMatching(/^[a-z\r\n0]{1,20}$/), { maxLength: 4 }).map((chunks) => ({
    lines: "Transfer-Encoding: chunked\r\n",
    wire: `${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`,
    content: chunks.join(""),
  })),
);

function lines(list: [string, string, string, string][]): string {
  return list.map((parts) => `${parts.join("")}\r\n`).join("");
}

test("H1Parser reads back what it is given, and the same at every split", () => {
  const message = fc.tuple(token, fc.webPath(), fields, body);
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (list, cuts) => {
        const text = list
          .map(([method, path, extra, b]) => `${method} /${path} HTTP/1.1\r\n${lines(extra)}${b.lines}\r\n${b.wire}`)
          .join("");
        const bytes = Buffer.from(text, "latin1");
        const whole = parseAll("request", [bytes], { limits: H1_REQUEST_LIMITS });
        assert.equal(whole.failure, undefined);
        assert.deepEqual(
          whole.messages.map((m) => m.body),
          list.map(([, , , b]) => b.content),
        );
        for (const [index, [method, path, extra]] of list.entries()) {
          assert.equal(whole.messages[index]?.start, `${method} /${path} 1.1`);
          assert.deepEqual(
            whole.messages[index]?.headers.slice(0, extra.length),
            extra.map(([n, , v]) => [n, v]),
          );
        }
        for (const pieces of [split(bytes, cuts), slices(bytes, 1)]) {
          assert.deepEqual(parseAll("request", pieces, { limits: H1_REQUEST_LIMITS }), whole);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("H1Parser gives the same response at every split", () => {
  const message = fc.tuple(fc.constantFrom("200 OK", "404", "204 x y", "103 \xe9", "304 "), fields, body, fc.boolean());
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), fc.boolean(), (list, finish) => {
      const text = list
        .map(([status, extra, b]) => `HTTP/1.1 ${status}\r\n${lines(extra)}${b.lines}\r\n${b.wire}`)
        .join("");
      const bytes = Buffer.from(text, "latin1");
      const options = { limits: H1_RESPONSE_LIMITS, expect: list.map(([, , , toHead]) => ({ toHead })), finish };
      const whole = parseAll("response", [bytes], options);
      for (let cut = 1; cut < bytes.length; cut += 3) {
        // What comes after the last awaited response is left over: how much depends on the cut only there.
        const cutInTwo = parseAll("response", split(bytes, [cut]), options);
        assert.deepEqual(cutInTwo.messages, whole.messages);
        assert.equal(cutInTwo.failure, whole.failure);
      }
    }),
    { numRuns: 200 },
  );
});
