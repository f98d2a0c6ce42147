// The verb `config` as the list of verbs has it: its words, and the way to what it does (control/config.ts), which is loaded only when it
// is asked for.

import type { Verb } from "./verb.ts";

export const configVerb: Verb = {
  name: "config",
  usage: "config push|diff|rollback|history",
  summary: "changes what a running control plane serves, and shows what it did",
  help: async (words) => (await load()).help(words),
  run: async (argv, io) => (await load()).run(argv, io),
};

async function load(): Promise<Pick<Verb, "help" | "run">> {
  const { CONFIG } = await import("./control/config.ts");
  return CONFIG;
}
