// The verb `import apisix`: what it writes serves requests as APISIX's documentation says, here and on Envoy; what it cannot translate
// is named with its place.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, suite, test } from "node:test";
import { IMPORT } from "../../sidecar/cli/import/import.ts";
import { parseYaml, plainJson } from "../../xds/decode/yaml-document.ts";
import { guest } from "../support/bootstrap-builder.ts";
import { printed } from "../support/cli-printer.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";

const folder = mkdtempSync(join(tmpdir(), "import-apisix-"));
const owned = new AsyncDisposableStack();
const envoy = findEnvoy();
let blue: RecordingOrigin;
let green: RecordingOrigin;
after(async () => {
  await owned.disposeAsync();
  rmSync(folder, { recursive: true });
});

async function importing(rules: string, ...flags: readonly string[]) {
  const file = join(folder, "apisix.yaml");
  writeFileSync(file, `${rules}\n#END\n`);
  const { io, out, err } = printed();
  const code = await IMPORT.run(["apisix", file, ...flags], io);
  return { code, out: out(), err: err().replaceAll(`${folder}/`, "") };
}

const answer = (name: string) => (): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\nx-origin: ${name}\r\n\r\n${name}`;

function config(): string {
  return `
apisix:
  node_listen: [{ ip: 127.0.0.1, port: 0 }]
wasm:
  plugins:
    - { name: tag, priority: 7999, file: ${relative(folder, guest("headers"))} }
    - { name: first, priority: 8000, file: ${relative(folder, guest("headers"))} }
`;
}

function rules(): string {
  return `
routes:
  - id: exact
    uri: /hello
    upstream_id: blue
    plugins:
      tag: { conf: "response add x-order tag" }
      first: { conf: "response add x-order first" }
      proxy-rewrite: { uri: /world, headers: { set: { x-set: "5% $http_x_in" }, remove: [x-gone] } }
      response-rewrite: { headers: { set: { x-answer: "yes" } } }
  - id: low
    uri: /api/*
    upstream_id: blue
  - id: deep
    uri: /api/v1/*
    priority: -5
    methods: [GET, PUT]
    vars: [["http_x_user", "in", ["1", "2"]], ["arg_kind", "~~", "^a|z$"]]
    upstream_id: green
    plugins: { tag: { conf: "response add x-order other" } }
  - id: high
    uri: /same
    priority: 9
    vars: [["http_x_no", "!", "==", "1"]]
    upstream_id: green
  - { id: lower, uri: /same, priority: 1, upstream_id: blue }
  - { id: hosted, uri: /*, hosts: ["*.shop.example"], service_id: shop }
  - { id: moved, uri: /moved, plugins: { redirect: { uri: "https://new.example:8443/there", ret_code: 301 } } }
  - { id: regex, uri: /r/*, upstream_id: blue, plugins: { proxy-rewrite: { regex_uri: ["^/r/(.*)/(.*)", "/$2-$1"] } } }
  - { id: fault, uri: /fault, upstream_id: blue, plugins: { fault-injection: { abort: { http_status: 418 } } } }
  - { id: cors, uri: /cors, upstream_id: blue, plugins: { cors: { allow_origins: "http://a.example", max_age: 7 } } }
  - { id: off, uri: /off, status: 0, upstream_id: blue }
upstreams:
  - { id: blue, nodes: { "127.0.0.1:${blue.port}": 1, "127.0.0.1:1": 0 } }
  - { id: green, type: roundrobin, pass_host: rewrite, upstream_host: inner, nodes: [{ host: 127.0.0.1, port: ${green.port}, weight: 2 }] }
services:
  - { id: shop, upstream_id: green, plugins: { response-rewrite: { headers: { x-service: shop } } } }
`;
}

interface Seen {
  readonly status: number;
  readonly origin: string;
  /** What came to the origin. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

function send(
  proxy: ProxyProcess,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<Seen> {
  const port = proxy.port("apisix-0");
  return new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1",
      port,
      path,
      method,
      agent: false,
      headers: { host: "plain.example", ...headers },
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      response.resume().on("end", () => {
        const origin = String(response.headers["x-origin"] ?? "");
        const target = (origin === "blue" ? blue : green).requests.at(-1)?.target ?? "";
        resolve({
          status: response.statusCode ?? 0,
          origin,
          target: origin === "" ? "" : target,
          headers: response.headers,
        });
      });
    });
    sent.end();
  });
}

for (const [name, binary] of [
  ["outrigger", undefined],
  ["Envoy", envoy],
] as const) {
  const skip = name === "Envoy" && envoy === undefined ? ENVOY_MISSING : false;
  suite(`a bootstrap from APISIX's files, on ${name}`, { timeout: 60_000, skip }, () => {
    let proxy: ProxyProcess;
    before(async () => {
      blue ??= owned.use(await RecordingOrigin.start(answer("blue")));
      green ??= owned.use(await RecordingOrigin.start(answer("green")));
      writeFileSync(join(folder, "config.yaml"), config());
      const output = join(folder, "bootstrap.yaml");
      assert.deepEqual(await importing(rules(), "-o", output), { code: 0, out: "", err: "" });
      const text = readFileSync(output, "utf8").replace("port_value: 15000", "port_value: 0");
      const parsed = parseYaml(text, "bootstrap.yaml");
      assert.ok(parsed.ok && parsed.value.root !== undefined);
      proxy = owned.use(await ProxyProcess.start(binary, plainJson(parsed.value.root) as object));
    });

    test("takes a full path before prefixes, longer prefixes before shorter ones, then priorities", async () => {
      const user = { "x-user": "2" };
      assert.equal((await send(proxy, "/api/v1/x?kind=az", user)).origin, "green");
      assert.equal((await send(proxy, "/api/v1/x?kind=az", user, "POST")).origin, "blue");
      assert.equal((await send(proxy, "/api/v1/x?kind=bb", user)).origin, "blue");
      assert.equal((await send(proxy, "/api/v1/x?kind=az", { "x-user": "3" })).origin, "blue");
      assert.equal((await send(proxy, "/same")).origin, "green");
      assert.equal((await send(proxy, "/same", { "x-no": "1" })).origin, "blue");
      assert.equal((await send(proxy, "/nowhere")).status, 404);
      assert.equal((await send(proxy, "/off")).status, 404);
    });

    test("takes the routes of a host before those of none, with what their service says", async () => {
      const hosted = await send(proxy, "/same", { host: "a.shop.example:8080", "x-no": "1" });
      assert.deepEqual([hosted.origin, hosted.headers["x-service"]], ["green", "shop"]);
      const fields = green.requests.at(-1)?.fields ?? [];
      assert.equal(fields.find(([field]) => field.toLowerCase() === "host")?.[1], "inner");
    });

    test("runs WebAssembly plugins by priority, each route with its own configuration", async () => {
      const seen = await send(proxy, "/hello?q=1", { "x-in": "in", "x-gone": "1" });
      // Responses pass the plugins backwards.
      assert.equal(seen.headers["x-order"], "tag, first");
      assert.deepEqual([seen.target, seen.headers["x-answer"]], ["/world?q=1", "yes"]);
      const fields = new Map(blue.requests.at(-1)?.fields.map(([field, value]) => [field.toLowerCase(), value]));
      assert.deepEqual([fields.get("x-set"), fields.has("x-gone")], ["5% in", false]);
      assert.equal((await send(proxy, "/api/v1/x?kind=az", { "x-user": "1" })).headers["x-order"], "other");
      assert.equal((await send(proxy, "/api/x")).headers["x-order"], undefined);
    });

    test("rewrites, redirects, injects faults and answers preflights", async () => {
      assert.equal((await send(proxy, "/r/a/b")).target, "/b-a");
      const moved = await send(proxy, "/moved?q=1");
      assert.deepEqual([moved.status, moved.headers["location"]], [301, "https://new.example:8443/there"]);
      assert.equal((await send(proxy, "/fault")).status, 418);
      const preflight = { origin: "http://a.example", "access-control-request-method": "GET" };
      const cors = await send(proxy, "/cors", preflight, "OPTIONS");
      assert.deepEqual(
        [cors.status, cors.headers["access-control-allow-origin"], cors.headers["access-control-max-age"]],
        [200, "http://a.example", "7"],
      );
    });
  });
}

suite("what import apisix cannot translate", () => {
  const UPSTREAM = `upstream: { nodes: { "127.0.0.1:1": 1 } }`;

  test("is named by file, line and path, and nothing is written", async () => {
    rmSync(join(folder, "config.yaml"), { force: true });
    const { code, out, err } = await importing(`routes:
  - uri: /a
    remote_addr: 10.0.0.0/8
    surprise: 1
    vars: [["cookie_x", "==", "1"]]
    plugins: { key-auth: {}, prometheus: {}, proxy-rewrite: { method: POST } }
    ${UPSTREAM}
consumers:
  - { username: jack }
upstreams: []`);
    assert.deepEqual([code, out], [1, ""]);
    assert.deepEqual(err.trimEnd().split("\n").toSorted(), [
      "apisix.yaml:3:18: routes[0].remote_addr: is not translated; the route is left out",
      "apisix.yaml:4:15: routes[0].surprise: is not translated",
      "apisix.yaml:5:11: routes[0].vars: vars[0]: the variable cookie_x is not translated; the route is left out",
      "apisix.yaml:6:26: routes[0].plugins.key-auth: this plugin has no counterpart; the route answers 501, because it may protect",
      "apisix.yaml:6:42: routes[0].plugins.prometheus: this plugin is not translated; it only watches, so the route is served without it",
      "apisix.yaml:6:71: routes[0].plugins.proxy-rewrite.method: is not translated",
      "apisix.yaml:9:3: consumers: is not translated",
      "outrigger import apisix: 7 things cannot be translated; --partial writes the rest",
    ]);
  });

  test("leaves a route out or answers 501 with --partial, and never serves it unprotected", async () => {
    const { code, out, err } = await importing(
      `routes:
  - { id: open, uri: /open, ${UPSTREAM} }
  - { id: guarded, uri: /guarded, plugins: { jwt-auth: {} }, ${UPSTREAM} }
  - { id: narrow, uri: /narrow, remote_addrs: [10.0.0.1], ${UPSTREAM} }
  - { id: gone, uri: /gone, plugins: { redirect: { uri: "https://$host$request_uri" } }, ${UPSTREAM} }`,
      "--partial",
    );
    assert.equal(code, 0, err);
    const parsed = parseYaml(out, "out.yaml");
    assert.ok(parsed.ok);
    const routes = Array.from(out.matchAll(/- name: (\w+)\n +match:\n +path: \S+\n +(\w+):/g), ([, id, action]) => [
      id,
      action,
    ]);
    assert.deepEqual(routes, [
      ["open", "route"],
      ["guarded", "direct_response"],
      ["gone", "direct_response"],
    ]);
  });

  test("is a name that stands twice or is missing; what only looks like one name stays two", async () => {
    const nodes = (port: number): string => `nodes: { "127.0.0.1:${port}": 1 }`;
    const twice = await importing(`upstreams:
  - { id: a, ${nodes(1)} }
  - { id: a, ${nodes(2)} }
  - { ${nodes(3)} }`);
    assert.deepEqual(twice.err.split("\n").slice(0, 2), [
      'apisix.yaml:3:5: upstreams[1]: the id "a" is there already',
      "apisix.yaml:4:5: upstreams[2]: it has no id: nothing can name it",
    ]);
    const { code, out } = await importing(`routes:
  - { id: 2, uri: /a, hosts: ["*"], upstream: { ${nodes(1)} } }
  - { uri: /b, upstream: { ${nodes(2)} } }`);
    assert.equal(code, 0);
    assert.deepEqual(
      Array.from(out.matchAll(/path: (\S+)\n +route:\n +cluster: (\S+)/g), ([, path, name]) => [path, name]),
      [
        ["/a", "route-2"],
        ["/b", "route-2-2"],
      ],
    );
  });

  test("is said of files that cannot be read, and of flags", async () => {
    const { io, err } = printed();
    assert.equal(await IMPORT.run(["apisix", join(folder, "none.yaml")], io), 1);
    assert.match(err(), /none\.yaml: cannot be read: /);
    assert.match((await importing("routes: [")).err, /^apisix\.yaml:\d+:\d+: not valid YAML/);
    assert.equal(await IMPORT.run(["nginx"], printed().io), 2);
    assert.equal(await IMPORT.run([], printed().io), 2);
    assert.equal(await IMPORT.run(["apisix"], printed().io), 2);
    assert.equal((await importing("routes: 3")).code, 1);
    assert.equal((await importing("- 1")).code, 1);
  });
});
