// The verb `wait`: until a sidecar is ready. For entry points of applications, and for the hook that holds an application until then.
// Exit codes: 0 ready, 1 not ready in time (the last reason is printed), 2 wrong usage.

import { requestHttp } from "../node-http.ts";
import { describeFlags, type Flag, parseFlags } from "./flags.ts";
import { type CliIo, type Verb, wrongUsage } from "./verb.ts";

const DEFAULT_URL = "http://127.0.0.1:15021/healthz/ready";
const DEFAULT_TIMEOUT_S = 60;
const DEFAULT_PERIOD_MS = 500;
/** For one question. */
const REQUEST_MS = 2_000;

const FLAGS: readonly Flag[] = [
  { name: "url", kind: "string", value: "URL", defaultText: DEFAULT_URL, help: "where readiness is asked for" },
  { name: "timeout-s", kind: "number", value: "SECONDS", defaultText: String(DEFAULT_TIMEOUT_S), help: "longest wait" },
  {
    name: "period-ms",
    kind: "number",
    value: "MS",
    defaultText: String(DEFAULT_PERIOD_MS),
    help: "time between questions",
  },
];

export const waitVerb: Verb = {
  name: "wait",
  usage: "wait",
  summary: "waits until the sidecar of this pod is ready",
  words: () => ({ flags: FLAGS }),
  help: () => `outrigger wait

Asks until the sidecar says that its configuration, certificates and plugins are in use. For entry points:

  outrigger wait && exec my-application

${describeFlags(FLAGS)}`,
  run,
};

async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) {
    return wrongUsage(io, "wait", parsed.problem);
  }
  if (parsed.positionals.length > 0) {
    return wrongUsage(io, "wait", `unexpected argument "${parsed.positionals[0]}"`);
  }
  const url = URL.parse(String(parsed.values["url"] ?? DEFAULT_URL));
  if (url === null || url.protocol !== "http:") {
    return wrongUsage(io, "wait", `flag --url got "${String(parsed.values["url"])}": must be an http:// URL`);
  }
  const timeoutS = Number(parsed.values["timeout-s"] ?? DEFAULT_TIMEOUT_S);
  const periodMs = Number(parsed.values["period-ms"] ?? DEFAULT_PERIOD_MS);
  const end = performance.now() + timeoutS * 1_000;
  for (;;) {
    const problem = await ask(url);
    if (problem === undefined) {
      return 0;
    }
    if (io.stop.aborted || performance.now() + periodMs >= end) {
      io.err(`outrigger wait: ${io.stop.aborted ? "stopped" : `not ready after ${timeoutS} s`}: ${problem}\n`);
      return 1;
    }
    await pause(periodMs, io.stop);
  }
}

/** Undefined when ready, or why not. */
function ask(url: URL): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = requestHttp({
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 80 : Number(url.port),
      path: `${url.pathname}${url.search}`,
      agent: false,
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    request.on("error", (error) => resolve(`${url.href}: ${error.message}`));
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text = (text + chunk).slice(0, 1_000)));
      response.on("error", (error) => resolve(error.message));
      response.on("end", () => resolve(response.statusCode === 200 ? undefined : text.trim().replaceAll("\n", "; ")));
    });
    request.end();
  });
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    }
    stop.addEventListener("abort", done);
  });
}
