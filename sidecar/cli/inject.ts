// The verb `inject` as the list of verbs has it: its words, and the way to what it does (pod/inject.ts), which is loaded only when it is asked
// for.

import type { Verb } from "./verb.ts";

export const injectVerb: Verb = {
  name: "inject",
  usage: "inject -f FILE",
  summary: "adds the sidecar to the Kubernetes objects of a file",
  help: async (words) => (await load()).help(words),
  run: async (argv, io) => (await load()).run(argv, io),
};

async function load(): Promise<Pick<Verb, "help" | "run">> {
  const { INJECT } = await import("./pod/inject.ts");
  return INJECT;
}
