// TCP connections that do anything in any order, with and without plugins: bytes are never lost, doubled or mixed on connections
// that end in order, and when all are gone every count is back where it was.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { after, suite, test } from "node:test";
import { bootstrap, cluster } from "../support/bootstrap-builder.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { until } from "../support/sidecar-story.ts";
import { plugin, tcp } from "../support/tcp-plugins.ts";

const CONNECTIONS = 60;
const LISTENERS = ["plain", "small", "passes", "two", "faults"];

const sockets = new Set<Socket>();

/** Echoes; what a connection's first byte asks for happens to it: `r` a reset, `e` an end, both after some bytes; `i` ignores. */
const echo = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
  let first = 0;
  socket.on("data", (chunk: Buffer) => {
    first ||= chunk[0] ?? 0;
    const letter = String.fromCharCode(first);
    if (letter === "r") {
      socket.resetAndDestroy();
    } else if (letter === "e") {
      socket.end("bye");
    } else if (letter !== "i" && !socket.write(chunk)) {
      socket.pause();
    }
  });
  socket.on("drain", () => socket.resume());
  socket.on("end", () => socket.end());
  socket.on("error", () => undefined);
});

/** One client; answers what went wrong with its bytes, or nothing. */
async function run(port: number, random: () => number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  const kind = "xxxxreit"[Math.floor(random() * 8)] ?? "x";
  let sent = kind === "t" ? "trap" : kind;
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
  socket.write(sent);
  const pieces = Math.floor(random() * 6);
  for (let piece = 0; piece < pieces && !socket.destroyed; piece++) {
    const text = String.fromCharCode(97 + Math.floor(random() * 26)).repeat(1 + Math.floor(random() ** 4 * 200_000));
    sent += text;
    socket.write(text);
    if (random() < 0.3) {
      socket.pause();
    }
    await new Promise((resolve) => setImmediate(resolve));
    socket.resume();
  }
  const ending = random();
  if (ending < 0.15) {
    socket.resetAndDestroy();
  } else if (ending < 0.3) {
    socket.destroy();
  } else {
    await finish(socket, closed, kind);
    if (kind === "x" && received !== sent) {
      return `sent ${sent.length}, received ${received.length}`;
    }
  }
  await closed;
  return "";
}

async function finish(socket: Socket, closed: Promise<unknown>, kind: string): Promise<void> {
  socket.end();
  const timer = setTimeout(() => socket.destroy(), kind === "x" ? 10_000 : 2_000);
  await closed;
  clearTimeout(timer);
}

suite("TCP chaos", { timeout: 30_000 }, () => {
  after(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    echo.close();
  });
  test("loses no byte and no count", async () => {
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    const { port } = echo.address() as AddressInfo;
    const small = { per_connection_buffer_limit_bytes: 8_192 };
    await using proxy = await ProxyProcess.start(
      undefined,
      bootstrap({
        listeners: [
          tcp("plain"),
          { ...tcp("small"), ...small },
          { ...tcp("passes", plugin("passes", "callbacks")), ...small },
          tcp("two", plugin("two-a", "callbacks"), plugin("two-b", "tcp")),
          tcp("faults", plugin("faults", "tcp", "", { failure_policy: "FAIL_OPEN" })),
        ],
        clusters: [cluster("up", [port], small)],
      }),
    );
    const random = seededRandom(7);
    const problems: string[] = [];
    for (const listener of LISTENERS) {
      const all = await Promise.all(Array.from({ length: CONNECTIONS }, () => run(proxy.port(listener), random)));
      problems.push(...all.filter((problem) => problem !== "").map((problem) => `${listener}: ${problem}`));
    }
    // A plugin's trap takes the other connections of its VM along.
    const expected = problems.filter((problem) => !problem.startsWith("two: "));
    assert.deepEqual(expected, []);
    for (const gauge of ["upstream_cx_active", "upstream_rq_active", "upstream_rq_pending_active"]) {
      await until(
        gauge,
        () => proxy.stat(`cluster.up.${gauge}`),
        (value) => value === 0,
      );
    }
    for (const listener of LISTENERS) {
      assert.equal(await proxy.stat(`tcp.${listener}.downstream_cx_total`), CONNECTIONS);
      await until(
        `${listener}'s connections`,
        () => proxy.stat(`listener.${listener}.downstream_cx_active`),
        (left) => left === 0,
      );
      assert.equal(await proxy.stat(`tcp.${listener}.upstream_flush_active`), 0);
    }
    const plugins = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/plugins`)).text();
    assert.doesNotMatch(plugins, /"open_streams": [1-9]/);
    assert.ok(proxy.isAlive);
  });
});
