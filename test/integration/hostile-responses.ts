// Hostile origins: what they answer to a request, and what must come of it. The request for the end that follows on the
// client's connection shows whether a response of the next request was poisoned. See hostile-requests.ts for the rest.

import type { RecordedRequest } from "../support/recording-origin.ts";
import type { HostileCase } from "./hostile-requests.ts";

interface HostileResponse {
  readonly name: string;
  /** Bytes of the answer; a NUL at the end closes the connection behind it. */
  readonly answer: string;
  readonly verdict: string;
  readonly method?: string;
}

const FORGED = "HTTP/1.1 299 Forged\r\ncontent-length: 6\r\n\r\nforged";
const BROKEN = "502 200 kept | GET ";
const broken = (name: string, answer: string): HostileResponse => ({ name, answer, verdict: BROKEN });
const passes = (name: string, answer: string, verdict = "200 200 kept | GET "): HostileResponse => ({
  name,
  answer,
  verdict,
});

const TABLE: readonly HostileResponse[] = [
  broken(
    "answer with CL and TE",
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
  ),
  broken("answer with CL twice", `HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 44\r\n\r\n${FORGED}`),
  broken("answer with a CL of letters", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"),
  broken("answer with an unknown TE", "HTTP/1.1 200 OK\r\ntransfer-encoding: x\r\n\r\n"),
  broken("answer with a NUL in a value", "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n"),
  broken("answer with a space before a colon", "HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n"),
  broken("answer that is not HTTP", "SSH-2.0-x\r\n\r\n"),
  broken("answer of a status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n"),
  broken(
    "answer of 101 that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
  ),
  broken("answer above the size limit", `HTTP/1.1 200 OK\r\nx: ${"a".repeat(100_000)}\r\ncontent-length: 0\r\n\r\n`),
  broken("answer with too many fields", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(150)}content-length: 0\r\n\r\n`),
  passes("answer with a forged one behind", `HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n${FORGED}`),
  passes("answer of 204 with a forged one behind", `HTTP/1.1 204 No Content\r\n\r\n${FORGED}`, "204 200 kept | GET "),
  passes(
    "answer of 304 with a length",
    "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
    "304 200 kept | GET ",
  ),
  {
    name: "answer to HEAD with a body",
    method: "HEAD",
    answer: `HTTP/1.1 200 OK\r\ncontent-length: ${FORGED.length}\r\n\r\n${FORGED}`,
    verdict: "200 200 kept | HEAD ",
  },
  passes("answer that ends with the connection", "HTTP/1.1 200 OK\r\n\r\nabc\0"),
];

const PREFIX = "/~/answer/";

export const RESPONSES: readonly HostileCase[] = TABLE.map(({ name, method = "GET", verdict }, index) => ({
  name,
  send: `${method} ${PREFIX}${index} HTTP/1.1\r\nHost: h\r\n\r\n`,
  verdict: `${verdict}${PREFIX}${index}`,
}));

/** What the origin of these tests answers. */
export function scriptedAnswer(request: RecordedRequest): string | undefined {
  const index = /\/answer\/(\d+)$/.exec(request.target)?.[1];
  return index === undefined ? undefined : TABLE[Number(index)]?.answer;
}
