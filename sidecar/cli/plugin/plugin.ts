// What the verb `plugin` does: tools for those who write plugins, each a verb of its own in this folder. Picks one by the first word.
// cli/plugin.ts loads it.

import { editDistance } from "../flags.ts";
import { type CliIo, type Verb, type VerbAction, wrongUsage } from "../verb.ts";
import { pluginBenchVerb } from "./bench.ts";
import { pluginInspectVerb } from "./inspect.ts";
import { pluginNewVerb } from "./new.ts";
import { pluginRunVerb } from "./run.ts";
import { pluginTestVerb } from "./test.ts";

/** In the order of help. Their `name` is the word after `plugin`, their `usage` begins with `plugin`. */
export const PLUGIN_VERBS: readonly Verb[] = [
  pluginNewVerb,
  pluginRunVerb,
  pluginTestVerb,
  pluginBenchVerb,
  pluginInspectVerb,
];

export const PLUGIN: VerbAction = {
  words: { verbs: PLUGIN_VERBS },
  help: (words) => findPluginVerb(words)?.help() ?? listText(),
  run: async (argv, io) => {
    const verb = findPluginVerb(argv);
    if (verb !== undefined) {
      return verb.run(argv.slice(1), io);
    }
    const [first] = argv;
    if (first === undefined || first.startsWith("-")) {
      return unknown(io, first === undefined ? "needs a verb" : `needs a verb before ${first}`);
    }
    const near = PLUGIN_VERBS.find(({ name }) => editDistance(name, first) <= 2);
    return unknown(io, `unknown verb "${first}"${near === undefined ? "" : `, did you mean "${near.name}"?`}`);
  },
};

function findPluginVerb(words: readonly string[] = []): Verb | undefined {
  return PLUGIN_VERBS.find(({ name }) => name === words[0]);
}

function unknown(io: CliIo, problem: string): number {
  return wrongUsage(io, "plugin", `${problem} (${PLUGIN_VERBS.map(({ name }) => name).join(", ")})`);
}

function listText(): string {
  const width = Math.max(...PLUGIN_VERBS.map(({ usage }) => usage.length));
  const rows = PLUGIN_VERBS.map(({ usage, summary }) => `  outrigger ${usage.padEnd(width)}  ${summary}`).join("\n");
  return `outrigger plugin VERB [FLAGS]\n\nTools for plugin authors.\n\n${rows}\n\n"outrigger help plugin VERB" shows the flags of one.\n`;
}
