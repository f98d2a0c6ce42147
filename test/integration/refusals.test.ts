// A control plane that checks nothing sends what the sidecar refuses: the refusal shows in /xds, in /config_dump, in the
// log and at the control plane, and what was good before serves on. A file that the verb control-plane accepts may still name
// a plugin that only the sidecar can judge.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { guest } from "../support/bootstrap-builder.ts";
import { type Served, servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, RunningControlPlane, RunningSidecar, startOrigin, until } from "../support/sidecar-story.ts";

interface DumpedFilter {
  readonly version_info: string;
  readonly ecds_filter: object;
  readonly error_state?: { readonly details: string; readonly failed_configuration: object };
}

interface Dumped {
  readonly configs: readonly { readonly "@type": string; readonly ecds_filters?: readonly DumpedFilter[] }[];
}

suite("what the sidecar refuses", { concurrency: 2 }, () => {
  for (const variant of ["GRPC", "DELTA_GRPC"] as const) {
    test(`run (${variant}) keeps the plugin that serves and says everywhere why the new one is refused`, async (t) => {
      const upstream = await startOrigin(t, "one");
      const served = (changes: Partial<Served>): string => servedResources({ upstream, plugin: "first", ...changes });
      const plane = await RunningControlPlane.start(t, served({ version: "1" }));
      const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, variant), "--concurrency", "1");
      await sidecar.untilReady();
      const url = `http://127.0.0.1:${await sidecar.port()}/`;
      const before = await sidecar.xds("TypedExtensionConfig", "header");
      assert.equal(before?.state, "ACKED");

      await plane.replace(served({ version: "2", plugin: "second", module: "/nowhere/plugin.wasm" }));
      const line = await plane.process.stdout.first("REFUSED", (text) => text.includes("REFUSED"));
      assert.match(line, /test-node 127\.0\.0\.1:\d+ ECDS [0-9a-f]{16} REFUSED: .*"header".*\/nowhere\/plugin\.wasm/);
      const refused = await until(
        "the refusal in /xds",
        () => sidecar.xds("TypedExtensionConfig", "header"),
        (plugin) => plugin?.refused !== undefined,
      );
      assert.equal(refused?.state, "NACKED");
      assert.match(refused.refused?.reason ?? "", /\/nowhere\/plugin\.wasm/);
      assert.equal(refused.version, before.version);
      assert.notEqual(refused.refused?.version, before.version);
      const { configs } = JSON.parse(await sidecar.text("/config_dump")) as Dumped;
      const dumped = configs.find((config) => config["@type"].endsWith(".EcdsConfigDump"))?.ecds_filters?.[0];
      assert.match(JSON.stringify(dumped?.ecds_filter), /first/);
      assert.equal(dumped?.version_info, before.version);
      assert.match(dumped.error_state?.details ?? "", /\/nowhere\/plugin\.wasm/);
      assert.match(JSON.stringify(dumped.error_state?.failed_configuration), /second/);
      await sidecar.process.stderr.first("log line", (text) => /"level":"warn.*nowhere/.test(text));

      // The rest of the same file was good: it is in use beside the plugin that was there before.
      const answer = await until(
        "the second version of the routes",
        () => fetch(url),
        ({ headers }) => headers.get("x-version") === "2",
      );
      assert.equal(answer.headers.get("x-go-wasm"), "first");
      assert.equal(answer.status, 200);

      await plane.replace(served({ version: "3", plugin: "third" }));
      await until(
        "the repaired plugin",
        () => fetch(url),
        ({ headers }) => headers.get("x-go-wasm") === "third",
      );
      const repaired = await sidecar.xds("TypedExtensionConfig", "header");
      assert.equal(repaired?.state, "ACKED");
      assert.equal(repaired.refused, undefined);
      assert.doesNotMatch(await sidecar.text("/config_dump"), /error_state/);
    });
  }

  test("run refuses a plugin that does not start before it acknowledges it, and says what it logged", async (t) => {
    const upstream = await startOrigin(t, "one");
    const served = (configuration: string, version: string): string =>
      servedResources({ upstream, plugin: "", module: guest("refuse"), version }).replace(
        /value: '\{"headers".*$/m,
        `value: ${JSON.stringify(configuration)}`,
      );
    const plane = await RunningControlPlane.start(t, served("one", "1"));
    const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, "GRPC"), "--concurrency", "1");
    await sidecar.untilReady();
    const url = `http://127.0.0.1:${await sidecar.port()}/`;
    assert.equal((await fetch(url)).headers.get("x-configuration"), "one");
    await plane.replace(served("refuse this", "2"));
    const line = await plane.process.stdout.first("REFUSED", (text) => text.includes("REFUSED"));
    assert.match(line, /ECDS .*proxy_on_configure: refused: .* it logged: plugin configuration refused: refuse this/);
    assert.equal((await sidecar.xds("TypedExtensionConfig", "header"))?.state, "NACKED");
    assert.equal((await fetch(url)).headers.get("x-configuration"), "one");
    await plane.replace(served("three", "3"));
    await until(
      "the third version",
      async () => (await fetch(url)).headers.get("x-configuration"),
      (got) => got === "three",
    );
  });

  test("run says of a pushed listener whose port is taken that the one before serves on", async (t) => {
    const upstream = await startOrigin(t, "one");
    const plane = await RunningControlPlane.start(t, servedResources({ upstream }));
    const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, "GRPC"), "--concurrency", "1");
    await sidecar.untilReady();
    const url = `http://127.0.0.1:${await sidecar.port()}/`;
    await plane.replace(servedResources({ upstream, listenerPort: upstream }));
    const line = await sidecar.process.stderr.first("log line", (text) => text.includes("Cannot bind"));
    assert.match(line, new RegExp(`listener \\\\"in\\\\" to 127\\.0\\.0\\.1:${upstream}: the address is in use`));
    const listener = await until(
      "the reason in /xds",
      () => sidecar.xds("Listener", "in"),
      (each) => each?.refused !== undefined,
    );
    assert.match(listener?.refused?.reason ?? "", /the address is in use by another process/);
    assert.equal((await fetch(url)).status, 200);
    await plane.replace(servedResources({ upstream, version: "2" }));
    await until(
      "the repaired listener",
      () => sidecar.xds("Listener", "in"),
      (each) => each?.refused === undefined,
    );
  });
});
