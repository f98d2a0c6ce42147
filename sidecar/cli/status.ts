// The verb `status` as the list of verbs has it: its words, and the way to what it does (control/status.ts), which is loaded only when it
// is asked for.

import type { Verb } from "./verb.ts";

export const statusVerb: Verb = {
  name: "status",
  usage: "status [--control-plane]",
  summary: "what a sidecar has in use, or what the sidecars of a control plane acknowledged",
  help: async (words) => (await load()).help(words),
  run: async (argv, io) => (await load()).run(argv, io),
};

async function load(): Promise<Pick<Verb, "help" | "run">> {
  const { STATUS } = await import("./control/status.ts");
  return STATUS;
}
