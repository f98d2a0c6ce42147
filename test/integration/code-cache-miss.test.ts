// nack_on_code_cache_miss over ADS: a plugin whose code is not at hand is refused, fetched meanwhile, and accepted when it is
// pushed again. What was there before serves throughout.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { sha256Of } from "../../sidecar/code/code-cache.ts";
import { examplePlugin } from "../support/bootstrap-builder.ts";
import { FakeRegistry } from "../support/fake-registry.ts";
import { servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, RunningControlPlane, RunningSidecar, startOrigin, until } from "../support/sidecar-story.ts";

const MODULE = readFileSync(examplePlugin("rust"));

/** The cluster that the code is fetched through. */
function codeCluster(port: number): string {
  const address = `{ socket_address: { address: 127.0.0.1, port_value: ${port} } }`;
  return `- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: code
  type: STATIC
  load_assignment: { cluster_name: code, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${address} } }] }] }
`;
}

/** Served resources with the plugin's local code replaced by remote code that has to be in the cache. */
function withRemoteCode(text: string): string {
  const source = `sha256: "${sha256Of(MODULE)}", http_uri: { uri: "http://code.example/m.wasm", cluster: code, timeout: 5s }`;
  const remote = `nack_on_code_cache_miss: true, code: { remote: { ${source} } }`;
  return text.replace(/code: \{ local: \{ filename: [^}]*\} \}/, remote);
}

suite("nack_on_code_cache_miss", () => {
  test("refuses a plugin until its code has been fetched, and the one before serves on", async (t) => {
    await using server = await FakeRegistry.start();
    server.serve("/m.wasm", MODULE);
    const upstream = await startOrigin(t, "one");
    const served = (plugin: string): string => servedResources({ upstream, plugin }) + codeCluster(server.port);
    const plane = await RunningControlPlane.start(t, served("first"));
    const bootstrap = `${adsBootstrapText(plane.port, "GRPC")}
layered_runtime: { layers: [{ name: test, static_layer: { outrigger.wasm.code_cache_dir: "" } }] }
`;
    const sidecar = await RunningSidecar.start(t, bootstrap, "--concurrency", "1");
    await sidecar.untilReady();
    const url = `http://127.0.0.1:${await sidecar.port()}/`;
    assert.equal((await fetch(url)).headers.get("x-go-wasm"), "first");

    await plane.replace(withRemoteCode(served("second")));
    const refused = await plane.process.stdout.first("REFUSED", (line) => line.includes("REFUSED"));
    assert.match(refused, /ECDS .*not in the code cache yet; it is being fetched from http:\/\/code.example\/m.wasm/);
    assert.equal((await fetch(url)).headers.get("x-go-wasm"), "first");
    await until(
      "the code",
      () => sidecar.stat("wasm.remote_load_fetch_successes"),
      (count) => count === 1,
    );

    await plane.replace(withRemoteCode(served("third")));
    await until(
      "the third version",
      async () => (await fetch(url)).headers.get("x-go-wasm"),
      (got) => got === "third",
    );
    assert.equal((await sidecar.xds("TypedExtensionConfig", "header"))?.state, "ACKED");
    assert.equal(await sidecar.stat("wasm.remote_load_cache_hits"), 1);
    assert.equal(server.seen.length, 1);
  });
});
