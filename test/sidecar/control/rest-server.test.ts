// The control plane's admin port against strangers: other sites, other methods, bodies without end, and addresses that are
// not loopback.

import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { routesOf } from "../../../sidecar/control/rest-routes.ts";
import { RestServer } from "../../../sidecar/control/rest-server.ts";
import { createControlPlane } from "../../../xds/server/index.ts";
import { staticCluster } from "../../support/xds-resources.ts";

async function serve(
  t: TestContext,
  host = "127.0.0.1",
  allowRemoteChanges = false,
  maxBodyBytes = 1024 * 1024,
): Promise<number> {
  const plane = createControlPlane({ resources: [staticCluster("a")] });
  const routes = routesOf({
    plane,
    formatProblem: () => undefined,
    canary: undefined,
    onChange: () => {},
    startedAt: Date.now(),
    now: Date.now,
    isReady: () => true,
  });
  const rest = new RestServer({ routes, allowRemoteChanges, onError: () => {}, maxBodyBytes });
  t.after(() => {
    rest.close();
    plane.close();
  });
  const port = await rest.listen(host, 0);
  assert.ok(typeof port === "number");
  return port;
}

type Answer = Readonly<{ status: number; body: string }>;

async function ask(port: number, method: string, path: string, headers = {}, body = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    call.on("error", reject);
    call.end(body);
  });
}

test("the admin port of a control plane answers status, counters, readiness and help", async (t) => {
  const port = await serve(t);
  const status = JSON.parse((await ask(port, "GET", "/status")).body) as Record<string, unknown>;
  assert.deepEqual(Object.keys(status), ["control_plane", "summary", "serving", "canary", "sidecars"]);
  assert.match((await ask(port, "GET", "/stats")).body, /^outrigger_control_plane_clients: 0\n/);
  assert.match(
    (await ask(port, "GET", "/stats/prometheus")).body,
    /# TYPE outrigger_control_plane_streams_total counter\noutrigger_control_plane_streams_total\{\} 0\n/,
  );
  assert.deepEqual(await ask(port, "GET", "/ready"), { status: 200, body: "LIVE\n" });
  assert.match((await ask(port, "GET", "/help")).body, /POST \/config\/push/);
  assert.equal((await ask(port, "HEAD", "/status")).body, "");
});

test("the admin port of a control plane refuses other sites, methods, paths and bodies", async (t) => {
  const port = await serve(t);
  const push = (headers: object, body = "[]", query = "") => ask(port, "POST", `/config/push${query}`, headers, body);
  assert.equal((await push({ origin: "http://evil.example" })).status, 403);
  assert.equal((await push({ host: "evil.example" })).status, 403);
  assert.equal((await push({ "sec-fetch-site": "cross-site" })).status, 403);
  assert.equal((await ask(port, "GET", "/config/push")).status, 405);
  assert.equal((await ask(port, "GET", "/nope")).status, 404);
  assert.equal((await ask(port, "GET", "//")).status, 404);
  for (const [body, query, problem] of [
    ["{", "?file=x.yaml", /x\.yaml:1:\d+: not valid YAML/],
    ["", "", /body:1:1: the file is empty/],
    ["[]", "?canary=0", /percents of the sidecars that grow/],
    ["[]", "?canary=10&hold_s=-1", /hold_s \\"-1\\" must be a number/],
  ] as const) {
    const answer = await push({}, body, query);
    assert.equal(answer.status, 400, body);
    assert.match(answer.body, problem);
  }
  const json = { "content-type": "application/json" };
  for (const body of ["", "[]", '{"files":[]}', '{"files":[{"name":1}]}']) {
    assert.equal((await push(json, body)).status, 400, body);
  }
  assert.equal((await ask(port, "POST", "/config/rollback?to=x")).status, 400);
  assert.equal((await ask(port, "POST", "/config/rollback")).status, 400, "there is nothing before");
});

test("the admin port of a control plane does not keep a body without end", async (t) => {
  const port = await serve(t);
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  socket.write("POST /config/push HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
  let answer = "";
  socket.on("data", (data: Buffer) => (answer += data.toString()));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(1024 * 1024, 0x20), Buffer.from("\r\n")]);
  const write = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", write);
  write();
  await closed;
  assert.match(answer, /^HTTP\/1\.1 413 /);
});

test("an admin port that is not on loopback shows, and changes nothing unless told to", async (t) => {
  const port = await serve(t, "0.0.0.0");
  assert.equal((await ask(port, "GET", "/status")).status, 200);
  assert.equal((await ask(port, "POST", "/config/diff", {}, "[]")).status, 200);
  const refused = await ask(port, "POST", "/config/push", {}, "[]");
  assert.equal(refused.status, 403);
  assert.match(refused.body, /--admin-allow-changes/);
  assert.equal((await ask(await serve(t, "0.0.0.0", true), "POST", "/config/push", {}, "[]")).status, 200);
});
