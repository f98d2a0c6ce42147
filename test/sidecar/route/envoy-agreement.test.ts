// Compares routing with the real Envoy on random configurations: which route a request takes, and what happens to its
// head, its response's head and a redirect's location. Seeded, so that every run asks the same.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead } from "../../../sidecar/http/message.ts";
import { rewriteRequest } from "../../../sidecar/route/rewrite.ts";
import { compileRoutes, pickCluster, type RouteTable } from "../../../sidecar/route/route-table.ts";
import { requestTimeouts } from "../../../sidecar/route/timeouts.ts";
import type {
  HeaderMatcher,
  HeaderMutations,
  HeaderToAdd,
  PathMatcher,
  QueryParameterMatcher,
  Route,
} from "../../../xds/model/route.ts";
import { ENVOY_MISSING, findEnvoy } from "../../support/envoy-binary.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { buildFacts } from "../telemetry/facts.ts";
import { buildConfig, buildDirect, buildForward, buildHost, buildRedirect, buildRoute, OPTIONS } from "./builders.ts";
import { type Answer, startEnvoy } from "./envoy-routes.ts";

const ROUTER = { suppressEnvoyHeaders: false, respectsExpectedTimeout: false };

const envoy = findEnvoy();
const options = { skip: envoy === undefined ? ENVOY_MISSING : false, timeout: 60_000 };

/** Draws from lists; the same each run. */
class Dice {
  readonly #random: () => number;
  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }
  chance(probability: number): boolean {
    return this.#random() < probability;
  }
  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#random() * items.length)] as Item;
  }
  some<Item>(most: number, make: () => Item): Item[] {
    return Array.from({ length: Math.floor(this.#random() * (most + 1)) }, make);
  }
}

const LABELS = ["a", "b", "A", "foo", "-x", "com"];
const PATHS = ["/", "/a", "/a/", "/a/b", "/A", "/ab", "/a/b/c", "/x.y", "/1", "/a-b"];
const PATTERNS = [
  "/a.*",
  "(?i)/a/?b?",
  "/\\w+",
  "/a|/b",
  "/(a|ab)(/b)?",
  "/x\\.y",
  "/[^a]*",
  "^/a$",
  "/a{1,2}b?",
  ".+/b",
  "/[[:alpha:]]+",
  "/\\pL",
  "(?U)/a+b*",
  "/(?P<n>a)/.*",
  "/\\Qx.y\\E",
  "(?i:/A)(?-i:/b)",
  ".*c$",
  "\\A/a\\z",
  "/\\x61",
  "/a\\b.*",
  "/a\\B.*",
];

function anyDomains(dice: Dice, taken: Set<string>): string[] {
  return Array.from({ length: 2 }, () => {
    for (;;) {
      const name = [dice.pick(LABELS), ...dice.some(2, () => dice.pick(LABELS))].join(".");
      const domain = dice.pick([name, `*.${name}`, `*${name}`, `${name}.*`, `${name}*`, `${name}:80`]);
      if (!taken.has(domain.toLowerCase())) {
        taken.add(domain.toLowerCase());
        return domain;
      }
    }
  });
}

function anyPath(dice: Dice): PathMatcher {
  if (dice.chance(0.3)) {
    return { kind: "regex", value: dice.pick(PATTERNS) };
  }
  const kind = dice.pick(["prefix", "path", "path_separated_prefix"] as const);
  return kind === "path_separated_prefix"
    ? { kind, value: dice.pick(["/a", "/a/b", "/A"]), caseSensitive: true }
    : { kind, value: dice.pick(PATHS), caseSensitive: dice.chance(0.7) };
}

function anyHeaderMatcher(dice: Dice): HeaderMatcher {
  const base = {
    name: dice.pick(["x-a", "x-b", ":method", ":path", "host", ":authority", "user-agent"]),
    invert: dice.chance(0.3),
    treatMissingAsEmpty: dice.chance(0.3),
  };
  const value = dice.pick(["1", "a", "A", "GET", "/a", "12", "foo"]);
  const kind = dice.pick(["exact", "prefix", "suffix", "contains"] as const);
  return dice.pick<HeaderMatcher>([
    { ...base, kind: "present", present: dice.chance(0.6) },
    { ...base, kind: "range", start: dice.pick([-5, 0, 1]), end: dice.pick([2, 8, 13]) },
    { ...base, kind: "string", matcher: { kind, value, ignoreCase: dice.chance(0.3) } },
  ]);
}

function anyQueryMatcher(dice: Dice): QueryParameterMatcher {
  const name = dice.pick(["q", "r"]);
  return dice.chance(0.4)
    ? { name, kind: "present", present: dice.chance(0.7) }
    : { name, kind: "string", matcher: { kind: "exact", value: dice.pick(["1", "a", "x"]), ignoreCase: false } };
}

describe("RouteTable.select()", options, () => {
  it("takes the routes that Envoy takes", async () => {
    const dice = new Dice(7);
    const domains = new Set<string>();
    const hosts = Array.from({ length: 12 }, (_, host) =>
      buildHost(`h${host}`, host === 0 ? ["*"] : anyDomains(dice, domains), {
        routes: Array.from({ length: 14 }, (_unused, at) => {
          const match = {
            path: anyPath(dice),
            headers: dice.chance(0.4) ? [anyHeaderMatcher(dice)] : [],
            queryParameters: dice.chance(0.25) ? [anyQueryMatcher(dice)] : [],
          };
          return buildRoute(`h${host}r${at}`, match, { action: buildDirect(`h${host}r${at}`) });
        }),
      }),
    );
    const table = compileRoutes(buildConfig(hosts), OPTIONS);
    assert.deepEqual(table.problems, []);
    await using running = await startEnvoy(envoy ?? "", table.config);
    const differences: object[] = [];
    for (let at = 0; at < 800; at++) {
      const { target, authority, headers } = anyRequest(dice, [...domains]);
      const head = buildRequestHead(target, authority, headers);
      const ours = table.select(head, { random: 0 })?.route?.name ?? "404";
      const { status, body } = await running.ask(target, authority, headers);
      const theirs = status === 200 ? body : String(status);
      if (ours !== theirs) {
        differences.push({ target, authority, headers, ours, theirs });
      }
    }
    assert.deepEqual(differences, []);
  });
});

function anyRequest(dice: Dice, domains: readonly string[]) {
  const host = dice.pick(domains).replace("*", dice.pick(["z", "q.z", "", ".z"]));
  const lower = /^[A-Za-z0-9]/.test(host) ? host : `z${host}`;
  const authority = dice.chance(0.2) ? lower.toUpperCase() : lower;
  const query = dice.pick(["", "", "?q=1", "?r=a&q=1", "?q", "?q=x&q=1", "?"]);
  const target = dice.pick(PATHS) + dice.pick(["", "/b", "b", "B", "c"]) + query;
  const headers: Record<string, string> = {};
  for (const name of ["x-a", "x-b", "user-agent"]) {
    if (dice.chance(0.5)) {
      headers[name] = dice.pick(["1", "a", "A", "12", "-3", "foo", "0", "+5", ""]);
    }
  }
  return { target, authority, headers };
}

function buildRequestHead(target: string, authority: string, headers: Readonly<Record<string, string>>): RequestHead {
  const scheme = headers["x-forwarded-proto"] ?? "http";
  const fields = { Host: authority, ...headers, "x-forwarded-proto": scheme };
  return new RequestHead("GET", target, authority, scheme, HeaderMap.from(Object.entries(fields)));
}

const NAMES = ["x-a", "x-b", "x-c", "X-D"];

function anyMutations(dice: Dice): HeaderMutations {
  const header = (): HeaderToAdd => ({
    name: dice.pick(NAMES),
    value: dice.pick([
      "v1",
      "%REQ(x-a)%",
      "a%REQ(x-none)%b",
      "%REQ(x-none)%",
      "%REQ(:path)%",
      "100%%",
      "%REQ(x-a?x-b):2%",
    ]),
    action: dice.pick([
      "APPEND_IF_EXISTS_OR_ADD",
      "ADD_IF_ABSENT",
      "OVERWRITE_IF_EXISTS_OR_ADD",
      "OVERWRITE_IF_EXISTS",
    ]),
    keepEmptyValue: dice.chance(0.3),
  });
  return {
    requestToAdd: dice.some(2, header),
    requestToRemove: dice.chance(0.3) ? [dice.pick(NAMES)] : [],
    responseToAdd: dice.some(2, header),
    responseToRemove: dice.chance(0.3) ? [dice.pick(NAMES)] : [],
  };
}

/** Every rewrite here begins with a slash: without one we differ on purpose. */
function anyRewrite(dice: Dice) {
  const prefixRewrite = dice.pick(["", "", "/n", "/n/", "/"]);
  const regexRewrite = dice.pick([
    undefined,
    { regex: "a", substitution: "x" },
    { regex: "/([^/]*)", substitution: "/<\\1>" },
    { regex: "(a)|(b)", substitution: "[\\2\\1]" },
    { regex: "$", substitution: "/e" },
    { regex: "\\b", substitution: "!" },
    { regex: "/b*", substitution: "/-" },
  ]);
  return { prefixRewrite, regexRewrite: prefixRewrite === "" ? regexRewrite : undefined };
}

function anyRedirect(dice: Dice) {
  const fixed = dice.chance(0.3) ? { pathRedirect: dice.pick(["/p", "/p?z"]) } : anyRewrite(dice);
  return buildRedirect({
    ...fixed,
    status: dice.pick([301, 302, 303, 307, 308]),
    stripQuery: dice.chance(0.3),
    httpsRedirect: dice.chance(0.4),
    hostRedirect: dice.pick(["", "re.test"]),
    portRedirect: dice.pick([0, 0, 8_443]),
  });
}

function anyForward(dice: Dice) {
  const entry = {
    name: "c",
    clusterHeader: "",
    weight: 1,
    hostRewrite: dice.pick(["", "w.test"]),
    headers: anyMutations(dice),
    perFilterConfig: {},
  };
  return buildForward({
    ...anyRewrite(dice),
    cluster: dice.chance(0.4)
      ? { kind: "weighted", totalWeight: 1, randomHeader: "", clusters: [entry] }
      : { kind: "cluster", name: "c" },
    hostRewrite: dice.pick([
      undefined,
      { kind: "literal", value: "lit.test" },
      { kind: "header", header: "x-host" },
      { kind: "path_regex", rewrite: { regex: "^/([a-z]+).*$", substitution: "\\1.svc" } },
    ]),
    appendXForwardedHost: dice.chance(0.5),
    timeoutMs: dice.pick([15_000, 0, 3_000]),
  });
}

describe("rewrites, redirects and header mutations", options, () => {
  for (const mostSpecificHeaderMutationsWins of [false, true]) {
    it(`come out as Envoy's, most specific wins: ${mostSpecificHeaderMutationsWins}`, async () => {
      const dice = new Dice(mostSpecificHeaderMutationsWins ? 2 : 1);
      const routes = Array.from({ length: 30 }, (_, at): Route => {
        const path = dice.chance(0.3) ? ({ kind: "regex", value: "/a.*" } as const) : anyPrefix(dice);
        const string = { kind: "exact", value: String(at), ignoreCase: false } as const;
        const chosen: HeaderMatcher = {
          name: "x-route",
          invert: false,
          treatMissingAsEmpty: false,
          kind: "string",
          matcher: string,
        };
        const action = dice.chance(0.3) ? anyRedirect(dice) : anyForward(dice);
        return buildRoute(`r${at}`, { path, headers: [chosen] }, { headers: anyMutations(dice), action });
      });
      const host = buildHost("h", ["*"], { routes, headers: anyMutations(dice) });
      const config = buildConfig([host], { headers: anyMutations(dice), mostSpecificHeaderMutationsWins });
      const table = compileRoutes(config, OPTIONS);
      assert.deepEqual(table.problems, []);
      await using running = await startEnvoy(envoy ?? "", config);
      const differences: object[] = [];
      for (let at = 0; at < 500; at++) {
        const target = dice.pick(["/a", "/a/b", "/b", "/a/b/c", "/aab"]) + dice.pick(["", "?q=1", "?a/b"]);
        const authority = dice.pick(["o.test", "o.test:80", "o.test:443", "[::1]:80", "[::1]"]);
        const headers = anyHeaders(dice, routes.length);
        const ours = ourOutcome(table, buildRequestHead(target, authority, headers));
        const theirs = theirOutcome(await running.ask(target, authority, headers));
        if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
          differences.push({ target, authority, headers, ours, theirs });
        }
      }
      assert.deepEqual(differences, []);
    });
  }
});

function anyPrefix(dice: Dice): PathMatcher {
  const kind = dice.pick(["prefix", "path", "path_separated_prefix"] as const);
  return { kind, value: dice.pick(["/a", "/a/b"]), caseSensitive: true };
}

function anyHeaders(dice: Dice, routes: number): Record<string, string> {
  const headers: Record<string, string> = {
    "x-route": String(dice.pick(Array.from({ length: routes }, (_, at) => at))),
  };
  for (const name of ["x-a", "x-b", "x-d"]) {
    if (dice.chance(0.5)) {
      headers[name] = dice.pick(["h1", "h2"]);
    }
  }
  const extra = {
    "x-host": "from.header",
    "x-forwarded-host": dice.pick(["f.test", "o.test"]),
    "x-forwarded-proto": "https",
  };
  return { ...headers, ...Object.fromEntries(Object.entries(extra).filter(() => dice.chance(0.4))) };
}

interface Outcome {
  readonly status: number;
  readonly location?: string | undefined;
  readonly target?: string;
  readonly authority?: string | undefined;
  readonly request?: readonly string[];
  readonly response?: readonly string[];
}

function ourOutcome(table: RouteTable, head: RequestHead): Outcome {
  const match = table.select(head, { random: 0 });
  if (match === undefined) {
    return { status: 404 };
  }
  const facts = buildFacts({ requestHead: head });
  if (match.redirect !== undefined) {
    const location = match.redirect.location(head);
    const response = new HeaderMap();
    match.responseMutations?.apply(response, facts);
    return { status: match.redirect.status, location, response: visible(response) };
  }
  const pick = pickCluster(match, head, 0);
  assert.ok(pick !== undefined && match.action.kind === "forward");
  requestTimeouts(match.action, head, ROUTER);
  pick.requestMutations?.apply(head.headers, facts);
  if (pick.rewrite !== undefined) {
    rewriteRequest(head, pick.rewrite, "", false);
  }
  const response = HeaderMap.from([["x-c", "upstream"]]);
  pick.responseMutations?.apply(response, facts);
  const { path: target, authority } = head;
  return { status: 200, target, authority, request: visible(head.headers), response: visible(response) };
}

function theirOutcome({ status, headers, body }: Answer): Outcome {
  if (status === 404) {
    return { status };
  }
  if (status !== 200) {
    return { status, location: headers.find(([name]) => name === "location")?.[1], response: visible(headers) };
  }
  const seen = JSON.parse(body) as { target: string; headers: [string, string][] };
  const authority = seen.headers.find(([name]) => name === "host")?.[1];
  return { status, target: seen.target, authority, request: visible(seen.headers), response: visible(headers) };
}

const VISIBLE = /^(x-[abcd]|x-envoy-original-path|x-forwarded-host|x-envoy-expected-rq-timeout-ms)$/;

/** The fields that routes touch: names in any order, values of one name in theirs. */
function visible(fields: Iterable<readonly [string, string]>): readonly string[] {
  return Array.from(fields, ([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => VISIBLE.test(name))
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}: ${value}`);
}
