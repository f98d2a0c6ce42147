// What the wire shows of a plugin's headers, through the real process: the spelling that the plugin's configuration has.

import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { test } from "node:test";
import { bootstrap, cluster, examplePlugin, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

test("a plugin's response header is sent as it is spelled in the plugin's configuration", async () => {
  await using upstream = await FakeUpstream.start({
    respond: "HTTP/1.1 200 OK\r\nDate: now\r\nX-ORIGIN: 1\r\nContent-Length: 2\r\n\r\nok",
  });
  const configuration = '{"headers":[{"name":"X-Go-Wasm","value":"APISIX"},{"name":"x-Origin","value":"plugin"}]}';
  const filters = [wasmFilter("custom-response-header", examplePlugin("go"), configuration)];
  await using sidecar = await SidecarProcess.start(
    bootstrap({ listeners: [listener("web", { filters })], clusters: [cluster("origin", [upstream.port])] }),
  );
  const [response] = (await once(get({ port: sidecar.port("web") }), "response")) as [IncomingMessage];
  response.resume();
  const lines = response.rawHeaders.flatMap((name, i) => (i % 2 === 0 ? `${name}: ${response.rawHeaders[i + 1]}` : []));
  const ours = lines.filter((line) => /^(x-go-wasm|x-origin|date)/i.test(line));
  assert.deepEqual(ours, ["Date: now", "x-Origin: plugin", "X-Go-Wasm: APISIX"]);
});
