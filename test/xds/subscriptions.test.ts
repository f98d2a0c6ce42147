// The subscription state machines against golden transcripts (test/fixtures/golden/xds/*.txt). Refresh with
// `node --test --test-update-snapshots test/xds/subscriptions.test.ts` and read the diff.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import fc from "fast-check";
import { Subscriptions } from "../../xds/subscriptions.ts";
import {
  CLUSTER_TYPE as CDS,
  ENDPOINTS_TYPE as EDS,
  EXTENSION_CONFIG_TYPE as ECDS,
  LISTENER_TYPE as LDS,
  ROUTE_TYPE as RDS,
} from "../../xds/type-urls.ts";
import { Transcript, deltaResponse as delta, sotwResponse as sotw } from "./transcript.ts";

const GOLDEN = join(import.meta.dirname, "../fixtures/golden/xds");

function assertGolden(t: TestContext, name: string, transcript: Transcript): void {
  t.assert.fileSnapshot(transcript.text(), join(GOLDEN, `${name}.txt`), { serializers: [String] });
}

test("Subscriptions(sotw) asks, acknowledges and follows a change of interest", (t) => {
  const talk = new Transcript("sotw");
  talk.wantWithoutFlush(CDS, "*");
  talk.wantWithoutFlush(LDS, "*");
  talk.wantWithoutFlush(EDS);
  talk.open();
  const clusters = talk.receive(sotw(CDS, "c1", "n1", "a", "b"));
  talk.note("the new cluster names become one EDS request, after the ACK of CDS");
  talk.wantWithoutFlush(EDS, "a", "b");
  assert.ok(clusters);
  talk.settle(clusters, { accepted: new Map(), removed: [], refused: [], error: undefined, fingerprint: "" });
  talk.accept(sotw(EDS, "e1", "n2", "a", "b"));
  talk.accept(sotw(LDS, "l1", "n3", "ingress"));
  talk.want(RDS, "routes");
  talk.accept(sotw(RDS, "r1", "n4", "routes"));
  talk.want(EDS, "a", "b");
  talk.note("nothing changed, nothing sent; then b is replaced by c");
  talk.want(EDS, "a", "c");
  talk.accept(sotw(EDS, "e2", "n5", "c"));
  talk.want(EDS);
  talk.note("EDS without names does not come back on the next stream");
  talk.open();
  assertGolden(t, "sotw-subscribe", talk);
});

test("Subscriptions(sotw) refuses with the last accepted version and keeps the version across streams", (t) => {
  const talk = new Transcript("sotw");
  talk.wantWithoutFlush(CDS, "*");
  talk.open();
  talk.accept(sotw(CDS, "v1", "n1", "a"));
  talk.refuse(sotw(CDS, "v2", "n2", "a", "bad"), 'Cluster "bad": lb_policy: unknown', ["bad"]);
  talk.note("the same content again: the NACK waits, because the server answers every NACK by sending it again");
  assert.equal(talk.refuse(sotw(CDS, "v2", "n3", "a", "bad"), 'Cluster "bad": lb_policy: unknown', ["bad"]), 1);
  talk.release(CDS);
  assert.equal(talk.refuse(sotw(CDS, "v2", "n4", "a", "bad"), 'Cluster "bad": lb_policy: unknown', ["bad"]), 2);
  talk.note("a good response while the NACK is held: only the ACK is sent");
  talk.accept(sotw(CDS, "v3", "n5", "a"));
  talk.release(CDS);
  talk.open();
  assertGolden(t, "sotw-refuse", talk);
});

test("Subscriptions(sotw) ignores what it did not ask for and repeats an empty interest", (t) => {
  const talk = new Transcript("sotw");
  talk.wantWithoutFlush(RDS, "r");
  talk.open();
  talk.accept(sotw(CDS, "v1", "n1", "a"));
  talk.accept(sotw(RDS, "v1", "n2", "r"));
  talk.note("the last watch goes while a push is on its way: version v2 is not accepted");
  talk.wantWithoutFlush(RDS);
  talk.accept(sotw(RDS, "v2", "n3", "r"));
  assertGolden(t, "sotw-unasked", talk);
});

test("Subscriptions(sotw) settles a response of an earlier stream without an answer", (t) => {
  const talk = new Transcript("sotw");
  talk.wantWithoutFlush(CDS, "*");
  talk.open();
  const receipt = talk.receive(sotw(CDS, "v1", "n1", "a"));
  talk.open();
  assert.ok(receipt);
  talk.settle(receipt, { accepted: new Map(), removed: [], refused: [], error: undefined, fingerprint: "" });
  talk.accept(sotw(CDS, "v1", "m1", "a"));
  assertGolden(t, "sotw-late-settle", talk);
});

test("Subscriptions(sotw) answers only the latest of two pushes that raced", (t) => {
  const talk = new Transcript("sotw");
  talk.wantWithoutFlush(EDS, "a");
  talk.open();
  talk.accept(sotw(EDS, "v1", "n1", "a"));
  talk.note("interest changes while push n2 is on its way; the server drops the request that carries n1");
  talk.want(EDS, "a", "b");
  talk.accept(sotw(EDS, "v2", "n2", "a"));
  talk.accept(sotw(EDS, "v2", "n3", "a", "b"));
  assertGolden(t, "sotw-race", talk);
});

test("Subscriptions(sotw) puts the node on every request when told to", (t) => {
  const talk = new Transcript("sotw", true);
  talk.wantWithoutFlush(CDS, "*");
  talk.wantWithoutFlush(LDS, "*");
  talk.open();
  talk.accept(sotw(CDS, "v1", "n1"));
  assertGolden(t, "sotw-node", talk);
});

test("Subscriptions(delta) asks, acknowledges apart from changes, and resumes with what it holds", (t) => {
  const talk = new Transcript("delta");
  talk.wantWithoutFlush(CDS, "*");
  talk.wantWithoutFlush(LDS, "*");
  talk.open();
  const clusters = talk.receive(delta(CDS, "n1", "a=1", "b=1"));
  talk.wantWithoutFlush(EDS, "a", "b");
  assert.ok(clusters);
  const accepted = new Map([
    ["a", "1"],
    ["b", "1"],
  ]);
  talk.settle(clusters, { accepted, removed: [], refused: [], error: undefined, fingerprint: "" });
  talk.accept(delta(EDS, "n2", "a=e1", "b=e1"));
  talk.want(EDS, "b", "c");
  talk.accept(delta(EDS, "n3", "c=e1"));
  talk.accept(delta(CDS, "n4", "c=1", "-a"));
  talk.note("the server takes b's endpoints away: still subscribed, no longer held");
  talk.accept(delta(EDS, "n5", "-b"));
  talk.open();
  assertGolden(t, "delta-subscribe", talk);
});

test("Subscriptions(delta) refuses by nonce and holds what was good", (t) => {
  const talk = new Transcript("delta");
  talk.wantWithoutFlush(CDS, "*");
  talk.open();
  talk.accept(delta(CDS, "n1", "a=1"));
  talk.refuse(delta(CDS, "n2", "a=2", "bad=1"), 'Cluster "bad": lb_policy: unknown', ["bad"]);
  assert.equal(talk.refuse(delta(CDS, "n3", "bad=1"), 'Cluster "bad": lb_policy: unknown', ["bad"]), 1);
  talk.note("again the very same refusal: held");
  assert.equal(talk.refuse(delta(CDS, "n4", "bad=1"), 'Cluster "bad": lb_policy: unknown', ["bad"]), 2);
  talk.release(CDS);
  talk.open();
  assertGolden(t, "delta-refuse", talk);
});

test("Subscriptions(delta) subscribes anew to a name that was dropped a moment ago", (t) => {
  const talk = new Transcript("delta");
  talk.wantWithoutFlush(EDS, "a", "b");
  talk.open();
  talk.accept(delta(EDS, "n1", "a=1", "b=1"));
  talk.wantWithoutFlush(EDS, "a");
  talk.wantWithoutFlush(EDS, "a", "b");
  talk.flush();
  talk.note("wanted and dropped before anything was sent: nothing to say");
  talk.wantWithoutFlush(EDS, "a", "b", "c");
  talk.wantWithoutFlush(EDS, "a", "b");
  talk.flush();
  talk.note("istiod has no versions: they are held as empty");
  talk.accept(delta(EDS, "n2", "a="));
  talk.open();
  assertGolden(t, "delta-resubscribe", talk);
});

test("Subscriptions(delta) never opens a type without names and ignores what it did not ask for", (t) => {
  const talk = new Transcript("delta");
  talk.wantWithoutFlush(CDS, "*");
  talk.wantWithoutFlush(EDS);
  talk.wantWithoutFlush(ECDS);
  talk.open();
  talk.accept(delta(EDS, "n1", "a=1"));
  talk.want(ECDS, "plugin");
  talk.want(ECDS);
  talk.open();
  assertGolden(t, "delta-unasked", talk);
});

test("Subscriptions(delta) asks again for a resource whose TTL ran out", () => {
  const subscriptions = new Subscriptions("delta", false);
  subscriptions.setInterest(EDS, { isWildcard: false, names: new Set(["a"]) });
  subscriptions.onStreamOpen();
  subscriptions.next();
  const receipt = subscriptions.onResponse(delta(EDS, "n1", "a=1"));
  assert.ok(receipt);
  subscriptions.settle(receipt, {
    accepted: new Map([["a", "1"]]),
    removed: [],
    refused: [],
    error: undefined,
    fingerprint: "",
  });
  subscriptions.forget(EDS, "a");
  subscriptions.onStreamOpen();
  const request = subscriptions.next();
  assert.ok(request?.kind === "delta");
  assert.deepEqual([...request.initialVersions], []);
});

test("Subscriptions(delta) keeps a thousand answers of a server that does not read, the newest", () => {
  const subscriptions = new Subscriptions("delta", false);
  subscriptions.setInterest(CDS, { isWildcard: true, names: new Set() });
  subscriptions.onStreamOpen();
  subscriptions.next();
  const none = { accepted: new Map(), removed: [], refused: [], error: undefined, fingerprint: "" };
  for (let i = 1; i <= 1_500; i++) {
    const receipt = subscriptions.onResponse(delta(CDS, `n${i}`));
    assert.ok(receipt);
    subscriptions.settle(receipt, none);
  }
  const nonces: string[] = [];
  for (let request = subscriptions.next(); request !== undefined; request = subscriptions.next()) {
    nonces.push(request.nonce);
  }
  assert.deepEqual([nonces.length, nonces[0], nonces.at(-1)], [1_000, "n501", "n1500"]);
});

// A server's view of one stream: the names it believes the client wants must follow the client's interest.
test("Subscriptions tells the server exactly the names that are wanted, whatever the order of changes", () => {
  const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { maxLength: 4 });
  const step = fc.oneof(
    fc.record({ do: fc.constant("want" as const), names }),
    fc.record({ do: fc.constant("flush" as const) }),
    fc.record({ do: fc.constant("push" as const), isGood: fc.boolean() }),
    fc.record({ do: fc.constant("reopen" as const) }),
  );
  for (const variant of ["sotw", "delta"] as const) {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const subscriptions = new Subscriptions(variant, false);
        const server = { names: new Set<string>(), nonce: 0, answered: 0 };
        const flush = () => {
          for (let request = subscriptions.next(); request !== undefined; request = subscriptions.next()) {
            if (request.nonce !== "") server.answered += 1;
            if (request.kind === "sotw") server.names = new Set(request.names);
            else {
              assert.ok(request.nonce === "" || request.subscribe.length + request.unsubscribe.length === 0);
              for (const name of request.unsubscribe) server.names.delete(name);
              for (const name of request.subscribe) server.names.add(name);
            }
          }
        };
        let wanted = new Set<string>();
        subscriptions.onStreamOpen();
        for (const current of steps) {
          if (current.do === "want") {
            wanted = new Set(current.names);
            subscriptions.setInterest(EDS, { isWildcard: false, names: wanted });
          } else if (current.do === "flush") flush();
          else if (current.do === "reopen") {
            server.names = new Set();
            subscriptions.onStreamOpen();
          } else {
            server.nonce += 1;
            const response =
              variant === "sotw"
                ? sotw(EDS, `v${server.nonce}`, `n${server.nonce}`, ...server.names)
                : delta(EDS, `n${server.nonce}`, ...[...server.names].map((name) => `${name}=1`));
            const receipt = subscriptions.onResponse(response);
            if (receipt === undefined) continue;
            const error = current.isGood ? undefined : { code: 13, message: "no" };
            subscriptions.settle(receipt, {
              accepted: new Map(),
              removed: [],
              refused: [],
              error,
              fingerprint: `${server.nonce}`,
            });
          }
        }
        flush();
        assert.deepEqual([...server.names].sort(), [...wanted].sort());
      }),
    );
  }
});
