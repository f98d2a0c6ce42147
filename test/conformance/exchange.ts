// One request of a case, sent to the host, and what came back.

import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { type Case, type CaseRequest, forCase, forTurn, repeated } from "./case.ts";
import { fields } from "./origin.ts";

/** A client that has no answer after this time goes away. */
const ANSWER_DEADLINE_MS = 2_500;

export interface Answer {
  /** `reset` before the headers, `cut` after them, `gone` when the client left, `none` when nothing came in time. */
  readonly outcome: "complete" | "reset" | "cut" | "gone" | "none" | "no listener";
  readonly status?: number;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly trailers?: readonly string[];
  /** What a TCP upstream got. */
  readonly upstream?: string;
}

/** Resolves when the guest has said a line with this text, for this case. */
export type WaitForLine = (text: string, times?: number) => Promise<void>;

/** `turn`: 1 for the case's first request. */
export async function exchange(one: Case, turn: number, port: number, waitForLine: WaitForLine): Promise<Answer> {
  const wanted: CaseRequest = one.row.request ?? {};
  const request = httpRequest({
    host: "127.0.0.1",
    port,
    method: wanted.method ?? ((wanted.body ?? wanted.pieces ?? wanted.trailers) ? "POST" : "GET"),
    path: forCase(one, wanted.path ?? "/"),
    setHost: false,
    headers: headersOf(one, turn, wanted),
    agent: false,
  });
  request.setNoDelay(true);
  const answer = answerOf(request, wanted.leaves_at === undefined ? undefined : waitForLine(wanted.leaves_at));
  await send(request, wanted, waitForLine);
  return answer;
}

function headersOf(one: Case, turn: number, wanted: CaseRequest): string[] {
  const lines = ["host: conformance", `x-case: ${one.id}`, ...(wanted.headers ?? [])];
  if (one.row.script !== undefined) {
    lines.push(`x-script: ${oneLine(forTurn(forCase(one, one.row.script), turn))}`);
  }
  if (wanted.pieces !== undefined || wanted.trailers !== undefined) {
    lines.push("transfer-encoding: chunked");
  } else if (wanted.body !== undefined) {
    lines.push(`content-length: ${repeated(wanted.body).length}`);
  }
  return lines.flatMap((line) => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
}

/** A script in the form of a header: statements separated by semicolons. */
function oneLine(script: string): string {
  const lines = script.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("//")).join(";");
}

async function send(request: ClientRequest, wanted: CaseRequest, waitForLine: WaitForLine): Promise<void> {
  if (wanted.pieces === undefined) {
    addTrailers(request, wanted);
    request.end(repeated(wanted.body ?? ""), "latin1");
    return;
  }
  request.flushHeaders();
  for (const [index, piece] of wanted.pieces.entries()) {
    request.write(repeated(piece), "latin1");
    await waitForLine(" request_body", index + 1);
  }
  addTrailers(request, wanted);
  request.end();
}

function addTrailers(request: ClientRequest, wanted: CaseRequest): void {
  if (wanted.trailers !== undefined) {
    request.addTrailers(wanted.trailers.map((line) => line.split(": ", 2) as [string, string]));
  }
}

async function answerOf(request: ClientRequest, leave: Promise<void> | undefined): Promise<Answer> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort("none"), ANSWER_DEADLINE_MS);
  void leave?.then(() => deadline.abort("gone"));
  deadline.signal.addEventListener("abort", () => request.destroy());
  const ended = (outcome: "reset" | "cut"): Answer["outcome"] =>
    deadline.signal.aborted ? (deadline.signal.reason as "none" | "gone") : outcome;
  try {
    const response = await responseOf(request);
    if (response === undefined) {
      return { outcome: ended("reset") };
    }
    let body = "";
    response.setEncoding("latin1");
    response.on("error", () => undefined);
    response.on("data", (chunk: string) => (body += chunk));
    await new Promise((resolve) => response.on("close", resolve));
    return {
      outcome: response.complete ? "complete" : ended("cut"),
      status: response.statusCode ?? 0,
      headers: fields(response.rawHeaders),
      body,
      trailers: fields(response.rawTrailers),
    };
  } finally {
    clearTimeout(timer);
    request.destroy();
  }
}

function responseOf(request: ClientRequest): Promise<IncomingMessage | undefined> {
  return new Promise((resolve) => {
    request.on("response", resolve);
    request.on("error", () => resolve(undefined));
  });
}
