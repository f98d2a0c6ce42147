// The verb `control-plane` as the list of verbs has it: its words, and the way to what it does (control/control-plane.ts), which is loaded only when it
// is asked for.

import { lazily, type Verb } from "./verb.ts";

export const controlPlaneVerb: Verb = lazily(
  "control-plane",
  "control-plane -f PATH",
  "serves resources of files to sidecars over xDS, and follows the files",
  async () => (await import("./control/control-plane.ts")).CONTROL_PLANE,
);
