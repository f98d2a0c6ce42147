// Configuration on its way to one worker. A worker that is busy (a plugin computes for seconds) must not make a queue that grows
// with every push: a few deltas may be under way, later ones are joined to one, which goes when an answer comes. Joined,
// they are no larger than everything that there is. worker-handle.ts owns one for each worker.

import { RouteCutter } from "./route-patch.ts";
import type { Changes, ConfigDelta, SentDelta } from "../worker-link.ts";

export interface ConfigOutboxDeps {
  readonly post: (delta: SentDelta) => void;
  /** A delta was joined to one that waits. */
  readonly onJoined: () => void;
}

/** Deltas that a worker may have and has not answered: one that it applies, one that waits for it. */
const MOST_UNDER_WAY = 2;

export class ConfigOutbox {
  readonly #deps: ConfigOutboxDeps;
  readonly #routes = new RouteCutter();
  #underWay = 0;
  #waiting: ConfigDelta | undefined = undefined;

  constructor(deps: ConfigOutboxDeps) {
    this.#deps = deps;
  }

  send(delta: ConfigDelta): void {
    if (this.#underWay < MOST_UNDER_WAY) {
      this.#underWay++;
      this.#deps.post({ ...delta, routes: this.#routes.cut(delta.routes) });
      return;
    }
    if (this.#waiting !== undefined) {
      this.#deps.onJoined();
    }
    this.#waiting = this.#waiting === undefined ? delta : joinDeltas(this.#waiting, delta);
  }

  /** The worker has answered one delta (`in-use`), in whatever way. */
  onAnswered(): void {
    this.#underWay = Math.max(0, this.#underWay - 1);
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      this.send(waiting);
    }
  }

  /** A new worker: it gets everything from the start, and answers for nothing that its predecessor got. */
  reset(): void {
    this.#underWay = 0;
    this.#waiting = undefined;
    this.#routes.reset();
  }
}

/** Both as one: what a worker makes of it is what it would have made of `first` and then of `second`. */
export function joinDeltas(first: ConfigDelta, second: ConfigDelta): ConfigDelta {
  const retired = new Set(second.retiredModules);
  const fresh = new Set(second.modules.map(({ key }) => key));
  const neverSent = new Set(first.modules.map(({ key }) => key));
  return {
    version: second.version,
    listeners: joinChanges(first.listeners, second.listeners),
    routes: joinChanges(first.routes, second.routes),
    scopes: joinChanges(first.scopes, second.scopes),
    clusters: joinChanges(first.clusters, second.clusters),
    endpoints: joinChanges(first.endpoints, second.endpoints),
    plugins: joinChanges(first.plugins, second.plugins),
    settled: joinChanges(first.settled, second.settled),
    runtime: second.runtime ?? first.runtime,
    services: [...first.services, ...second.services],
    modules: [...first.modules.filter(({ key }) => !retired.has(key) && !fresh.has(key)), ...second.modules],
    retiredModules: [
      ...first.retiredModules.filter((key) => !fresh.has(key) && !retired.has(key)),
      ...second.retiredModules.filter((key) => !neverSent.has(key)),
    ],
  };
}

function joinChanges<T>(first: Changes<T>, second: Changes<T>): Changes<T> {
  if (first.set.length === 0 && first.removed.length === 0) {
    return second;
  }
  const set = new Map(first.set);
  const removed = new Set(first.removed);
  for (const name of second.removed) {
    set.delete(name);
    removed.add(name);
  }
  for (const [name, value] of second.set) {
    set.set(name, value);
    removed.delete(name);
  }
  return { set: [...set], removed: [...removed] };
}
