// The verb `drain`: tells a running sidecar that its pod is about to end. The hook that Kubernetes runs before it stops a native sidecar.
// Exit codes: 0 told, 1 the sidecar did not take it, 2 wrong usage.

import { requestHttp } from "../node-http.ts";
import { describeFlags, type Flag, parseFlags } from "./flags.ts";
import { type CliIo, type Verb, wrongUsage } from "./verb.ts";

const DEFAULT_ADMIN = "127.0.0.1:15000";
const REQUEST_MS = 5_000;

const FLAGS: readonly Flag[] = [
  { name: "admin", kind: "string", value: "HOST:PORT", defaultText: DEFAULT_ADMIN, help: "the sidecar's admin port" },
  { name: "all", kind: "boolean", help: "outbound listeners too" },
  { name: "stop", kind: "boolean", help: "stop listening when the sidecar's --drain-time-s is over" },
];

export const drainVerb: Verb = {
  name: "drain",
  usage: "drain",
  summary: "lets the connections of a running sidecar end, before its pod does",
  words: () => ({ flags: FLAGS }),
  help: () => `outrigger drain

Inbound connections of the running sidecar end with their next responses; it serves on meanwhile, and so does outbound
traffic. The same as POST /drain_listeners?graceful&inboundonly&skip_exit on its admin port.

${describeFlags(FLAGS)}`,
  run,
};

async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) {
    return wrongUsage(io, "drain", parsed.problem);
  }
  const admin = String(parsed.values["admin"] ?? DEFAULT_ADMIN);
  const url = URL.parse(`http://${admin}`);
  if (parsed.positionals.length > 0 || url === null || url.port === "") {
    const [extra] = parsed.positionals;
    return wrongUsage(
      io,
      "drain",
      extra === undefined ? `flag --admin got "${admin}": must be host:port` : `unexpected argument "${extra}"`,
    );
  }
  const query = [
    "graceful",
    ...(parsed.values["all"] === true ? [] : ["inboundonly"]),
    ...(parsed.values["stop"] === true ? [] : ["skip_exit"]),
  ];
  const problem = await post(url, `/drain_listeners?${query.join("&")}`);
  if (problem !== undefined) {
    io.err(`outrigger drain: ${admin}: ${problem}\n`);
    return 1;
  }
  return 0;
}

function post(url: URL, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = requestHttp({
      method: "POST",
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: Number(url.port),
      path,
      agent: false,
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    request.on("error", (error: NodeJS.ErrnoException) =>
      resolve(
        error.code === "ECONNREFUSED" ? "nothing listens there; --admin says where the sidecar does" : error.message,
      ),
    );
    request.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200 ? undefined : `it answered ${response.statusCode}`));
      response.on("error", (error) => resolve(error.message));
    });
    request.end();
  });
}
