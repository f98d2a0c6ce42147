// The verb `inject` as the list of verbs has it: its words, and the way to what it does (pod/inject.ts), which is loaded only when it is asked
// for.

import { lazily, type Verb } from "./verb.ts";

export const injectVerb: Verb = lazily(
  "inject",
  "inject -f FILE",
  "adds the sidecar to the Kubernetes objects of a file",
  async () => (await import("./pod/inject.ts")).INJECT,
);
