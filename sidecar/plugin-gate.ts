// Before a listener or a plugin is acknowledged: the code of its plugins must load, and they must start. supervisor.ts asks for
// each resource that comes. What was refused is remembered for /plugins until a version of it passes.

import type { Issue } from "../xds/decode/issues.ts";
import type { Resource } from "../xds/decode/resource.ts";
import type { PluginCodeLoader } from "./code/code-loader.ts";
import { pluginsOf } from "./listener-plugins.ts";
import { pluginsOfRoutes } from "./route-plugins.ts";
import type { ApplyFailure } from "./worker-link.ts";

export class PluginGate {
  readonly #code: Pick<PluginCodeLoader, "problemOf">;
  readonly #refusals = new Map<string, ApplyFailure>();

  constructor(code: Pick<PluginCodeLoader, "problemOf">) {
    this.#code = code;
  }

  /** By resource name: why its newest version was refused. */
  get refusals(): ReadonlyMap<string, ApplyFailure> {
    return this.#refusals;
  }

  /** Every reason to refuse the resource because of its plugins. */
  async issuesOf({ kind, value }: Resource): Promise<readonly Issue[]> {
    if (kind !== "listener" && kind !== "plugin" && kind !== "route") {
      return [];
    }
    const plugins = kind === "listener" ? pluginsOf(value) : kind === "plugin" ? [value] : pluginsOfRoutes(value);
    const problems = await Promise.all(plugins.map((plugin) => this.#code.problemOf(plugin)));
    const found = problems.flatMap((problem) => problem ?? []);
    const { name } = value;
    if (found.length === 0) {
      this.#refusals.delete(name);
    } else {
      this.#refusals.set(name, { resource: kind, name, problem: found.join("; ") });
    }
    return found.map((problem): Issue => ({ path: "", problem }));
  }

  /** The resource is gone. */
  forget(name: string): void {
    this.#refusals.delete(name);
  }
}
