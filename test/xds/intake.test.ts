// A large route table that changes often: the bytes of a version are freed with the next one, and what stays of it stays whole.

import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../xds/clock.ts";
import { decodeResource } from "../../xds/decode/resource.ts";
import { RouteConfigurationSchema } from "../../xds/gen/envoy/config/route/v3/route_pb.ts";
import { Intake } from "../../xds/intake.ts";
import type { RouteConfiguration } from "../../xds/model/route.ts";
import { ResourceStore } from "../../xds/resource-store.ts";
import { ROUTE_TYPE } from "../../xds/type-urls.ts";

const BODY_BYTES = 400;

/** 1,000 virtual hosts that answer with bodies of bytes, some 450 kB. Those in `changed` have another body. */
function table(changed: ReadonlyMap<number, number>): Uint8Array {
  const virtualHosts = Array.from({ length: 1000 }, (_, i) => ({
    name: `host-${i}`,
    domains: [`host-${i}.example.com`],
    routes: [
      {
        match: { pathSpecifier: { case: "prefix" as const, value: "/" } },
        action: { case: "directResponse" as const, value: { status: 200, body: bodyOf(changed.get(i) ?? 0) } },
      },
    ],
  }));
  return toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name: "routes", virtualHosts }));
}

function bodyOf(fill: number): { specifier: { case: "inlineBytes"; value: Uint8Array } } {
  return { specifier: { case: "inlineBytes", value: new Uint8Array(BODY_BYTES).fill(fill) } };
}

function bodies({ virtualHosts }: RouteConfiguration): string[] {
  return virtualHosts.map(({ routes: [route] }) => {
    const body = route?.action.kind === "direct_response" ? route.action.body : undefined;
    assert.ok(body?.kind === "bytes");
    return Buffer.from(body.bytes).toString("hex");
  });
}

class Scene {
  readonly store = new ResourceStore();
  readonly #intake = new Intake({
    store: this.store,
    decode: (typeUrl, bytes, previous) => decodeResource(typeUrl, bytes, { previous }),
    prepare: undefined,
    prepareTimeoutMs: 1000,
    clock: systemClock,
    onWarnings() {},
    onTtl() {},
  });

  /** As a stream brings it: the resource is a view into its message. */
  async push(version: number, ...resources: readonly Uint8Array[]): Promise<void> {
    const message = Buffer.alloc(100 + resources.reduce((sum, { length }) => sum + length, 0));
    let end = 50;
    const wire = resources.map((bytes) => {
      message.set(bytes, end);
      end += bytes.length;
      const own = message.subarray(end - bytes.length, end);
      return { name: "", version: "", typeUrl: ROUTE_TYPE, bytes: own, ttlMs: undefined };
    });
    const head = { kind: "sotw", typeUrl: ROUTE_TYPE, nonce: `${version}`, controlPlane: "" } as const;
    const interest = () => ({ isWildcard: false, names: new Set(["routes", "others"]) });
    const response = { ...head, version: `${version}`, resources: wire };
    const outcome = await this.#intake.take(response, { source: "ads", interest });
    assert.equal(outcome.error, undefined);
  }

  get value(): Uint8Array {
    const bytes = this.store.view().find(({ name }) => name === "routes")?.value;
    assert.ok(bytes !== undefined);
    return bytes;
  }

  get model(): RouteConfiguration {
    return this.store.model(ROUTE_TYPE, "routes") as RouteConfiguration;
  }
}

test("the bytes of a large table are freed with the next version; hosts of all versions keep what they have", async () => {
  const scene = new Scene();
  const changed = new Map<number, number>();
  const kept: Uint8Array[] = [];
  for (let version = 1; version <= 6; version++) {
    changed.set(version * 10, version);
    const bytes = table(changed);
    await scene.push(version, bytes);
    assert.deepEqual(Buffer.from(scene.value), Buffer.from(bytes));
    kept.push(scene.value);
    const whole = decodeResource(ROUTE_TYPE, bytes);
    assert.ok(whole.ok);
    assert.deepEqual(bodies(scene.model), bodies(whole.value.value as RouteConfiguration));
  }
  // The first version was decoded as a whole, and its hosts may look into its bytes; the last is in use.
  const isFreed = kept.map(({ buffer }) => (buffer as ArrayBuffer).detached);
  assert.deepEqual(isFreed, [false, true, true, true, true, false]);
});

test("bytes that came together with another resource's are not freed", async () => {
  const scene = new Scene();
  const others = toBinary(
    RouteConfigurationSchema,
    create(RouteConfigurationSchema, { name: "others", virtualHosts: [] }),
  );
  const kept: Uint8Array[] = [];
  for (let version = 1; version <= 3; version++) {
    await scene.push(version, table(new Map([[0, version]])), others);
    kept.push(scene.value);
  }
  assert.ok(kept.every(({ buffer }) => !(buffer as ArrayBuffer).detached));
  assert.equal(bodies(scene.model)[0], "03".repeat(BODY_BYTES));
  assert.equal((scene.store.model(ROUTE_TYPE, "others") as RouteConfiguration).name, "others");
});

test("a refused version leaves the bytes of the good one", async () => {
  const scene = new Scene();
  await scene.push(1, table(new Map()));
  await scene.push(2, table(new Map([[1, 1]])));
  const good = scene.value;
  await assert.rejects(scene.push(3, Buffer.concat([table(new Map([[1, 2]])), Buffer.from([0xff])])));
  assert.equal(scene.value, good);
  await scene.push(4, table(new Map([[1, 4]])));
  assert.equal((good.buffer as ArrayBuffer).detached, true);
  assert.equal(bodies(scene.model)[1], "04".repeat(BODY_BYTES));
});

test("what is kept of a response with many resources does not keep the response", async () => {
  const scene = new Scene();
  const others = toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name: "others" }));
  await scene.push(1, table(new Map()), others);
  const kept = scene.store.view().find(({ name }) => name === "others")?.value;
  assert.deepEqual(Buffer.from(kept ?? []), Buffer.from(others));
  assert.equal(kept?.buffer.byteLength, others.length);
});
