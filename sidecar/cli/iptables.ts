// The verb `iptables` as the list of verbs has it; what it does (iptables/iptables.ts) is loaded only when it is asked for.

import { lazily, type Verb } from "./verb.ts";

export const iptablesVerb: Verb = lazily(
  "iptables",
  "iptables VERB",
  "captures a pod's traffic: print, apply, clean, validate",
  async () => (await import("./iptables/iptables.ts")).IPTABLES,
);
