import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { compileMutations, levelsOf } from "../../../sidecar/route/header-mutations.ts";
import { compileRoutes, pickCluster } from "../../../sidecar/route/route-table.ts";
import type { HeaderMutations, HeaderToAdd } from "../../../xds/model/route.ts";
import { buildFacts, buildRequest } from "../telemetry/facts.ts";
import {
  buildConfig,
  buildForward,
  buildHead,
  buildHeader,
  buildHost,
  buildRoute,
  NO_HEADERS,
  OPTIONS,
} from "./builders.ts";

const CONTEXT = { hostname: "sidecar", environment: {} };

function add(...headers: readonly HeaderToAdd[]): HeaderMutations {
  return { ...NO_HEADERS, requestToAdd: headers, responseToAdd: headers };
}

function run(levels: readonly HeaderMutations[], before: readonly (readonly [string, string])[]): string[] {
  const problems: string[] = [];
  const headers = HeaderMap.from(before);
  compileMutations(levels, "request", CONTEXT, problems)?.apply(headers, buildFacts());
  assert.deepEqual(problems, []);
  return Array.from(headers, ([name, value]) => `${name}: ${value}`);
}

describe("compileMutations()", () => {
  it("has no list when nothing changes", () => {
    assert.equal(compileMutations([NO_HEADERS, NO_HEADERS], "request", CONTEXT, []), undefined);
  });

  const actions = [
    { action: "APPEND_IF_EXISTS_OR_ADD", present: ["x: old", "x: new"], absent: ["x: new"] },
    { action: "ADD_IF_ABSENT", present: ["x: old"], absent: ["x: new"] },
    { action: "OVERWRITE_IF_EXISTS_OR_ADD", present: ["x: new"], absent: ["x: new"] },
    { action: "OVERWRITE_IF_EXISTS", present: ["x: new"], absent: [] },
  ] as const;
  for (const { action, present, absent } of actions) {
    it(`applies ${action}`, () => {
      const level = add(buildHeader("x", "new", { action }));
      assert.deepEqual(run([level], [["x", "old"]]), present);
      assert.deepEqual(run([level], []), absent);
    });
  }

  it("removes first, then overwrites, then adds", () => {
    const level: HeaderMutations = {
      ...add(
        buildHeader("a", "added"),
        buildHeader("b", "over", { action: "OVERWRITE_IF_EXISTS_OR_ADD" }),
        buildHeader("gone", "back", { action: "ADD_IF_ABSENT" }),
      ),
      requestToRemove: ["GONE"],
    };
    assert.deepEqual(
      run(
        [level],
        [
          ["Gone", "1"],
          ["gone", "2"],
        ],
      ),
      ["b: over", "a: added", "gone: back"],
    );
  });

  it("works values out from the headers as they were", () => {
    const facts = buildFacts({ requestHead: buildRequest({ x: "before" }) });
    const level = add(
      buildHeader("x", "after", { action: "OVERWRITE_IF_EXISTS" }),
      buildHeader("y", "%REQ(x)%-%UPSTREAM_CLUSTER%"),
    );
    compileMutations([level], "request", CONTEXT, [])?.apply(facts.requestHead.headers, facts);
    assert.equal(facts.requestHead.headers.get("y"), "before-cluster");
  });

  it("leaves a header out when its value is empty, unless told to keep it", () => {
    assert.deepEqual(run([add(buildHeader("x", "%REQ(none)%"))], []), []);
    assert.deepEqual(run([add(buildHeader("x", "%REQ(none)%", { keepEmptyValue: true }))], []), ["x: "]);
    assert.deepEqual(run([add(buildHeader("x", "a%REQ(none)%b"), buildHeader("y", "100%%"))], []), [
      "x: ab",
      "y: 100%",
    ]);
  });

  it("never lets a value begin a line", () => {
    const headers = new HeaderMap();
    const list = compileMutations(
      [add(buildHeader("x", "%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%"))],
      "request",
      CONTEXT,
      [],
    );
    list?.apply(headers, buildFacts({ responseCodeDetails: "a\r\nEvil: 1" }));
    assert.equal(headers.write(), "x: a\\r\\nEvil: 1\r\n");
  });

  it("refuses what must not change, broken formats and line breaks", () => {
    const refused: readonly HeaderMutations[] = [
      add(buildHeader(":path", "/x")),
      add(buildHeader("Host", "x")),
      add(buildHeader("x y", "v")),
      { ...NO_HEADERS, requestToRemove: ["host"] },
      add(buildHeader("x", "%NO_SUCH%")),
      add(buildHeader("x", "a\nb")),
    ];
    for (const level of refused) {
      const problems: string[] = [];
      assert.equal(compileMutations([level], "request", CONTEXT, problems), undefined);
      assert.equal(problems.length, 1, JSON.stringify(level));
    }
  });
});

describe("levelsOf()", () => {
  const named = (value: string) => add(buildHeader("x", value, { action: "OVERWRITE_IF_EXISTS_OR_ADD" }));
  const levels = [named("route"), named("host"), named("config")];

  it("lets the route configuration win, or the most specific level when told to", () => {
    assert.deepEqual(run(levelsOf(false, levels), []), ["x: config"]);
    assert.deepEqual(run(levelsOf(true, levels), []), ["x: route"]);
  });
});

describe("compileRoutes()", () => {
  for (const mostSpecificHeaderMutationsWins of [false, true]) {
    it(`orders all levels with most_specific_header_mutations_wins ${mostSpecificHeaderMutationsWins}`, () => {
      const level = (value: string) => add(buildHeader("x-level", value));
      const cluster = {
        kind: "weighted",
        clusters: [
          { name: "w", clusterHeader: "", weight: 1, hostRewrite: "", headers: level("weighted"), perFilterConfig: {} },
        ],
        totalWeight: 1,
        randomHeader: "",
      } as const;
      const route = buildRoute("r", {}, { action: buildForward({ cluster }), headers: level("route") });
      const host = buildHost("h", ["*"], { routes: [route], headers: level("host") });
      const table = compileRoutes(
        buildConfig([host], { headers: level("config"), mostSpecificHeaderMutationsWins }),
        OPTIONS,
      );
      const head = buildHead("/");
      const match = table.select(head, { random: 0 });
      assert.ok(match);
      const order = ["route", "host", "config"];
      const others = mostSpecificHeaderMutationsWins ? order.toReversed() : order;
      // As Envoy 1.40 does it: the weighted cluster comes first in either order.
      const expected = ["weighted", ...others];
      pickCluster(match, head, 0)?.requestMutations?.apply(head.headers, buildFacts());
      assert.equal(head.headers.getJoined("x-level"), expected.join(","));
      const response = new HeaderMap();
      pickCluster(match, head, 0)?.responseMutations?.apply(response, buildFacts());
      assert.equal(response.getJoined("x-level"), expected.join(","));
      // Before a cluster is picked, the other levels count.
      const direct = new HeaderMap();
      match.responseMutations?.apply(direct, buildFacts());
      assert.equal(direct.getJoined("x-level"), others.join(","));
    });
  }
});
