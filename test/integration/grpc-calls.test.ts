// gRPC calls and streams of a plugin (guest grpc-call) from the real process to real servers: grpc-js, and an HTTP/2 server whose
// answers are odd. The same requests go through Envoy with the same bootstrap, and the plugin must see the same.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { bootstrap, cluster, guest, http2Cluster, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { within } from "../support/fake-upstream.ts";
import { GrpcOrigin, grpcFrame, type OddAnswers, OddGrpcOrigin } from "../support/grpc-origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const GRPC = { ":status": 200, "content-type": "application/grpc" } as const;

/** Answers with a body and trailers. */
const answer =
  (body: Buffer, trailers: Record<string, string>, head: Record<string, string | number> = GRPC): OddAnswers[string] =>
  (stream) => {
    stream.respond(head, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.end(body);
  };

/** Answers with a head alone. */
const headOnly =
  (head: Record<string, string | number>): OddAnswers[string] =>
  (stream) =>
    stream.respond(head, { endStream: true });

const ODD: OddAnswers = {
  Slow: () => {},
  Html: (stream) => {
    stream.respond({ ":status": 503, "content-type": "text/html" });
    stream.end("<html>");
  },
  Html404: (stream) => {
    stream.respond({ ":status": 404 });
    stream.end("<html>");
  },
  Head401: headOnly({ ":status": 401 }),
  Head418: headOnly({ ":status": 418 }),
  Head503: headOnly({ ":status": 503, "grpc-status": "9", "grpc-message": "a%20b" }),
  NoTrailers: (stream) => {
    stream.respond(GRPC);
    stream.end(grpcFrame("x"));
  },
  TrailersOnly: headOnly({ ...GRPC, "grpc-status": "5", "grpc-message": "none" }),
  TrailersOnlyOk: headOnly({ ...GRPC, "grpc-status": "0" }),
  NoStatus: answer(grpcFrame("x"), { "x-y": "0" }),
  BadStatus: headOnly({ ...GRPC, "grpc-status": "77" }),
  WordStatus: headOnly({ ...GRPC, "grpc-status": "abc" }),
  Reset: (stream) => stream.close(2),
  ResetMid: (stream) => {
    stream.respond(GRPC);
    stream.write(grpcFrame("x"), () => setImmediate(() => stream.close(8)));
  },
  Lost: (stream) => stream.session?.destroy(),
  Compressed: answer(grpcFrame("x", 1), { "grpc-status": "0" }),
  BadFlag: answer(grpcFrame("x", 4), { "grpc-status": "0" }),
  Two: answer(Buffer.concat([grpcFrame("one"), grpcFrame("two")]), { "grpc-status": "0" }),
  HalfFrame: answer(grpcFrame("xyz").subarray(0, 6), { "grpc-status": "0" }),
  Text: answer(grpcFrame("x"), { "grpc-status": "0" }, { ":status": 200, "content-type": "text/plain" }),
  FailAfter: answer(grpcFrame("one"), { "grpc-status": "3", "grpc-message": "bad" }),
  Metadata: answer(grpcFrame("x"), { "grpc-status": "0", "x-out": "1" }, { ...GRPC, "x-a-bin": "6f8", "x-in": "a b" }),
  Goaway: (stream) => {
    stream.session?.goaway(0);
    answer(grpcFrame("bye"), { "grpc-status": "0" })?.(stream);
  },
};

const MAIN = [
  "/call/Echo",
  "/call/Echo/0",
  "/call/Echo/2000000",
  "/call/Big/100",
  "/call-service/Echo",
  "/call/Fail",
  "/call/Missing",
  "/no-timeout/Echo",
  "/dead",
  "/no-cluster",
  "/no-cluster-service",
  "/cancel",
  "/close-call",
  "/stream/Chat/3",
  "/stream/Chat/200",
  "/stream-talk/Chat/1/4",
  "/stream-late/Count/1",
  "/stream/Refuse/1",
  "/stream-late/Refuse/1",
  "/stream/Missing/1",
  "/stream-cancel/Chat/1",
  "/stream-dead/Chat/1",
];

/** What only Envoy says: its own response header, counted too, and its notes in braces. */
function withoutEnvoysOwn(journal: string): string {
  return journal
    .split("\n")
    .map((line) => {
      const own = / ?x-envoy-upstream-service-time=\d+/;
      const counted = own.test(line) ? line.replace(/\d+/, (count) => String(Number(count) - 1)) : line;
      return counted
        .replace(own, "")
        .replace(/\{(?:via_upstream|upstream_reset|response_timeout).*$| via_upstream$/, "");
    })
    .map((line) => line.trimEnd())
    .join("\n")
    .trimEnd();
}

interface Servers {
  readonly origin: GrpcOrigin;
  readonly odd: OddGrpcOrigin;
  readonly http: RecordingOrigin;
  readonly config: object;
}

const owned = new AsyncDisposableStack();

async function startServers(): Promise<Servers> {
  const origin = owned.use(await GrpcOrigin.start());
  const odd = owned.use(await OddGrpcOrigin.start(ODD));
  const http = owned.use(await RecordingOrigin.start(() => undefined));
  const filter = (name: string, to: string) => wasmFilter(name, guest("grpc-call"), `cluster ${to}\ndead dead\n`);
  const config = bootstrap({
    listeners: [
      listener("main", { filters: [filter("main", "grpc")] }),
      listener("odd", { filters: [filter("odd", "odd")] }),
      listener("old", { filters: [wasmFilter("old", guest("grpc-0-1-0"), "grpc")] }),
      listener("old-dead", { filters: [wasmFilter("old-dead", guest("grpc-0-1-0"), "dead")] }),
      listener("old-none", { filters: [wasmFilter("old-none", guest("grpc-0-1-0"), "none")] }),
    ],
    clusters: [
      http2Cluster("grpc", origin.port),
      http2Cluster("odd", odd.port),
      http2Cluster("dead", 1),
      cluster("origin", [http.port]),
    ],
  });
  return { origin, odd, http, config };
}

async function ask(port: number, path: string): Promise<string> {
  const got = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
  return `${got.status}\n${await got.text()}`;
}

const envoy = findEnvoy();

suite("what a plugin sees of a gRPC call", { timeout: 60_000 }, () => {
  let servers: Servers;
  let ours: ProxyProcess;
  let theirs: ProxyProcess | undefined;

  before(async () => {
    servers = await startServers();
    ours = owned.use(await ProxyProcess.start(undefined, servers.config));
    theirs = envoy === undefined ? undefined : owned.use(await ProxyProcess.start(envoy, servers.config));
  });
  after(() => owned.disposeAsync());

  const journal = async (name: string, path: string): Promise<string> => ask(ours.port(name), path);

  test("is Envoy's, with a gRPC server", { skip: envoy === undefined ? ENVOY_MISSING : false }, async () => {
    for (const path of MAIN) {
      const [mine, other] = [await journal("main", path), await ask(theirs?.port("main") ?? 0, path)];
      assert.equal(withoutEnvoysOwn(mine), withoutEnvoysOwn(other), path);
    }
  });

  test(
    "is Envoy's, with answers that no gRPC server gives",
    { skip: envoy === undefined ? ENVOY_MISSING : false },
    async () => {
      for (const method of Object.keys(ODD)) {
        const paths = method === "Slow" ? ["/timeout"] : [`/call/${method}`, `/stream/${method}/1`];
        for (const path of paths) {
          const [mine, other] = [await journal("odd", path), await ask(theirs?.port("odd") ?? 0, path)];
          assert.equal(withoutEnvoysOwn(mine), withoutEnvoysOwn(other), path);
        }
      }
    },
  );

  test("is the same for a plugin of ABI 0.1.0", async () => {
    for (const [name, path, expected] of [
      ["old", "/call", "200\necho:hello"],
      ["old", "/stream", "200\nchat:hello"],
      ["old-dead", "/call", "502\n"],
      ["old-dead", "/stream", "502\n"],
      ["old-none", "/call", "504\n"],
    ] as const) {
      assert.equal(await journal(name, path), expected, `${name} ${path}`);
      if (theirs !== undefined) assert.equal(await ask(theirs.port(name), path), expected, `Envoy: ${name} ${path}`);
    }
  });

  test("a unary call carries metadata, those of a GrpcService, binary ones as base64, and its deadline", async () => {
    const before = Date.now();
    assert.equal(await journal("main", "/call-service/Echo"), "200\nsent 1\nanswer true 10 echo:hello\n");
    const seen = servers.origin.seen("Echo");
    assert.deepEqual(seen?.metadata.get("x-from"), ["guest"]);
    assert.deepEqual(seen?.metadata.get("x-service"), ["yes"]);
    assert.deepEqual(seen?.metadata.get("x-bin"), [Buffer.from([0xe9, 0xff])]);
    const left = (seen?.deadline ?? 0) - before;
    assert.ok(left > 1_000 && left <= 3_000, `deadline in ${left} ms`);
    await journal("main", "/no-timeout/Echo");
    assert.equal(servers.origin.seen("Echo")?.deadline, Infinity);
  });

  test("a call that takes too long fails with Unavailable, as Envoy has it, and its stream is reset", async () => {
    assert.equal(await journal("odd", "/timeout"), "200\nsent 1\nfailure true 14 14 upstream request timeout\n");
    assert.ok((await ours.stat("cluster.odd.upstream_rq_timeout")) >= 1);
  });

  test("a stream goes both ways, its ends by either side", async () => {
    assert.match(
      await journal("main", "/stream-talk/Chat/1/4"),
      /message 7 chat:m0\nmessage 7 chat:t1\nmessage 7 chat:t2\nmessage 7 chat:t3\ntrailing 3: .*\nclose true 0 0 OK\n$/,
    );
    assert.deepEqual([servers.origin.seen("Chat")?.messages], [4]);
    assert.match(
      await journal("main", "/stream-late/Refuse/1"),
      /close true 8 8 enough\nlate Ok\(\(\)\) Ok\(\(\)\)\n$/,
    );
  });

  test("a cancelled stream is reset at the server", async () => {
    assert.match(
      await journal("main", "/stream-cancel/Chat/1"),
      /message 7 chat:m0\ncancelled Ok\(\(\)\) Err\(NotFound\)\n$/,
    );
    await until(
      "the reset",
      () => servers.origin.seen("Chat")?.end,
      (end) => end === "cancelled",
    );
  });

  test("a message beyond 4 MiB ends the call with ResourceExhausted", async () => {
    assert.equal(
      await journal("main", "/call/Big/5000"),
      "200\nsent 1\nfailure true 8 8 a message is larger than the limit\n",
    );
  });

  test("a message of more than 16 MiB is not sent, and counted", async () => {
    const text = await journal("main", `/call/Echo/${17 * 1024 * 1024}`);
    assert.equal(text, "200\nsent 1\nfailure true 8 8 too much waits to be sent\n");
  });

  test("a request that leaves while its stream is open leaves the stream to the plugin, and hurts nobody", async () => {
    const abort = new AbortController();
    const waiting = fetch(`http://127.0.0.1:${ours.port("main")}/stream-hold/Hold/1`, { signal: abort.signal });
    await until(
      "the stream",
      () => servers.origin.seen("Hold")?.messages,
      (count) => count === 1,
    );
    abort.abort();
    await assert.rejects(waiting);
    assert.equal(servers.origin.seen("Hold")?.end, "");
    assert.match(await journal("main", "/call/Echo"), /answer true/);
  });

  test("calls that nobody waits for are made, and the request goes on", async () => {
    assert.equal((await fetch(`http://127.0.0.1:${ours.port("main")}/forget`)).status, 200);
    await until(
      "the call",
      () => servers.origin.seen("Echo")?.bytes,
      (bytes) => bytes === 6,
    );
  });

  test("statistics of the cluster count connections, calls, answers and resets", async () => {
    for (const [name, least] of Object.entries({
      "cluster.grpc.upstream_rq_total": 10,
      "cluster.grpc.upstream_rq_200": 10,
      "cluster.grpc.upstream_rq_tx_reset": 1,
      "cluster.grpc.upstream_cx_rx_bytes_total": 1_000,
      "cluster.dead.upstream_cx_connect_fail": 1,
      "cluster.odd.upstream_rq_503": 1,
    })) {
      assert.ok((await ours.stat(name)) >= least, name);
    }
    assert.equal(await ours.stat("cluster.grpc.upstream_cx_total"), 1, "one session for all");
    assert.equal(await ours.stat("cluster.grpc.upstream_rq_active"), 1, "the stream that is held");
    assert.equal(await ours.stat("cluster.odd.upstream_rq_active"), 0);
  });

  test("a session that was told to go away takes nothing more and closes", async () => {
    assert.ok((await journal("odd", "/call/Goaway")).endsWith("answer true 3 bye\n"));
    await until(
      "the last session's end",
      () => ours.stat("cluster.odd.upstream_cx_active"),
      (count) => count === 0,
    );
    assert.ok((await ours.stat("cluster.odd.upstream_cx_close_notify")) >= 1);
  });
});

suite("gRPC calls of one plugin", { timeout: 60_000 }, () => {
  test("a panic in an answer fails the request that waited, resets the plugin's streams, and the next one works", async () => {
    await using origin = await GrpcOrigin.start();
    await using http = await RecordingOrigin.start(() => undefined);
    await using sidecar = await SidecarProcess.start(
      bootstrap({
        listeners: [listener("main", { filters: [wasmFilter("g", guest("grpc-call"), "cluster grpc\ntick_ms 20\n")] })],
        clusters: [http2Cluster("grpc", origin.port), cluster("origin", [http.port])],
      }),
    );
    await until(
      "the root's call",
      () => sidecar.log,
      (log) => log.includes("root call answered: 0 9"),
    );
    const open = await fetch(sidecar.url("main", "/stream-open/Hold/1"));
    assert.equal(open.status, 200);
    await until(
      "the stream",
      () => origin.seen("Hold")?.messages,
      (count) => count === 1,
    );
    const panicked = await fetch(sidecar.url("main", "/trap-call/Echo"));
    assert.equal(panicked.status, 503);
    await until(
      "the reset",
      () => origin.seen("Hold")?.end,
      (end) => end === "cancelled",
    );
    assert.match(await ask(sidecar.port("main"), "/call/Echo"), /answer true 10/);
    const inStream = await fetch(sidecar.url("main", "/trap-stream/Chat/1"));
    assert.equal(inStream.status, 503);
    assert.match(await ask(sidecar.port("main"), "/stream/Chat/1"), /close true 0/);
    // A fresh VM's tick calls as well.
    await until(
      "no call under way",
      () => sidecar.stat("cluster.grpc.upstream_rq_active"),
      (count) => count === 0,
    );
    assert.deepEqual(await within(sidecar.stop(), "the end"), { code: 0, signal: null });
  });
});
