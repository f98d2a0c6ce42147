// What the control plane sends to one client and when, without sockets: both variants, order, refusals, nothing twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeltaRequest, DiscoveryResponse, SotwRequest, Variant } from "../../../xds/discovery-messages.ts";
import { ResourceSet } from "../../../xds/server/resource-set.ts";
import { Session } from "../../../xds/server/session.ts";
import type { SessionEvent } from "../../../xds/server/session.ts";
import {
  CLUSTER_TYPE as CDS,
  ENDPOINTS_TYPE as EDS,
  LISTENER_TYPE as LDS,
  ROUTE_TYPE as RDS,
  VIRTUAL_HOST_TYPE as VHDS,
  typeLabel,
} from "../../../xds/type-urls.ts";
import { ManualXdsClock } from "../../support/xds-clock.ts";

/** Resources as "CDS a=1": type, name, content. With "?" at its end it is on demand. */
function setOf(...all: readonly string[]): ResourceSet {
  const types = new Map([CDS, EDS, LDS, RDS].map((typeUrl) => [typeLabel(typeUrl), typeUrl]));
  return ResourceSet.of(
    all.map((text) => {
      const [label = "", name = "", content = ""] = text.split(/[ =]/);
      const onDemand = content.endsWith("?");
      return { typeUrl: types.get(label) ?? label, name, value: Buffer.from(`${name}=${content}`), onDemand };
    }),
  );
}

class Scene {
  readonly clock = new ManualXdsClock();
  readonly sent: DiscoveryResponse[] = [];
  readonly events: SessionEvent[] = [];
  readonly session: Session;
  readonly #nonces = new Map<string, string>();
  readonly #variant: Variant;

  constructor(variant: Variant, resources: ResourceSet) {
    this.#variant = variant;
    this.session = new Session({
      variant,
      resources,
      controlPlane: "test",
      clock: this.clock,
      send: (response) => {
        this.sent.push(response);
        this.#nonces.set(response.typeUrl, response.nonce);
      },
      onEvent: (event) => this.events.push(event),
    });
  }

  sotw(typeUrl: string, names: readonly string[], rest: Partial<SotwRequest> = {}): string | undefined {
    const request = {
      kind: "sotw",
      typeUrl,
      names,
      version: "",
      nonce: "",
      error: undefined,
      withNode: false,
    } as const;
    return this.session.onRequest({ ...request, ...rest });
  }

  delta(typeUrl: string, rest: Partial<DeltaRequest> = {}): string | undefined {
    const empty = {
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      nonce: "",
      error: undefined,
      withNode: false,
    };
    return this.session.onRequest({ kind: "delta", typeUrl, ...empty, ...rest });
  }

  nonce(typeUrl: string): string {
    return this.#nonces.get(typeUrl) ?? "";
  }

  /** Acknowledges the latest response of a type. */
  ack(typeUrl: string, names: readonly string[] = [], error = ""): void {
    const answer = { nonce: this.nonce(typeUrl), error: error === "" ? undefined : { code: 13, message: error } };
    if (this.#variant === "delta") this.delta(typeUrl, answer);
    else this.sotw(typeUrl, names, answer);
  }

  /** What was sent since the last call: "CDS a=1 b=1 -c". */
  take(): string[] {
    return this.sent.splice(0).map((response) => {
      const contents = response.resources.map(({ bytes }) => Buffer.from(bytes ?? []).toString());
      const removed = response.kind === "delta" ? response.removed.map((name) => `-${name}`) : [];
      return [typeLabel(response.typeUrl), ...contents, ...removed].join(" ");
    });
  }
}

test("Session(sotw) answers wildcard and names, and nothing twice", () => {
  const scene = new Scene("sotw", setOf("CDS a=1", "CDS b=1", "EDS a=1", "EDS b=1"));
  scene.sotw(CDS, []);
  assert.deepEqual(scene.take(), ["CDS a=1 b=1"]);
  scene.ack(CDS);
  scene.sotw(EDS, ["a"]);
  assert.deepEqual(scene.take(), ["EDS a=1"]);
  scene.ack(EDS, ["a"]);
  assert.deepEqual(scene.take(), []);
  scene.sotw(EDS, ["a", "b"], { nonce: scene.nonce(EDS) });
  assert.deepEqual(scene.take(), ["EDS a=1 b=1"]);
  scene.ack(EDS, ["a", "b"]);
  scene.session.setResources(setOf("CDS a=1", "CDS b=1", "EDS a=1", "EDS b=1"));
  scene.clock.advance(10_000);
  assert.deepEqual(scene.take(), []);
});

test("Session(sotw) tells of an empty collection, and not of names that do not exist", () => {
  const scene = new Scene("sotw", setOf());
  scene.sotw(CDS, []);
  assert.deepEqual(scene.take(), ["CDS"]);
  scene.ack(CDS);
  scene.sotw(RDS, ["missing"]);
  scene.sotw(EDS, []);
  assert.deepEqual(scene.take(), []);
  scene.session.setResources(setOf("RDS missing=1", "EDS a=1"));
  assert.deepEqual(scene.take(), ["RDS missing=1"]);
});

test("Session(sotw) does not send a client that comes back what it has", () => {
  const resources = setOf("CDS a=1");
  const scene = new Scene("sotw", resources);
  scene.sotw(CDS, [], { version: resources.versionOf(CDS) });
  assert.deepEqual(scene.take(), []);
  scene.session.setResources(setOf("CDS a=2"));
  assert.deepEqual(scene.take(), ["CDS a=2"]);
});

test("Session(sotw) ignores answers to responses that were overtaken", () => {
  const scene = new Scene("sotw", setOf("EDS a=1", "EDS b=1"));
  scene.sotw(EDS, ["a"]);
  const old = scene.nonce(EDS);
  scene.ack(EDS, ["a"]);
  scene.session.setResources(setOf("EDS a=2", "EDS b=1"));
  assert.deepEqual(scene.take(), ["EDS a=1", "EDS a=2"]);
  scene.sotw(EDS, ["a", "b"], { nonce: old });
  assert.deepEqual(scene.take(), []);
  scene.ack(EDS, ["a", "b"]);
  assert.deepEqual(scene.take(), ["EDS a=2 b=1"]);
});

for (const variant of ["sotw", "delta"] as const) {
  test(`Session(${variant}) does not send refused content again until it changes`, () => {
    const scene = new Scene(variant, setOf("CDS a=bad"));
    if (variant === "sotw") scene.sotw(CDS, []);
    else scene.delta(CDS);
    assert.deepEqual(scene.take().length, 1);
    scene.ack(CDS, [], "no good");
    assert.deepEqual(scene.take(), []);
    const refused = scene.events.find(({ kind }) => kind === "refused");
    assert.ok(refused?.kind === "refused" && refused.message === "no good");
    assert.equal(scene.session.view()[0]?.refused?.message, "no good");
    scene.session.setResources(setOf("CDS a=bad"));
    assert.deepEqual(scene.take(), []);
    scene.session.setResources(setOf("CDS a=good"));
    assert.deepEqual(scene.take(), ["CDS a=good"]);
  });
}

test("Session(delta) sends what changed, and that something is gone", () => {
  const scene = new Scene("delta", setOf("CDS a=1", "CDS b=1"));
  scene.delta(CDS);
  assert.deepEqual(scene.take(), ["CDS a=1 b=1"]);
  scene.delta(CDS, { nonce: scene.nonce(CDS) });
  scene.session.setResources(setOf("CDS a=1", "CDS c=1"));
  assert.deepEqual(scene.take(), ["CDS c=1"]);
  scene.delta(CDS, { nonce: scene.nonce(CDS) });
  scene.clock.advance(1_000);
  assert.deepEqual(scene.take(), ["CDS -b"]);
});

test("Session(delta) answers every subscription, also of what does not exist or is known", () => {
  const scene = new Scene("delta", setOf("EDS a=1"));
  scene.delta(EDS, { subscribe: ["a", "x"] });
  assert.deepEqual(scene.take(), ["EDS a=1 -x"]);
  scene.delta(EDS, { nonce: scene.nonce(EDS) });
  scene.delta(EDS, { subscribe: ["a"] });
  assert.deepEqual(scene.take(), ["EDS a=1"]);
  scene.delta(EDS, { nonce: scene.nonce(EDS) });
  scene.delta(EDS, { unsubscribe: ["a"] });
  scene.session.setResources(setOf("EDS a=2", "EDS x=1"));
  assert.deepEqual(scene.take(), ["EDS x=1"]);
});

test("Session(delta) sends what is on demand to who names it, beside all others", () => {
  const scene = new Scene("delta", setOf("CDS a=1", "CDS b=1?", "CDS c=1?"));
  scene.delta(CDS);
  assert.deepEqual(scene.take(), ["CDS a=1"]);
  scene.ack(CDS);
  scene.delta(CDS, { subscribe: ["b"] });
  assert.deepEqual(scene.take(), ["CDS b=1?"]);
  scene.ack(CDS);
  scene.session.setResources(setOf("CDS a=1", "CDS b=2?", "CDS c=2?", "CDS d=1"));
  assert.deepEqual(scene.take(), ["CDS b=2? d=1"]);
  scene.ack(CDS);
  // What was everybody's becomes what is asked for, and back.
  scene.session.setResources(setOf("CDS a=1?", "CDS b=2?", "CDS c=2", "CDS d=1"));
  assert.deepEqual(scene.take(), ["CDS c=2 -a"]);
  scene.ack(CDS);
  scene.delta(CDS, { unsubscribe: ["b"] });
  assert.deepEqual(scene.take(), ["CDS -b"]);
  scene.ack(CDS);
  const again = new Scene("delta", setOf("CDS a=1", "CDS b=1?"));
  again.delta(CDS, { subscribe: ["*", "b"], initialVersions: new Map([["gone", "1"]]) });
  assert.deepEqual(again.take(), ["CDS a=1 b=1? -gone"]);
});

test("Session(sotw) sends who asks for all also what is on demand", () => {
  const scene = new Scene("sotw", setOf("CDS a=1", "CDS b=1?"));
  scene.sotw(CDS, []);
  assert.deepEqual(scene.take(), ["CDS a=1 b=1?"]);
  const named = new Scene("sotw", setOf("CDS a=1", "CDS b=1?"));
  named.sotw(CDS, ["b"]);
  assert.deepEqual(named.take(), ["CDS b=1?"]);
});

test("Session(delta) lets a client resume with the versions it has", () => {
  const resources = setOf("CDS a=1", "CDS b=1", "EDS a=1");
  const version = (typeUrl: string, name: string) => resources.type(typeUrl).get(name)?.version ?? "";
  const scene = new Scene("delta", resources);
  const held = new Map([
    ["a", version(CDS, "a")],
    ["gone", "1"],
  ]);
  scene.delta(CDS, { initialVersions: held });
  assert.deepEqual(scene.take(), ["CDS b=1 -gone"]);
  scene.delta(CDS, { nonce: scene.nonce(CDS) });
  scene.delta(EDS, { subscribe: ["a"], initialVersions: new Map([["a", version(EDS, "a")]]) });
  assert.deepEqual(scene.take(), []);
});

test("Session sends clusters and endpoints first, then listeners and routes, and takes away last", () => {
  const scene = new Scene("sotw", setOf("CDS a=1", "EDS a=1", "LDS in=1", "RDS r=a"));
  scene.sotw(CDS, []);
  scene.sotw(LDS, []);
  assert.deepEqual(scene.take(), ["CDS a=1"]);
  scene.ack(CDS);
  assert.deepEqual(scene.take(), ["LDS in=1"]);
  scene.ack(LDS);
  scene.sotw(EDS, ["a"]);
  scene.sotw(RDS, ["r"]);
  scene.ack(EDS, ["a"]);
  scene.ack(RDS, ["r"]);
  assert.deepEqual(scene.take(), ["EDS a=1", "RDS r=a"]);

  scene.session.setResources(setOf("CDS b=1", "EDS b=1", "LDS in=1", "RDS r=b"));
  assert.deepEqual(scene.take(), ["CDS b=1 a=1"]);
  scene.sotw(EDS, ["a", "b"], { nonce: scene.nonce(EDS) });
  scene.ack(CDS);
  assert.deepEqual(scene.take(), ["EDS b=1 a=1"]);
  scene.ack(EDS, ["a", "b"]);
  assert.deepEqual(scene.take(), ["RDS r=b"]);
  scene.clock.advance(1_000);
  assert.deepEqual(scene.take(), []);
  scene.ack(RDS, ["r"]);
  scene.clock.advance(1_000);
  assert.deepEqual(scene.take(), ["CDS b=1"]);
});

for (const isAnswering of [true, false]) {
  test(`Session takes away also when pushes never rest${isAnswering ? "" : ", and a type is not answered"}`, () => {
    const scene = new Scene("sotw", setOf("CDS c0=1", "LDS in=0"));
    scene.sotw(CDS, []);
    scene.sotw(LDS, []);
    scene.ack(CDS);
    scene.ack(LDS);
    scene.take();
    const held: number[] = [];
    const gapMs = isAnswering ? 100 : 1_000;
    for (let push = 1; push <= 40; push++) {
      scene.session.setResources(setOf(`CDS c${push}=1`, `LDS in=${push}`));
      const clusters =
        scene
          .take()
          .findLast((sent) => sent.startsWith("CDS"))
          ?.split(" ") ?? [];
      // What the listener named a moment ago is never taken from under it.
      assert.ok(clusters.includes(`c${push}=1`) && clusters.includes(`c${push - 1}=1`), clusters.join());
      held.push(clusters.length);
      scene.ack(CDS);
      if (isAnswering) scene.ack(LDS);
      scene.clock.advance(gapMs);
    }
    assert.ok(Math.max(...held) <= 14, held.join());
  });
}

test("Session does not wait for ever for a client that does not answer", () => {
  const scene = new Scene("sotw", setOf("CDS a=1", "LDS in=1"));
  scene.sotw(CDS, []);
  scene.sotw(LDS, []);
  assert.deepEqual(scene.take(), ["CDS a=1"]);
  scene.clock.advance(5_000);
  assert.deepEqual(scene.take(), ["LDS in=1"]);
});

test("Session names a type that it does not serve once, and ends a stream that asks for too many", () => {
  const scene = new Scene("sotw", setOf());
  assert.equal(scene.sotw("type.googleapis.com/x", []), undefined);
  assert.equal(scene.sotw("type.googleapis.com/x", []), undefined);
  assert.deepEqual(scene.events, [{ kind: "unknown type", typeUrl: "type.googleapis.com/x" }]);
  let problem: string | undefined;
  for (let i = 0; i < 100 && problem === undefined; i++) problem = scene.sotw(`type.googleapis.com/x${i}`, []);
  assert.match(problem ?? "", /unknown types/);
  const names = Array.from({ length: 100_001 }, (_, i) => `n${i}`);
  assert.match(scene.sotw(EDS, names) ?? "", /more than 100000 names/);
});

for (const variant of ["sotw", "delta"] as const) {
  test(`Session(${variant}) tells again of what has a time to live before that is over`, () => {
    const resource = (name: string, ttlMs?: number) => {
      const value = Buffer.from(`${name}=1`);
      return { typeUrl: CDS, name, value, ...(ttlMs === undefined ? {} : { ttlMs }) };
    };
    const scene = new Scene(variant, ResourceSet.of([resource("a", 3_000), resource("b")]));
    if (variant === "sotw") scene.sotw(CDS, []);
    else scene.delta(CDS);
    assert.deepEqual(scene.take(), ["CDS a=1 b=1"]);
    scene.ack(CDS);
    for (let third = 1; third <= 3; third++) {
      scene.clock.advance(999);
      assert.deepEqual(scene.take(), []);
      scene.clock.advance(1);
      const [response] = scene.sent;
      const bodies = response?.resources.map(({ bytes, ttlMs }) => [bytes !== undefined, ttlMs]);
      // A complete set has everything in it; a heartbeat has no content.
      assert.deepEqual(
        bodies,
        variant === "delta"
          ? [[false, 3_000]]
          : [
              [true, 3_000],
              [true, undefined],
            ],
      );
      scene.take();
      scene.ack(CDS);
    }
    // Without the time to live it is told once more, and then no more.
    scene.session.setResources(ResourceSet.of([resource("a"), resource("b")]));
    assert.equal(scene.take().length, 1);
    scene.ack(CDS);
    scene.clock.advance(10_000);
    assert.deepEqual(scene.take(), []);
  });
}

test("Session(sotw) with an explicit wildcard that becomes no name is subscribed to nothing", () => {
  const scene = new Scene("sotw", setOf("CDS a=1"));
  scene.sotw(CDS, ["*"]);
  scene.ack(CDS, ["*"]);
  scene.sotw(CDS, [], { nonce: scene.nonce(CDS) });
  scene.take();
  scene.session.setResources(setOf("CDS a=2"));
  assert.deepEqual(
    scene.take().filter((line) => line.includes("a=2")),
    [],
  );
});

test("Session(sotw) leaves virtual hosts unanswered, which only delta has", () => {
  const scene = new Scene("sotw", setOf());
  scene.sotw(VHDS, []);
  assert.deepEqual(scene.take(), []);
  assert.deepEqual(scene.events, [{ kind: "unknown type", typeUrl: VHDS }]);
  const delta = new Scene("delta", setOf());
  delta.delta(VHDS);
  assert.deepEqual(delta.take(), ["VHDS"]);
});
