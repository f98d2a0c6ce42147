// Routing, local replies, retries, timeouts and the access log through the real process: what a client gets, what the
// upstream sees, and the line that Envoy's default format writes of it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { bootstrap, cluster, fileAccessLog, listener } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { RawClient } from "../support/raw-client.ts";
import { type RecordedRequest, RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { freePort, until } from "../support/sidecar-story.ts";

const ROUTES = [
  { match: { path: "/redirect" }, redirect: { https_redirect: true, path_redirect: "/there", response_code: "FOUND" } },
  { match: { prefix: "/direct" }, direct_response: { status: 418, body: { inline_string: "teapot" } } },
  { match: { prefix: "/no-cluster" }, route: { cluster_header: "x-cluster" } },
  { match: { prefix: "/no-host" }, route: { cluster: "empty" } },
  { match: { prefix: "/refused" }, route: { cluster: "refused" } },
  { match: { prefix: "/silent" }, route: { cluster: "silent", timeout: "0.15s" } },
  { match: { prefix: "/stale" }, route: { cluster: "stale" } },
  {
    match: { safe_regex: { regex: "/items/([0-9]+)/(\\w+)" } },
    route: {
      cluster: "origin",
      regex_rewrite: { pattern: { regex: "/items/([0-9]+)/(\\w+)" }, substitution: "/\\2/of/\\1" },
    },
  },
  {
    match: { prefix: "/api/", headers: [{ name: "x-version", string_match: { exact: "2" } }] },
    route: { cluster: "origin", prefix_rewrite: "/v2/", host_rewrite_literal: "two.example" },
  },
  {
    match: { prefix: "/api/", query_parameters: [{ name: "beta", present_match: true }] },
    route: { cluster: "origin", prefix_rewrite: "/beta/" },
  },
  { match: { path_separated_prefix: "/api" }, route: { cluster: "origin", prefix_rewrite: "/v1" } },
  {
    match: { prefix: "/split" },
    route: {
      weighted_clusters: {
        clusters: [
          { name: "origin", weight: 3, request_headers_to_add: [{ header: { key: "x-share", value: "three" } }] },
          { name: "origin", weight: 1, request_headers_to_add: [{ header: { key: "x-share", value: "one" } }] },
          { name: "refused", weight: 0 },
        ],
      },
    },
  },
  {
    match: { prefix: "/headers" },
    route: { cluster: "origin" },
    request_headers_to_add: [{ header: { key: "x-method", value: "%REQ(:METHOD)%" } }],
    request_headers_to_remove: ["x-secret"],
    response_headers_to_add: [
      { header: { key: "x-origin", value: "set" }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" },
    ],
  },
  { match: { prefix: "/origin" }, route: { cluster: "origin" } },
];

const owned = new AsyncDisposableStack();
let origin: RecordingOrigin;
let silent: FakeUpstream;
let stale: FakeUpstream;
let sidecar: SidecarProcess;
let logFile: string;
let lines = 0;

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

async function ask(path: string, fields = "", method = "GET"): Promise<Answer> {
  const client = await RawClient.connect(sidecar.port("main"));
  client.send(
    `${method} ${path} HTTP/1.1\r\nHost: here.example\r\nConnection: close\r\nUser-Agent: test\r\n${fields}\r\n`,
  );
  const text = await client.receiveAll();
  const [head = "", body = ""] = text.split("\r\n\r\n");
  return { status: Number(head.slice(9, 12)), head, body };
}

/** The next line of the access log. */
async function logLine(): Promise<string> {
  const all = await until(
    "a line in the access log",
    () => readFileSync(logFile, "utf8").split("\n"),
    (split) => split.length > lines + 1,
  );
  lines = all.length - 1;
  return all.at(-2) ?? "";
}

const lastRequest = (): RecordedRequest => {
  const last = origin.requests.at(-1);
  assert.ok(last !== undefined);
  return last;
};

suite("routes and local replies", { timeout: 60_000 }, () => {
  before(async () => {
    origin = owned.use(await RecordingOrigin.start(() => undefined));
    silent = owned.use(await FakeUpstream.start());
    stale = owned.use(await FakeUpstream.start());
    const refused = await freePort();
    sidecar = owned.use(
      await SidecarProcess.start(
        (folder) => {
          logFile = join(folder, "access.log");
          return bootstrap({
            listeners: [
              listener("main", {
                virtualHosts: [
                  {
                    name: "other",
                    domains: ["*.other.example"],
                    routes: [{ match: { prefix: "/" }, direct_response: { status: 202 } }],
                  },
                  { name: "here", domains: ["here.example"], routes: ROUTES },
                ],
                manager: { access_log: [fileAccessLog(logFile)] },
              }),
            ],
            clusters: [
              cluster("origin", [origin.port]),
              cluster("empty", []),
              cluster("refused", [refused]),
              cluster("silent", [silent.port]),
              cluster("stale", [stale.port]),
            ],
          });
        },
        { args: ["--file-flush-interval-msec", "10"] },
      ),
    );
  });
  after(() => owned.disposeAsync());

  test("a route is chosen by prefix, regex, header and query, in the order of the configuration, and rewritten", async () => {
    const cases: [string, string, string, string][] = [
      ["/api/x?a=1", "", "/v1/x?a=1", "here.example"],
      ["/api", "", "/v1", "here.example"],
      ["/api/x", "X-Version: 2\r\n", "/v2/x", "two.example"],
      ["/api/x?beta", "X-Version: 3\r\n", "/beta/x?beta", "here.example"],
      ["/items/42/pages?q", "", "/pages/of/42?q", "here.example"],
    ];
    for (const [path, fields, target, host] of cases) {
      assert.equal((await ask(path, fields)).status, 200, path);
      const { target: seen, fields: seenFields } = lastRequest();
      assert.deepEqual([seen, seenFields.find(([name]) => name === "host")?.[1]], [target, host]);
    }
    assert.equal((await ask("/apis")).status, 404);
    assert.equal((await ask("/items/x/pages")).status, 404);
  });

  test("virtual hosts are chosen by the host, also as a suffix", async () => {
    const client = await RawClient.connect(sidecar.port("main"));
    client.send(
      "GET / HTTP/1.1\r\nHost: a.b.OTHER.example\r\n\r\nGET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
    );
    assert.deepEqual((await client.receiveAll()).match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 202", "HTTP/1.1 404"]);
  });

  test("a redirect and a direct response come from the proxy itself", async () => {
    const redirect = await ask("/redirect?x=1");
    assert.equal(redirect.status, 302);
    assert.match(redirect.head, /^location: https:\/\/here\.example\/there\?x=1\r?$/m);
    const direct = await ask("/direct");
    assert.deepEqual([direct.status, direct.body], [418, "teapot"]);
  });

  test("weighted clusters get their shares", async () => {
    const from = origin.requests.length;
    const client = await RawClient.connect(sidecar.port("main"));
    for (let i = 0; i < 200; i++) {
      client.send("GET /split HTTP/1.1\r\nHost: here.example\r\n\r\n");
      await client.receiveUntil("GET /split");
    }
    client.destroy();
    const shares = origin.requests.slice(from).map(({ fields }) => fields.find(([name]) => name === "x-share")?.[1]);
    const three = shares.filter((share) => share === "three").length;
    assert.equal(shares.filter((share) => share === "one").length, 200 - three);
    // 150 ± 6 standard deviations of 6.1.
    assert.ok(three > 113 && three < 187, `${three} of 200`);
  });

  test("headers are added, replaced and removed where the route says so", async () => {
    const answer = await ask("/headers", "X-Secret: 1\r\n");
    const fields = new Map(lastRequest().fields);
    assert.equal(fields.get("x-method"), "GET");
    assert.equal(fields.has("x-secret"), false);
    assert.match(answer.head, /^x-origin: set\r?$/m);
  });

  for (const { path, status, flag, body, details } of [
    { path: "/nothing", status: 404, flag: "NR", body: "", details: 0 },
    { path: "/no-cluster", status: 503, flag: "NC", body: "", details: 0 },
    { path: "/no-host", status: 503, flag: "UH", body: "no healthy upstream", details: 19 },
    {
      path: "/refused",
      status: 503,
      flag: "UF",
      body: /^upstream connect error or disconnect\/reset before headers\. .*reset reason: remote connection failure/,
      details: undefined,
    },
    { path: "/silent", status: 504, flag: "UT", body: "upstream request timeout", details: 24 },
  ]) {
    test(`${path} is answered ${status} and logged with ${flag}`, async () => {
      // Lines of the tests before this one may still be on their way.
      const mark = `/mark-${flag}`;
      await ask(mark);
      while (!(await logLine()).includes(mark)) {}
      const answer = await ask(path, "X-Cluster: unknown\r\n");
      assert.equal(answer.status, status);
      if (typeof body === "string") {
        assert.equal(answer.body, body);
      } else {
        assert.match(answer.body, body);
      }
      const upstream = flag === "UF" || flag === "UT" ? "127\\.0\\.0\\.1:\\d+" : "-";
      const sent = details ?? answer.body.length;
      assert.match(
        await logLine(),
        RegExp(
          `^\\[\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\] "GET ${path} HTTP/1\\.1" ${status} ${flag} 0 ${sent} \\d+ - "-" "test" ` +
            `"[0-9a-f-]{36}" "here\\.example" "${upstream}"$`,
        ),
      );
    });
  }

  test("a request that is served is logged with its bytes and its upstream", async () => {
    const client = await RawClient.connect(sidecar.port("main"));
    client.send(
      "POST /origin HTTP/1.1\r\nHost: here.example\r\nContent-Length: 5\r\nX-Forwarded-For: 10.1.1.1\r\n\r\nhello",
    );
    await client.receiveUntil("POST /origin");
    client.destroy();
    assert.match(
      await logLine(),
      RegExp(
        `^\\[.*Z\\] "POST /origin HTTP/1\\.1" 200 - 5 12 \\d+ \\d+ "10\\.1\\.1\\.1" "-" "[0-9a-f-]{36}" ` +
          `"here\\.example" "127\\.0\\.0\\.1:${origin.port}"$`,
      ),
    );
  });

  test("a request that meets a dying idle connection is sent again on a new one; a POST whose bytes went is not", async () => {
    const first = stale.connection(0);
    const client = await RawClient.connect(sidecar.port("main"));
    const request = (method: string, more = ""): string =>
      `${method} /stale HTTP/1.1\r\nHost: here.example\r\n${more}\r\n`;
    client.send(request("GET"));
    const dying = await first;
    await dying.untilRequests(1);
    dying.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1");
    await client.receiveUntil("\r\n\r\n1");
    client.send(request("GET"));
    await dying.untilRequests(2);
    dying.reset();
    const second = await stale.connection(1);
    await second.untilRequests(1);
    second.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2");
    assert.match(await client.receiveUntil("\r\n\r\n2"), /^HTTP\/1\.1 200 OK\r\n/);
    client.send(request("POST", "content-length: 0\r\n"));
    await second.untilRequests(2);
    second.reset();
    const refused = await client.receive((text) => text.includes("connection termination"));
    assert.match(refused, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
    assert.equal(stale.connections.length, 2, "the POST was not sent again");
    client.destroy();
  });
});
