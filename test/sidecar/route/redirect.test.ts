import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { compileRedirect } from "../../../sidecar/route/redirect.ts";
import type { RedirectAction } from "../../../xds/model/route.ts";
import { buildHead, buildRedirect, prefix } from "./builders.ts";

describe("compileRedirect()", () => {
  const request = { path: "/old/x?q=1", authority: "a.test:80", scheme: "http" };
  const cases: readonly {
    says: string;
    action: Partial<RedirectAction>;
    request?: Partial<typeof request>;
    location: string;
  }[] = [
    { says: "nothing", action: {}, location: "http://a.test:80/old/x?q=1" },
    {
      says: "https, dropping the old default port",
      action: { httpsRedirect: true },
      location: "https://a.test/old/x?q=1",
    },
    {
      says: "https, keeping another port",
      action: { httpsRedirect: true },
      request: { authority: "a.test:8080" },
      location: "https://a.test:8080/old/x?q=1",
    },
    { says: "a scheme", action: { schemeRedirect: "ws" }, location: "ws://a.test/old/x?q=1" },
    {
      says: "a host, without the request's port",
      action: { hostRedirect: "b.test" },
      location: "http://b.test/old/x?q=1",
    },
    { says: "a port", action: { portRedirect: 8443 }, location: "http://a.test:8443/old/x?q=1" },
    {
      says: "a port after an IPv6 address",
      action: { portRedirect: 81 },
      request: { authority: "[::1]:80" },
      location: "http://[::1]:81/old/x?q=1",
    },
    {
      says: "a port after an IPv6 address without one",
      action: { portRedirect: 81 },
      request: { authority: "[::1]" },
      location: "http://[::1]:81/old/x?q=1",
    },
    { says: "a path, keeping the query", action: { pathRedirect: "/new" }, location: "http://a.test:80/new?q=1" },
    { says: "a path with its own query", action: { pathRedirect: "/new?z" }, location: "http://a.test:80/new?z" },
    {
      says: "a path with its own query, not stripped",
      action: { pathRedirect: "/new?z", stripQuery: true },
      location: "http://a.test:80/new?z",
    },
    { says: "no query", action: { stripQuery: true }, location: "http://a.test:80/old/x" },
    { says: "a prefix", action: { prefixRewrite: "/fresh" }, location: "http://a.test:80/fresh/x?q=1" },
    {
      says: "a regex",
      action: { regexRewrite: { regex: "/old/(.*)", substitution: "/\\1/y" } },
      location: "http://a.test:80/x/y?q=1",
    },
    {
      says: "hostile text, encoded",
      action: {},
      request: { path: "/a\r\nSet-Cookie: x", authority: "h" },
      location: "http://h/a%0D%0ASet-Cookie:%20x",
    },
  ];
  for (const { says, action, request: changed, location } of cases) {
    it(`redirects with ${says}`, () => {
      const { path, authority, scheme } = { ...request, ...changed };
      const redirect = compileRedirect(buildRedirect(action), prefix("/old"), []);
      assert.equal(redirect.location(buildHead(path, { authority, scheme })), location);
    });
  }

  it("changes the request's path as well, as Envoy does", () => {
    const redirect = compileRedirect(buildRedirect({ prefixRewrite: "/new" }), prefix("/old"), []);
    const head = buildHead("/old/x?q");
    redirect.location(head);
    assert.equal(head.path, "/new/x?q");
    assert.equal(head.headers.get("x-envoy-original-path"), "/old/x?q");
  });

  it("keeps the configured status", () => {
    assert.equal(compileRedirect(buildRedirect({ status: 308 }), prefix("/"), []).status, 308);
  });
});
