// The webhook's settings as they are now: the file of `--settings` is read again when it changes (also when a ConfigMap's volume swaps its ..data
// link), and what cannot be used leaves the last good ones in use. Flags go on winning over the file.

import { isDeepStrictEqual } from "node:util";
import type { InjectSettings } from "../../inject/settings.ts";
import { systemClock } from "../../../xds/clock.ts";
import { watchFile } from "../../../xds/file-watch.ts";
import type { Flag } from "../flags.ts";
import { parseSettings } from "./inject-flags.ts";

/** The kubelet and editors write in several steps. */
const QUIET_MS = 100;

export type SettingsEvent =
  | { readonly kind: "taken"; readonly settings: InjectSettings; readonly changed: readonly string[] }
  | { readonly kind: "refused"; readonly problem: string };

export interface LiveSettingsOptions {
  readonly path: string;
  readonly flags: readonly Flag[];
  readonly argv: readonly string[];
  /** What is in use at the start. */
  readonly settings: InjectSettings;
  /** Adapts what was read to the cluster. */
  readonly adapt: (settings: InjectSettings, given: ReadonlySet<string>) => InjectSettings;
  /** A change that is in use from now on, or one that is not, once for each problem. */
  readonly onEvent: (event: SettingsEvent) => void;
}

/** Follows the file until the returned function is called. */
export function followSettings({
  path,
  flags,
  argv,
  settings: first,
  adapt,
  onEvent,
}: LiveSettingsOptions): () => void {
  let settings = first;
  let problem = "";
  const read = (): void => {
    const parsed = parseSettings(flags, argv);
    if (!parsed.ok) {
      if (parsed.problem !== problem) {
        problem = parsed.problem;
        onEvent({ kind: "refused", problem });
      }
      return;
    }
    const next = adapt(parsed.settings, parsed.given);
    const before = settings;
    const changed = Object.keys(next).filter(
      (key) => !isDeepStrictEqual(next[key as keyof InjectSettings], before[key as keyof InjectSettings]),
    );
    if (changed.length > 0 || problem !== "") {
      problem = "";
      settings = next;
      onEvent({ kind: "taken", settings, changed });
    }
  };
  const unwatch = watchFile({ path, quietMs: QUIET_MS, clock: systemClock, onChange: read });
  // What changed before it was watched.
  read();
  return unwatch;
}
