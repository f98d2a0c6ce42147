// What is served, and what was: each good configuration is a release with a number. A push makes a new one, at once or by
// a canary; a rollback makes a new one of an old one's content. The history is bounded, and releases share what they
// have in common.

import type { Clock } from "../clock.ts";
import { ResourceGroups } from "./resource-groups.ts";
import type { ResourceGroup } from "./resource-groups.ts";
import type { Load } from "./load-reports.ts";
import { Rollout } from "./rollout.ts";
import type { CanaryOptions, Member, RolloutView } from "./rollout.ts";

export type Release = Readonly<{
  /** From 1, never used twice. */
  id: number;
  /** ms since the epoch. */
  at: number;
  /** Where it came from, for people: `file`, `push by deploy`, `rollback to 3`. */
  origin: string;
  groups: ResourceGroups;
}>;

export type ReleaseView = Readonly<{
  id: number;
  at: number;
  origin: string;
  resources: number;
  groups: number;
  digest: string;
  /** `canary`: some sidecars have it. `halted`: a canary that failed, nobody has it. */
  state: "serving" | "canary" | "halted" | "past";
  /** Why a canary halted. */
  reason: string;
}>;

export type PushOptions = Readonly<{
  origin: string;
  /** Absent: every sidecar gets it at once. */
  canary?: CanaryOptions;
}>;

export type ReleasesDeps = Readonly<{
  clock: Clock;
  /** How many are kept, the one that is served included. */
  limit: number;
  /** The sidecars; affected means that `next` differs from `present` for it. */
  members(present: Release, next: Release): readonly Member[];
  load(keys: Iterable<string>, from: number, to: number): Load | undefined;
  /** Who gets what has changed. */
  onChange(): void;
  onRollout(release: Release, view: RolloutView): void;
}>;

export class Releases {
  readonly #deps: ReleasesDeps;
  #history: Release[];
  readonly #halted = new Map<number, string>();
  #serving: Release;
  #rollout: Readonly<{ release: Release; rollout: Rollout }> | undefined;
  #lastId = 1;

  constructor(deps: ReleasesDeps, groups: readonly ResourceGroup[], origin: string) {
    this.#deps = deps;
    this.#serving = { id: 1, at: deps.clock.now(), origin, groups: ResourceGroups.of(groups) };
    this.#history = [this.#serving];
  }

  /** What a sidecar gets. */
  for(nodeId: string): Release {
    const canary = this.#running();
    return canary?.rollout.has(nodeId) === true ? canary.release : this.#serving;
  }

  /** What everybody gets, or all but the canaries. */
  get serving(): Release {
    return this.#serving;
  }

  /** Serves this. Content that is served already is no new release. A canary that runs is halted by it. */
  push(groups: readonly ResourceGroup[], options: PushOptions): Release {
    return this.#push(ResourceGroups.of(groups, this.#serving.groups), options);
  }

  /** Serves the content of an older release again, at once. Default: the newest other content before; ends a canary. */
  rollback(to?: number): Readonly<{ ok: true; release: Release }> | Readonly<{ ok: false; problem: string }> {
    const canary = this.#running();
    if (canary !== undefined && to === undefined) {
      canary.rollout.halt("rolled back");
      return { ok: true, release: this.#serving };
    }
    const { digest } = this.#serving.groups;
    const older = this.#history.filter(({ id }) => id < this.#serving.id && !this.#halted.has(id));
    const target =
      to === undefined
        ? older.findLast(({ groups }) => groups.digest !== digest)
        : this.#history.find(({ id }) => id === to);
    if (target === undefined) {
      const kept = this.#history.map(({ id }) => id).join(", ");
      return {
        ok: false,
        problem: to === undefined ? "there is nothing before" : `no release ${to}; kept are ${kept}`,
      };
    }
    return { ok: true, release: this.#push(target.groups, { origin: `rollback to ${target.id}` }) };
  }

  /** A sidecar has refused something: a canary need not wait for its next look. */
  look(): void {
    this.#running()?.rollout.look();
  }

  /** The newest first. */
  views(): ReleaseView[] {
    const canary = this.#running();
    return this.#history.toReversed().map((release) => {
      const { id, at, origin, groups } = release;
      const isHalted = this.#halted.has(id);
      const isCanary = canary?.release === release;
      const state = release === this.#serving ? "serving" : isCanary ? "canary" : isHalted ? "halted" : "past";
      const { size: resources, digest } = groups;
      const reason = this.#halted.get(id) ?? "";
      return { id, at, origin, resources, groups: groups.groups.length, digest, state, reason };
    });
  }

  /** The canary that runs, or the last one. */
  rolloutView(): Readonly<{ release: Release; view: RolloutView }> | undefined {
    const last = this.#rollout;
    return last === undefined ? undefined : { release: last.release, view: last.rollout.view() };
  }

  close(): void {
    this.#running()?.rollout.close();
  }

  #push(groups: ResourceGroups, { origin, canary }: PushOptions): Release {
    const running = this.#running();
    if (running?.release.groups.digest === groups.digest && canary !== undefined) return running.release;
    running?.rollout.halt(`replaced by release ${this.#lastId + 1}`);
    if (groups.digest === this.#serving.groups.digest) return this.#serving;
    this.#lastId += 1;
    const release: Release = { id: this.#lastId, at: this.#deps.clock.now(), origin, groups };
    this.#history.push(release);
    this.#trim();
    if (canary === undefined) this.#serve(release);
    else this.#try(release, canary);
    return release;
  }

  #try(release: Release, options: CanaryOptions): void {
    const { clock, load, onChange, onRollout } = this.#deps;
    const present = this.#serving;
    const rollout: Rollout = new Rollout({
      clock,
      options,
      load,
      members: () => this.#deps.members(present, release),
      onStep: () => {
        onChange();
        onRollout(release, rollout.view());
      },
      onEnd: (outcome) => {
        const view = rollout.view();
        if (outcome === "halted") this.#halted.set(release.id, view.reason);
        if (outcome === "complete") this.#serve(release);
        else onChange();
        onRollout(release, view);
      },
    });
    this.#rollout = { release, rollout };
    rollout.start();
  }

  #serve(release: Release): void {
    this.#serving = release;
    this.#trim();
    this.#deps.onChange();
  }

  #running(): Readonly<{ release: Release; rollout: Rollout }> | undefined {
    const state = this.#rollout?.rollout.state;
    return state === "complete" || state === "halted" ? undefined : this.#rollout;
  }

  /** The oldest go, but for the one that is served. */
  #trim(): void {
    while (this.#history.length > this.#deps.limit) {
      const oldest = this.#history.find((each) => each !== this.#serving && each !== this.#rollout?.release);
      if (oldest === undefined) return;
      this.#history = this.#history.filter((each) => each !== oldest);
      this.#halted.delete(oldest.id);
    }
  }
}
