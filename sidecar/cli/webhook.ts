// The verb `webhook` as the list of verbs has it; what it does (pod/webhook.ts) is loaded only when it is asked for.

import type { Verb } from "./verb.ts";

export const webhookVerb: Verb = {
  name: "webhook",
  usage: "webhook",
  summary: "injects pods as they are created: an admission webhook over TLS",
  help: async (words) => (await load()).help(words),
  run: async (argv, io) => (await load()).run(argv, io),
};

async function load(): Promise<Pick<Verb, "help" | "run">> {
  const { WEBHOOK } = await import("./pod/webhook.ts");
  return WEBHOOK;
}
