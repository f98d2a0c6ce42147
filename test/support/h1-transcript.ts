// What a parser says about some bytes, as plain values that tests can compare: one entry for each message,
// whatever the pieces were in which the bytes came.

import { H1Parser, type H1Limits } from "../../sidecar/http/h1-parser.ts";
import type { HeaderMap } from "../../sidecar/http/headers.ts";

export interface Message {
  start: string;
  headers: [string, string][];
  keepAlive: boolean;
  body: string;
  trailers: [string, string][] | undefined;
  isComplete: boolean;
}

export interface Transcript {
  messages: Message[];
  /** The failure's message, if any. */
  failure: string | undefined;
  /** Bytes that the parser did not take. */
  rest: number;
}

export interface ParseOptions {
  limits: H1Limits;
  /** For responses: one expected response for each entry. */
  expect?: readonly { toHead?: boolean; mayUpgrade?: boolean }[];
  /** Calls `finish` at the end. */
  finish?: boolean;
}

/** Feeds `pieces` one after the other; what a parser leaves over comes again before the next piece, as connections do. */
export function parseAll(role: "request" | "response", pieces: readonly Buffer[], options: ParseOptions): Transcript {
  const messages: Message[] = [];
  const expected = [...(options.expect ?? [{}])];
  const current = (): Message => messages.at(-1) as Message;
  const complete = (): void => {
    current().isComplete = true;
    if (role === "request") {
      parser.nextRequest();
    } else {
      expectNext();
    }
  };
  const sink = {
    onHead(end: boolean): void {
      const start = role === "request" ? `${parser.method} ${parser.target}` : `${parser.status} ${parser.reason}`;
      messages.push({
        start: `${start} 1.${parser.minorVersion}`,
        headers: [...parser.headers],
        keepAlive: parser.keepAlive,
        body: "",
        trailers: undefined,
        isComplete: false,
      });
      if (end) {
        complete();
      }
    },
    onBody(chunk: Uint8Array, end: boolean): void {
      current().body += Buffer.from(chunk).toString("latin1");
      if (end) {
        complete();
      }
    },
    onTrailers(trailers: HeaderMap): void {
      current().trailers = [...trailers];
      complete();
    },
  };
  const parser = new H1Parser(role, sink, options.limits);
  const expectNext = (): void => {
    const next = expected.shift();
    if (next !== undefined) {
      parser.nextResponse(next.toHead ?? false, next.mayUpgrade ?? false);
    }
  };
  if (role === "response") {
    expectNext();
  }
  let rest = 0;
  for (const piece of pieces) {
    // A buffer that is overwritten afterwards, as the worker's shared one is.
    const shared = Buffer.from(piece);
    rest += shared.length - parser.execute(shared, 0, shared.length);
    shared.fill(0x21);
  }
  if (options.finish === true) {
    parser.finish();
  }
  return { messages, failure: parser.failure?.message, rest: parser.failure === undefined ? rest : 0 };
}

/** Cuts `bytes` at every offset in `cuts`. */
export function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const cut of at) {
    pieces.push(bytes.subarray(from, cut));
    from = cut;
  }
  pieces.push(bytes.subarray(from));
  return pieces.filter((piece) => piece.length > 0);
}

/** `bytes` in pieces of `size`. */
export function slices(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let from = 0; from < bytes.length; from += size) {
    pieces.push(bytes.subarray(from, from + size));
  }
  return pieces;
}
