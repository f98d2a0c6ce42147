// The verb `webhook` as the list of verbs has it; what it does (pod/webhook.ts) is loaded only when it is asked for.

import { lazily, type Verb } from "./verb.ts";

export const webhookVerb: Verb = lazily(
  "webhook",
  "webhook",
  "injects pods as they are created: an admission webhook over TLS",
  async () => (await import("./pod/webhook.ts")).WEBHOOK,
);
