// Properties of sidecar/route: selection agrees with a walk over all routes, rewrites and redirects stay on one line.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { compileHeader, compileQuery } from "../../sidecar/route/matchers.ts";
import { compileRedirect } from "../../sidecar/route/redirect.ts";
import { compileFullMatch, literalPrefix } from "../../sidecar/route/regex.ts";
import { pathEnd } from "../../sidecar/route/request-value.ts";
import { compilePathRewrite, compileRegexRewrite, rewriteHost, rewritePath } from "../../sidecar/route/rewrite.ts";
import { compileRoutes, pickCluster } from "../../sidecar/route/route-table.ts";
import type { RequestHead } from "../../sidecar/http/message.ts";
import type { HeaderMatcher, PathMatcher, QueryParameterMatcher, Route, VirtualHost } from "../../xds/model/route.ts";
import {
  buildConfig,
  buildForward,
  buildHead,
  buildHost,
  buildRedirect,
  buildRoute,
  exact,
  NO_HEADERS,
  OPTIONS,
  prefix,
} from "../sidecar/route/builders.ts";

const RUNS = { numRuns: 400 };

const label = fc.constantFrom("a", "b", "A", "-x", "aa");
const hostName = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const domain = fc.oneof(
  hostName,
  hostName.map((name) => `*.${name}`),
  hostName.map((name) => `*${name}`),
  hostName.map((name) => `${name}.*`),
  hostName.map((name) => `${name}*`),
  fc.constant("*"),
);
const path = fc
  .array(fc.constantFrom("/a", "/b", "/", "A", "x"), { maxLength: 4 })
  .map((parts) => `/${parts.join("")}`);
const target = fc.tuple(path, fc.constantFrom("", "?q=1", "?q", "#f", "?r&q=1")).map(([start, query]) => start + query);

const pathMatcher: fc.Arbitrary<PathMatcher> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("prefix" as const, "path" as const, "path_separated_prefix" as const),
    value: path,
    caseSensitive: fc.boolean(),
  }),
  fc.tuple(path, fc.constantFrom("", ".*", "?", "+x*", "|/b", "(?i)x")).map(([start, rest]) => ({
    kind: "regex" as const,
    value: start + rest,
  })),
);

const route = fc.record({
  path: pathMatcher,
  needsHeader: fc.boolean(),
  invert: fc.boolean(),
  needsQuery: fc.boolean(),
  share: fc.constantFrom(undefined, 0, 50, 100),
});

// Fields of which there are few, so that long lists share them; some matchers look exact and are not.
const fieldValue = fc.constantFrom("", "1", "2", "a", "A", "b", "1,2", "ü");
const stringMatcher = fc.record({
  kind: fc.oneof({ weight: 12, arbitrary: fc.constant("exact" as const) }, fc.constant("prefix" as const)),
  value: fieldValue,
  ignoreCase: fc.constantFrom(false, false, true),
});
const headerMatcher: fc.Arbitrary<HeaderMatcher> = fc.record({
  name: fc.constantFrom("x-a", "x-b", ":method"),
  invert: fc.oneof({ weight: 12, arbitrary: fc.constant(false) }, fc.constant(true)),
  treatMissingAsEmpty: fc.boolean(),
  kind: fc.constant("string" as const),
  matcher: stringMatcher,
});
const queryMatcher: fc.Arbitrary<QueryParameterMatcher> = fc.record({
  name: fc.constantFrom("q", "ü"),
  kind: fc.constant("string" as const),
  matcher: stringMatcher,
});
const fieldRoute = fc.record({
  path: fc.constantFrom(prefix("/"), prefix("/a"), exact("/a"), { kind: "regex" as const, value: ".*" }),
  headers: fc.array(headerMatcher, { minLength: 2, maxLength: 3 }),
  queryParameters: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(queryMatcher, { maxLength: 2 })),
});
const fieldRequest = fc.record({
  method: fc.constantFrom("1", "a", "GET"),
  target: fc.constantFrom("/", "/a", "/ab", "/a?q=1", "/?q=2&q=1", "/?q", "/?\xc3\xbc=\xc3\xbc#q=3"),
  fields: fc.array(fc.tuple(fc.constantFrom("X-A", "x-b"), fc.constantFrom("", "1", "2", "a", "A", "\xc3\xbc")), {
    maxLength: 3,
  }),
});

type RouteSpec = typeof route extends fc.Arbitrary<infer Spec> ? Spec : never;

function routesOf(specs: readonly RouteSpec[]): Route[] {
  return specs.map(({ path: matcher, needsHeader, invert, needsQuery, share }, place) =>
    buildRoute(String(place), {
      path: matcher,
      headers: needsHeader
        ? [
            {
              name: "x-a",
              invert,
              treatMissingAsEmpty: false,
              kind: "string",
              matcher: { kind: "exact", value: "1", ignoreCase: false },
            },
          ]
        : [],
      queryParameters: needsQuery ? [{ name: "q", kind: "present", present: true }] : [],
      runtimeFraction: share === undefined ? undefined : { numerator: share, denominator: 100, runtimeKey: "" },
    }),
  );
}

/** Envoy's documented rules, written the slow way. */
function expectedHost(hosts: readonly VirtualHost[], authority: string): VirtualHost | undefined {
  const host = authority.toLowerCase();
  let best: { rank: number; host: VirtualHost } | undefined;
  for (const candidate of hosts) {
    for (const written of candidate.domains) {
      const text = written.toLowerCase();
      let rank = -1;
      if (text === "*") {
        rank = 0;
      } else if (text.startsWith("*")) {
        rank = host.endsWith(text.slice(1)) && host.length > text.length - 1 ? 2_000 + text.length : -1;
      } else if (text.endsWith("*")) {
        rank = host.startsWith(text.slice(0, -1)) && host.length > text.length - 1 ? 1_000 + text.length : -1;
      } else if (host === text) {
        rank = 3_000;
      }
      if (rank >= 0 && (best === undefined || rank > best.rank)) {
        best = { rank, host: candidate };
      }
    }
  }
  return best?.host;
}

function expectedRoute(routes: readonly Route[], head: RequestHead, random: number): string | undefined {
  const end = pathEnd(head.path);
  const only = head.path.slice(0, end);
  return routes.find(({ match }) => {
    const fraction = match.runtimeFraction;
    return (
      pathMatches(match.path, only) &&
      match.headers.every((matcher) => compileHeader(matcher, [])(head)) &&
      match.queryParameters.every((matcher) => compileQuery(matcher, [])(head.path, end)) &&
      (fraction === undefined || random * fraction.denominator < fraction.numerator)
    );
  })?.name;
}

function pathMatches(matcher: PathMatcher, only: string): boolean {
  if (matcher.kind === "regex") {
    const compiled = compileFullMatch(matcher.value);
    return compiled.ok && compiled.regex.test(only);
  }
  if (matcher.kind === "connect") {
    return false;
  }
  const fold = (text: string) => (matcher.caseSensitive ? text : text.toLowerCase());
  const value = fold(matcher.value);
  const subject = fold(only);
  switch (matcher.kind) {
    case "path":
      return subject === value;
    case "prefix":
      return subject.startsWith(value);
    case "path_separated_prefix":
      return subject === value || subject.startsWith(`${value}/`);
  }
}

describe("RouteTable.select()", () => {
  it("chooses the virtual host that Envoy's rules name", () => {
    const property = fc.property(
      fc.uniqueArray(domain, { minLength: 1, maxLength: 12, selector: (text) => text.toLowerCase() }),
      hostName,
      (domains, authority) => {
        const hosts = domains.map((name, at) => buildHost(String(at), [name]));
        const found = compileRoutes(buildConfig(hosts), OPTIONS).select(buildHead("/", { authority }), { random: 0 });
        assert.equal(found?.virtualHost.name, expectedHost(hosts, authority)?.name);
      },
    );
    fc.assert(property, RUNS);
  });

  it("chooses the first route that matches, short list or indexed", () => {
    const property = fc.property(
      fc.array(route, { maxLength: 40 }),
      fc.array(target, { minLength: 1, maxLength: 10 }),
      fc.constantFrom(undefined, "1", "2"),
      fc.constantFrom(0, 0.4, 0.9),
      (specs, targets, header, random) => {
        const routes = routesOf(specs);
        const table = compileRoutes(buildConfig([buildHost("h", ["*"], { routes })]), OPTIONS);
        for (const wanted of targets) {
          const head = buildHead(wanted, { headers: header === undefined ? {} : { "X-A": header } });
          assert.equal(table.select(head, { random })?.route?.name, expectedRoute(routes, head, random), wanted);
        }
      },
    );
    fc.assert(property, RUNS);
  });

  it("chooses the first of many routes of few paths, told apart by fields", () => {
    const property = fc.property(
      fc.array(fieldRoute, { minLength: 9, maxLength: 80, size: "max" }),
      fc.array(fieldRequest, { minLength: 1, maxLength: 20 }),
      (specs, requests) => {
        const routes = specs.map((match, place) => buildRoute(String(place), match));
        const table = compileRoutes(buildConfig([buildHost("h", ["*"], { routes })]), OPTIONS);
        for (const { method, target: wanted, fields } of requests) {
          const head = buildHead(wanted, { method });
          for (const [name, value] of fields) {
            head.headers.add(name, value);
          }
          assert.equal(
            table.select(head, { random: 0 })?.route?.name,
            expectedRoute(routes, head, 0),
            `${method} ${wanted} ${JSON.stringify(fields)}`,
          );
        }
      },
    );
    fc.assert(property, { numRuns: 150 });
  });

  it("never throws, whatever the configuration's texts and the request hold", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const property = fc.property(
      text,
      text,
      text,
      text,
      fc.double({ min: 0, max: 1, maxExcluded: true }),
      (regex, host, wanted, authority, random) => {
        const routes = [buildRoute("re", { path: { kind: "regex", value: regex } })];
        const table = compileRoutes(buildConfig([buildHost("h", [host, "*"], { routes })]), OPTIONS);
        table.select(buildHead(wanted, { authority }), { random });
      },
    );
    fc.assert(property, RUNS);
  });
});

describe("pickCluster()", () => {
  it("splits as the weights say", () => {
    const property = fc.property(
      fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 20 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (weights, random) => {
        const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
        fc.pre(totalWeight > 0);
        const clusters = weights.map((weight, at) => ({
          name: String(at),
          clusterHeader: "",
          weight,
          hostRewrite: "",
          headers: NO_HEADERS,
          perFilterConfig: {},
        }));
        const action = buildForward({ cluster: { kind: "weighted", clusters, totalWeight, randomHeader: "" } });
        const table = compileRoutes(
          buildConfig([buildHost("h", ["*"], { routes: [buildRoute("r", {}, { action })] })]),
          OPTIONS,
        );
        const head = buildHead("/");
        const match = table.select(head, { random });
        assert.ok(match);
        let left = Math.floor(random * totalWeight);
        const expected = weights.findIndex((weight) => (left -= weight) < 0);
        assert.equal(pickCluster(match, head, random)?.clusterName, String(expected));
      },
    );
    fc.assert(property, RUNS);
  });
});

describe("literalPrefix()", () => {
  it("begins everything that its pattern matches", () => {
    const piece = fc.constantFrom(
      "/",
      "a",
      "b",
      ".",
      "\\.",
      "*",
      "+",
      "?",
      "{2}",
      "|",
      "(",
      ")",
      "[ab]",
      "^",
      "\\d",
      "(?i)",
    );
    const property = fc.property(
      fc.array(piece, { maxLength: 8 }).map((parts) => parts.join("")),
      fc.array(fc.constantFrom("/", "a", "b", ".", "1", "A"), { maxLength: 6 }).map((parts) => parts.join("")),
      (pattern, subject) => {
        const compiled = compileFullMatch(pattern);
        if (compiled.ok && compiled.regex.test(subject)) {
          assert.ok(subject.startsWith(literalPrefix(pattern)), `${pattern} on ${subject}`);
        }
      },
    );
    fc.assert(property, { numRuns: 3_000 });
  });
});

describe("rewrites and redirects", () => {
  const hostile = fc.string({
    unit: fc.constantFrom("\r", "\n", "\0", " ", "/", "a", "?", "\\1", "é", "%"),
    maxLength: 12,
  });
  // oxlint-disable-next-line no-control-regex -- what must not appear
  const unsafe = /[\r\n\0]/;

  it("never let a control character into the target, the authority or the location", () => {
    const property = fc.property(hostile, hostile, hostile, (replacement, wanted, host) => {
      const clean = `/${wanted}`.replaceAll(/[\r\n\0 ]/g, "");
      const matcher: PathMatcher = { kind: "prefix", value: "/", caseSensitive: true };
      for (const config of [
        { prefixRewrite: replacement, regexRewrite: undefined },
        { prefixRewrite: "", regexRewrite: { regex: "/(a*)", substitution: replacement } },
      ]) {
        const head = buildHead(clean, { authority: "old" });
        const rewrite = compilePathRewrite(config, matcher, []);
        if (rewrite !== undefined) {
          rewritePath(head, rewrite, false);
        }
        rewriteHost(head, host, true);
        assert.doesNotMatch(head.path, unsafe);
        assert.doesNotMatch(head.authority, unsafe);
        assert.doesNotMatch(head.headers.getJoined("x-forwarded-host") ?? "", unsafe);
        const redirect = compileRedirect(buildRedirect({ ...config, hostRedirect: host }), matcher, []);
        assert.doesNotMatch(redirect.location(buildHead(`/${wanted}`, { authority: host })), unsafe);
      }
    });
    fc.assert(property, RUNS);
  });

  it("replace every match once and end", () => {
    const property = fc.property(
      fc.constantFrom("a", "a*", "b*", "", "(a)|b", "a+?", "^", "$"),
      fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 12 }),
      (regex, text) => {
        const kept = compileRegexRewrite({ regex, substitution: "\\0" }, [])?.(text);
        assert.equal(kept, text);
      },
    );
    fc.assert(property, RUNS);
  });
});
