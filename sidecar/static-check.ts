// What must be right of a bootstrap's own listeners before anything starts. Called by supervisor.ts.

import type { Listener } from "../xds/model/listener.ts";
import type { PluginCodeLoader } from "./code/code-loader.ts";
import type { PortCheck } from "./port-check.ts";
import { pluginsOf } from "./listener-plugins.ts";

/** Local plugin code must load and addresses must be free: every problem. Remote code has time while the rest starts. */
export async function staticProblems(
  listeners: readonly Listener[],
  code: PluginCodeLoader,
  ports: PortCheck,
): Promise<string[]> {
  const problems = new Set<string>();
  for (const listener of listeners) {
    for (const plugin of pluginsOf(listener).filter((each) => each.code.kind !== "remote")) {
      const loaded = await code.load(plugin);
      if (!loaded.ok) {
        problems.add(loaded.problem);
      }
    }
    const bindable = await ports.bindable(listener);
    if (typeof bindable === "string") {
      problems.add(bindable);
    }
  }
  return [...problems];
}
