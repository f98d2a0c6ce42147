// The verbs that ask a running sidecar, `trace` and `log`: against the real process with real plugins, and against admin ports that
// answer with anything.

import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, suite, test, type TestContext } from "node:test";
import { findVerb } from "../../sidecar/cli/verbs.ts";
import type { CliIo } from "../../sidecar/cli/verb.ts";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { EventLog } from "../support/events.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { freePort, until } from "../support/sidecar-story.ts";
import { within } from "../support/fake-upstream.ts";

const ESCAPE = "\u001b";

const owned = new AsyncDisposableStack();
let sidecar: SidecarProcess;

interface Answer {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

async function ask(admin: number | string, argv: readonly string[], more: Partial<CliIo> = {}): Promise<Answer> {
  let out = "";
  let err = "";
  const never = new AbortController().signal;
  const [verb = "", ...rest] = argv;
  const code = await findVerb(verb)?.run(
    [...rest, "--admin", typeof admin === "number" ? `127.0.0.1:${admin}` : admin],
    {
      out: (text) => void (out += text),
      err: (text) => void (err += text),
      env: {},
      stop: never,
      kill: never,
      ...more,
    },
  );
  return { code, out, err };
}

async function get(name: string, path: string): Promise<number> {
  const answer = await fetch(sidecar.url(name, path));
  await answer.text();
  return answer.status;
}

/** What `trace` prints, once the request that is meant has been recorded. */
function traced(path: string, ...argv: readonly string[]): Promise<Answer> {
  return until(
    `a trace of ${path}`,
    () => ask(sidecar.adminPort, ["trace", "--path", path, ...argv]),
    ({ out }) => out.includes(path),
  );
}

before(async () => {
  const origin = owned.use(await RecordingOrigin.start(() => undefined));
  sidecar = owned.use(
    await SidecarProcess.start(
      bootstrap({
        listeners: [
          listener("calls", { filters: [wasmFilter("caller", guest("http-call"), "cluster origin\n")] }),
          listener("traps", { filters: [wasmFilter("trap", guest("trap"))] }),
        ],
        clusters: [cluster("origin", [origin.port])],
      }),
    ),
  );
});
after(() => owned.disposeAsync());

suite("trace", { timeout: 60_000 }, () => {
  test("shows a request, its way, and each callback and call in the order of time", async () => {
    assert.equal(await get("calls", "/orders?x=1"), 200);
    const { code, out, err } = await traced("/orders");
    assert.deepEqual([code, err], [0, ""]);
    const lines = out.trimEnd().split("\n");
    assert.match(
      lines[0] ?? "",
      /^\d\d:\d\d:\d\d\.\d{3} {2}GET 127\.0\.0\.1:\d+\/orders\?x=1 {2}200 via_upstream {2}[\d.]+ ms$/,
    );
    assert.match(lines[1] ?? "", /^ {2}cluster origin, host 127\.0\.0\.1:\d+, id [0-9a-f-]{36}, .*worker 0$/);
    const at = (pattern: RegExp): number => {
      const found = lines.findIndex((line) => pattern.test(line));
      assert.ok(found > 0, `${pattern} in\n${out}`);
      return found;
    };
    const asked = at(
      / caller {2}proxy_on_request_headers +pause, for [\d.]+ ms {2}end of stream {2}\d+ host calls? {2}fuel \d+$/,
    );
    assert.match(lines[asked + 1] ?? "", /^ +[\d.]+ +[\d.]+ {2}└ call 1 \(HTTP\) to origin: GET \S+ {2}200$/);
    const answered = at(/ caller {2}proxy_on_http_call_response .* answer of call 1$/);
    const sent = at(/▶ request goes to 127\.0\.0\.1:\d+$/);
    const begins = at(/◀ answer begins$/);
    const response = at(/ caller {2}proxy_on_response_headers +continue /);
    assert.deepEqual(
      [asked, answered, sent, begins, response],
      [asked, answered, sent, begins, response].toSorted((a, b) => a - b),
    );
    // Aligned: the names of plugins begin in one column.
    assert.equal(
      new Set(lines.filter((line) => line.includes(" caller  ")).map((line) => line.indexOf("caller"))).size,
      1,
    );
  });

  test("shows faults, filters, and paints on a terminal only", async () => {
    assert.equal(await get("traps", "/trap"), 503);
    const { out } = await traced("/trap", "--plugin", "trap", "--status", "5xx");
    assert.match(out, / {2}503 .*wasm_fail_stream/);
    assert.match(out, /trap {2}proxy_on_request_headers .*FAULT /);
    assert.ok(!out.includes(ESCAPE));
    const none = await ask(sidecar.adminPort, ["trace", "--path", "/trap", "--status", "404,2xx"]);
    assert.deepEqual([none.code, none.out], [0, ""]);
    assert.match(none.err, /^outrigger trace: none of the last \d+ requests fits\n$/);
    const painted = await ask(sidecar.adminPort, ["trace", "--path", "/trap"], { isTerminal: true });
    assert.ok(painted.out.includes(`${ESCAPE}[31mtrap  proxy_on_request_headers`), painted.out);
    const plain = await ask(sidecar.adminPort, ["trace", "--path", "/trap"], {
      isTerminal: true,
      env: { NO_COLOR: "1" },
    });
    assert.equal(plain.out, out);
  });

  test("shows the newest last, as many as are asked for, also as JSON", async () => {
    for (const name of ["one", "two", "three"]) {
      assert.equal(await get("traps", `/many-${name}`), 200);
    }
    await traced("/many-three");
    const { out } = await ask(sidecar.adminPort, ["trace", "--path", "/many", "-n", "2", "-o", "json"]);
    const { traces } = JSON.parse(out) as { traces: readonly { path: string; hooks: readonly object[] }[] };
    assert.deepEqual(
      traces.map(({ path }) => path),
      ["/many-two", "/many-three"],
    );
    assert.ok((traces[0]?.hooks.length ?? 0) > 2);
  });

  test("--follow prints what comes, once each, until it is interrupted", async () => {
    assert.equal(await get("traps", "/old-follow"), 200);
    await traced("/old-follow");
    const lines = new EventLog<string>();
    const stop = new AbortController();
    const ended = ask(sidecar.adminPort, ["trace", "--follow", "--path", "-follow", "-o", "json"], {
      stop: stop.signal,
      out: (text) => {
        for (const line of text.trimEnd().split("\n")) {
          lines.push(line);
        }
      },
    });
    await lines.first("the old one", (line) => line.includes("/old-follow"));
    assert.equal(await get("traps", "/new-follow-1"), 200);
    await lines.first("the first", (line) => line.includes("/new-follow-1"));
    assert.equal(await get("traps", "/new-follow-2"), 200);
    await lines.first("the second", (line) => line.includes("/new-follow-2"));
    stop.abort("SIGINT");
    assert.equal((await within(ended, "its end")).code, 0);
    assert.deepEqual(
      lines.all.map((line) => (JSON.parse(line) as { path: string }).path),
      ["/old-follow", "/new-follow-1", "/new-follow-2"],
    );
  });

  test("refuses what it cannot understand", async () => {
    for (const [argv, says] of [
      [["--status", "teapot"], /--status got "teapot": must be statuses such as 404, 5xx or 400-429/],
      [["--limit", "0"], /--limit got "0": must be a whole number from 1 to 1000/],
      [["x"], /unexpected argument "x"/],
    ] as const) {
      const { code, err } = await ask(1, ["trace", ...argv]);
      assert.equal(code, 2);
      assert.match(err, says);
    }
    for (const admin of ["nowhere", "https://127.0.0.1:1", "http://:1", "127.0.0.1"]) {
      const { code, err } = await ask(admin, ["trace"]);
      assert.deepEqual(
        [code, err.includes(`--admin got "${admin}": must be host:port, or an http:// URL`)],
        [2, true],
        err,
      );
    }
  });
});

suite("log", { timeout: 60_000 }, () => {
  const level = (out: string, name: string): string | undefined => new RegExp(`^${name} +(\\w+)$`, "m").exec(out)?.[1];

  test("shows and changes levels, of one component or of all", async () => {
    const shown = await ask(sidecar.adminPort, ["log"]);
    assert.deepEqual([shown.code, level(shown.out, "wasm"), level(shown.out, "main")], [0, "info", "info"]);
    const one = await ask(sidecar.adminPort, ["log", "wasm=debug"]);
    assert.deepEqual([one.code, level(one.out, "wasm"), level(one.out, "main")], [0, "debug", "info"]);
    const all = await ask(`http://127.0.0.1:${sidecar.adminPort}/`, ["log", "warn", "admin=error"]);
    assert.deepEqual([level(all.out, "wasm"), level(all.out, "admin")], ["warning", "error"], all.err);
    assert.match((await sidecar.admin("/logging", "POST")).text, / wasm: warning\n/);
    assert.equal((await ask(sidecar.adminPort, ["log", "info"])).code, 0);
  });

  test("changes nothing when a component or a level is not known", async () => {
    const unknown = await ask(sidecar.adminPort, ["log", "debug", "wasn=debug"]);
    assert.deepEqual(unknown, {
      code: 1,
      out: "",
      err: 'outrigger log: the sidecar has no component "wasn", did you mean wasm?\n',
    });
    const shown = await ask(sidecar.adminPort, ["log"]);
    assert.equal(level(shown.out, "wasm"), "info");
    for (const [word, says] of [
      ["wasm=verbose", /unknown level "verbose": one of trace, debug/],
      ["inof", /unknown level "inof", did you mean info\?/],
      ["=debug", /"=debug" names no component/],
    ] as const) {
      const { code, err } = await ask(sidecar.adminPort, ["log", word]);
      assert.equal(code, 2);
      assert.match(err, says);
    }
  });
});

suite("an admin port that is none", { timeout: 60_000 }, () => {
  async function stranger(t: TestContext, onRequest: RequestListener): Promise<number> {
    const server = createServer(onRequest);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }

  test("that nobody listens on is named, with the flag", async () => {
    const port = await freePort();
    for (const verb of ["trace", "log", "drain"]) {
      const { code, err } = await ask(port, [verb]);
      const says = `outrigger ${verb}: 127.0.0.1:${port}: nothing listens there; --admin says where to ask\n`;
      assert.deepEqual([code, err], [1, says]);
    }
  });

  const ANSWERS: Readonly<Record<string, string>> = {
    "no JSON": "<html>\u001b[2J</html>",
    "another JSON": '{"servers":[]}',
    "traces that are none": '{"traces":[{"method":1}]}',
    "callbacks that are none": '{"traces":[{"worker":0,"started_at":1e99,"hooks":[null]}]}',
    nothing: "",
  };
  for (const [name, body] of Object.entries(ANSWERS)) {
    test(`that answers with ${name} is said to be another`, async (t) => {
      const port = await stranger(t, (_request, response) => response.end(body));
      for (const verb of ["trace", "log"]) {
        const { code, out, err } = await ask(port, [verb]);
        assert.deepEqual([code, out, err.includes(ESCAPE)], [1, "", false]);
        assert.match(err, /^outrigger \w+: 127\.0\.0\.1:\d+\/\S* does not answer as a sidecar's admin port: .*\n$/);
      }
    });
  }

  test("that never answers is left when the verb is interrupted", async (t) => {
    const asked = Promise.withResolvers<void>();
    const port = await stranger(t, () => asked.resolve());
    const stop = new AbortController();
    const answer = ask(port, ["trace"], { stop: stop.signal });
    await within(asked.promise, "the question");
    stop.abort("SIGINT");
    assert.deepEqual(await within(answer, "its end", 5_000), { code: 1, out: "", err: "" });
  });

  test("that refuses is quoted, and one that never ends its answer is left", async (t) => {
    const refusing = await stranger(t, (_request, response) => response.writeHead(403).end("go away\n"));
    assert.equal((await ask(refusing, ["trace"])).err, `outrigger trace: 127.0.0.1:${refusing} answers 403: go away\n`);
    const chunk = Buffer.alloc(1024 * 1024, "[");
    const endless = await stranger(t, (_request, response) => {
      const more = (): void => {
        while (response.write(chunk));
      };
      response.on("drain", more);
      more();
    });
    const { code, err } = await ask(endless, ["trace"]);
    assert.deepEqual([code, err], [1, `outrigger trace: 127.0.0.1:${endless}: the answer is too large\n`]);
  });
});
