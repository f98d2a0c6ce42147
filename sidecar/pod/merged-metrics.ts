// The application's metrics, fetched for one scrape of sidecar and application together. Bounded: what an application says is what it likes.

import { requestHttp } from "../node-http.ts";

export interface ApplicationMetrics {
  readonly port: number;
  readonly path: string;
}

/** ISTIO_PROMETHEUS_ANNOTATIONS (inject/metrics-merge.ts); undefined: the application has none. A text says what is wrong. */
export function parseApplicationMetrics(text: string | undefined): ApplicationMetrics | undefined | string {
  if (text === undefined || text === "") {
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `is no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  const { scrape, port = "80", path = "/metrics" } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (String(scrape) !== "true") {
    return undefined;
  }
  const number = Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535 || typeof path !== "string") {
    return `port ${JSON.stringify(port)} and path ${JSON.stringify(path)} are no place to scrape`;
  }
  return { port: number, path: path.startsWith("/") ? path : `/${path}` };
}

export const MAX_METRICS_BYTES = 16 * 1_048_576;
const MAX_SCRAPE_MS = 30_000;
const DEFAULT_SCRAPE_MS = 9_000;

/** The scraper's own limit, less what the answer needs; in ms. */
export function scrapeLimitMs(header: string | undefined): number {
  const seconds = Number(header);
  return Number.isFinite(seconds) && seconds > 0
    ? Math.max(100, Math.min(seconds * 900, MAX_SCRAPE_MS))
    : DEFAULT_SCRAPE_MS;
}

/** Prometheus text of the application. Rejects with the reason. */
export function scrapeApplication(
  { port, path }: ApplicationMetrics,
  limitMs: number,
  host = "localhost",
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = requestHttp({
    host,
    port,
    path,
    agent: false,
    // OpenMetrics cannot be joined with anything: its end is marked.
    headers: { accept: "text/plain;version=0.0.4,text/plain;q=0.5", "user-agent": "outrigger" },
    signal: AbortSignal.timeout(limitMs),
  });
  request.on("error", (error) =>
    reject(error.name === "AbortError" ? new Error(`no answer within ${limitMs} ms`) : error),
  );
  request.on("response", (response) => {
    if (response.statusCode !== 200) {
      reject(new Error(`it answered ${response.statusCode}`));
      request.destroy();
      return;
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("error", reject);
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_METRICS_BYTES) {
        reject(new Error(`it has more than ${MAX_METRICS_BYTES} bytes`));
        request.destroy();
        return;
      }
      chunks.push(chunk);
    });
    response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
  request.end();
  return promise;
}

/** Both texts as one; a mark of OpenMetrics' end goes, and the application's last line is ended. */
export function joinMetrics(own: string, application: string): string {
  const text = application.replace(/^# EOF\s*$/m, "");
  return `${own}${own.endsWith("\n") ? "" : "\n"}${text}${text === "" || text.endsWith("\n") ? "" : "\n"}`;
}
