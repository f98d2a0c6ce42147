import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isAuthority, stripAuthority } from "../../../sidecar/http/authority.ts";
import { canonicalPath, isCanonical, parseAbsoluteTarget, type PathOptions } from "../../../sidecar/http/path.ts";

const PLAIN: PathOptions = { normalizePath: false, mergeSlashes: false, escapedSlashes: "keep_unchanged" };
const ALL: PathOptions = { normalizePath: true, mergeSlashes: true, escapedSlashes: "unescape_and_forward" };

test("canonicalPath() follows Envoy for each option", () => {
  const normal: PathOptions = { ...PLAIN, normalizePath: true };
  const cases: [string, PathOptions, string][] = [
    ["/a/../b//c?x=/../y", PLAIN, "/a/../b//c?x=/../y"],
    ["/a/../b//c?x=/../y", normal, "/b//c?x=/../y"],
    ["/a/%2e%2E/b", normal, "/b"],
    ["/a/./b/.", normal, "/a/b/"],
    ["/a/..", normal, "/"],
    ["/../../a", normal, "/a"],
    ["/%41%7e%2d/%2f%20", normal, "/A~-/%2f%20"],
    ["/a\\b\\..\\c", normal, "/a/c"],
    ['/a"<>`{}^|', normal, "/a%22%3C%3E%60%7B%7D%5E%7C"],
    ["/a%zz%", normal, "/a%zz%"],
    ["/a/...", normal, "/a/..."],
    ["/a/..;/b;p/.;q=1/c", normal, "/b;p/c"],
    ["/a/%2e%2e;x/b/..;", normal, "/"],
    ["/a/...;/.a;/;", normal, "/a/...;/.a;/;"],
    ["/a//b///c//", { ...PLAIN, mergeSlashes: true }, "/a/b/c/"],
    ["//a?b//c", { ...PLAIN, mergeSlashes: true }, "/a?b//c"],
    ["/a%2Fb%5cc?%2f", { ...PLAIN, escapedSlashes: "unescape_and_forward" }, "/a/b\\c?%2f"],
    ["/a%2f..%2fb", ALL, "/b"],
    ["/a%5C..%5cb", ALL, "/b"],
  ];
  for (const [path, options, expected] of cases) {
    assert.deepEqual(canonicalPath(path, options), { kind: "forward", path: expected }, path);
  }
});

test("canonicalPath() refuses fragments, hidden NULs and, where configured, escaped slashes", () => {
  assert.equal(canonicalPath("/a#b", PLAIN).kind, "reject");
  assert.equal(canonicalPath("/a%00b", ALL).kind, "reject");
  assert.equal(canonicalPath("/a%00b", PLAIN).kind, "forward");
  const rejecting: PathOptions = { ...PLAIN, escapedSlashes: "reject_request" };
  assert.equal(canonicalPath("/a%2fb", rejecting).kind, "reject");
  assert.equal(canonicalPath("/a?%2f", rejecting).kind, "forward");
});

test("canonicalPath() redirects only when it changed a slash", () => {
  const options: PathOptions = { ...ALL, escapedSlashes: "unescape_and_redirect" };
  assert.deepEqual(canonicalPath("/a%2f..%2fb?q", options), { kind: "redirect", path: "/b?q" });
  assert.deepEqual(canonicalPath("/a/../b", options), { kind: "forward", path: "/b" });
});

test("isCanonical() is true only where canonicalPath() would change nothing", () => {
  const options = fc.record<PathOptions>({
    normalizePath: fc.boolean(),
    mergeSlashes: fc.boolean(),
    escapedSlashes: fc.constantFrom("keep_unchanged", "reject_request", "unescape_and_forward"),
  });
  const path = fc.stringMatching(/^\/[a.%2eE5fFcC/\\#?;]{0,20}$/);
  fc.assert(
    fc.property(path, options, (text, how) => {
      if (isCanonical(text, how)) {
        assert.deepEqual(canonicalPath(text, how), { kind: "forward", path: text });
      }
    }),
  );
});

test("canonicalPath() finds nothing more to do the second time", () => {
  // Escapes of escapes may show a new one; everything else must be settled at once.
  const path = fc.stringMatching(/^\/([a./\\;]|%2e|%2E|%5c|%2f|%41){0,16}$/);
  fc.assert(
    fc.property(path, (text) => {
      const once = canonicalPath(text, ALL);
      assert.equal(once.kind, "forward");
      assert.deepEqual(canonicalPath(once.path, ALL), once);
      assert.ok(!/\/\.\.?(\/|$)|\/\/|\\/.test(once.path), once.path);
      assert.ok(once.path.startsWith("/"));
    }),
    { numRuns: 500 },
  );
});

test("parseAbsoluteTarget() splits a URI and refuses what is none", () => {
  assert.deepEqual(parseAbsoluteTarget("HTTP://a.b:80/c?d"), { scheme: "http", authority: "a.b:80", path: "/c?d" });
  assert.equal(parseAbsoluteTarget("http://a")?.path, "/");
  assert.equal(parseAbsoluteTarget("http://a?b")?.path, "/?b");
  for (const target of ["a", "*", "http:/a", "http://", "http:///a", "//a/b", "1http://a/", "mailto:a@b"]) {
    assert.equal(parseAbsoluteTarget(target), undefined, target);
  }
});

test("isAuthority() takes hosts with ports and nothing that confuses", () => {
  for (const good of [
    "",
    "a",
    "a.b:80",
    "A_b-c.",
    "[::1]",
    "[::1]:8080",
    "1.2.3.4:1",
    "a:",
    "[fe80::1%25eth0]:1",
    "%41",
  ]) {
    assert.ok(isAuthority(good), good);
  }
  for (const bad of [
    "a/b",
    "u@a",
    "a b",
    "a:b",
    "a:80:80",
    "::1",
    "[::1",
    "[a]b",
    "a#b",
    "a?b",
    "a\\b",
    "a:123456",
    "\xe9",
  ]) {
    assert.ok(!isAuthority(bad), bad);
  }
});

test("stripAuthority() takes off ports and dots as configured", () => {
  const none = { stripMatchingHostPort: false, stripAnyHostPort: false, stripTrailingHostDot: false };
  assert.equal(stripAuthority("a.:80", none, 80), "a.:80");
  assert.equal(stripAuthority("a:80", { ...none, stripMatchingHostPort: true }, 80), "a");
  assert.equal(stripAuthority("a:81", { ...none, stripMatchingHostPort: true }, 80), "a:81");
  assert.equal(stripAuthority("a:81", { ...none, stripAnyHostPort: true }, 80), "a");
  assert.equal(stripAuthority("[::1]:81", { ...none, stripAnyHostPort: true }, 80), "[::1]");
  assert.equal(stripAuthority("[::1]", { ...none, stripAnyHostPort: true }, 80), "[::1]");
  assert.equal(stripAuthority("a.:81", { ...none, stripTrailingHostDot: true }, 80), "a:81");
});
