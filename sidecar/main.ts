// The process edge: arguments, environment, signals, exit code. The only file that touches process.* or exits.
// It picks a verb from cli/verbs.ts; arguments that begin with a flag mean `run`.

import { findVerb, helpText, unknownVerb, VERSION_TEXT } from "./cli/verbs.ts";
import type { CliIo } from "./cli/verb.ts";

const stop = new AbortController();
const kill = new AbortController();

function onSignal(signal: NodeJS.Signals): void {
  if (stop.signal.aborted) {
    kill.abort(signal);
  } else {
    stop.abort(signal);
  }
}

/** What a verb does at SIGHUP instead of ending; undefined: it ends as at SIGTERM, with its terminal. */
let hangup: (() => void) | undefined;

const io: CliIo = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTerminal: process.stdout.isTTY === true,
  env: process.env,
  stop: stop.signal,
  kill: kill.signal,
  // Without a listener Node.js would open its debugger.
  onReopen: (run) => void process.on("SIGUSR1", run),
  onHangup: (run) => {
    hangup = run;
  },
  user: { uid: process.geteuid?.() ?? 0, become },
};

function become(uid: number): boolean {
  try {
    process.seteuid?.(uid);
    return process.geteuid?.() === uid;
  } catch {
    return false;
  }
}

function isHelpFlag(word: string | undefined): boolean {
  return word === "--help" || word === "-h";
}

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined || first === "--help" || first === "-h" || (first === "help" && isHelpFlag(argv[1]))) {
    io.out(helpText());
    return first === undefined ? 2 : 0;
  }
  if (first === "help") {
    const verb = rest[0] === undefined ? undefined : findVerb(rest[0]);
    if (rest[0] !== undefined && verb === undefined) {
      io.err(unknownVerb(rest[0]));
      return 2;
    }
    io.out(verb === undefined ? helpText() : await verb.help(rest.slice(1)));
    return 0;
  }
  if (first === "--version" || first === "version") {
    io.out(`${VERSION_TEXT}\n`);
    return 0;
  }
  const name = first.startsWith("-") ? "run" : first;
  const verb = findVerb(name);
  if (verb === undefined) {
    io.err(unknownVerb(name));
    return 2;
  }
  const args = first.startsWith("-") ? argv : rest;
  if (args.includes("--help") || args.includes("-h")) {
    io.out(await verb.help(args));
    return 0;
  }
  return verb.run(args, io);
}

process.on("SIGTERM", onSignal);
process.on("SIGINT", onSignal);
process.on("SIGHUP", (signal) => (hangup === undefined ? onSignal(signal) : hangup()));
// A reader that went away (a closed pipe) must not end a proxy.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

process.exitCode = await main(process.argv.slice(2));
// Workers, sockets and exporters have been closed by the verb; what is left must not keep the process.
process.exit();
