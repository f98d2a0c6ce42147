// Flags for what is around a plugin: the request, the upstream's response, answers of calls, properties. Used by the verbs that run
// one, with those of plugin-flags.ts.

import type { CallResponse } from "../../../plugins/testing/test-calls.ts";
import type { PropertyInput } from "../../../plugins/testing/test-properties.ts";
import type { HeaderMap } from "../../http/headers.ts";
import { RequestHead, ResponseHead } from "../../http/message.ts";
import type { Flag } from "../flags.ts";
import { addLength, type Parsed, parseFields, parseRequest, parseResponse } from "./http-text.ts";
import { bytesOf, type GoodFlags, nameAndValue, textOf, UsageProblem } from "./plugin-flags.ts";
import type { InMessage } from "./run-stream.ts";

/** How a call to a cluster ends. */
export type CallAnswer =
  | { readonly kind: "response"; readonly response: CallResponse }
  | { readonly kind: "failure"; readonly message: string }
  /** No answer comes: the call's own timeout ends it. */
  | { readonly kind: "timeout" };

/** How a gRPC call ends: with a message and status 0, with another status, or not before its timeout. */
export type GrpcAnswer =
  | { readonly kind: "message"; readonly message: Uint8Array }
  | { readonly kind: "status"; readonly status: number; readonly message: string }
  | { readonly kind: "timeout" };

export interface Scene {
  /** Made anew for every stream: filters change them. */
  readonly request: () => InMessage<RequestHead>;
  readonly response: () => InMessage<ResponseHead>;
  /** By cluster: the answers in order, the last one again and again. */
  readonly callouts: ReadonlyMap<string, readonly CallAnswer[]>;
  readonly grpcCallouts: ReadonlyMap<string, readonly GrpcAnswer[]>;
  readonly properties: Readonly<Record<string, PropertyInput>>;
}

export const SCENE_FLAGS: readonly Flag[] = [
  {
    name: "request",
    short: "r",
    kind: "string",
    value: "REQUEST",
    help: 'the request: "POST /path", a whole HTTP/1.1 message, or @FILE with one',
    defaultText: "GET /",
  },
  {
    name: "header",
    short: "H",
    kind: "string",
    value: '"NAME: VALUE"',
    help: "a header of the request",
    repeats: true,
  },
  { name: "body", short: "d", kind: "string", value: "TEXT", help: "the request's body, or @FILE" },
  { name: "trailer", kind: "string", value: '"NAME: VALUE"', help: "a trailer of the request", repeats: true },
  {
    name: "response",
    kind: "string",
    value: "RESPONSE",
    help: 'what the upstream answers: "404 a body", a whole HTTP/1.1 message, or @FILE with one',
    defaultText: "200",
  },
  { name: "response-header", kind: "string", value: '"NAME: VALUE"', help: "a header of the response", repeats: true },
  { name: "response-body", kind: "string", value: "TEXT", help: "the response's body, or @FILE" },
  {
    name: "response-trailer",
    kind: "string",
    value: '"NAME: VALUE"',
    help: "a trailer of the response",
    repeats: true,
  },
  { name: "chunk", kind: "number", value: "BYTES", help: "how bodies are cut into parts", defaultText: "not at all" },
  {
    name: "callout",
    kind: "string",
    value: "CLUSTER=ANSWER",
    help: 'a cluster that the plugin may call, and its answer: as --response, or "timeout", "fail", "fail: why"; several for one cluster are used in order',
    repeats: true,
  },
  {
    name: "grpc-callout",
    kind: "string",
    value: "CLUSTER=ANSWER",
    help: 'the same for gRPC: the bytes of a message, @FILE with them, "status 14: why", or "timeout"',
    repeats: true,
  },
  {
    name: "property",
    kind: "string",
    value: "PATH=VALUE",
    help: "a property, such as xds.route_name=web; PATH:=JSON for numbers, lists and maps",
    repeats: true,
  },
];

/** Throws UsageProblem or RunProblem. */
export function sceneOf({ values, lists }: GoodFlags): Scene {
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const requestText = textOf(text("request") ?? "GET /");
  const responseText = textOf(text("response") ?? "200");
  const part = (name: string): PartFlags => {
    const body = text(`${name}body`);
    return {
      headers: lists[`${name}header`] ?? [],
      trailers: lists[`${name}trailer`] ?? [],
      body: body === undefined ? undefined : bytesOf(body),
      chunk: (values["chunk"] as number | undefined) ?? 0,
      flag: `--${name}`,
    };
  };
  const requestParts = part("");
  const responseParts = part("response-");
  const request = messageOf("--request", parseRequest(requestText), requestParts);
  const response = messageOf("--response", parseResponse(responseText), responseParts);
  if (text("request") === undefined && requestParts.body !== undefined) {
    request.head.method = "POST";
  }
  request.head.setAuthority(request.head.headers.get("host") ?? request.head.authority);
  return {
    request: () => ({ ...request, head: copyRequest(request.head), trailers: request.trailers?.clone() }),
    response: () => ({ ...response, head: copyResponse(response.head), trailers: response.trailers?.clone() }),
    callouts: byCluster("callout", lists, answerOf),
    grpcCallouts: byCluster("grpc-callout", lists, grpcAnswerOf),
    properties: Object.fromEntries((lists["property"] ?? []).map(propertyOf)),
  };
}

function copyRequest({ method, path, authority, scheme, headers }: RequestHead): RequestHead {
  return new RequestHead(method, path, authority, scheme, headers.clone());
}

function copyResponse({ status, reason, headers }: ResponseHead): ResponseHead {
  return new ResponseHead(status, reason, headers.clone());
}

interface PartFlags {
  readonly headers: readonly string[];
  readonly trailers: readonly string[];
  readonly body: Uint8Array | undefined;
  readonly chunk: number;
  readonly flag: string;
}

function messageOf<Head extends { readonly headers: HeaderMap }>(
  flag: string,
  parsed: Parsed<{ readonly head: Head; readonly body: Buffer }>,
  more: PartFlags,
): InMessage<Head> {
  const { head, body: inText } = orUsage(flag, parsed);
  for (const [name, value] of orUsage(`${more.flag}header`, parseFields(more.headers))) {
    head.headers.add(name, value);
  }
  const body = more.body ?? inText;
  addLength(head.headers, body);
  const trailers = orUsage(`${more.flag}trailer`, parseFields(more.trailers));
  return { head, body: chunksOf(body, more.chunk), trailers: trailers.size === 0 ? undefined : trailers };
}

function orUsage<T>(flag: string, parsed: Parsed<T>): T {
  if (!parsed.ok) {
    throw new UsageProblem(`flag ${flag}: ${parsed.problem}`);
  }
  return parsed.value;
}

function chunksOf(body: Uint8Array, size: number): Uint8Array[] {
  if (body.length === 0) {
    return [];
  }
  if (size === 0) {
    return [body];
  }
  return Array.from({ length: Math.ceil(body.length / size) }, (_, i) => body.subarray(i * size, (i + 1) * size));
}

/** CLUSTER=ANSWER, again and again: the answers of each cluster in order. */
function byCluster<Answer>(
  flag: string,
  lists: GoodFlags["lists"],
  read: (text: string) => Answer,
): Map<string, Answer[]> {
  const answers = new Map<string, Answer[]>();
  for (const text of lists[flag] ?? []) {
    const [cluster, answer] = nameAndValue(flag, text);
    const known = answers.get(cluster) ?? [];
    known.push(read(answer));
    answers.set(cluster, known);
  }
  return answers;
}

/** "status 14", "status 14: why", "timeout", or a message. */
function grpcAnswerOf(text: string): GrpcAnswer {
  if (text === "timeout") {
    return { kind: "timeout" };
  }
  const end = /^status (\d+)(?:: *(.*))?$/.exec(text);
  return end === null
    ? { kind: "message", message: bytesOf(text) }
    : { kind: "status", status: Number(end[1]), message: end[2] ?? "" };
}

function answerOf(text: string): CallAnswer {
  if (text === "timeout") {
    return { kind: "timeout" };
  }
  if (text === "fail" || text.startsWith("fail:")) {
    return { kind: "failure", message: text.slice("fail:".length).trim() || "connection reset" };
  }
  const { head, body } = orUsage("--callout", parseResponse(textOf(text)));
  addLength(head.headers, body);
  return { kind: "response", response: { status: head.status, headers: [...head.headers], body } };
}

/** PATH=TEXT or PATH:=JSON. */
function propertyOf(flag: string): [string, PropertyInput] {
  const [name, value] = nameAndValue("property", flag);
  const path = name.replace(/:$/, "");
  if (/^(?:request|response)\./.test(path)) {
    throw new UsageProblem(`flag --property got "${flag}": ${path} is the ${path.split(".")[0]}'s own, change that`);
  }
  if (path === name) {
    return [path, value];
  }
  try {
    return [path, JSON.parse(value) as PropertyInput];
  } catch {
    throw new UsageProblem(`flag --property got "${flag}": what follows := must be JSON`);
  }
}
