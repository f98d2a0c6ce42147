// The verb `trace`: the latest requests of a running sidecar with everything that plugins did to them, from GET /traces.
// Exit codes: 0 shown (also when there are none), 1 the sidecar did not answer, 2 wrong usage.

import { describeFlags, type Flag, type FlagValues, parseFlags } from "../flags.ts";
import { type CliIo, type VerbAction, wrongUsage } from "../verb.ts";
import { type Paint, paintOf } from "./paint.ts";
import { ADMIN_FLAG, outputFlag, SidecarAdmin } from "./sidecar-admin.ts";
import { askTraces, isWanted, MAX_TRACES, statusFilter, type Trace, type TraceFilter } from "./traces.ts";
import { traceText } from "./trace-text.ts";

const DEFAULT_LIMIT = 10;
const FOLLOW_MS = 500;
/** Looked at each time while it follows. */
const FOLLOW_LIMIT = 200;

const FLAGS: readonly Flag[] = [
  {
    name: "limit",
    short: "n",
    kind: "number",
    value: "N",
    defaultText: String(DEFAULT_LIMIT),
    help: `how many requests at most, 1 to ${MAX_TRACES}`,
  },
  {
    name: "follow",
    short: "f",
    kind: "boolean",
    defaultText: "false",
    help: "go on with the requests that come, until interrupted",
  },
  { name: "path", kind: "string", value: "TEXT", help: "only requests whose path contains it" },
  {
    name: "status",
    kind: "string",
    value: "LIST",
    help: "only these statuses, such as 404, 5xx, 400-429; 0: no response",
  },
  { name: "plugin", kind: "string", value: "NAME", help: "only requests that a callback of this plugin ran for" },
  outputFlag("as /traces has it; with --follow one object a line"),
  ADMIN_FLAG,
];

export const TRACE: VerbAction = {
  words: { flags: FLAGS },
  help: () => `outrigger trace

Shows the latest requests of the running sidecar, sampled or not, the newest last: what each was answered, its flags and its
way, and under it by time (in ms from its start, and how long it took) every callback of a plugin with its action, changes of
headers, host calls and fuel, and every call that a plugin made. The sidecar keeps the last 256 of each worker
(outrigger.trace.ring_size). Times of day are UTC. Colours only on a terminal, and not where NO_COLOR is set.

  outrigger trace --status 5xx --follow

Flags:
${describeFlags(FLAGS)}`,
  run: trace,
};

async function trace(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) {
    return wrongUsage(io, "trace", parsed.problem);
  }
  const { values, positionals } = parsed;
  if (positionals.length > 0) {
    return wrongUsage(io, "trace", `unexpected argument "${positionals[0]}"`);
  }
  const limit = Number(values["limit"] ?? DEFAULT_LIMIT);
  if (limit < 1 || limit > MAX_TRACES) {
    return wrongUsage(io, "trace", `flag --limit got "${limit}": must be a whole number from 1 to ${MAX_TRACES}`);
  }
  const filter = filterOf(values);
  if (filter === undefined) {
    const given = String(values["status"]);
    return wrongUsage(io, "trace", `flag --status got "${given}": must be statuses such as 404, 5xx or 400-429`);
  }
  const admin = SidecarAdmin.of("trace", values, io);
  if (typeof admin === "number") {
    return admin;
  }
  const printer = new Printer(io, values["output"] === "json", values["follow"] === true);
  // All that there are where some are left out, or are to be known again.
  const needsAll = Object.keys(filter).length > 0 || values["follow"] === true;
  const found = await askTraces(admin, needsAll ? MAX_TRACES : limit);
  if (found === undefined) {
    return 1;
  }
  const wanted = found.filter((each) => isWanted(each, filter)).slice(0, limit);
  printer.print(wanted.toReversed());
  if (values["follow"] === true) {
    return follow(admin, found, (each) => isWanted(each, filter), printer, io);
  }
  if (wanted.length === 0) {
    io.err(
      found.length === 0
        ? "outrigger trace: no requests yet\n"
        : `outrigger trace: none of the last ${found.length} requests fits\n`,
    );
  }
  return 0;
}

/** Undefined when the statuses cannot be understood. */
function filterOf({ path, status, plugin }: FlagValues): TraceFilter | undefined {
  const statuses = status === undefined ? undefined : statusFilter(String(status));
  if (status !== undefined && statuses === undefined) {
    return undefined;
  }
  return {
    ...(path === undefined ? {} : { path: String(path) }),
    ...(statuses === undefined ? {} : { status: statuses }),
    ...(plugin === undefined ? {} : { plugin: String(plugin) }),
  };
}

/** Asks again and again until it is told to stop; the exit code. */
async function follow(
  admin: SidecarAdmin,
  shown: readonly Trace[],
  isWantedOne: (trace: Trace) => boolean,
  printer: Printer,
  io: CliIo,
): Promise<number> {
  let before = new Set(shown.map(keyOf));
  while (await pause(FOLLOW_MS, io.stop)) {
    const latest = await askTraces(admin, FOLLOW_LIMIT);
    if (latest === undefined) {
      return io.stop.aborted ? 0 : 1;
    }
    const fresh = latest.filter((each) => !before.has(keyOf(each)));
    if (before.size > 0 && fresh.length === FOLLOW_LIMIT) {
      io.err(`outrigger trace: more than ${FOLLOW_LIMIT} requests in ${FOLLOW_MS} ms; some are not shown\n`);
    }
    printer.print(fresh.filter(isWantedOne).toReversed());
    before = new Set(latest.map(keyOf));
  }
  return 0;
}

/** Requests have no number; of one worker no two begin in the same microsecond and take as long. */
function keyOf({ worker, started_at: startedAt, duration_ms: took, request_id: id }: Trace): string {
  return `${worker} ${startedAt} ${took} ${id}`;
}

class Printer {
  readonly #io: CliIo;
  readonly #isJson: boolean;
  readonly #byLine: boolean;
  readonly #paint: Paint;
  #isFirst = true;

  constructor(io: CliIo, isJson: boolean, byLine: boolean) {
    this.#io = io;
    this.#isJson = isJson;
    this.#byLine = byLine;
    this.#paint = paintOf(io);
  }

  /** The oldest first. */
  print(traces: readonly Trace[]): void {
    if (this.#isJson && !this.#byLine) {
      this.#io.out(`${JSON.stringify({ traces }, undefined, 1)}\n`);
      return;
    }
    for (const each of traces) {
      const text = this.#isJson ? `${JSON.stringify(each)}\n` : traceText(each, this.#paint);
      this.#io.out(this.#isFirst || this.#isJson ? text : `\n${text}`);
      this.#isFirst = false;
    }
  }
}

/** False when it was told to stop. */
function pause(ms: number, stop: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve(!stop.aborted);
    }
    if (stop.aborted) {
      done();
    } else {
      stop.addEventListener("abort", done);
    }
  });
}
