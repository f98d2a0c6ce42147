// The list of verbs, in the order of help. main.ts looks a verb up here. What a verb does is loaded when it is asked for: the sidecar is
// 350 files, and a kubelet that runs `outrigger wait` needs none of them.

import { nearest } from "./flags.ts";
import { VERSION } from "../version.ts";
import { configVerb } from "./config.ts";
import { controlPlaneVerb } from "./control-plane.ts";
import { drainVerb } from "./drain.ts";
import { injectVerb } from "./inject.ts";
import { iptablesVerb } from "./iptables.ts";
import { pluginVerb } from "./plugin.ts";
import { statusVerb } from "./status.ts";
import { waitVerb } from "./wait.ts";
import { webhookVerb } from "./webhook.ts";
import { lazily, type Verb } from "./verb.ts";

const VERBS: readonly Verb[] = [
  lazily(
    "run",
    "run -c FILE",
    "runs the sidecar from an Envoy v3 bootstrap, YAML or JSON",
    async () => (await import("./run.ts")).runVerb,
  ),
  lazily(
    "validate",
    "validate -c FILE",
    "checks a bootstrap and every file it names",
    async () => (await import("./validate.ts")).validateVerb,
  ),
  controlPlaneVerb,
  statusVerb,
  lazily(
    "trace",
    "trace [--follow]",
    "the latest requests of a running sidecar, with every callback of a plugin",
    async () => (await import("./asking/trace.ts")).TRACE,
  ),
  lazily(
    "explain",
    "explain METHOD URL",
    "which route of a running sidecar a request would take, and why; or what became of one, by its id",
    async () => (await import("./asking/explain.ts")).EXPLAIN,
  ),
  lazily(
    "log",
    "log [[COMPONENT=]LEVEL …]",
    "shows and changes the log levels of a running sidecar",
    async () => (await import("./asking/log.ts")).LOG,
  ),
  configVerb,
  pluginVerb,
  injectVerb,
  webhookVerb,
  iptablesVerb,
  waitVerb,
  drainVerb,
  lazily(
    "demo",
    "demo",
    "an upstream, the control plane and a sidecar with a Go plugin, to try it",
    async () => (await import("./demo.ts")).demoVerb,
  ),
  lazily(
    "import",
    "import apisix FILE",
    "turns APISIX's standalone files into a bootstrap, and names what it cannot translate",
    async () => (await import("./import/import.ts")).IMPORT,
  ),
  lazily(
    "completion",
    "completion bash|zsh|fish",
    "a script that lets a shell complete verbs, flags and their values",
    async () => (await import("./completion/completion.ts")).completionOf(VERBS),
  ),
  lazily(
    "warm-up",
    "warm-up",
    "fills the compile cache, so that starts are quick and small (the launcher does it once)",
    async () => (await import("./warm-up.ts")).warmUpVerb,
  ),
];

export const VERSION_TEXT = `outrigger ${VERSION}`;

export function findVerb(name: string): Verb | undefined {
  return VERBS.find((verb) => verb.name === name);
}

/** What is said to somebody who asked for a verb that there is not. */
export function unknownVerb(name: string): string {
  const meant = nearest(
    VERBS.map((verb) => verb.name),
    name,
  );
  return `outrigger: unknown verb "${name}"${meant === undefined ? "" : `, did you mean ${meant}?`}\nTry "outrigger help".\n`;
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
