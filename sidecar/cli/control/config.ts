// The verb `config`: pushes configuration to a running control plane, shows what a push would change, rolls back, and
// lists what was served. It asks through the control plane's admin port.

import type { ReleaseJson, DiffJson } from "../../control/config-routes.ts";
import { askAdmin } from "../../control/admin-client.ts";
import { diffText, historyText } from "../../control/config-text.ts";
import { canaryText } from "../../control/status-text.ts";
import type { PlaneStatus } from "../../control/status-view.ts";
import { printable } from "../../control/text-table.ts";
import { findFiles } from "../../../xds/server/served-files.ts";
import { describeFlags, parseFlags } from "../flags.ts";
import type { Flag, FlagsResult } from "../flags.ts";
import { wrongUsage } from "../verb.ts";
import type { CliIo, VerbAction } from "../verb.ts";

const ADMIN = "127.0.0.1:18001";
const POLL_MS = 250;

const ADMIN_FLAG: Flag = {
  name: "admin",
  kind: "string",
  value: "HOST:PORT",
  defaultText: ADMIN,
  help: "the control plane's admin port",
};
const FILE_FLAG: Flag = {
  name: "file",
  short: "f",
  kind: "string",
  value: "PATH",
  help: "file or folder, as of the verb control-plane",
  repeats: true,
};
const JSON_FLAG: Flag = { name: "json", kind: "boolean", help: "print the answer as it is", defaultText: "false" };
const WAIT_FLAGS: readonly Flag[] = [
  { name: "wait", kind: "boolean", help: "wait until every sidecar has it, or the canary halts", defaultText: "false" },
  { name: "wait-s", kind: "number", value: "SECONDS", defaultText: "600", help: "longest wait" },
];

export const CANARY_FLAGS: readonly Flag[] = [
  {
    name: "canary",
    kind: "string",
    value: "PERCENTS",
    help: "sidecars that get it first, such as 10 or 5,25; none: all at once",
  },
  {
    name: "hold-s",
    kind: "string",
    value: "SECONDS",
    defaultText: "30",
    help: "of a canary: how long the error rate is watched",
  },
  {
    name: "timeout-s",
    kind: "string",
    value: "SECONDS",
    defaultText: "60",
    help: "of a canary: longest wait for acknowledgements",
  },
  {
    name: "max-error-increase",
    kind: "string",
    value: "PERCENTS",
    defaultText: "1",
    help: "of a canary: how much its error rate may be above that of the others",
  },
  {
    name: "min-requests",
    kind: "string",
    value: "NUMBER",
    defaultText: "0",
    help: "of a canary: fewer requests are no evidence, it halts",
  },
];

type SubVerb = Readonly<{ usage: string; summary: string; flags: readonly Flag[]; run: Run }>;
type Parsed = Extract<FlagsResult, { ok: true }>;
type Run = (parsed: Parsed, io: CliIo, admin: string) => Promise<number>;

const VERBS: Readonly<Record<string, SubVerb>> = {
  push: {
    usage: "push -f PATH [--canary PERCENTS] [--wait]",
    summary: "serve these files, to all sidecars or by a canary",
    flags: [
      FILE_FLAG,
      {
        name: "origin",
        kind: "string",
        value: "NAME",
        defaultText: "outrigger config",
        help: "who pushes, for the history",
      },
      ...CANARY_FLAGS,
      ...WAIT_FLAGS,
      ADMIN_FLAG,
    ],
    run: push,
  },
  diff: {
    usage: "diff -f PATH",
    summary: "what a push would change, and for how many sidecars",
    flags: [FILE_FLAG, JSON_FLAG, ADMIN_FLAG],
    run: diff,
  },
  rollback: {
    usage: "rollback [--to RELEASE] [--wait]",
    summary: "serve the release before again, or another; ends a canary",
    flags: [
      { name: "to", kind: "number", value: "RELEASE", help: "a number of the history" },
      ...WAIT_FLAGS,
      ADMIN_FLAG,
    ],
    run: rollback,
  },
  history: {
    usage: "history",
    summary: "the releases that are kept",
    flags: [JSON_FLAG, ADMIN_FLAG],
    run: history,
  },
};

export const CONFIG: VerbAction = {
  words: {
    verbs: Object.entries(VERBS).map(([name, { summary, flags }]) => ({ name, summary, words: () => ({ flags }) })),
  },
  help: ([word] = []) => helpText(word),
  run: runConfig,
};

function helpText(word: string | undefined): string {
  const verb = word === undefined ? undefined : VERBS[word];
  if (verb !== undefined) return `outrigger config ${verb.usage}\n\n${verb.summary}\n\n${describeFlags(verb.flags)}`;
  const rows = Object.values(VERBS).map(({ usage, summary }) => `  ${usage.padEnd(44)}${summary}\n`);
  return `outrigger config VERB

Asks a running control plane through its admin port. What is pushed is checked as files are,
and refused with file, line and column. A push lasts until the control plane's own files
change, or it starts again.

${rows.join("")}
"outrigger help config VERB" shows the flags.
`;
}

async function runConfig(argv: readonly string[], io: CliIo): Promise<number> {
  const [word = "", ...rest] = argv;
  const verb = Object.hasOwn(VERBS, word) ? VERBS[word] : undefined;
  if (verb === undefined) {
    const problem = word === "" ? "needs" : `unknown verb "${word}":`;
    return wrongUsage(io, "config", `${problem} push, diff, rollback or history`);
  }
  const parsed = parseFlags(verb.flags, rest);
  if (!parsed.ok) return wrongUsage(io, `config ${word}`, parsed.problem);
  if (parsed.positionals.length > 0)
    return wrongUsage(io, `config ${word}`, `unexpected argument "${parsed.positionals[0]}"`);
  if (parsed.lists["file"]?.length === 0) return wrongUsage(io, `config ${word}`, "needs a file or a folder: -f PATH");
  return verb.run(parsed, io, String(parsed.values["admin"] ?? ADMIN));
}

async function push(parsed: Parsed, io: CliIo, admin: string): Promise<number> {
  const query = new URLSearchParams({ origin: String(parsed.values["origin"] ?? "outrigger config") });
  for (const { name } of CANARY_FLAGS) {
    const value = parsed.values[name];
    if (value !== undefined) query.set(name.replaceAll("-", "_"), String(value));
  }
  const body = bodyOf(parsed, io);
  if (body === undefined) return 1;
  const answer = await ask<PushAnswer>(io, { admin, path: `/config/push?${query.toString()}`, method: "POST", body });
  if (answer === undefined) return 1;
  const { release, changed } = answer;
  const what = changed ? "" : ", nothing changes";
  io.out(`release ${release.release} is ${release.state}: ${release.resources} resources${what}\n`);
  return parsed.values["wait"] === true ? untilServed(release.release, parsed, io, admin) : 0;
}

async function diff(parsed: Parsed, io: CliIo, admin: string): Promise<number> {
  const body = bodyOf(parsed, io);
  if (body === undefined) return 1;
  const answer = await ask<DiffJson>(io, { admin, path: "/config/diff", method: "POST", body });
  if (answer === undefined) return 1;
  io.out(parsed.values["json"] === true ? `${JSON.stringify(answer, undefined, 1)}\n` : diffText(answer));
  return 0;
}

async function rollback(parsed: Parsed, io: CliIo, admin: string): Promise<number> {
  const { to } = parsed.values;
  const path = to === undefined ? "/config/rollback" : `/config/rollback?to=${String(to)}`;
  const answer = await ask<PushAnswer>(io, { admin, path, method: "POST" });
  if (answer === undefined) return 1;
  const { release, origin } = answer.release;
  io.out(`serving release ${release}: ${printable(origin)}\n`);
  return parsed.values["wait"] === true ? untilServed(release, parsed, io, admin) : 0;
}

async function history(parsed: Parsed, io: CliIo, admin: string): Promise<number> {
  const answer = await ask<{ releases: readonly ReleaseJson[] }>(io, { admin, path: "/config/history" });
  if (answer === undefined) return 1;
  io.out(parsed.values["json"] === true ? `${JSON.stringify(answer, undefined, 1)}\n` : historyText(answer.releases));
  return 0;
}

type PushAnswer = Readonly<{ changed?: boolean; release: ReleaseJson }>;

/** Until the release is served and every sidecar has answered, or the canary has halted. 0: all acknowledged. */
async function untilServed(release: number, parsed: Parsed, io: CliIo, admin: string): Promise<number> {
  const seconds = typeof parsed.values["wait-s"] === "number" ? parsed.values["wait-s"] : 600;
  const deadline = Date.now() + seconds * 1000;
  let said = "";
  for (;;) {
    const status = await ask<PlaneStatus>(io, { admin, path: "/status" });
    if (status === undefined) return 1;
    const { serving, canary, summary } = status;
    const line =
      canary !== null && canary.release === release && canary.state !== "complete"
        ? canaryText(canary)
        : `${summary.acknowledged} of ${summary.sidecars} sidecars acknowledged, ${summary.refused} refused`;
    if (line !== said) io.out(`${line}\n`);
    said = line;
    if (serving?.release === release && summary.pending === 0) return summary.refused === 0 ? 0 : 1;
    if (canary?.release === release && canary.state === "halted") return 1;
    if (Date.now() > deadline || io.stop.aborted) {
      io.err(`release ${release} is not with every sidecar after ${seconds} s\n`);
      return 1;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

function bodyOf(parsed: Parsed, io: CliIo): string | undefined {
  const found = findFiles(parsed.lists["file"] ?? []);
  if (found.ok) return JSON.stringify({ files: found.files });
  io.err(`${found.problem}\n`);
  return undefined;
}

/** The answer; undefined when there is none, or problems, which are printed. */
async function ask<T>(io: CliIo, question: Parameters<typeof askAdmin>[0]): Promise<T | undefined> {
  const answer = await askAdmin(question);
  if (!answer.ok) {
    io.err(`${answer.problem}\n`);
    return undefined;
  }
  const value = parseJson(answer.body);
  if (answer.status === 200 && value !== undefined) return value as T;
  const problems =
    typeof value === "object" && value !== null ? (Reflect.get(value, "problems") as unknown) : undefined;
  if (Array.isArray(problems)) io.err(problems.map((each) => `${String(each)}\n`).join(""));
  else io.err(`${question.admin} answers ${answer.status}: ${printable(answer.body.slice(0, 300).trim())}\n`);
  return undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
