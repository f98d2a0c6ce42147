// What a verb is: its words for help and its action. cli/verbs.ts lists them; main.ts runs one.

import type { Flag } from "./flags.ts";

export interface CliIo {
  /** For answers. Access logs also go to stdout, so `run` itself never prints there. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `out` is a terminal, which may have colours. */
  readonly isTerminal?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by the first SIGTERM or SIGINT; its reason is the signal's name. */
  readonly stop: AbortSignal;
  /** Aborted by the second one: end at once. */
  readonly kill: AbortSignal;
  /** `run` is called at each SIGUSR1, which Envoy takes as "open the logs again". */
  readonly onReopen?: (run: () => void) => void;
  /** `run` is called at each SIGHUP, which is like SIGTERM otherwise. */
  readonly onHangup?: (run: () => void) => void;
  /** Who runs this; `become` changes whose the sockets are that are made next, and says whether it may. Absent: not known. */
  readonly user?: { readonly uid: number; readonly become: (uid: number) => boolean };
}

export interface Verb {
  readonly name: string;
  /** Such as `run -c FILE`. */
  readonly usage: string;
  readonly summary: string;
  readonly words: () => VerbWords | Promise<VerbWords>;
  /** Whole help, flags included. `words` are what follows the verb's name: a verb of verbs picks one of its own by them. */
  readonly help: (words?: readonly string[]) => string | Promise<string>;
  /** Resolves to the exit code: 0 clean, 1 configuration or start-up error, 2 wrong usage. */
  readonly run: (argv: readonly string[], io: CliIo) => Promise<number>;
}

/** What may follow a verb on the command line. Completion is made of it. */
export interface VerbWords {
  readonly flags?: readonly Flag[];
  /** Verbs of its own: the first word after it. */
  readonly verbs?: readonly Pick<Verb, "name" | "summary" | "words">[];
  /** What may stand without a flag: one of these words, or a file. */
  readonly operands?: readonly string[] | "files";
}

/** What of a verb is loaded when it is asked for. */
export interface VerbAction extends Pick<Verb, "help" | "run"> {
  readonly words: VerbWords;
}

/** A verb whose action is loaded when it is asked for. */
export function lazily(name: string, usage: string, summary: string, load: () => Promise<VerbAction>): Verb {
  return {
    name,
    usage,
    summary,
    words: async () => (await load()).words,
    help: async (words) => (await load()).help(words),
    run: async (argv, io) => (await load()).run(argv, io),
  };
}

/** Prints a usage problem as every verb does, and gives the exit code for it. */
export function wrongUsage(io: CliIo, verb: string, problem: string): number {
  io.err(`outrigger ${verb}: ${problem}\nTry "outrigger help ${verb}".\n`);
  return 2;
}
