import assert from "node:assert/strict";
import { test } from "node:test";
import { type XdsFacts, xdsViews } from "../../sidecar/xds-views.ts";
import { LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE } from "../../xds/type-urls.ts";
import type { ResourceView } from "../../xds/resource-store.ts";

const at = (ms: number): string => new Date(ms).toISOString();

function resource(overrides: Partial<ResourceView>): ResourceView {
  return {
    typeUrl: LISTENER_TYPE,
    name: "in",
    source: "ads",
    isStatic: false,
    state: "ACKED",
    version: "7",
    receivedAt: 10,
    ackedAt: 20,
    error: undefined,
    value: undefined,
    ...overrides,
  };
}

const SERVER: XdsFacts["status"]["servers"][number] = {
  name: "ads",
  target: "127.0.0.1:18000",
  isConnected: true,
  since: 5,
  lastError: "",
  attempts: 1,
  controlPlane: "istiod-1",
  counts: { responses: 1, ignored: 0, held: 0, paused: 0, failures: 0, rateLimited: 0 },
  latest: [{ typeUrl: LISTENER_TYPE, version: "8", nonce: "n3", receivedAt: 30, answeredAt: 31, error: "" }],
};

function views(resources: readonly ResourceView[], overrides: Partial<XdsFacts> = {}, servers = [SERVER]) {
  return xdsViews({
    status: { resources, servers, files: [] },
    useOf: () => undefined,
    secretUsedSince: () => undefined,
    failureOf: () => undefined,
    ...overrides,
  });
}

test("xdsViews() shows the latest response of a type with its nonce and answer", () => {
  const [view] = views([resource({})]);
  assert.equal(view?.server, "ads 127.0.0.1:18000");
  assert.equal(view?.controlPlane, "istiod-1");
  const [type] = view?.types ?? [];
  assert.deepEqual(
    { ...type, resources: [] },
    {
      typeUrl: LISTENER_TYPE,
      version: "8",
      nonce: "n3",
      receivedAt: at(30),
      acknowledgedAt: at(31),
      resources: [],
    },
  );
});

test("xdsViews() says why a response was refused, and that one is being prepared", () => {
  const refused = { ...SERVER, latest: SERVER.latest.map((each) => ({ ...each, error: "bad port" })) };
  const [type] = views([], {}, [refused])[0]?.types ?? [];
  assert.deepEqual(type?.refused, { version: "8", at: at(31), reason: "bad port" });
  assert.equal(type?.acknowledgedAt, undefined);
  const waiting = { ...SERVER, latest: SERVER.latest.map((each) => ({ ...each, answeredAt: undefined })) };
  const [prepared] = views([], {}, [waiting])[0]?.types ?? [];
  assert.deepEqual([prepared?.receivedAt, prepared?.acknowledgedAt], [at(30), undefined]);
});

test("xdsViews() says on which workers a resource is in use, and since when on all", () => {
  const use = { version: 1, changedAt: 1, byWorker: [40, undefined], inUseAt: 0 };
  const useOf = (key: string) => (key === "listeners in" ? use : undefined);
  const [half] = views([resource({})], { useOf })[0]?.types[0]?.resources ?? [];
  assert.deepEqual([half?.inUseOnWorkers, half?.inUseAt], [[at(40), ""], undefined]);
  const whole = { ...use, byWorker: [40, 41], inUseAt: 41 };
  const [all] = views([resource({})], { useOf: () => whole })[0]?.types[0]?.resources ?? [];
  assert.deepEqual([all?.inUseOnWorkers, all?.inUseAt], [[at(40), at(41)], at(41)]);
});

test("xdsViews() says since when a secret is in use, which no worker has", () => {
  const secretUsedSince = (name: string) => (name === "in" ? 40 : undefined);
  const [secret] = views([resource({ typeUrl: SECRET_TYPE })], { secretUsedSince })[0]?.types.at(0)?.resources ?? [];
  assert.deepEqual([secret?.inUseAt, secret?.inUseOnWorkers], [at(40), undefined]);
  const [other] = views([resource({})], { secretUsedSince })[0]?.types[0]?.resources ?? [];
  assert.equal(other?.inUseAt, undefined);
});

test("xdsViews() gives the reason of the control plane's refusal before that of a worker", () => {
  const failureOf = () => ({ problem: "the address is in use", at: 50 });
  const [failed] = views([resource({})], { failureOf })[0]?.types[0]?.resources ?? [];
  assert.deepEqual(failed?.refused, { version: "7", at: at(50), reason: "the address is in use" });
  const error = { details: "unknown field", version: "9", at: 60, bytes: undefined };
  const [nacked] = views([resource({ error })], { failureOf })[0]?.types[0]?.resources ?? [];
  assert.deepEqual(nacked?.refused, { version: "9", at: at(60), reason: "unknown field" });
  // A route of the same name as a listener has nothing to do with its failure.
  const [route] = views([resource({ typeUrl: ROUTE_TYPE })], { failureOf })[0]?.types.at(0)?.resources ?? [];
  assert.equal(route?.refused, undefined);
});

test("xdsViews() shows a control plane that has sent nothing yet", () => {
  const away = { ...SERVER, isConnected: false, latest: [], lastError: "connection refused" };
  assert.deepEqual(
    views([], {}, [away]).map(({ connected, lastError, types }) => ({ connected, lastError, types })),
    [{ connected: false, lastError: "connection refused", types: [] }],
  );
});
