// The Kubernetes API as far as the webhook needs it: a few JSON requests with the service account's token, each with a time limit.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { requestHttps } from "../node-http.ts";

const TIME_LIMIT_MS = 10_000;
/** A Secret or a webhook configuration has some kilobytes. */
const MAX_ANSWER_BYTES = 4 * 1_048_576;

export interface ApiAccess {
  readonly host: string;
  readonly port: number;
  /** With `token`, `ca.crt` and `namespace`. Read for each request: the kubelet renews the token. */
  readonly folder: string;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The HTTP status; 0: no answer came. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function isApiError(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}

/** Where the API is, inside a pod; undefined outside. */
export function accessFromEnvironment(env: Readonly<Record<string, string | undefined>>): ApiAccess | undefined {
  const host = env["KUBERNETES_SERVICE_HOST"];
  return host === undefined || host === ""
    ? undefined
    : {
        host,
        port: Number(env["KUBERNETES_SERVICE_PORT"] ?? 443),
        folder: env["OUTRIGGER_SERVICE_ACCOUNT_DIR"] ?? "/var/run/secrets/kubernetes.io/serviceaccount",
      };
}

export class KubernetesApi {
  readonly #access: ApiAccess;

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  get(path: string): Promise<unknown> {
    return this.#request("GET", path);
  }

  post(path: string, body: unknown): Promise<unknown> {
    return this.#request("POST", path, "application/json", body);
  }

  patch(
    path: string,
    type: "application/json-patch+json" | "application/merge-patch+json",
    body: unknown,
  ): Promise<unknown> {
    return this.#request("PATCH", path, type, body);
  }

  /** The cluster's minor version, such as 34; undefined: it says something else. */
  async minorVersion(): Promise<number | undefined> {
    const { major, minor } = (await this.get("/version")) as { readonly major?: unknown; readonly minor?: unknown };
    // Providers add a plus: "28+".
    const number = typeof minor === "string" ? Number.parseInt(minor, 10) : Number.NaN;
    return String(major) === "1" && Number.isInteger(number) ? number : undefined;
  }

  async namespace(): Promise<string> {
    return (await readFile(join(this.#access.folder, "namespace"), "utf8")).trim();
  }

  async #request(method: string, path: string, type?: string, body?: unknown): Promise<unknown> {
    const { host, port, folder } = this.#access;
    const [token, ca] = await Promise.all([readFile(join(folder, "token"), "utf8"), readFile(join(folder, "ca.crt"))]);
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers: Record<string, string | number> = {
      authorization: `Bearer ${token.trim()}`,
      accept: "application/json",
    };
    if (payload !== undefined && type !== undefined) {
      headers["content-type"] = type;
      headers["content-length"] = payload.length;
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const fail = (status: number, why: string): void => reject(new ApiError(status, `${method} ${path}: ${why}`));
    const request = requestHttps({
      host,
      port,
      method,
      path,
      headers,
      ca,
      agent: false,
      signal: AbortSignal.timeout(TIME_LIMIT_MS),
    });
    request.on("error", (error) => fail(0, error.message));
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("error", (error) => fail(0, error.message));
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) {
          request.destroy(new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`));
          return;
        }
        chunks.push(chunk);
      });
      response.on("end", () => {
        const status = response.statusCode ?? 0;
        const text = Buffer.concat(chunks).toString("utf8");
        if (status >= 300) {
          fail(status, `${status} ${messageOf(text)}`);
          return;
        }
        try {
          resolve(JSON.parse(text));
        } catch {
          fail(status, "the answer is no JSON");
        }
      });
    });
    request.end(payload);
    return promise;
  }
}

/** The API server's `Status` says why. */
function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message : "";
  } catch {
    return text.slice(0, 200);
  }
}
