// A canary, moved by hand: who is first, when it goes on, and what halts it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Load } from "../../../xds/server/load-reports.ts";
import { DEFAULT_CANARY, Rollout, unitHash } from "../../../xds/server/rollout.ts";
import type { CanaryOptions, Member } from "../../../xds/server/rollout.ts";
import { ManualXdsClock } from "../../support/xds-clock.ts";

type Changeable = { -readonly [K in keyof Member]: Member[K] };

class Scene {
  readonly clock = new ManualXdsClock();
  readonly members: Changeable[];
  readonly outcomes: string[] = [];
  /** Requests and errors of a node, all of them now. */
  readonly loads = new Map<string, Load>();
  /** The same of the time before the canary. */
  readonly loadsBefore = new Map<string, Load>();
  readonly rollout: Rollout;
  readonly #startedAt: number;

  constructor(count: number, options: Partial<CanaryOptions> = {}) {
    this.members = Array.from({ length: count }, (_, index) => {
      const nodeId = `node-${index}`;
      return { nodeId, loadKey: nodeId, isAffected: true, isSettled: true, refusals: [] };
    });
    this.#startedAt = this.clock.now();
    this.rollout = new Rollout({
      clock: this.clock,
      options: { ...DEFAULT_CANARY, ...options },
      members: () => this.members,
      load: (keys, _from, to) => this.#sum(keys, to <= this.#startedAt ? this.loadsBefore : this.loads),
      onStep: () => {
        for (const member of this.chosen) member.isSettled = false;
      },
      onEnd: (outcome) => this.outcomes.push(outcome),
    });
  }

  get chosen(): Changeable[] {
    return this.members.filter(({ nodeId }) => this.rollout.has(nodeId));
  }

  acknowledge(): void {
    for (const member of this.members) member.isSettled = true;
    this.clock.advance(1_000);
  }

  hold(): void {
    for (let second = 0; second < 31; second++) this.clock.advance(1_000);
  }

  #sum(keys: Iterable<string>, loads: ReadonlyMap<string, Load>): Load | undefined {
    const all = [...keys].flatMap((key) => loads.get(key) ?? []);
    if (all.length === 0) return undefined;
    return all.reduce((sum, each) => ({ requests: sum.requests + each.requests, errors: sum.errors + each.errors }));
  }
}

test("Rollout goes on by fractions, to the same sidecars and more, when each step has acknowledged and was watched", () => {
  const scene = new Scene(20, { fractions: [0.1, 0.5] });
  scene.rollout.start();
  const first = scene.chosen.map(({ nodeId }) => nodeId);
  const lowest = scene.members.map(({ nodeId }) => nodeId).sort((a, b) => unitHash(a) - unitHash(b));
  assert.deepEqual(first.toSorted(), lowest.slice(0, 2).toSorted());
  scene.hold();
  assert.equal(scene.rollout.view().state, "acknowledging");
  assert.match(scene.rollout.view().reason, /^waits for node-\d+ and 1 more$/);
  scene.acknowledge();
  assert.equal(scene.rollout.view().state, "watching");
  scene.clock.advance(20_000);
  assert.equal(scene.chosen.length, 2, "it is still watched");
  scene.hold();
  assert.equal(scene.chosen.length, 10);
  assert.ok(first.every((nodeId) => scene.rollout.has(nodeId)));
  scene.acknowledge();
  scene.hold();
  assert.deepEqual(scene.outcomes, ["complete"]);
  assert.ok(scene.rollout.has("node-that-comes-later"));
});

test("Rollout counts only sidecars for which something changes, and is complete without any", () => {
  const scene = new Scene(10, { fractions: [0.5] });
  for (const member of scene.members.slice(2)) member.isAffected = false;
  scene.rollout.start();
  assert.equal(scene.rollout.view().sidecars.length, 1);
  const nobody = new Scene(0);
  nobody.rollout.start();
  assert.deepEqual(nobody.outcomes, ["complete"]);
});

test("Rollout halts at a refusal, but not at one that was there before", () => {
  const scene = new Scene(10);
  const old = { typeUrl: "type/a.Cluster", message: "old trouble", at: scene.clock.now() - 1 };
  for (const member of scene.members) member.refusals = [old];
  const fresh = new Scene(10);
  for (const each of [scene, fresh]) each.rollout.start();
  const [canary] = scene.chosen;
  assert.ok(canary);
  canary.refusals = [{ ...old, at: scene.clock.now() + 5 }];
  scene.clock.advance(1_000);
  assert.deepEqual(scene.outcomes, []);
  const [other] = fresh.chosen;
  assert.ok(other);
  other.refusals = [{ ...old, message: "no", at: fresh.clock.now() + 5 }];
  fresh.rollout.look();
  assert.deepEqual(fresh.outcomes, ["halted"]);
  assert.match(fresh.rollout.view().reason, /^node-\d+ refused Cluster: no$/);
  assert.deepEqual(fresh.chosen, [], "nobody has it any more");
});

test("Rollout halts when a canary does not acknowledge or goes away", () => {
  const scene = new Scene(10);
  scene.rollout.start();
  for (let second = 0; second < 91; second++) scene.clock.advance(1_000);
  assert.deepEqual(scene.outcomes, ["halted"]);
  assert.match(scene.rollout.view().reason, /^too late: waits for node-\d+$/);

  const other = new Scene(10);
  other.rollout.start();
  other.acknowledge();
  const gone = other.chosen[0]?.nodeId ?? "";
  other.members.splice(
    other.members.findIndex(({ nodeId }) => nodeId === gone),
    1,
  );
  for (let second = 0; second < 91; second++) other.clock.advance(1_000);
  assert.deepEqual(other.outcomes, ["halted"]);
  assert.match(other.rollout.view().reason, /, which has gone away,$/);
});

test("Rollout compares the error rate with that of the others in the same time", () => {
  const run = (canaryErrors: number, otherErrors: number): readonly string[] => {
    const scene = new Scene(10);
    scene.rollout.start();
    for (const { nodeId } of scene.members) {
      const errors = scene.rollout.has(nodeId) ? canaryErrors : otherErrors;
      scene.loads.set(nodeId, { requests: 1_000, errors });
    }
    scene.acknowledge();
    scene.hold();
    return scene.outcomes;
  };
  assert.deepEqual(run(0, 0), ["complete"]);
  assert.deepEqual(run(11, 0), ["halted"]);
  assert.deepEqual(run(11, 5), ["complete"]);
  // An upstream that fails for everybody is not the release's fault.
  assert.deepEqual(run(500, 500), ["complete"]);
});

test("Rollout compares with the time before when there are no others, and says so early when it is bad", () => {
  const scene = new Scene(1);
  scene.loadsBefore.set("node-0", { requests: 100, errors: 10 });
  scene.loads.set("node-0", { requests: 200, errors: 21 });
  scene.rollout.start();
  scene.acknowledge();
  assert.deepEqual(scene.outcomes, [], "10.5 % after 10 % is within 1 %");
  scene.loads.set("node-0", { requests: 200, errors: 40 });
  scene.clock.advance(1_000);
  assert.deepEqual(scene.outcomes, ["halted"]);
  assert.equal(scene.rollout.view().reason, "error rate 20.00 % of 200 requests, elsewhere or before 10.00 %");
});

test("Rollout waits for requests when it must have seen some, and halts without", () => {
  const scene = new Scene(10, { minRequests: 5 });
  scene.rollout.start();
  scene.acknowledge();
  scene.hold();
  assert.equal(scene.rollout.view().reason, "waits for requests: 0 of 5");
  for (let second = 0; second < 61; second++) scene.clock.advance(1_000);
  assert.deepEqual(scene.outcomes, ["halted"]);
});
