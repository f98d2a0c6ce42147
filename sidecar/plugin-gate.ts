// Before a listener or a plugin is acknowledged: the code of its plugins must load, and they must start. supervisor.ts asks for
// each resource that comes. What was refused is remembered for /plugins until a version of it passes.

import type { PluginConfig } from "../xds/model/plugin-config.ts";
import type { PluginCodeLoader } from "./code/code-loader.ts";
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

  /** Every reason to refuse the resource that has these plugins. */
  async problemsOf(
    resource: ApplyFailure["resource"],
    name: string,
    plugins: readonly PluginConfig[],
  ): Promise<string[]> {
    const problems = await Promise.all(plugins.map((plugin) => this.#code.problemOf(plugin)));
    const found = problems.flatMap((problem) => problem ?? []);
    if (found.length === 0) {
      this.#refusals.delete(name);
    } else {
      this.#refusals.set(name, { resource, name, problem: found.join("; ") });
    }
    return found;
  }

  /** The resource is gone. */
  forget(name: string): void {
    this.#refusals.delete(name);
  }
}
