// Domains that routes have themselves and a virtual host of VHDS has too: for a moment that is a host on its way from the one to the other;
// where it lasts, two people have said different things, and somebody must hear of it. Owned by client.ts.

import type { Clock } from "./clock.ts";
import type { XdsLog } from "./log.ts";
import type { RouteConfiguration } from "./model/route.ts";
import { domainConflicts } from "./virtual-hosts.ts";

/** Both responses of a move have come by then. */
const LASTING_MS = 5_000;
/** Of a warning. */
const MAX_NAMED = 10;

export class HostConflicts {
  readonly #clock: Clock;
  readonly #log: XdsLog;
  /** By the name of the routes: what stands against what, and the end of the wait. */
  readonly #known = new Map<string, { readonly domains: string; readonly cancel: () => void }>();

  constructor(clock: Clock, log: XdsLog) {
    this.#clock = clock;
    this.#log = log;
  }

  /** `routes` are those in use. Each conflict is told once, when it has lasted. */
  review(routes: ReadonlyMap<string, RouteConfiguration>): void {
    for (const [name, { cancel }] of this.#known) {
      const config = routes.get(name);
      if (config !== undefined && domainConflicts(config).length > 0) continue;
      cancel();
      this.#known.delete(name);
    }
    for (const [name, config] of routes) {
      const conflicts = domainConflicts(config);
      if (conflicts.length === 0) continue;
      const domains = conflicts.join(", ");
      const known = this.#known.get(name);
      if (known?.domains === domains) continue;
      known?.cancel();
      const cancel = this.#clock.after(LASTING_MS, () => this.#tell(name, conflicts));
      this.#known.set(name, { domains, cancel });
    }
  }

  close(): void {
    for (const { cancel } of this.#known.values()) cancel();
  }

  #tell(routes: string, conflicts: readonly string[]): void {
    const domains = conflicts.slice(0, MAX_NAMED).join(", ");
    this.#log.warn("virtual hosts of VHDS have domains that the routes have themselves; those of the routes count", {
      routes,
      domains: conflicts.length > MAX_NAMED ? `${domains} and ${conflicts.length - MAX_NAMED} more` : domains,
    });
  }
}
