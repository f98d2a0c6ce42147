import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  compileHostRewrite,
  compilePathRewrite,
  compileRegexRewrite,
  rewriteHost,
  rewritePath,
  rewriteRequest,
} from "../../../sidecar/route/rewrite.ts";
import { pickCluster } from "../../../sidecar/route/route-table.ts";
import type { PathMatcher } from "../../../xds/model/route.ts";
import { buildForward, buildHead, buildRoute, buildTable, exact, NO_HEADERS, prefix } from "./builders.ts";

describe("compilePathRewrite()", () => {
  const rewrite = (matcher: PathMatcher, prefixRewrite: string, target: string) =>
    compilePathRewrite({ prefixRewrite, regexRewrite: undefined }, matcher, [])?.(target);

  it("replaces the prefix and keeps the rest and the query", () => {
    assert.equal(rewrite(prefix("/api"), "/v2", "/api/x?q=/api"), "/v2/x?q=/api");
    assert.equal(rewrite(prefix("/api/"), "/", "/api/x"), "/x");
    assert.equal(rewrite({ kind: "prefix", value: "/API", caseSensitive: false }, "/v2", "/api/x"), "/v2/x");
  });

  it("replaces the whole path of an exact or regex match", () => {
    assert.equal(rewrite(exact("/a"), "/b", "/a?q"), "/b?q");
    assert.equal(rewrite({ kind: "regex", value: "/.*" }, "/b", "/anything/here?q"), "/b?q");
  });

  it("replaces by regex in the path only", () => {
    const run = (regex: string, substitution: string, target: string) =>
      compilePathRewrite({ prefixRewrite: "", regexRewrite: { regex, substitution } }, prefix("/"), [])?.(target);
    assert.equal(
      run("^/service/([^/]+)(/.*)$", "\\2/instance/\\1", "/service/foo/v1/api?x=/service/"),
      "/v1/api/instance/foo?x=/service/",
    );
    assert.equal(run("one", "two", "/xxx/one/yyy/one/zzz"), "/xxx/two/yyy/two/zzz");
    assert.equal(run("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb"), "/aaa/yyy/bbb");
  });

  it("leaves the target alone when the outcome is unsafe", () => {
    assert.equal(rewrite(prefix("/a"), "/b\r\nX: y", "/a"), "/a");
  });

  it("is absent when the route rewrites nothing", () => {
    assert.equal(compilePathRewrite({ prefixRewrite: "", regexRewrite: undefined }, prefix("/"), []), undefined);
  });
});

describe("compileRegexRewrite()", () => {
  // Expected values are those of RE2::GlobalReplace, from its own tests.
  const cases = [
    { regex: "b", substitution: "bb", text: "ababababab", result: "abbabbabbabbabb" },
    { regex: "b*", substitution: "bb", text: "aaaaa", result: "bbabbabbabbabbabb" },
    { regex: "b+", substitution: "bb", text: "bbbbbb", result: "bb" },
    { regex: "b*", substitution: "bb", text: "bbbbbb", result: "bb" },
    { regex: "a.*a", substitution: "(\\0)", text: "banana", result: "b(anana)" },
    { regex: "a*", substitution: "x", text: "baac", result: "xbxcx" },
    { regex: "(a)|(b)", substitution: "<\\2>", text: "ab", result: "<><b>" },
    { regex: "a", substitution: "\\\\", text: "ab", result: "\\b" },
  ];
  for (const { regex, substitution, text, result } of cases) {
    it(`replaces /${regex}/ by ${substitution} in ${text}`, () => {
      assert.equal(compileRegexRewrite({ regex, substitution }, [])?.(text), result);
    });
  }
});

describe("rewritePath()", () => {
  it("keeps the client's path in x-envoy-original-path unless suppressed", () => {
    const head = buildHead("/a?q");
    rewritePath(head, () => "/b?q", false);
    assert.equal(head.path, "/b?q");
    assert.equal(head.headers.get("x-envoy-original-path"), "/a?q");
    const quiet = buildHead("/a");
    rewritePath(quiet, () => "/b", true);
    assert.equal(quiet.headers.has("x-envoy-original-path"), false);
  });

  it("always begins the target with a slash", () => {
    const head = buildHead("/a");
    rewritePath(head, () => "b", true);
    assert.equal(head.path, "/b");
  });
});

describe("rewriteHost()", () => {
  it("sets the authority and the Host field", () => {
    const head = buildHead("/", { authority: "old", headers: { Host: "old" } });
    rewriteHost(head, "new:1", false);
    assert.equal(head.authority, "new:1");
    assert.equal(head.headers.get("host"), "new:1");
    assert.equal(head.headers.has("x-forwarded-host"), false);
  });

  it("appends the old host to x-forwarded-host once", () => {
    const chain = (before: Readonly<Record<string, string>>) => {
      const head = buildHead("/", { authority: "old", headers: before });
      rewriteHost(head, "new", true);
      return head.headers.getJoined("x-forwarded-host");
    };
    assert.equal(chain({}), "old");
    assert.equal(chain({ "x-forwarded-host": "first" }), "first,old");
    assert.equal(chain({ "x-forwarded-host": "first,old" }), "first,old");
  });

  it("ignores a host that could not be one", () => {
    for (const host of ["", "a b", "a\r\nb"]) {
      const head = buildHead("/", { authority: "old" });
      rewriteHost(head, host, true);
      assert.equal(head.authority, "old");
    }
  });
});

describe("compileHostRewrite()", () => {
  const run = (hostRewrite: ReturnType<typeof buildForward>["hostRewrite"]) =>
    compileHostRewrite(
      buildForward({ hostRewrite }),
      [],
    )?.(buildHead("/tenant-a/x?q", { headers: { "x-host": "from.header" } }));

  it("knows literal, header and path regex, and leaves auto to the proxy", () => {
    assert.equal(run({ kind: "literal", value: "lit" }), "lit");
    assert.equal(run({ kind: "header", header: "X-Host" }), "from.header");
    assert.equal(run({ kind: "header", header: "X-None" }), undefined);
    assert.equal(
      run({ kind: "path_regex", rewrite: { regex: "^/([^/]+)/.*$", substitution: "\\1.svc" } }),
      "tenant-a.svc",
    );
    assert.equal(run({ kind: "auto" }), undefined);
    assert.equal(run(undefined), undefined);
  });
});

describe("rewriteRequest()", () => {
  const run = (more: Partial<Parameters<typeof buildForward>[0]>, weightedHost: string) => {
    const cluster = {
      kind: "weighted",
      clusters: [
        {
          name: "w",
          clusterHeader: "",
          weight: 1,
          hostRewrite: weightedHost,
          headers: NO_HEADERS,
          perFilterConfig: {},
        },
      ],
      totalWeight: 1,
      randomHeader: "",
    } as const;
    const action = buildForward({ appendXForwardedHost: true, prefixRewrite: "/rewritten/", cluster, ...more });
    const table = buildTable([buildRoute("r", { path: prefix("/tenant/") }, { action })]);
    const head = buildHead("/tenant/x", { authority: "old" });
    const match = table.select(head, { random: 0 });
    const rewrite = match && pickCluster(match, head, 0)?.rewrite;
    assert.ok(rewrite);
    rewriteRequest(head, rewrite, "up.test", true);
    return [head.authority, head.headers.get("x-forwarded-host"), head.path];
  };

  it("sets the weighted cluster's host without noting the old one", () => {
    assert.deepEqual(run({}, "weighted"), ["weighted", undefined, "/rewritten/x"]);
  });

  it("lets the route's rule win, and hands it the path as it was", () => {
    const rewrite = { regex: "^/([a-z]+).*", substitution: "\\1.svc" };
    assert.deepEqual(run({ hostRewrite: { kind: "path_regex", rewrite } }, ""), ["tenant.svc", "old", "/rewritten/x"]);
    assert.deepEqual(run({ hostRewrite: { kind: "literal", value: "lit" } }, "w"), ["lit", "w", "/rewritten/x"]);
  });

  it("uses the upstream's name when told to", () => {
    assert.deepEqual(run({ hostRewrite: { kind: "auto" } }, ""), ["up.test", "old", "/rewritten/x"]);
  });

  it("is absent when host and path stay", () => {
    const head = buildHead("/");
    const match = buildTable([buildRoute("r")]).select(head, { random: 0 });
    assert.equal(match && pickCluster(match, head, 0)?.rewrite, undefined);
  });

  it("leaves the host alone without a rule", () => {
    assert.deepEqual(run({}, ""), ["old", undefined, "/rewritten/x"]);
  });
});
