// The life of a pod around the real sidecar: not ready until its configuration is in use, `wait` holds whoever waits, probes and metrics go
// through it, and at the end nothing that endpoints still send is lost and the application's own calls work until it is gone.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { waitVerb } from "../../sidecar/cli/wait.ts";
import { drainVerb } from "../../sidecar/cli/drain.ts";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { printed } from "../support/cli-printer.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { RawClient } from "../support/raw-client.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { freePort, until } from "../support/sidecar-story.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const ROUTES = [{ match: { prefix: "/" }, route: { cluster: "origin", timeout: "0s" } }];

interface Pod extends AsyncDisposable {
  readonly sidecar: SidecarProcess;
  readonly upstream: FakeUpstream;
  readonly status: string;
  readonly health: string;
}

async function pod(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  respond?: string,
): Promise<Pod> {
  // What was started goes when the next does not start, too: an open server would keep this file from ending.
  await using owned = new AsyncDisposableStack();
  const upstream = owned.use(await FakeUpstream.start(respond === undefined ? {} : { respond }));
  const [statusPort, healthPort] = [await freePort(), await freePort()];
  const sidecar = owned.use(
    await SidecarProcess.start(
      bootstrap({
        listeners: [
          listener("in", { routes: ROUTES, trafficDirection: "INBOUND" }),
          listener("out", { routes: ROUTES, trafficDirection: "OUTBOUND" }),
        ],
        clusters: [cluster("origin", [upstream.port])],
      }),
      { args: ["--status-port", String(statusPort), "--health-port", String(healthPort), ...args], env },
    ),
  );
  const kept = owned.move();
  return {
    sidecar,
    upstream,
    status: `http://127.0.0.1:${statusPort}`,
    health: `http://127.0.0.1:${healthPort}/healthz/ready`,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Clients that send one request after the other and connect anew when their connection was closed by a response. */
class Load {
  readonly problems: string[] = [];
  served = 0;
  closes = 0;
  #isOver = false;
  readonly #done: Promise<unknown>;

  constructor(port: number, clients: number) {
    this.#done = Promise.all(Array.from({ length: clients }, () => this.#client(port)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #client(port: number): Promise<void> {
    let client: RawClient | undefined;
    while (!this.#isOver) {
      try {
        client ??= await RawClient.connect(port);
        client.send(GET);
        const answer = await client.receiveUntil("\r\n\r\nok");
        this.served++;
        if (/^connection: close\r$/im.test(answer)) {
          this.closes++;
          client.destroy();
          client = undefined;
        }
      } catch (error) {
        this.problems.push(error instanceof Error ? error.message : String(error));
        return;
      }
    }
    client?.destroy();
  }
}

suite("a pod's life", { timeout: 120_000 }, () => {
  test("SIGTERM under load: what endpoints still send is served, outbound works until the application is gone", async () => {
    await using running = await pod(["--drain-time-s", "30", "--min-drain-time-s", "2"], {}, OK);
    const { sidecar } = running;
    const inbound = sidecar.port("in");
    const load = new Load(inbound, 8);
    const application = await RawClient.connect(sidecar.port("out"));
    application.send(GET);
    await application.receiveUntil("\r\n\r\nok");
    await until(
      "load",
      () => load.served,
      (served) => served > 200,
    );
    sidecar.signal("SIGTERM");
    await until(
      "responses that close",
      () => load.closes,
      (closes) => closes > 20,
    );
    // New connections, to a listener that drains: endpoints elsewhere have not heard yet.
    const late = await RawClient.connect(inbound);
    late.send(GET);
    assert.match(await late.receiveAll(), /^HTTP\/1\.1 200 /);
    // They have now.
    await load.stop();
    assert.deepEqual(load.problems, []);
    await until(
      "an inbound listener that refuses",
      () =>
        RawClient.connect(inbound).then(
          (client) => (client.destroy(), false),
          () => true,
        ),
      Boolean,
    );
    assert.ok(sidecar.isAlive, "the application is there yet");
    const other = await RawClient.connect(sidecar.port("out"));
    for (const client of [application, other]) {
      client.send(GET);
      await client.receiveUntil("\r\n\r\nok");
      assert.doesNotMatch(client.received, /connection: close/i);
    }
    application.destroy();
    other.destroy();
    assert.deepEqual(await sidecar.untilEnded(), { code: 0, signal: null });
    assert.ok(
      sidecar.logEntries.some(({ cut }) => cut === 0),
      sidecar.log,
    );
  });

  test("one deadline ends it also with an application that stays, and the last line says what was cut", async () => {
    await using running = await pod(["--drain-time-s", "2", "--min-drain-time-s", "1"]);
    const application = await RawClient.connect(running.sidecar.port("out"));
    application.send(GET);
    await (await running.upstream.connection(0)).untilRequests(1);
    const from = performance.now();
    assert.deepEqual(await running.sidecar.stop(), { code: 0, signal: null });
    assert.ok(performance.now() - from < 8_000);
    assert.ok(
      running.sidecar.logEntries.some(({ cut }) => cut === 1),
      running.sidecar.log,
    );
  });

  test("probes, metrics of both, and a Job that ends its sidecar", async () => {
    const app = createServer((request, response) => {
      response.writeHead(request.url === "/ready" ? 200 : 404).end();
    });
    const metrics = createServer((_, response) => void response.end("app_up 1\n"));
    await Promise.all(
      [app, metrics].map((server) => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))),
    );
    try {
      const [appPort, metricsPort] = [app, metrics].map((server) => (server.address() as AddressInfo).port);
      await using running = await pod(["--drain-time-s", "5"], {
        INSTANCE_IP: "127.0.0.1",
        ISTIO_KUBE_APP_PROBERS: JSON.stringify({
          "/app-health/web/readyz": { httpGet: { path: "/ready", port: appPort } },
          "/app-health/web/livez": { httpGet: { path: "/live", port: appPort } },
        }),
        ISTIO_PROMETHEUS_ANNOTATIONS: JSON.stringify({ scrape: "true", port: String(metricsPort) }),
      });
      assert.equal((await fetch(running.health)).status, 200);
      assert.equal((await fetch(`${running.status}/app-health/web/readyz`)).status, 200);
      assert.equal((await fetch(`${running.status}/app-health/web/livez`)).status, 500);
      const text = await (await fetch(`${running.status}/stats/prometheus`)).text();
      for (const line of [
        "envoy_server_concurrency{} 1",
        "app_up 1",
        "outrigger_pod_probes_passed_total{} 1",
        "outrigger_pod_probes_failed_total{} 1",
      ]) {
        assert.ok(text.includes(`\n${line}\n`), line);
      }
      // What a Job's container says at its end.
      assert.equal((await fetch(`${running.status}/quitquitquit`, { method: "POST" })).status, 200);
      assert.deepEqual(await running.sidecar.untilEnded(), { code: 0, signal: null });
    } finally {
      app.close();
      metrics.close();
    }
  });

  test("drain lets inbound connections end with their next response, and stops nothing", async () => {
    await using running = await pod(["--drain-strategy", "immediate"], {}, OK);
    const { sidecar } = running;
    const [inbound, outbound] = [
      await RawClient.connect(sidecar.port("in")),
      await RawClient.connect(sidecar.port("out")),
    ];
    const { io, err } = printed();
    assert.equal(await drainVerb.run(["--admin", `127.0.0.1:${sidecar.adminPort}`], io), 0, err());
    await until(
      "a response that closes",
      async () => {
        const client = await RawClient.connect(sidecar.port("in"));
        client.send(GET);
        const answer = await client.receiveUntil("\r\n\r\nok");
        client.destroy();
        return answer;
      },
      (answer) => /connection: close/i.test(answer),
    );
    inbound.send(GET);
    assert.match(await inbound.receiveAll(), /^HTTP\/1\.1 200 [\s\S]*connection: close/i);
    outbound.send(GET);
    assert.doesNotMatch(await outbound.receiveUntil("\r\n\r\nok"), /connection: close/i);
    assert.equal((await fetch(running.health)).status, 200);
    outbound.destroy();
    const away = printed();
    assert.equal(await drainVerb.run(["--admin", `127.0.0.1:${await freePort()}`], away.io), 1);
    assert.match(away.err(), /nothing listens there/);
  });
});

suite("outrigger wait", { timeout: 60_000 }, () => {
  test("waits for a sidecar that comes later, and until it is ready", async () => {
    const port = await freePort();
    let isReady = false;
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      response.writeHead(isReady ? 200 : 503).end("not ready\nwaiting for listeners\n");
      isReady = asked >= 3;
    });
    const { io } = printed();
    const waiting = waitVerb.run(["--url", `http://127.0.0.1:${port}/healthz/ready`, "--period-ms", "20"], io);
    server.listen(port, "127.0.0.1");
    try {
      assert.equal(await waiting, 0);
      assert.equal(asked, 4);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test("gives up with the last reason; a URL that is none is wrong usage", async () => {
    const server = createServer((_, response) => response.writeHead(503).end("not ready\nwaiting for listeners\n"));
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const { io, err } = printed();
    try {
      assert.equal(
        await waitVerb.run(["--url", `http://127.0.0.1:${port}/`, "--timeout-s", "0", "--period-ms", "1"], io),
        1,
      );
      assert.match(err(), /not ready after 0 s: not ready; waiting for listeners/);
      assert.equal(await waitVerb.run(["--url", "nonsense"], io), 2);
    } finally {
      server.close();
    }
  });
});
