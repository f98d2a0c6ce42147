// The list of verbs, in the order of help. main.ts looks a verb up here.

import { VERSION } from "../version.ts";
import { configVerb } from "./config.ts";
import { controlPlaneVerb } from "./control-plane.ts";
import { demoVerb } from "./demo.ts";
import { drainVerb } from "./drain.ts";
import { injectVerb } from "./inject.ts";
import { iptablesVerb } from "./iptables.ts";
import { pluginVerb } from "./plugin.ts";
import { runVerb } from "./run.ts";
import { statusVerb } from "./status.ts";
import { validateVerb } from "./validate.ts";
import { waitVerb } from "./wait.ts";
import { warmUpVerb } from "./warm-up.ts";
import { webhookVerb } from "./webhook.ts";
import type { Verb } from "./verb.ts";

const VERBS: readonly Verb[] = [
  runVerb,
  validateVerb,
  controlPlaneVerb,
  statusVerb,
  configVerb,
  pluginVerb,
  injectVerb,
  webhookVerb,
  iptablesVerb,
  waitVerb,
  drainVerb,
  demoVerb,
  warmUpVerb,
];

export const VERSION_TEXT = `outrigger ${VERSION}`;

export function findVerb(name: string): Verb | undefined {
  return VERBS.find((verb) => verb.name === name);
}

export function helpText(): string {
  const width = Math.max(...VERBS.map(({ usage }) => usage.length));
  const rows = VERBS.map(({ usage, summary }) => `  ${usage.padEnd(width)}  ${summary}`).join("\n");
  return `outrigger: a service-mesh sidecar that runs and traces proxy-wasm plugins, configured as Envoy is.

Usage: outrigger VERB [FLAGS], or Envoy's own flags without a verb, which mean "run".

${rows}
  ${"help [VERB]".padEnd(width)}  this text, or a verb's flags with their defaults
  ${"--version".padEnd(width)}  the version
`;
}
