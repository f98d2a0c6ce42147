// The verb `plugin` as the list of verbs has it: its words, and the way to what it does (plugin/plugin.ts), which is loaded only when it is
// asked for. A sidecar that serves would carry 4 MB of it otherwise.

import type { Verb } from "./verb.ts";

export const pluginVerb: Verb = {
  name: "plugin",
  usage: "plugin VERB",
  summary: "tools for plugin authors: new, run, test, bench, inspect",
  help: async (words) => (await load()).help(words),
  run: async (argv, io) => (await load()).run(argv, io),
};

async function load(): Promise<Pick<Verb, "help" | "run">> {
  const { PLUGIN } = await import("./plugin/plugin.ts");
  return PLUGIN;
}
