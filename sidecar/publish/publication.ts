// One publication of publisher.ts in the making: what has been prepared of it, what has failed, what waits. Pure.

import type { PluginModule } from "../../plugins/plugin-module.ts";
import type { Sent } from "./sent-resources.ts";

/** Why a resource of a snapshot is not handed out: its previous version stays. */
export interface PublishFailure {
  readonly resource: "listener" | "plugin" | "route" | "service";
  readonly name: string;
  readonly problem: string;
  /** The plugin's code cannot be had and nothing older serves: its failure policy applies. */
  readonly isPolicyApplied?: boolean;
}

export type Prepared<T> =
  | { readonly kind: "ready"; readonly value: T }
  | { readonly kind: "failed"; readonly problem: string; readonly standIn: T | undefined }
  | { readonly kind: "warming" };

/** What one publication gathers. */
export interface Gathered {
  readonly version: number;
  readonly modules: Map<string, PluginModule>;
  readonly failures: PublishFailure[];
  readonly warming: Set<string>;
}

/**
 * What to send of a resource, undefined for nothing now. Without code the previous version serves on; where there is none,
 * the stand-in is sent, so that the listener answers and the plugin's policy decides how.
 */
export function valueOf<T>(
  prepared: Prepared<T>,
  previous: Sent<T> | undefined,
  of: { readonly resource: PublishFailure["resource"]; readonly name: string; readonly key: string },
  { failures, warming }: Gathered,
): T | undefined {
  switch (prepared.kind) {
    case "ready":
      return prepared.value;
    case "warming":
      warming.add(of.key);
      return undefined;
    case "failed": {
      const { resource, name } = of;
      const standIn = previous === undefined || previous.isStandIn ? prepared.standIn : undefined;
      const { problem } = prepared;
      failures.push({ resource, name, problem, ...(standIn === undefined ? {} : { isPolicyApplied: true }) });
      return standIn;
    }
  }
}
