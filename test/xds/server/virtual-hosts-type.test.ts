// What the server sends of virtual hosts, without sockets: those for everybody, those that are asked for, by which names.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeltaRequest } from "../../../xds/discovery-messages.ts";
import { ResourceGroups } from "../../../xds/server/resource-groups.ts";
import type { ServedResource } from "../../../xds/server/resource-set.ts";
import { ResourceSet } from "../../../xds/server/resource-set.ts";
import { VirtualHostDirectory } from "../../../xds/server/virtual-host-directory.ts";
import { VirtualHostsType } from "../../../xds/server/virtual-hosts-type.ts";
import { ROUTE_TYPE, VIRTUAL_HOST_TYPE } from "../../../xds/type-urls.ts";
import { one } from "../../support/xds-resources.ts";

function host(name: string, domains: readonly string[], more: Partial<ServedResource> = {}): ServedResource {
  return { ...one(JSON.stringify({ "@type": VIRTUAL_HOST_TYPE, name, domains })), ...more };
}

const lazily = (name: string, ...domains: readonly string[]) => host(name, domains, { onDemand: true });

class Scene {
  readonly type = new VirtualHostsType();
  #nonce = 0;
  #resources: ResourceSet;

  constructor(...resources: readonly ServedResource[]) {
    this.#resources = ResourceSet.of(resources);
  }

  request(rest: Partial<DeltaRequest> = {}) {
    const empty = { subscribe: [], unsubscribe: [], initialVersions: new Map(), nonce: "", error: undefined };
    return this.type.onRequest({ kind: "delta", typeUrl: VIRTUAL_HOST_TYPE, withNode: false, ...empty, ...rest });
  }

  /** The response to what was asked, "r/a=www,a -r/b ?none", and acknowledges it; undefined: there is none. */
  take(): string | undefined {
    const response = this.type.respond(this.#resources, String((this.#nonce += 1)), "test");
    if (response === undefined) return undefined;
    assert.equal(response.kind, "delta");
    const parts = response.resources.map(({ name, aliases = [], bytes }) => {
      const names = aliases.length === 0 ? "" : `=${aliases.join()}`;
      return bytes === undefined ? `?${aliases.join()}` : `${name}${names}`;
    });
    assert.deepEqual(this.request({ nonce: response.nonce })?.kind, "ack");
    return [...parts, ...response.removed.map((name) => `-${name}`)].join(" ");
  }

  ask(...subscribe: readonly string[]): string | undefined {
    this.request({ subscribe });
    return this.take();
  }

  serve(...resources: readonly ServedResource[]): string | undefined {
    this.#resources = ResourceSet.of(resources);
    return this.take();
  }
}

test("VirtualHostsType sends at once what is not on demand, and the rest when it is asked for", () => {
  const scene = new Scene(host("r/a", ["a"]), lazily("r/b", "b", "www.b"), lazily("r/c", "*.c"));
  assert.equal(scene.ask(), "r/a");
  assert.equal(scene.ask("r/b"), "r/b");
  assert.equal(scene.ask("r/www.b"), "r/b=r/www.b");
  assert.equal(scene.ask("r/x.c", "r/y.c", "r/none"), "r/c=r/x.c,r/y.c ?r/none");
  assert.equal(scene.ask("r/a"), "r/a");
  assert.deepEqual([...scene.type.names], ["*", "r/b", "r/www.b", "r/x.c", "r/y.c", "r/none", "r/a"]);
  assert.equal(scene.take(), undefined);
});

test("VirtualHostsType answers even when there is nothing, once", () => {
  const scene = new Scene();
  assert.equal(scene.ask(), "");
  assert.equal(scene.take(), undefined);
  assert.equal(scene.ask("r/a"), "?r/a");
  // Who asks again is answered again: its request waits.
  assert.equal(scene.ask("r/a"), "?r/a");
});

test("VirtualHostsType tells of changes by the names that were asked for", () => {
  const scene = new Scene(lazily("r/a", "a"), lazily("r/b", "b"));
  scene.ask();
  assert.equal(scene.ask("r/a", "r/b", "r/c"), "r/a r/b ?r/c");
  // One changes, one loses its domain to a new one, and somebody answers the third.
  assert.equal(
    scene.serve(lazily("r/a", "a", "aa"), lazily("r/b", "bb"), lazily("r/new", "b"), lazily("r/c", "c")),
    "r/a r/new=r/b r/c -r/b",
  );
  assert.equal(scene.serve(lazily("r/c", "c")), "?r/a ?r/b -r/a -r/new");
  assert.equal(scene.serve(), "?r/c -r/c");
  assert.equal(scene.serve(lazily("r/b", "b")), "r/b");
});

test("VirtualHostsType takes hosts back that are no longer for everybody, or no longer asked for", () => {
  const scene = new Scene(host("r/a", ["a"]));
  assert.equal(scene.ask(), "r/a");
  assert.equal(scene.serve(lazily("r/a", "a")), "-r/a");
  assert.equal(scene.ask("r/a"), "r/a");
  scene.request({ unsubscribe: ["r/a"] });
  assert.equal(scene.take(), "-r/a");
});

test("VirtualHostsType does not send a client that comes back what it has", () => {
  const set = ResourceSet.of([host("r/a", ["a"]), lazily("r/b", "b"), lazily("r/c", "c")]);
  const versionOf = (name: string) => set.type(VIRTUAL_HOST_TYPE).get(name)?.version ?? "";
  const scene = new Scene(host("r/a", ["a"]), lazily("r/b", "b"), lazily("r/c", "c", "cc"));
  const initialVersions = new Map(["r/a", "r/b", "r/c", "r/gone"].map((name) => [name, versionOf(name)]));
  scene.request({ subscribe: ["*", "r/b", "r/cc", "r/none"], initialVersions });
  assert.equal(scene.take(), "r/c=r/cc ?r/none -r/gone");
});

test("VirtualHostsType sends a host with a time to live again, whole: without content it would be gone", () => {
  const scene = new Scene(host("r/a", ["a"], { ttlMs: 1_000 }), host("r/b", ["b"]));
  assert.equal(scene.ask(), "r/a r/b");
  scene.type.refresh();
  assert.equal(scene.take(), "r/a");
  assert.equal(scene.take(), undefined);
});

test("VirtualHostsType names a bounded number of a host's aliases, and those first that are waited for", () => {
  const scene = new Scene(lazily("r/all", "*"));
  scene.ask();
  for (let at = 0; at < 5; at++) scene.ask(...Array.from({ length: 100 }, (_, index) => `r/${at}.${index}`));
  const answer = scene.ask("r/new")?.split("=")[1]?.split(",") ?? [];
  assert.equal(answer.length, 200);
  assert.equal(answer[0], "r/new");
});

test("VirtualHostDirectory finds by domain as a sidecar does, in its own routes only", () => {
  const domains = ["a.test", "a.test:8080", "*.test", "*.b.test", "*-x.b.test", "a.*", "a.b.*", "*"];
  const hosts = domains.map((domain) => host(`r/${domain}`, [domain]));
  const routes = (name: string, ignore: boolean) =>
    one(JSON.stringify({ "@type": ROUTE_TYPE, name, ignore_port_in_host_matching: ignore }));
  const others = [host("deep/routes/only", ["only.test"]), host("ported/p", ["p.test"]), host("plain/p", ["p.test"])];
  const set = ResourceSet.of([...hosts, ...others, routes("ported", true), routes("plain", false)]);
  const found = (name: string) => VirtualHostDirectory.of(set).find(name)?.name;
  assert.equal(found("r/A.test"), "r/a.test");
  assert.equal(found("r/a.test:8080"), "r/a.test:8080");
  assert.equal(found("r/c.test"), "r/*.test");
  assert.equal(found("r/c.b.test"), "r/*.b.test");
  assert.equal(found("r/c-x.b.test"), "r/*-x.b.test");
  assert.equal(found("r/-x.b.test"), "r/*.b.test");
  assert.equal(found("r/a.test:81"), "r/a.*");
  assert.equal(found("r/a.b.c"), "r/a.b.*");
  assert.equal(found("r/a."), "r/*");
  assert.equal(found(`r/${"x".repeat(100_000)}`), "r/*");
  assert.equal(found("deep/routes/only.test"), "deep/routes/only");
  assert.equal(found("deep/routes/a.test"), undefined);
  // A client may know a host's own name.
  assert.equal(found("deep/routes/only"), "deep/routes/only");
  assert.equal(found("nothing"), undefined);
  assert.equal(found("ported/P.test:1"), "ported/p");
  assert.equal(found("plain/p.test:1"), undefined);
  assert.equal(VirtualHostDirectory.of(set), VirtualHostDirectory.of(set));
});

test("a group that becomes on demand is another content", () => {
  const digestOf = (...resources: readonly ServedResource[]) => ResourceGroups.of([{ resources }]).digest;
  assert.equal(digestOf(host("r/a", ["a"])), digestOf(host("r/a", ["a"], { onDemand: false })));
  assert.notEqual(digestOf(host("r/a", ["a"])), digestOf(lazily("r/a", "a")));
});
