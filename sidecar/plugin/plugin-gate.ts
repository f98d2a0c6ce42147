// Before a listener or a plugin is acknowledged: the code of its plugins must load, and they must start. supervisor.ts asks for
// each resource that comes. What was refused is remembered for /plugins until a version of it passes.

import type { Issue } from "../../xds/decode/issues.ts";
import type { Resource } from "../../xds/decode/resource.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import type { PluginCodeLoader } from "../code/code-loader.ts";
import { pluginsOfFilter } from "../publish/filter-plugins.ts";
import { pluginsOf } from "../publish/listener-plugins.ts";
import { pluginsOfRoutes } from "../publish/route-plugins.ts";
import type { ApplyFailure } from "../worker-link.ts";

const NO_ISSUES: readonly Issue[] = [];

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

  /** Every reason to refuse the resource because of its plugins; at once where it has none. */
  issuesOf({ kind, value }: Resource): readonly Issue[] | Promise<readonly Issue[]> {
    if (kind !== "listener" && kind !== "plugin" && kind !== "route") {
      return NO_ISSUES;
    }
    const plugins =
      kind === "listener" ? pluginsOf(value) : kind === "plugin" ? pluginsOfFilter(value) : pluginsOfRoutes(value);
    if (plugins.length === 0) {
      this.#refusals.delete(value.name);
      return NO_ISSUES;
    }
    return this.#load(kind, value.name, plugins);
  }

  async #load(
    resource: ApplyFailure["resource"],
    name: string,
    plugins: readonly PluginConfig[],
  ): Promise<readonly Issue[]> {
    const problems = await Promise.all(plugins.map((plugin) => this.#code.problemOf(plugin)));
    const found = problems.flatMap((problem) => problem ?? []);
    if (found.length === 0) {
      this.#refusals.delete(name);
    } else {
      this.#refusals.set(name, { resource, name, problem: found.join("; ") });
    }
    return found.map((problem): Issue => ({ path: "", problem }));
  }

  /** The resource is gone. */
  forget(name: string): void {
    this.#refusals.delete(name);
  }
}
