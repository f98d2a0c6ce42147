// The verb `control-plane` as the list of verbs has it: its words, and the way to what it does (control/control-plane.ts), which is loaded only when it
// is asked for.

import type { Verb } from "./verb.ts";

export const controlPlaneVerb: Verb = {
  name: "control-plane",
  usage: "control-plane -f PATH",
  summary: "serves resources of files to sidecars over xDS, and follows the files",
  help: async (words) => (await load()).help(words),
  run: async (argv, io) => (await load()).run(argv, io),
};

async function load(): Promise<Pick<Verb, "help" | "run">> {
  const { CONTROL_PLANE } = await import("./control/control-plane.ts");
  return CONTROL_PLANE;
}
