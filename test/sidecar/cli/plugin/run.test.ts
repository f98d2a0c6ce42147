// The verb `plugin run`: what it prints and how it ends, with the example of each SDK and with the guests.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { pluginRunVerb } from "../../../../sidecar/cli/plugin/run.ts";
import { printed } from "../../../support/cli-printer.ts";

const CONFIG = '{"headers":[{"name":"X-Wasm","value":"yes"}]}';
const guest = (name: string): string => join(import.meta.dirname, `../../../guests/wasm/${name}.wasm`);
const example = (name: string): string => join(import.meta.dirname, `../../../../plugins/examples/${name}/plugin.wasm`);

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(...argv: readonly string[]): Promise<Ran> {
  const { io, out, err } = printed();
  const code = await pluginRunVerb.run(argv, io);
  return { code, out: out(), err: err() };
}

interface Report {
  readonly streams: readonly {
    readonly outcome: string;
    readonly paused_in: string | null;
    readonly request: {
      readonly path: string;
      readonly headers: readonly [string, string][];
      readonly body: string;
    } | null;
    readonly response: {
      readonly status: number;
      readonly headers: readonly [string, string][];
      readonly body: string;
      readonly trailers: readonly [string, string][];
    } | null;
    readonly reply_details: string | null;
  }[];
  readonly transcript: readonly {
    readonly kind: string;
    readonly name?: string;
    readonly text?: string;
    readonly result?: unknown;
    readonly arguments?: Readonly<Record<string, unknown>>;
    readonly host_calls?: readonly { readonly name: string; readonly status: string; readonly answers: object }[];
  }[];
  readonly calls: readonly { readonly cluster: string; readonly state: string }[];
  readonly grpc_calls: readonly { readonly path: string; readonly state: string }[];
  readonly metrics: readonly { readonly name: string; readonly value: number }[];
  readonly logs: readonly { readonly level: string; readonly message: string }[];
  readonly fault: { readonly kind: string } | null;
}

async function report(code: number, ...argv: readonly string[]): Promise<Report> {
  const ran = await run(...argv, "--json");
  assert.equal(ran.code, code, ran.err);
  return JSON.parse(ran.out) as Report;
}

const headerOf = (message: { readonly headers: readonly [string, string][] } | null | undefined, name: string) =>
  message?.headers.find(([key]) => key.toLowerCase() === name)?.[1];

/** Writes a file that is gone after the test. */
function file(t: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), "plugin-run-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "file");
  writeFileSync(path, text);
  return path;
}

for (const language of ["go", "rust", "assemblyscript", "cpp"]) {
  test(`plugin run shows what the ${language} example does`, async () => {
    const flags = ["--config", CONFIG, "--root-id", "custom-response-header", "--response", "200 hello"];
    const { code, out, err } = await run(example(language), ...flags, "-r", "/orders", "-H", "accept: */*");
    assert.deepEqual([code, err], [0, ""]);
    assert.match(out, /▶ proxy_on_configure \[1\] plugin_configuration_size=45/);
    assert.match(out, /proxy_replace_header_map_value\(map="response headers", key="X-Wasm", value="yes"\) = Ok/);
    assert.match(
      out,
      /request to the upstream:\n {2}GET \/orders HTTP\/1.1\n {2}accept: \*\/\*\n {2}Host: example.com\n/,
    );
    assert.match(
      out,
      /response to the client:\n {2}HTTP\/1.1 200 OK\n {2}content-length: 5\n {2}X-Wasm: yes\n\n {2}hello\n/,
    );
  });
}

suite("plugin run", () => {
  test("--json has callbacks and host calls with arguments, results and times", async () => {
    const { transcript, streams } = await report(0, example("rust"), "--config", CONFIG);
    const configure = transcript.find(({ name }) => name === "proxy_on_configure");
    assert.equal(configure?.result, true);
    const [call] = configure?.host_calls?.filter(({ name }) => name === "proxy_get_buffer_bytes") ?? [];
    assert.deepEqual([call?.status, call?.answers], ["Ok", { bytes: CONFIG }]);
    assert.equal(typeof (call as { duration_ms?: unknown } | undefined)?.duration_ms, "number");
    assert.equal(headerOf(streams[0]?.response, "x-wasm"), "yes");
  });

  test("takes whole messages from files, and cuts bodies into parts", async (t) => {
    const request = file(t, "PUT /a?b=c HTTP/1.1\r\nhost: shop.example\r\nx-a: 1\r\n\r\nhello world");
    const response = file(t, "HTTP/1.1 404 Gone Fishing\nserver: o\n\nnot here");
    const flags = ["-r", `@${request}`, "--response", `@${response}`, "--chunk", "4", "--trailer", "x-t: 1"];
    const { streams, transcript } = await report(0, guest("callbacks"), ...flags);
    const [stream] = streams;
    assert.equal(stream?.request?.body, "hello world");
    assert.equal(headerOf(stream?.request, "host"), "shop.example");
    assert.equal(headerOf(stream?.request, "content-length"), "11");
    assert.deepEqual([stream?.response?.status, stream?.response?.body], [404, "not here"]);
    const sizes = transcript.flatMap(({ name, arguments: args }) =>
      name === "proxy_on_request_body" ? args?.["body_size"] : [],
    );
    assert.deepEqual(sizes, [4, 4, 3]);
    assert.ok(transcript.some(({ name }) => name === "proxy_on_request_trailers"));
  });

  test("a body makes the request a POST", async () => {
    const { streams } = await report(0, guest("no-callbacks"), "-d", "x");
    assert.equal((streams[0]?.request as { method?: string } | null)?.method, "POST");
  });

  test("answers the plugin's calls by cluster, in order", async () => {
    const flags = ["-n", "3", "--callout", "auth=200 first", "--callout", "auth=403", "-r", "/x"];
    const { streams, calls } = await report(0, guest("http-call"), ...flags);
    assert.deepEqual(
      streams.map(({ response }) => response?.status),
      [200, 403, 403],
    );
    assert.equal(headerOf(streams[0]?.request, "x-call-body"), "first");
    assert.deepEqual(
      calls.map(({ cluster, state }) => [cluster, state]),
      Array(3).fill(["auth", "answered"]),
    );
  });

  for (const [answer, call] of [
    ["timeout", /504/],
    ["fail: gone", /.*/],
  ] as const) {
    test(`lets calls end with "${answer}" without waiting`, async () => {
      const before = performance.now();
      const { streams } = await report(0, guest("http-call"), "--callout", `auth=${answer}`);
      assert.ok(performance.now() - before < 900, "the call's timeout of 1 s took no second");
      assert.equal(streams[0]?.response?.status, 403);
      assert.match(headerOf(streams[0]?.response, "x-call") ?? "", call);
    });
  }

  test("says which cluster a plugin called that is not known", async () => {
    const { transcript } = await report(0, guest("http-call"));
    assert.ok(transcript.some(({ text }) => text === 'no cluster "auth" is known: --callout auth=200 makes one'));
  });

  test("answers gRPC calls with a message or a status", async () => {
    const flags = [
      "-n",
      "2",
      "--grpc-callout",
      "grpc=hello",
      "--grpc-callout",
      "grpc=status 14: gone",
      "-r",
      "/call/Echo",
    ];
    const { streams, grpc_calls } = await report(0, guest("grpc-call"), ...flags);
    assert.match(streams[0]?.response?.body ?? "", /^answer true 5 hello$/m);
    assert.match(streams[1]?.response?.body ?? "", /14 gone/);
    assert.deepEqual(
      grpc_calls.map(({ path, state }) => [path, state]),
      [
        ["/test.Echo/Echo", "ended"],
        ["/test.Echo/Echo", "ended"],
      ],
    );
    const late = await report(0, guest("grpc-call"), "--grpc-callout", "grpc=timeout", "-r", "/call/Echo");
    assert.match(late.streams[0]?.response?.body ?? "", /14 upstream request timeout/);
    const { out } = await run(guest("grpc-call"), "-r", "/call/Echo");
    assert.match(out, /no cluster "grpc" is known: --grpc-callout grpc=MESSAGE makes one/);
  });

  test("gives properties, the environment and ids", async () => {
    const config = "request xds.route_name\nrequest my.number\nrequest source.address";
    const properties = ["xds.route_name=web", "my.number:=7", "source.address=10.1.2.3:99"].flatMap((p) => [
      "--property",
      p,
    ]);
    const { streams } = await report(0, guest("properties"), "--config", config, ...properties);
    const hex = (text: string): string => Buffer.from(text).toString("hex");
    const response = streams[0]?.response;
    assert.equal(headerOf(response, "x-req-prop-xds-route-name"), hex("web"));
    assert.equal(headerOf(response, "x-req-prop-my-number"), "0700000000000000");
    assert.equal(headerOf(response, "x-req-prop-source-address"), hex("10.1.2.3:99"));
    const environment = await report(0, guest("environment"), "--env", "A=b", "--env", "C=d=e");
    assert.equal(headerOf(environment.streams[0]?.response, "x-env"), "A=b|C=d=e");
    const ids = ["--root-id", "r", "--vm-id", "v", "--name", "n", "--vm-config", "vm"];
    const configuration = (await report(0, guest("configuration"), ...ids)).streams[0]?.response;
    assert.deepEqual(
      ["x-plugin-root-id", "x-plugin-vm-id", "x-plugin-name", "x-vm-config"].map((name) =>
        headerOf(configuration, name),
      ),
      ["r", "v", "n", "vm"],
    );
  });

  test("jumps to the tick that a paused stream waits for", async () => {
    const { streams } = await report(
      0,
      guest("pause-resume"),
      "--config",
      "10000",
      "-r",
      "/request-headers",
      "-d",
      "body",
    );
    assert.equal(headerOf(streams[0]?.request, "x-resumed"), "request");
    assert.equal(streams[0]?.request?.body, "body");
  });

  test("says where a plugin holds the stream for ever, and ends with 1", async () => {
    for (const [path, where] of [
      ["/request-headers", "request"],
      ["/response-body", "response"],
    ] as const) {
      const { streams, transcript } = await report(1, guest("pause-forever"), "-r", path, "--response-body", "x");
      assert.deepEqual([streams[0]?.outcome, streams[0]?.paused_in], ["paused", where]);
      assert.ok(transcript.some(({ text }) => text === `the plugin holds the ${where}: given up after 15000 ms`));
    }
  });

  test("shows the trap of a plugin that fails, and ends with 1", async () => {
    const { code, out } = await run(guest("trap"), "-r", "/trap");
    assert.equal(code, 1);
    assert.match(out, /the plugin failed:\n {2}proxy_on_request_headers: trap: unreachable\n {4}at wasm:/);
    assert.match(out, /HTTP\/1.1 503 Service Unavailable/);
    const open = await report(1, guest("trap"), "-r", "/trap", "--failure-policy", "open");
    assert.deepEqual([open.streams[0]?.response?.status, open.fault?.kind], [200, "trap"]);
  });

  test("says when a plugin leaves a body that does not fit its content-length, and ends with 1", async () => {
    const { code, out } = await run(guest("actions"), "-r", "POST /request-body/3", "-d", "hello", "-q");
    assert.equal(code, 1);
    assert.match(
      out,
      /^the request cannot be sent: its content-length is 5, its body has 0 bytes; the plugin must remove/m,
    );
    assert.match(out, /HTTP\/1.1 500 Internal Server Error/);
    const cut = await report(1, guest("actions"), "-r", "POST /response-body/3", "--response-body", "hello");
    assert.equal(cut.streams[0]?.outcome, "failed");
  });

  test("keeps the plugin to the capabilities that it is given", async () => {
    const { transcript } = await report(
      0,
      guest("callbacks"),
      "--capability",
      "proxy_log",
      "--capability",
      "proxy_on_log",
    );
    const names = transcript.flatMap(({ kind, name }) => (kind === "callback" ? [name] : []));
    assert.deepEqual(names, ["(start)", "proxy_on_log"]);
  });

  test("has the fuel and the buffer limit that it is given", async () => {
    const fuel = await report(1, guest("loops"), "-r", "/loop", "--fuel", "100000");
    assert.equal(fuel.fault?.kind, "out_of_fuel");
    const flags = ["--config", "request append x", "-d", "0123456789", "--chunk", "4", "--buffer-limit", "6"];
    const { streams } = await report(0, guest("body-buffer"), ...flags);
    assert.deepEqual([streams[0]?.response?.status, streams[0]?.reply_details], [413, "request_payload_too_large"]);
  });

  test("--tcp sends a connection's bytes through a network plugin", async () => {
    const flags = ["--config", "upper\nprefix >", "--tcp", "--send", "one ", "--send", "two", "--receive", "three"];
    const { code, out } = await run(guest("tcp"), ...flags);
    assert.equal(code, 0);
    assert.match(out, /▶ proxy_on_downstream_data \[2\] data_size=3, end_of_stream=true/);
    assert.match(out, /^to the upstream:\n {2}ONE TWO$/m);
    assert.match(out, /^to the client:\n {2}> ?three$/m);
    assert.match(out, /▶ proxy_on_downstream_connection_close \[2\] peer_type=2/);
    interface Connections {
      readonly connections: readonly { outcome: string; paused_in: string | null; is_admitted: boolean }[];
    }
    const connectionsOf = async (code: number, ...argv: readonly string[]) =>
      ((await report(code, guest("tcp"), "--tcp", ...argv)) as unknown as Connections).connections;
    const [closed] = await connectionsOf(0, "--send", "close");
    assert.deepEqual([closed?.outcome, closed?.is_admitted], ["reset", true]);
    const [waiting] = await connectionsOf(1, "--config", "call auth", "--callout", "auth=timeout", "--timeout-ms", "1");
    assert.deepEqual([waiting?.outcome, waiting?.paused_in, waiting?.is_admitted], ["paused", "beginning", false]);
    const [failed] = await connectionsOf(1, "--send", "trap");
    assert.equal(failed?.outcome, "failed");
    const [held] = await connectionsOf(0, "--config", "hold\nwait", "--send", "hold it");
    assert.equal(held?.outcome, "completed");
  });

  test("shows what a plugin said that refuses to start", async () => {
    const { code, out, err } = await run(guest("refuse"), "--config", "refuse me");
    assert.deepEqual([code, out], [1, ""]);
    assert.match(
      err,
      /▶ proxy_on_configure[^]*◀ false[^]*outrigger plugin run: plugin "refuse" failed in proxy_on_configure/,
    );
  });

  test("--quiet leaves the transcript out and keeps the log", async () => {
    const { out } = await run(guest("logs"), "--quiet", "--log-level", "warn");
    assert.doesNotMatch(out, /▶/);
    assert.match(out, /log:\n {2}warn: /);
    assert.doesNotMatch(out, / info: /);
  });

  for (const [what, code, argv, problem] of [
    ["no module", 2, [], /needs a module: FILE\.wasm\nTry "outrigger help plugin run"/],
    ["a flag that is none", 2, ["x.wasm", "--requst", "/"], /unknown flag --requst, did you mean --request\?/],
    ["a request that is none", 2, ["x.wasm", "-r", "GET"], /flag --request: "GET" is no request line/],
    ["a header that is none", 2, ["x.wasm", "-H", "a"], /flag --header: "a" is no header: write "name: value"/],
    ["a response that is none", 2, ["x.wasm", "--response", "99"], /flag --response: "99" is no response/],
    ["an answer that is none", 2, ["x.wasm", "--callout", "a=b"], /flag --callout: "b" is no response/],
    ["a callout without a cluster", 2, ["x.wasm", "--callout", "200"], /flag --callout got "200": must be NAME=VALUE/],
    [
      "a property that is the request's",
      2,
      ["x.wasm", "--property", "request.path=/"],
      /request\.path is the request's own/,
    ],
    ["a property that is no JSON", 2, ["x.wasm", "--property", "a:=x"], /must be JSON/],
    ["bytes to send over HTTP", 2, ["x.wasm", "--send", "a"], /flag --send is for --tcp/],
    ["two configurations", 2, ["x.wasm", "--config", "a", "--config-file", "b"], /exclude each other/],
    ["a module that is not there", 1, ["/nowhere/x.wasm"], /cannot read "\/nowhere\/x\.wasm": there is no such file/],
    ["a file that is not there", 1, ["x.wasm", "--body", "@/nowhere"], /cannot read \/nowhere: ENOENT/],
    ["a module that is none", 1, [import.meta.filename], /run\.test\.ts: not a WebAssembly module/],
  ] as const) {
    test(`with ${what} ends with ${code}`, async () => {
      const ran = await run(...argv);
      assert.equal(ran.code, code);
      assert.match(ran.err, problem);
    });
  }
});
