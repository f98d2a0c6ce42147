// The webhook over TLS: reviews answered, and everybody who is slow, huge or mad turned away and counted while the others are served.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:https";
import { connect as connectTcp } from "node:net";
import { after, suite, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { DEFAULT_SETTINGS } from "../../../sidecar/inject/settings.ts";
import { issueServing, makeAuthority } from "../../../sidecar/webhook/certificate.ts";
import { WebhookMetrics } from "../../../sidecar/webhook/webhook-metrics.ts";
import { WebhookServer } from "../../../sidecar/webhook/webhook-server.ts";
import { podReview, responseOf } from "./review.ts";

const NOW = Date.now();
const AUTHORITY = makeAuthority("test", NOW);
const serving = () => issueServing(AUTHORITY, ["localhost"], NOW);
const LIMITS = {
  maxBodyBytes: 200_000,
  maxTotalBytes: 300_000,
  headTimeoutMs: 400,
  requestTimeoutMs: 800,
  maxConnections: 40,
};

interface Answer {
  readonly status: number;
  readonly text: string;
}

class Running {
  readonly metrics = new WebhookMetrics();
  readonly server = new WebhookServer(DEFAULT_SETTINGS, {
    metrics: this.metrics,
    certificateExpiresMs: () => 5_000,
    limits: LIMITS,
  });
  readonly agent = new Agent({ keepAlive: true, maxSockets: 8, ca: AUTHORITY.certificate });
  port = 0;
  plainPort = 0;

  async start(): Promise<this> {
    this.server.serve(serving());
    this.port = await this.server.listen({ address: "127.0.0.1", port: 0 });
    this.plainPort = await this.server.listenPlain({ address: "127.0.0.1", port: 0 });
    return this;
  }

  stop(): void {
    this.agent.destroy();
    this.server.close();
  }

  async ask(
    body: string | Buffer,
    {
      path = "/inject",
      method = "POST",
      headers = { "content-type": "application/json" } as Record<string, string | number>,
    } = {},
  ): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const outgoing = request(
      { host: "127.0.0.1", servername: "localhost", port: this.port, path, method, headers, agent: this.agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
    return promise;
  }

  async plain(path: string): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.plainPort}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async tls(): Promise<TLSSocket> {
    const socket = connect({ host: "127.0.0.1", port: this.port, servername: "localhost", ca: AUTHORITY.certificate });
    socket.on("error", () => undefined);
    await once(socket, "secureConnect");
    return socket;
  }

  async counted(row: string): Promise<void> {
    const { text } = await this.plain("/metrics");
    assert.ok(text.includes(`\n${row}\n`), `${row} in ${text}`);
  }

  async isWell(): Promise<void> {
    const { status, text } = await this.ask(JSON.stringify(podReview()));
    assert.equal(status, 200);
    assert.equal(responseOf(text).allowed, true);
  }
}

/** What comes until the other side has closed. */
async function untilClosed(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (!socket.closed) {
    await once(socket, "close");
  }
  return Buffer.concat(chunks).toString();
}

suite("WebhookServer", async () => {
  const running = await new Running().start();
  after(() => running.stop());

  test("answers reviews over TLS, on connections that are kept", async () => {
    for (let i = 0; i < 20; i++) {
      await running.isWell();
    }
    await running.counted('outrigger_webhook_reviews_total{outcome="injected"} 20');
    await running.counted("outrigger_webhook_review_duration_seconds_count 20");
    await running.counted("outrigger_webhook_certificate_expiry_seconds 5");
    await running.counted("outrigger_webhook_body_bytes 0");
  });

  test("the path may say cluster and network", async () => {
    const { text } = await running.ask(JSON.stringify(podReview()), { path: "/inject/cluster/c1/net/n1?timeout=10s" });
    const patch = Buffer.from(responseOf(text).patch ?? "", "base64").toString();
    assert.match(patch, /\\"CLUSTER_ID\\\\?":\\\\?"c1|CLUSTER_ID[\\":]+c1/);
    assert.match(patch, /NETWORK[\\":]+n1/);
  });

  const refusals: readonly {
    name: string;
    ask: Parameters<Running["ask"]>[1];
    body?: string;
    status: number;
    reason: string;
  }[] = [
    { name: "another path", ask: { path: "/other" }, status: 404, reason: "path" },
    { name: "GET", ask: { method: "GET" }, status: 405, reason: "method" },
    { name: "another type", ask: { headers: { "content-type": "text/plain" } }, status: 415, reason: "content-type" },
    { name: "no type", ask: { headers: {} }, status: 415, reason: "content-type" },
  ];
  for (const { name, ask, status, reason } of refusals) {
    test(`turns away: ${name}`, async () => {
      assert.equal((await running.ask("", ask)).status, status);
      await running.counted(
        `outrigger_webhook_rejected_total{reason="${reason}"} ${reason === "content-type" && name === "no type" ? 2 : 1}`,
      );
    });
  }

  test("a body that says it is too large is refused before it comes", async () => {
    const socket = await running.tls();
    socket.write(
      "POST /inject HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n",
    );
    assert.match(await untilClosed(socket), /^HTTP\/1\.1 413 /);
    await running.counted('outrigger_webhook_rejected_total{reason="body-too-large"} 1');
    await running.isWell();
  });

  test("a body that does not say it is cut at the limit", async () => {
    const socket = await running.tls();
    socket.write(
      "POST /inject HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    const chunk = `8000\r\n${"x".repeat(0x8000)}\r\n`;
    socket.write(chunk.repeat(7));
    assert.match(await untilClosed(socket), /^HTTP\/1\.1 413 /);
    await running.counted('outrigger_webhook_rejected_total{reason="body-too-large"} 2');
    await running.counted("outrigger_webhook_body_bytes 0");
  });

  test("many large bodies at once are bounded in all", async () => {
    const sockets = await Promise.all([running.tls(), running.tls(), running.tls()]);
    const answers = sockets.map(untilClosed);
    for (const socket of sockets) {
      socket.write(
        "POST /inject HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 150000\r\n\r\n",
      );
      socket.write("x".repeat(140_000));
    }
    const first = await Promise.race(answers);
    assert.match(first, /^HTTP\/1\.1 503 /);
    sockets.forEach((socket) => socket.destroy());
    await Promise.all(answers);
    await running.counted('outrigger_webhook_rejected_total{reason="memory"} 1');
    await running.isWell();
  });

  test("a client that sends its head, or its body, byte by byte is cut off, while others are served", async () => {
    const [head, body] = await Promise.all([running.tls(), running.tls()]);
    const answers = [untilClosed(head), untilClosed(body)];
    head.write("POST /inject HTTP/1.1\r\nhost: x\r\nx-slow: ");
    body.write("POST /inject HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{");
    const drip = setInterval(() => {
      head.write("a");
      body.write(" ");
    }, 20);
    await running.isWell();
    const texts = await Promise.all(answers);
    clearInterval(drip);
    assert.ok(
      texts.every((text) => text === "" || text.startsWith("HTTP/1.1 408 ")),
      JSON.stringify(texts),
    );
    await running.counted('outrigger_webhook_rejected_total{reason="slow"} 2');
    await running.counted("outrigger_webhook_body_bytes 0");
  });

  test("a client that opens a connection and says nothing, or no TLS, is cut off", async () => {
    const silent = connectTcp(running.port, "127.0.0.1");
    const mad = connectTcp(running.port, "127.0.0.1");
    const closed = [silent, mad].map(async (socket) => {
      socket.on("error", () => undefined);
      socket.resume();
      await once(socket, "close");
    });
    mad.write("GET / HTTP/1.1\r\n\r\n");
    await Promise.all(closed);
    await running.counted('outrigger_webhook_rejected_total{reason="tls"} 2');
    await running.isWell();
  });

  test("what is no HTTP is answered 400", async () => {
    const socket = await running.tls();
    socket.write("NONSENSE\r\n\r\n");
    assert.match(await untilClosed(socket), /^HTTP\/1\.1 400 /);
    await running.counted('outrigger_webhook_rejected_total{reason="malformed"} 1');
  });

  test("a client that hangs up inside its body leaves nothing behind", async () => {
    const socket = await running.tls();
    socket.write("POST /inject HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{");
    socket.destroy();
    await once(socket, "close");
    await running.isWell();
    await running.counted("outrigger_webhook_body_bytes 0");
  });

  test("a new certificate is for new connections, the open ones go on", async () => {
    const old = await running.tls();
    running.server.serve(serving());
    const fresh = await running.tls();
    assert.notEqual(fresh.getPeerCertificate().serialNumber, old.getPeerCertificate().serialNumber);
    old.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    const [answer] = (await once(old, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
    old.destroy();
    fresh.destroy();
  });

  test("the plain port tells probes and scrapes, and knows nothing else", async () => {
    assert.equal((await running.plain("/ready")).status, 200);
    assert.equal((await running.plain("/healthz")).status, 200);
    assert.equal((await running.plain("/inject")).status, 404);
  });

  test("a server that drains is not ready, and still answers, on connections that close", async () => {
    running.server.drain();
    assert.equal((await running.plain("/ready")).status, 503);
    await running.isWell();
  });
});
