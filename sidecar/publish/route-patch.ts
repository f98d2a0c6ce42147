// A route configuration on its way to a worker that has the version before: only the virtual hosts that changed travel, the
// others by their places. Structured cloning of thousands of virtual hosts is most of what a push costs otherwise. The main
// thread cuts with RouteCutter (config-outbox.ts), the worker joins with RouteJoiner (worker.ts); what the worker joins has
// the objects that it had before. Messages of one worker arrive in order, so both know the same version.

import type { RouteConfiguration, VirtualHost } from "../../xds/model/route.ts";
import { isOuterSame } from "../route/outer-fields.ts";
import type { Changes } from "../worker-link.ts";

/** Virtual hosts `from` … `from + count - 1` of the version before. */
export type KeptHosts = readonly [from: number, count: number];

export interface RoutePatch {
  readonly kind: "patch";
  /** Everything but the virtual hosts, when any of it changed. */
  readonly outer: Omit<RouteConfiguration, "virtualHosts"> | undefined;
  readonly hosts: readonly (VirtualHost | KeptHosts)[];
}

export type SentRoutes = RouteConfiguration | RoutePatch;

/** The main thread's side: remembers what the worker was sent. */
export class RouteCutter {
  readonly #sent = new Map<string, RouteConfiguration>();

  cut({ set, removed }: Changes<RouteConfiguration>): Changes<SentRoutes> {
    const result = set.map(([name, config]): readonly [string, SentRoutes] => {
      const before = this.#sent.get(name);
      this.#sent.set(name, config);
      return [name, before === undefined ? config : patchOf(before, config)];
    });
    removed.forEach((name) => this.#sent.delete(name));
    return { set: result, removed };
  }

  /** The worker knows nothing any more. */
  reset(): void {
    this.#sent.clear();
  }
}

/** The worker's side: remembers what came, whatever became of it. */
export class RouteJoiner {
  readonly #received = new Map<string, RouteConfiguration>();

  join({ set, removed }: Changes<SentRoutes>): Changes<RouteConfiguration> {
    const result = set.map(([name, sent]): readonly [string, RouteConfiguration] => {
      const config = "kind" in sent ? joined(this.#received.get(name), sent) : sent;
      this.#received.set(name, config);
      return [name, config];
    });
    removed.forEach((name) => this.#received.delete(name));
    return { set: result, removed };
  }
}

function patchOf(before: RouteConfiguration, after: RouteConfiguration): RoutePatch {
  const [old, fresh] = [before.virtualHosts, after.virtualHosts];
  // Most stand where they stood, from the first or from the last.
  const shortest = Math.min(old.length, fresh.length);
  let start = 0;
  while (start < shortest && old[start] === fresh[start]) {
    start++;
  }
  let end = 0;
  while (end < shortest - start && old.at(-1 - end) === fresh.at(-1 - end)) {
    end++;
  }
  const hosts: (VirtualHost | [number, number])[] = start === 0 ? [] : [[0, start]];
  const places = new Map(old.slice(start, old.length - end).map((host, place) => [host, start + place]));
  let run: [number, number] | undefined;
  for (const host of fresh.slice(start, fresh.length - end)) {
    const place = places.get(host);
    if (place === undefined) {
      run = undefined;
      hosts.push(host);
    } else if (run !== undefined && place === run[0] + run[1]) {
      run[1] += 1;
    } else {
      run = [place, 1];
      hosts.push(run);
    }
  }
  if (end > 0) {
    hosts.push([old.length - end, end]);
  }
  const { virtualHosts: _hosts, ...outer } = after;
  return { kind: "patch", outer: isOuterSame(before, after) ? undefined : outer, hosts };
}

function joined(before: RouteConfiguration | undefined, { outer, hosts }: RoutePatch): RouteConfiguration {
  if (before === undefined) {
    throw new Error("a patch came for routes that this worker does not have");
  }
  const virtualHosts = hosts.flatMap((each) =>
    "name" in each ? each : before.virtualHosts.slice(each[0], each[0] + each[1]),
  );
  return { ...before, ...outer, virtualHosts };
}
