// The main job with the real process: a static bootstrap, a real plugin of each SDK, thousands of requests over many
// keep-alive connections. Every response has the plugin's header, none fails.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { runLoad } from "../bench/load.ts";
import {
  bootstrap,
  cluster,
  EXAMPLE_PLUGINS,
  examplePlugin,
  listener,
  wasmFilter,
} from "../support/bootstrap-builder.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

const CONFIGURATION = '{"headers":[{"name":"X-Go-Wasm","value":"APISIX"},{"name":"x-origin","value":"plugin"}]}';
// AssemblyScript's SDK looks its root context up by this name.
const ROOT = { rootId: "custom-response-header" };
const REQUESTS = { go: 6_000, rust: 2_000, assemblyscript: 2_000, cpp: 2_000 };

suite("requests through the example plugin", () => {
  test("outrigger run serves thousands of requests over 24 connections, all with the header, for each SDK", async () => {
    await using upstream = await FakeUpstream.start({
      respond: "HTTP/1.1 200 OK\r\nx-origin: 1\r\ncontent-length: 2\r\n\r\nok",
    });
    const listeners = EXAMPLE_PLUGINS.map((language) =>
      listener(language, { filters: [wasmFilter(language, examplePlugin(language), CONFIGURATION, ROOT)] }),
    );
    await using sidecar = await SidecarProcess.start(
      bootstrap({ listeners, clusters: [cluster("origin", [upstream.port])] }),
    );
    for (const language of EXAMPLE_PLUGINS) {
      for (const expectHeader of ["X-Go-Wasm: APISIX", "x-origin: plugin"]) {
        const result = await runLoad({
          port: sidecar.port(language),
          connections: 24,
          requests: REQUESTS[language] / 2,
          expectHeader,
        });
        assert.deepEqual(result.problems, {}, language);
        assert.deepEqual(result.statuses, { 200: REQUESTS[language] / 2 }, language);
      }
      assert.equal(await sidecar.stat(`http.${language}.downstream_rq_2xx`), REQUESTS[language]);
      assert.equal(await sidecar.stat(`http.${language}.downstream_cx_total`), 48, "connections are kept");
    }
    assert.equal(await sidecar.stat("cluster.origin.upstream_rq_200"), 12_000);
    assert.deepEqual(await sidecar.stop(), { code: 0, signal: null });
  });

  test("a static listener whose plugin refuses to start ends the process before it is ready", async () => {
    const filters = [wasmFilter("custom", examplePlugin("assemblyscript"), CONFIGURATION, { rootId: "unknown" })];
    const broken = bootstrap({ listeners: [listener("broken", { filters })], clusters: [cluster("origin", [1])] });
    await using sidecar = await SidecarProcess.start(broken, { untilReady: false });
    assert.deepEqual(await sidecar.untilEnded(), { code: 1, signal: null });
    assert.match(sidecar.log, /^outrigger: plugin "custom" failed in proxy_on_context_create/m);
    assert.doesNotMatch(sidecar.log, /"ready"/);
  });
});
