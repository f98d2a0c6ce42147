// Asks an admin port for the verbs that do: the sidecar's or the control plane's. One request, one answer, with a time
// limit and a limit of size; every failure is one line.

import { requestHttp } from "../node-http.ts";

export type AdminAnswer =
  | Readonly<{ ok: true; status: number; body: string }>
  | Readonly<{ ok: false; problem: string }>;

export type AdminQuestion = Readonly<{
  /** `host:port`, `[v6]:port`, or an http URL. */
  admin: string;
  method?: "GET" | "POST";
  path: string;
  body?: string;
  contentType?: string;
  /** Longest wait for the next bytes, default 30 s. */
  timeoutMs?: number;
  /** Longest answer, default 256 MiB. */
  maxBytes?: number;
  /** Gives up when it is aborted; its reason says why. */
  signal?: AbortSignal;
}>;

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

const PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; --admin says where to ask",
  ENOTFOUND: "the name is not known",
  EHOSTUNREACH: "there is no route to it",
};

/** Never rejects. */
export async function askAdmin(question: AdminQuestion): Promise<AdminAnswer> {
  const { admin, method = "GET", path, body = "", contentType = "application/json" } = question;
  const { timeoutMs = TIMEOUT_MS, maxBytes = MAX_ANSWER_BYTES } = question;
  const url = urlOf(admin, path);
  if (url === undefined) return { ok: false, problem: `"${admin}" is no address: must be HOST:PORT` };
  return new Promise((resolve) => {
    const fail = (problem: string) => resolve({ ok: false, problem: `${url.host}: ${problem}` });
    const headers = body === "" ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(body) };
    const { pathname, search } = url;
    const { hostname, port } = url;
    const host = hostname.replace(/^\[|\]$/g, "");
    const options = { host, port: port === "" ? 80 : Number(port), method, path: pathname + search, headers };
    const request = requestHttp({ ...options, agent: false, timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) request.destroy(new Error("the answer is too large"));
        else chunks.push(chunk);
      });
      response.on("end", () => {
        resolve({ ok: true, status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
      response.on("error", (error) => fail(error.message));
    });
    const giveUp = () => request.destroy(new Error(String(question.signal?.reason)));
    if (question.signal?.aborted === true) giveUp();
    else question.signal?.addEventListener("abort", giveUp, { once: true });
    request.on("close", () => question.signal?.removeEventListener("abort", giveUp));
    request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    request.on("error", (error: NodeJS.ErrnoException) => fail(PROBLEMS[error.code ?? ""] ?? error.message));
    request.end(body);
  });
}

function urlOf(admin: string, path: string): URL | undefined {
  const base = admin.startsWith("http://") ? admin : `http://${admin}`;
  if (!URL.canParse(path, base)) return undefined;
  const url = new URL(path, base);
  return url.hostname === "" ? undefined : url;
}
