// The verb `iptables` as the list of verbs has it; what it does (iptables/iptables.ts) is loaded only when it is asked for.

import type { Verb } from "./verb.ts";

export const iptablesVerb: Verb = {
  name: "iptables",
  usage: "iptables VERB",
  summary: "captures a pod's traffic: print, apply, clean, validate",
  help: async () => (await import("./iptables/iptables.ts")).iptablesHelp(),
  run: async (argv, io) => (await import("./iptables/iptables.ts")).runIptables(argv, io),
};
