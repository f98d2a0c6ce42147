// What a verb is: its words for help and its action. cli/verbs.ts lists them; main.ts runs one.

export interface CliIo {
  /** For answers. Access logs also go to stdout, so `run` itself never prints there. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
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
  /** Whole help, flags included. `words` are what follows the verb's name: a verb of verbs picks one of its own by them. */
  readonly help: (words?: readonly string[]) => string | Promise<string>;
  /** Resolves to the exit code: 0 clean, 1 configuration or start-up error, 2 wrong usage. */
  readonly run: (argv: readonly string[], io: CliIo) => Promise<number>;
}

/** What of a verb is loaded when it is asked for. */
export type VerbAction = Pick<Verb, "help" | "run">;

/** Prints a usage problem as every verb does, and gives the exit code for it. */
export function wrongUsage(io: CliIo, verb: string, problem: string): number {
  io.err(`outrigger ${verb}: ${problem}\nTry "outrigger help ${verb}".\n`);
  return 2;
}
