// What must be right of a bootstrap's own listeners and plugins before anything starts. Called by supervisor.ts.

import type { Bootstrap } from "../xds/model/bootstrap.ts";
import type { PluginConfig } from "../xds/model/plugin-config.ts";
import type { PluginCodeLoader } from "./code/code-loader.ts";
import type { PortCheck } from "./port-check.ts";
import type { PublishFailure } from "./publish/publication.ts";
import { pluginsOf } from "./publish/listener-plugins.ts";

/** Local plugin code must load and addresses must be free: every problem. Remote code has time while the rest starts. */
export async function staticProblems(
  { listeners, services }: Pick<Bootstrap, "listeners" | "services">,
  code: PluginCodeLoader,
  ports: PortCheck,
): Promise<string[]> {
  const problems = new Set<string>();
  const load = async (plugins: readonly PluginConfig[]): Promise<void> => {
    for (const plugin of plugins.filter((each) => each.code.kind !== "remote")) {
      const loaded = await code.load(plugin);
      if (!loaded.ok) {
        problems.add(loaded.problem);
      }
    }
  };
  await load(services.map(({ plugin }) => plugin));
  for (const listener of listeners) {
    await load(pluginsOf(listener));
    const bindable = await ports.bindable(listener);
    if (typeof bindable === "string") {
      problems.add(bindable);
    }
  }
  return [...problems];
}

/** The bootstrap itself names what has failed, so the start has. */
export function isOfBootstrap(
  { listeners }: Pick<Bootstrap, "listeners">,
  { resource, name }: Pick<PublishFailure, "resource" | "name">,
): boolean {
  return resource === "service" || listeners.some((listener) => listener.name === name);
}
