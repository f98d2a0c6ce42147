// What a connection manager tells each side when it is asked to: x-forwarded-port, User-Agent and node, the scheme, Proxy-Status.
// Envoy and outrigger with the same bootstrap tell the same.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bootstrap, cluster, fileAccessLog, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { rawAnswer } from "../support/raw-answer.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";

const TELLING: Readonly<Record<string, object>> = {
  port: { append_x_forwarded_port: true },
  port_edge: { append_x_forwarded_port: true, use_remote_address: true },
  port_edge_hops: { append_x_forwarded_port: true, use_remote_address: true, xff_num_trusted_hops: 1 },
  agent: { add_user_agent: true },
  agent_edge: { add_user_agent: true, use_remote_address: true },
  scheme: { scheme_header_transformation: { scheme_to_overwrite: "https" } },
  scheme_edge: { scheme_header_transformation: { scheme_to_overwrite: "https" }, use_remote_address: true },
  match: { scheme_header_transformation: { match_upstream: true } },
};

const STATUS: Readonly<Record<string, object>> = {
  status: {},
  status_no_details: { remove_details: true },
  status_no_flags: { remove_response_flags: true },
  status_code: { set_recommended_response_code: true },
  status_node: { use_node_id: true },
  status_literal: { literal_proxy_name: "my proxy" },
};

const CLIENT_FIELDS = [
  "",
  "x-forwarded-port: 77\r\nuser-agent: me\r\nx-envoy-downstream-service-cluster: c\r\n" +
    "x-envoy-downstream-service-node: n\r\nx-forwarded-proto: https\r\n",
  "x-forwarded-proto: ftp\r\nuser-agent: \r\n",
  "x-forwarded-proto: http\r\n",
];

const TOLD = /^(?:x-forwarded-p|user-agent|x-envoy-downstream|x-scheme)/;

const ROUTES = [
  { match: { prefix: "/redirect" }, redirect: { path_redirect: "/x" } },
  { match: { prefix: "/direct" }, direct_response: { status: 404 } },
  { match: { prefix: "/down" }, route: { cluster: "down" } },
  { match: { prefix: "/none" }, route: { cluster: "none" } },
  { match: { prefix: "/cut" }, route: { cluster: "cut" } },
  { match: { prefix: "/late" }, route: { cluster: "silent", timeout: "0.1s" } },
  { match: { prefix: "/idle" }, route: { cluster: "silent", idle_timeout: "0.1s" } },
  { match: { prefix: "/unknown" }, route: { cluster_header: "x-cluster" } },
  { match: { prefix: "/full" }, route: { cluster: "full" } },
  {
    match: { prefix: "/origin" },
    route: { cluster: "origin" },
    request_headers_to_add: [{ header: { key: "x-scheme", value: "%REQ(:scheme)%" } }],
  },
];
const FAILURES = [
  "/direct",
  "/none",
  "/cut",
  "/late",
  "/idle",
  "/unknown",
  "/full",
  "/nowhere",
  "/origin/other",
  "/down",
];

async function server(onData: "cut" | "silent"): Promise<AsyncDisposable & { port: number }> {
  const sockets = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => void (onData === "cut" && socket.destroy()));
  });
  sockets.listen(0, "127.0.0.1");
  await once(sockets, "listening");
  return {
    port: (sockets.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => Promise.resolve(void sockets.close()),
  };
}

const answer = (port: number, path: string, fields = ""): Promise<string> =>
  rawAnswer(port, `GET ${path} HTTP/1.1\r\nhost: shop\r\n${fields}\r\n`);

async function told(envoy: string | undefined): Promise<unknown> {
  await using origin = await RecordingOrigin.start(({ target }) =>
    target === "/origin/other"
      ? "HTTP/1.1 500 X\r\nproxy-status: other; error=x\r\ncontent-length: 0\r\n\r\n"
      : "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
  );
  await using cut = await server("cut");
  await using silent = await server("silent");
  const folder = mkdtempSync(join(tmpdir(), "outrigger-told-"));
  const log = join(folder, "log");
  const access_log = [fileAccessLog(log, "%REQ(:scheme)%\n")];
  const none = { max_requests: 0, max_pending_requests: 0, max_connections: 0 };
  const config = bootstrap({
    listeners: [
      ...Object.entries(TELLING).map(([name, manager]) =>
        listener(name, { manager: { ...manager, ...(name === "match" ? { access_log } : {}) }, routes: ROUTES }),
      ),
      ...Object.entries(STATUS).map(([name, proxy_status_config]) =>
        listener(name, { manager: { proxy_status_config, server_name: "srv" }, routes: ROUTES }),
      ),
    ],
    clusters: [
      cluster("origin", [origin.port]),
      cluster("down", [1]),
      cluster("none", []),
      cluster("cut", [cut.port]),
      cluster("silent", [silent.port]),
      cluster("full", [origin.port], { circuit_breakers: { thresholds: [none] } }),
    ],
  });
  await using proxy = await ProxyProcess.start(envoy, config);
  const seen: unknown[] = [];
  for (const name of Object.keys(TELLING)) {
    const port = proxy.port(name);
    for (const fields of CLIENT_FIELDS) {
      await answer(port, "/origin", fields);
      const arrived = origin.requests.at(-1)?.fields.filter(([field]) => TOLD.test(field)) ?? [];
      const redirect = await answer(port, "/redirect", fields);
      const lines = arrived.map((field) => field.join(": ").replace(String(port), "PORT"));
      seen.push([name, fields, lines.toSorted(byText), /location: (.*)\r/i.exec(redirect)?.[1]]);
    }
  }
  for (const name of Object.keys(STATUS)) {
    const sent = FAILURES.map(async (path) => {
      const text = await answer(proxy.port(name), path);
      // Envoy's details of failed connections have the error of the operating system too.
      const value = /^proxy-status: (.*)\r/im
        .exec(text)?.[1]
        ?.replace("|delayed_connect_error:_Connection_refused", "");
      return [name, path, text.split(" ")[1], value];
    });
    seen.push(...(await Promise.all(sent)));
  }
  while (readFileSync(log, "utf8").split("\n").length <= CLIENT_FIELDS.length * 2) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  seen.push(readFileSync(log, "utf8"));
  rmSync(folder, { recursive: true });
  return seen;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const envoy = findEnvoy();

test(
  "both sides are told what Envoy tells them",
  { skip: envoy === undefined ? ENVOY_MISSING : false, timeout: 60_000 },
  async () => {
    const [ours, theirs] = await Promise.all([told(undefined), told(envoy)]);
    assert.deepEqual(ours, theirs);
  },
);
