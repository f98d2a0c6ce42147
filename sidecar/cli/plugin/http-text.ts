// Requests and responses as people write them on a command line or in a file: "POST /path", "404", "404 a body", or the whole
// message as HTTP/1.1 has it, with its head, an empty line and its body. Used by `plugin run`.

import { HeaderMap, isFieldName, isFieldValue } from "../../http/headers.ts";
import { REASON_PHRASES } from "../../http/reason-phrases.ts";
import { RequestHead, ResponseHead } from "../../http/message.ts";

export interface RequestText {
  readonly head: RequestHead;
  readonly body: Buffer;
}

export interface ResponseText {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

const DEFAULT_AUTHORITY = "example.com";
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** "/path", "METHOD /path", "METHOD http://host/path", or a whole message. */
export function parseRequest(text: string): Parsed<RequestText> {
  const { first, lines, body } = split(text);
  const words = first.split(" ").filter((word) => word !== "");
  if (words[words.length - 1]?.startsWith("HTTP/") === true) {
    words.pop();
  }
  const target = words.pop() ?? "";
  const method = words.pop() ?? (body.length > 0 ? "POST" : "GET");
  if (words.length > 0 || !TOKEN.test(method) || !isTarget(target)) {
    return bad(`"${first}" is no request line: METHOD and a path that begins with /, such as "POST /orders?id=1"`);
  }
  const headers = parseFields(lines);
  if (!headers.ok) {
    return headers;
  }
  const url = target.startsWith("http") ? new URL(target) : undefined;
  const path = url === undefined ? target : `${url.pathname}${url.search}`;
  const authority = url?.host ?? headers.value.get("host") ?? DEFAULT_AUTHORITY;
  const head = new RequestHead(method, path, authority, url?.protocol.slice(0, -1) ?? "http", headers.value);
  return { ok: true, value: { head, body } };
}

/** "404", "404 a body", or a whole message. */
export function parseResponse(text: string): Parsed<ResponseText> {
  const short = /^(\d+)(?: ([^]*))?$/.exec(text);
  const { first, lines, body } = split(text);
  const long = /^HTTP\/\d(?:\.\d)? +(\d+)(?: +(.*))?$/.exec(first);
  const status = Number(short?.[1] ?? long?.[1]);
  if (!(status >= 200 && status <= 599)) {
    return bad(
      `"${first}" is no response: a status of 200 to 599, such as "404" or "404 not here", or HTTP/1.1 with its head`,
    );
  }
  const headers = parseFields(short === null ? lines : []);
  if (!headers.ok) {
    return headers;
  }
  const head = new ResponseHead(status, long?.[2] ?? REASON_PHRASES[status] ?? "", headers.value);
  return { ok: true, value: { head, body: short === null ? body : Buffer.from(short[2] ?? "") } };
}

/** "name: value" lines as a map. Texts are UTF-8; a header map has one char a byte. */
export function parseFields(lines: readonly string[]): Parsed<HeaderMap> {
  const headers = new HeaderMap();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = Buffer.from(line.slice(colon + 1).trim()).toString("latin1");
    if (colon <= 0 || !isFieldName(name) || !isFieldValue(value)) {
      return bad(`"${line}" is no header: write "name: value"`);
    }
    headers.add(name, value);
  }
  return { ok: true, value: headers };
}

/** A message of this size has a head that says so, as every client and server writes it. */
export function addLength(headers: HeaderMap, body: Uint8Array): void {
  if (body.length > 0 && !headers.has("content-length") && !headers.has("transfer-encoding")) {
    headers.add("content-length", String(body.length));
  }
}

/** The head as HTTP/1.1 lines, the body indented as it is (as hexadecimal digits when it is no text). */
export function messageLines(
  first: string,
  headers: Iterable<readonly [string, string]>,
  body: string | { readonly hex: string },
  trailers: Iterable<readonly [string, string]>,
): string[] {
  const field = ([name, value]: readonly [string, string]): string => `${name}: ${value}`;
  const text = typeof body === "string" ? body.replace(/\r?\n$/, "") : `0x${body.hex}`;
  return [
    first,
    ...Array.from(headers, field),
    ...(text === "" ? [] : ["", ...text.split("\n")]),
    ...Array.from(trailers, (trailer) => `(trailer) ${field(trailer)}`),
  ].map((line) => (line === "" ? "" : `  ${line}`));
}

function isTarget(target: string): boolean {
  return /^(?:\/|\*$)/.test(target) || (/^https?:\/\//.test(target) && URL.canParse(target));
}

function split(text: string): { readonly first: string; readonly lines: readonly string[]; readonly body: Buffer } {
  const end = /\r?\n\r?\n/.exec(text);
  const head = end === null ? text.replace(/\r?\n$/, "") : text.slice(0, end.index);
  const [first = "", ...lines] = head.split(/\r?\n/);
  return { first, lines, body: Buffer.from(end === null ? "" : text.slice(end.index + end[0].length)) };
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
