// The verb `completion`: a script for a shell, made of the tables that parse the flags and print the help, so that it knows what they
// know. The script holds all words: while somebody presses a key, no program starts.

import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { wordsOf } from "./words.ts";
import { zshScript } from "./zsh.ts";
import { type CliIo, type Verb, type VerbAction, wrongUsage } from "../verb.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };
const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[];

/** `verbs`: all that there are, this one too. */
export function completionOf(verbs: readonly Verb[]): VerbAction {
  return {
    words: { operands: SHELLS },
    help: () => `outrigger completion ${SHELLS.join("|")}

Prints a script that lets the shell complete verbs, flags, their values and names of files. It has no flags.

  bash   source <(outrigger completion bash), in ~/.bashrc;
         or for everybody: outrigger completion bash > /etc/bash_completion.d/outrigger
  zsh    outrigger completion zsh > FOLDER/_outrigger, in a folder of $fpath; then compinit
  fish   outrigger completion fish > ~/.config/fish/completions/outrigger.fish
`,
    run: (argv, io) => completion(argv, io, verbs),
  };
}

async function completion(argv: readonly string[], io: CliIo, verbs: readonly Verb[]): Promise<number> {
  const [name, extra] = argv;
  const shell = SHELLS.find((each) => each === name);
  if (shell === undefined || extra !== undefined) {
    const problem =
      name === undefined
        ? "needs a shell"
        : shell === undefined
          ? `unknown shell "${name}"`
          : `unexpected argument "${extra}"`;
    return wrongUsage(io, "completion", `${problem}: one of ${SHELLS.join(", ")}`);
  }
  io.out(SCRIPTS[shell](await wordsOf(verbs)));
  return 0;
}
