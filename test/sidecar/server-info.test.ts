import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRunOptions } from "../../sidecar/cli/run-flags.ts";
import { serverInfo } from "../../sidecar/server-info.ts";

test("serverInfo() has Envoy's command line, and a user agent unless the bootstrap has one", () => {
  const parsed = parseRunOptions(["-c", "b.yaml", "--drain-time-s", "45", "--drain-strategy", "immediate"]);
  assert.ok(parsed.ok);
  const info = serverInfo({ version: "0.1.0", uptimeMs: 2_900, options: parsed.options, node: { id: "n" } });
  assert.equal(info.uptimeSeconds, 2);
  assert.match(info.version, /^0{40}\/0\.1\.0\/Clean\/RELEASE\/none$/);
  const { config_path, drain_time, drain_strategy, mode, file_flush_interval } = info.commandLineOptions;
  assert.deepEqual(
    [config_path, drain_time, drain_strategy, mode, file_flush_interval],
    ["b.yaml", "45s", "Immediate", "Serve", "10s"],
  );
  assert.deepEqual(info.node, { user_agent_name: "outrigger", user_agent_version: "0.1.0", id: "n" });
  const own = serverInfo({
    version: "0.1.0",
    uptimeMs: 0,
    options: parsed.options,
    node: { user_agent_name: "envoy" },
  });
  assert.equal(own.node["user_agent_name"], "envoy");
});
