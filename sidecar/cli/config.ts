// The verb `config` as the list of verbs has it: its words, and the way to what it does (control/config.ts), which is loaded only when it
// is asked for.

import { lazily, type Verb } from "./verb.ts";

export const configVerb: Verb = lazily(
  "config",
  "config push|diff|rollback|history",
  "changes what a running control plane serves, and shows what it did",
  async () => (await import("./control/config.ts")).CONFIG,
);
