// Hostile clients and origins against the real process, and against Envoy with the same bootstrap where it is installed:
// what the origin saw and what the client got. Then the floods: bounded, counted, and survived.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { hostileBootstrap } from "./hostile-bootstrap.ts";
import { play } from "./hostile-client.ts";
import { ENVOY_DIFFERS } from "./hostile-differences.ts";
import { FIELDS, HOSTS, LIMITS, START_LINES, SWITCHES, TARGETS } from "./hostile-heads.ts";
import { CHUNKS, CODINGS, type HostileCase, LENGTHS } from "./hostile-requests.ts";
import { RESPONSES, scriptedAnswer } from "./hostile-responses.ts";

const GROUPS: Readonly<Record<string, readonly HostileCase[]>> = {
  LENGTHS,
  CODINGS,
  CHUNKS,
  START_LINES,
  FIELDS,
  HOSTS,
  TARGETS,
  SWITCHES,
  LIMITS,
  RESPONSES,
};

const GET = "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n";

async function playAll(proxy: ProxyProcess, origin: RecordingOrigin, cases: readonly HostileCase[]): Promise<void> {
  const expected = cases.map(({ name, verdict }) => [
    name,
    proxy.isEnvoy ? (ENVOY_DIFFERS[name]?.envoy ?? verdict) : verdict,
  ]);
  const verdicts = await Promise.all(
    cases.map(async (hostile, index) => {
      const word = `c${hostile.name.length}y${index}x${hostile.name.replaceAll(/[^A-Za-z]/g, "")}z`;
      return [hostile.name, await play(hostile, proxy.port(hostile.on ?? "plain"), origin, word)];
    }),
  );
  assert.deepEqual(verdicts, expected);
}

suite("the proxy with hostile peers", () => {
  let origin: RecordingOrigin;
  let proxy: ProxyProcess;
  before(async () => {
    origin = await RecordingOrigin.start(scriptedAnswer);
    proxy = await ProxyProcess.start(undefined, hostileBootstrap(origin.port));
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await origin[Symbol.asyncDispose]();
  });

  for (const [name, cases] of Object.entries(GROUPS)) {
    test(`${name}: every verdict is the table's`, () => playAll(proxy, origin, cases));
  }

  test("no bytes reached the origin that are not a plain request", () => {
    assert.deepEqual(origin.garbage, []);
  });

  test("what was refused was counted", async () => {
    const refused = Object.values(GROUPS)
      .flat()
      .filter(({ verdict }) => /^(?:400|431|501) closed/.test(verdict));
    const counted = [];
    for (const prefix of ["plain", "paths", "open"]) {
      for (const counter of [
        "downstream_cx_protocol_error",
        "downstream_rq_non_relative_path",
        "downstream_rq_failed_path_normalization",
      ]) {
        counted.push(await proxy.stat(`http.${prefix}.${counter}`));
      }
    }
    assert.ok(counted.reduce((sum, count) => sum + count) > refused.length * 0.8, String(counted));
    assert.equal(await proxy.stat("http.plain.downstream_rq_header_timeout"), 2);
    assert.ok((await proxy.stat("http.plain.downstream_rq_idle_timeout")) >= 2);
    assert.equal(await proxy.stat("http1.requests_rejected_with_underscores_in_headers"), 1);
    assert.ok((await proxy.stat("cluster.origin.upstream_cx_protocol_error")) > 5);
  });

  test("rapid requests and cancels leave nothing behind", async () => {
    const total = 300;
    for (let round = 0; round < total; round += 50) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(proxy.port("plain"))));
      for (const client of clients) {
        client.send(GET);
        client.destroy();
      }
    }
    await untilZero("http.plain.downstream_cx_active");
    await untilZero("cluster.origin.upstream_rq_active");
    assert.ok((await proxy.stat("http.plain.downstream_cx_destroy")) >= total);
  });

  test("pipelining without reading is held up, not stored", async () => {
    const client = await RawClient.connect(proxy.port("plain"));
    client.pause();
    const baseline = proxy.residentBytes;
    const pausesBefore = await proxy.stat("http.plain.downstream_flow_control_paused_reading_total");
    const receivedBefore = await proxy.stat("http.plain.downstream_cx_rx_bytes_total");
    const burst = GET.repeat(2_000);
    for (let sent = 0; sent < 64 * 1_048_576; sent += burst.length) {
      client.send(burst);
    }
    await until(
      async () => (await proxy.stat("http.plain.downstream_flow_control_paused_reading_total")) > pausesBefore,
      "a pause",
    );
    const received = await steady("http.plain.downstream_cx_rx_bytes_total");
    assert.ok(received - receivedBefore < 32 * 1_048_576, `took ${received - receivedBefore} bytes`);
    assert.ok(proxy.residentBytes - baseline < 48 * 1_048_576, `grew by ${proxy.residentBytes - baseline} bytes`);
    client.destroy();
    await untilZero("http.plain.downstream_cx_active");
  });

  test("half heads on many connections are bounded and time out", async () => {
    const baseline = proxy.residentBytes;
    const timeouts = await proxy.stat("http.plain.downstream_rq_header_timeout");
    const clients = await Promise.all(Array.from({ length: 200 }, () => RawClient.connect(proxy.port("plain"))));
    for (const client of clients) {
      client.send(`GET /flood HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(50_000)}`);
    }
    const answers = await Promise.all(clients.map((client) => client.receiveAll()));
    assert.ok(answers.every((answer) => answer.startsWith("HTTP/1.1 408 ")));
    assert.equal((await proxy.stat("http.plain.downstream_rq_header_timeout")) - timeouts, 200);
    assert.ok(proxy.residentBytes - baseline < 96 * 1_048_576);
    for (const client of clients) {
      client.destroy();
    }
    await untilZero("http.plain.downstream_cx_active");
  });

  test("an ordinary client is served after all that", async () => {
    const client = await RawClient.connect(proxy.port("plain"));
    client.send(GET);
    assert.match(await client.receiveUntil("GET /flood"), /^HTTP\/1\.1 200 OK\r\n/);
    client.destroy();
    assert.ok(proxy.isAlive);
  });

  /** The value of a counter that has not moved during some rounds to the admin port. */
  async function steady(name: string): Promise<number> {
    let value = -1;
    let rounds = 0;
    await until(async () => {
      const now = await proxy.stat(name);
      rounds = now === value ? rounds + 1 : 0;
      value = now;
      return rounds === 50;
    }, `${name} to stand still`);
    return value;
  }

  async function untilZero(name: string): Promise<void> {
    await until(async () => (await proxy.stat(name)) === 0, `${name} = 0`);
  }
});

async function until(isTrue: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await isTrue())) {
    assert.ok(Date.now() < deadline, `waited 10 s for ${what}`);
  }
}

const envoy = findEnvoy();

suite("Envoy with the same hostile peers", { skip: envoy === undefined ? ENVOY_MISSING : false }, () => {
  let origin: RecordingOrigin;
  let proxy: ProxyProcess;
  before(async () => {
    origin = await RecordingOrigin.start(scriptedAnswer);
    proxy = await ProxyProcess.start(envoy ?? "", hostileBootstrap(origin.port));
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await origin[Symbol.asyncDispose]();
  });

  for (const [name, cases] of Object.entries(GROUPS)) {
    test(`${name}: same verdict, or the difference that the table explains`, () => playAll(proxy, origin, cases));
  }

  test("every explained difference is one", () => {
    const byName = new Map(
      Object.values(GROUPS)
        .flat()
        .map((hostile) => [hostile.name, hostile.verdict]),
    );
    for (const [name, { envoy: verdict }] of Object.entries(ENVOY_DIFFERS)) {
      assert.ok(byName.has(name) && byName.get(name) !== verdict, name);
    }
  });
});
