// The verb `plugin` as the list of verbs has it: its words, and the way to what it does (plugin/plugin.ts), which is loaded only when it is
// asked for. A sidecar that serves would carry 4 MB of it otherwise.

import { lazily, type Verb } from "./verb.ts";

export const pluginVerb: Verb = lazily(
  "plugin",
  "plugin VERB",
  "tools for plugin authors: new, run, test, bench, inspect",
  async () => (await import("./plugin/plugin.ts")).PLUGIN,
);
