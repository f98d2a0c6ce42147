// The verb `status` as the list of verbs has it: its words, and the way to what it does (control/status.ts), which is loaded only when it
// is asked for.

import { lazily, type Verb } from "./verb.ts";

export const statusVerb: Verb = lazily(
  "status",
  "status [--control-plane]",
  "what a sidecar has in use, or what the sidecars of a control plane acknowledged",
  async () => (await import("./control/status.ts")).STATUS,
);
