// The verb `explain`: which route a request would take in a running sidecar, or with a bootstrap, and why; or what became of one
// that was made. Exit codes: 0 explained, 1 no answer, no such request or a bad bootstrap, 2 wrong usage.

import { hostname } from "node:os";
import { mergeRuntime } from "../../../xds/runtime-layers.ts";
import { answerData } from "../../answer-data.ts";
import type { Explanation, Question } from "../../explain/explanation.ts";
import { describeFlags, type Flag, type FlagsResult, parseFlags } from "../flags.ts";
import { type CliIo, type VerbAction, wrongUsage } from "../verb.ts";
import { explanationText, isExplanation } from "./explain-text.ts";
import { FLAG_MEANINGS } from "./flag-meanings.ts";
import { paintOf } from "./paint.ts";
import { ADMIN_FLAG, outputFlag, SidecarAdmin } from "./sidecar-admin.ts";
import { traceText } from "./trace-text.ts";
import { askTraces, MAX_TRACES, type Trace } from "./traces.ts";

const FLAGS: readonly Flag[] = [
  {
    name: "header",
    short: "H",
    kind: "string",
    value: "TEXT",
    repeats: true,
    help: "a header of the request, as 'name: value'; a Host takes the place of the URL's",
  },
  {
    name: "listener",
    kind: "string",
    value: "NAME",
    defaultText: "the one at the URL's port, or the only one",
    help: "the listener that takes the request",
  },
  { name: "from", kind: "string", value: "ADDRESS", defaultText: "127.0.0.1", help: "the client's IP address" },
  {
    name: "config-path",
    short: "c",
    kind: "string",
    value: "FILE",
    help: "instead of a running sidecar a bootstrap, which is not run; of others than static resources it knows nothing",
  },
  outputFlag("as /explain or /traces has it"),
  ADMIN_FLAG,
];

export const EXPLAIN: VerbAction = {
  words: { flags: FLAGS, operands: ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"] },
  help: () => `outrigger explain METHOD URL [-H 'name: value']
outrigger explain REQUEST-ID

Says which route a request would take, and why not those before it; to which cluster and hosts, with the shares where weights or
runtime fractions leave it to chance; and through which filters and plugins, with the configuration that they have for that route.
URL may be a path alone; its host is localhost then, or that of a Host header. No request is made. The sidecar's own tables are
asked, before any filter: what plugins would change is not known.

With a request's id (x-request-id), or its trace's: what became of it, when it is among those that the sidecar remembers.

  outrigger explain GET http://shop.example:9080/cart?x=1 -H 'x-user: 7'
  outrigger explain GET http://shop.example/cart -c bootstrap.yaml --listener ingress

Flags:
${describeFlags(FLAGS)}`,
  run: explain,
};

type Parsed = Extract<FlagsResult, { ok: true }>;

async function explain(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) {
    return wrongUsage(io, "explain", parsed.problem);
  }
  const { values, positionals, lists } = parsed;
  const [method, url, extra] = positionals;
  if (method === undefined || extra !== undefined) {
    const problem = method === undefined ? "needs METHOD and URL, or a request's id" : `unexpected argument "${extra}"`;
    return wrongUsage(io, "explain", problem);
  }
  if (url === undefined) {
    return method.includes("/")
      ? wrongUsage(io, "explain", `needs a method before "${method}", such as GET`)
      : explainRecorded(method, parsed, io);
  }
  const question: Question = {
    method,
    url,
    headers: lists["header"] ?? [],
    listener: String(values["listener"] ?? ""),
    from: String(values["from"] ?? "127.0.0.1"),
  };
  const { askedRequest } = await import("../../explain/asked-request.ts");
  const problem = askedRequest(question);
  if (typeof problem === "string") {
    return wrongUsage(io, "explain", problem);
  }
  const file = values["config-path"];
  const explanation =
    file === undefined ? await askSidecar(question, parsed, io) : await askFile(String(file), question, io);
  if (typeof explanation === "number") {
    return explanation;
  }
  io.out(
    values["output"] === "json"
      ? `${JSON.stringify(explanation, undefined, 1)}\n`
      : explanationText(explanation, paintOf(io)),
  );
  return 0;
}

/** The explanation, or the exit code. */
async function askSidecar(question: Question, { values }: Parsed, io: CliIo): Promise<Explanation | number> {
  const admin = SidecarAdmin.of("explain", values, io);
  if (typeof admin === "number") {
    return admin;
  }
  const query = new URLSearchParams({ method: question.method, url: question.url, from: question.from });
  if (question.listener !== "") {
    query.set("listener", question.listener);
  }
  for (const header of question.headers) {
    query.append("header", header);
  }
  return (await admin.json(`/explain?${query.toString()}`, isExplanation)) ?? 1;
}

async function askFile(configPath: string, question: Question, io: CliIo): Promise<Explanation | number> {
  const [{ describeLocated, environmentOf, loadFor }, { parseRunOptions }, { explainRequest }] = await Promise.all([
    import("../usable-bootstrap.ts"),
    import("../run-flags.ts"),
    import("../../explain/explain-request.ts"),
  ]);
  const options = parseRunOptions(["-c", configPath]);
  if (!options.ok) {
    return wrongUsage(io, "explain", options.problem);
  }
  const loaded = await loadFor(options.options, io);
  if (loaded === undefined) {
    return 1;
  }
  if (!loaded.ok) {
    for (const issue of loaded.issues) {
      io.err(`${describeLocated(issue)}\n`);
    }
    return 1;
  }
  const { listeners, clusters, runtimeLayers } = loaded.value;
  const environment = environmentOf(io);
  const named = <T extends { readonly name: string }>(list: readonly T[]) => ({
    set: list.map((each) => [each.name, each] as const),
    removed: [],
  });
  const explanation = explainRequest(question, {
    config: {
      listeners: named(listeners),
      clusters: named(clusters),
      routes: named([]),
      scopes: named([]),
      endpoints: named([]),
      runtime: mergeRuntime(runtimeLayers, () => undefined, {}),
    },
    format: { hostname: hostname(), environment },
    readData: (source) => answerData(source, environment),
  });
  if (typeof explanation === "string") {
    io.err(`outrigger explain: ${explanation}\n`);
    return 1;
  }
  return explanation;
}

/** What became of a request, by its id or its trace's; the exit code. */
async function explainRecorded(id: string, { values }: Parsed, io: CliIo): Promise<number> {
  const unfit = ["config-path", "listener", "from", "header"].find((name) => values[name] !== undefined);
  if (unfit !== undefined) {
    return wrongUsage(io, "explain", `--${unfit} goes with METHOD and URL`);
  }
  const admin = SidecarAdmin.of("explain", values, io);
  if (typeof admin === "number") {
    return admin;
  }
  const traces = await askTraces(admin, MAX_TRACES);
  if (traces === undefined) {
    return 1;
  }
  const found = traces.filter((trace) => trace.request_id === id || trace.trace_id === id).toReversed();
  if (found.length === 0) {
    io.err(
      `outrigger explain: no request "${id}" among the last ${traces.length} that the sidecar remembers ` +
        `(outrigger.trace.ring_size sets how many)\n`,
    );
    return 1;
  }
  if (values["output"] === "json") {
    io.out(`${JSON.stringify({ traces: found }, undefined, 1)}\n`);
    return 0;
  }
  const paint = paintOf(io);
  io.out(found.map((trace) => `${traceText(trace, paint)}${meaning(trace)}`).join("\n"));
  return 0;
}

/** What the response flags say, a line each. */
function meaning({ response_flags: flags }: Trace): string {
  return flags
    .split(",")
    .map((flag) => (Object.hasOwn(FLAG_MEANINGS, flag) ? `  ${flag}: ${FLAG_MEANINGS[flag]}\n` : ""))
    .join("");
}
