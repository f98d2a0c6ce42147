import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConfigOutbox, joinDeltas } from "../../../sidecar/publish/config-outbox.ts";
import { joinEndpoints } from "../../../sidecar/publish/sent-endpoints.ts";
import { RouteJoiner } from "../../../sidecar/publish/route-patch.ts";
import type { Changes, ConfigDelta } from "../../../sidecar/worker-link.ts";

type Routes = ConfigDelta["routes"];

/** Only names and identities count here; the values are never looked into. */
const value = (id: number) => ({ id, virtualHosts: [] }) as unknown as Routes["set"][number][1];
const NO_CHANGES = { set: [], removed: [] };

function delta(version: number, routes: Routes = NO_CHANGES, parts: Partial<ConfigDelta> = {}): ConfigDelta {
  const none = {
    settled: NO_CHANGES,
    scopes: NO_CHANGES,
    listeners: NO_CHANGES,
    clusters: NO_CHANGES,
    endpoints: NO_CHANGES,
    plugins: NO_CHANGES,
  };
  return { version, ...none, routes, runtime: undefined, services: [], modules: [], retiredModules: [], ...parts };
}

const module = (key: string) => ({ key }) as unknown as ConfigDelta["modules"][number];

function outbox() {
  const posted: ConfigDelta[] = [];
  let joined = 0;
  const joiner = new RouteJoiner();
  const box = new ConfigOutbox({
    post: (each) =>
      posted.push({
        ...each,
        routes: joiner.join(structuredClone(each.routes)),
        endpoints: joinEndpoints(each.endpoints),
      }),
    onJoined: () => (joined += 1),
  });
  return { box, posted, joined: () => joined };
}

test("ConfigOutbox gives a worker that does not answer two deltas, and joins all others to one", () => {
  const { box, posted, joined } = outbox();
  for (let i = 1; i <= 10_000; i++) {
    box.send(delta(i, { set: [["r", value(i)]], removed: [] }));
  }
  assert.deepEqual(
    posted.map(({ version }) => version),
    [1, 2],
  );
  assert.equal(joined(), 9_997);
  box.onAnswered();
  assert.deepEqual(posted[2], delta(10_000, { set: [["r", value(10_000)]], removed: [] }));
  box.onAnswered();
  box.onAnswered();
  assert.equal(posted.length, 3);
});

test("ConfigOutbox forgets what a dead worker was given and what waited for it", () => {
  const { box, posted } = outbox();
  for (let i = 1; i <= 5; i++) {
    box.send(delta(i));
  }
  box.reset();
  box.send(delta(6));
  box.onAnswered();
  assert.deepEqual(
    posted.map(({ version }) => version),
    [1, 2, 6],
  );
});

function applied(state: ReadonlyMap<string, unknown>, { set, removed }: Changes<unknown>): Map<string, unknown> {
  const next = new Map(state);
  set.forEach(([name, each]) => next.set(name, each));
  removed.forEach((name) => next.delete(name));
  return next;
}

test("joinDeltas() leaves a worker with what both would have left it with", () => {
  const names = fc.constantFrom("a", "b", "c");
  const changes = fc.record({ set: fc.uniqueArray(names), removed: fc.uniqueArray(names) }).map(({ set, removed }) => ({
    set,
    removed: removed.filter((name) => !set.includes(name)),
  }));
  fc.assert(
    fc.property(fc.uniqueArray(names), fc.array(changes, { minLength: 2, maxLength: 5 }), (before, all) => {
      let id = 0;
      const deltas = all.map(({ set, removed }, version) =>
        delta(version, { set: set.map((name) => [name, value(++id)]), removed }),
      );
      const start = new Map(before.map((name) => [name, 0]));
      const oneByOne = deltas.reduce((state, { routes }) => applied(state, routes), new Map<string, unknown>(start));
      const joined = deltas.reduce(joinDeltas);
      assert.deepEqual(Object.fromEntries(applied(start, joined.routes)), Object.fromEntries(oneByOne));
      assert.equal(joined.version, deltas.length - 1);
    }),
  );
});

test("joinDeltas() brings no module that is retired again, and retires none that came back", () => {
  const came = delta(1, NO_CHANGES, { modules: [module("m")], retiredModules: ["old"] });
  const went = delta(2, NO_CHANGES, { modules: [module("old")], retiredModules: ["m"] });
  const { modules, retiredModules } = joinDeltas(came, went);
  assert.deepEqual(modules, [module("old")]);
  assert.deepEqual(retiredModules, []);
  const runtime = { "outrigger.x": 1 };
  assert.equal(joinDeltas(delta(1, NO_CHANGES, { runtime }), delta(2)).runtime, runtime);
});
