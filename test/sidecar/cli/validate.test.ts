// The verb `validate`: every file that a bootstrap names, and those that they name, with the place of each problem.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { parseRunOptions } from "../../../sidecar/cli/run-flags.ts";
import { validate } from "../../../sidecar/cli/validate.ts";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../../xds/type-urls.ts";
import { bootstrap, hcm, http, listener, LOCAL, ROUTER, TO_LOCAL } from "../../xds/decode/corpus-parts.ts";

type Files = Readonly<Record<string, string>>;

/** Writes the files, with `DIR/` standing for their folder, validates b.yaml, and gives what is printed, without the folder. */
async function run(t: TestContext, files: Files): Promise<{ code: number; out: string[]; err: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), "validate-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, name), text.replaceAll("DIR/", `${directory}/`));
  }
  const parsed = parseRunOptions(["-c", join(directory, "b.yaml")]);
  assert.ok(parsed.ok);
  const printed = { out: [] as string[], err: [] as string[] };
  const print = (lines: string[]) => (text: string) => {
    lines.push(...text.trimEnd().replaceAll(`${directory}/`, "").split("\n"));
  };
  const never = new AbortController().signal;
  const io = { out: print(printed.out), err: print(printed.err), env: {}, stop: never, kill: never };
  return { code: await validate(parsed.options, io), ...printed };
}

const wasm = (file: string) =>
  `{name: w, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {vm_config: {code: {local: {filename: ${file}}}}}}}, ${ROUTER}`;

const log = (format: string) =>
  `access_log: [{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, log_format: {${format}}}}]`;

const path = (file: string) => `{path_config_source: {path: ${file}}, resource_api_version: V3}`;

const BY_FILES = (files: Record<string, string>) =>
  bootstrap({
    rest: `dynamic_resources: {${Object.entries(files)
      .map(([field, file]) => `${field}: ${path(file)}`)
      .join(", ")}}`,
  });

const resource = (type: string, flow: string) =>
  `- "@type": ${type}\n  ${flow.replace(/^\{/, "").replace(/\}$/, "")}\n`;
const flow = (type: string, text: string) => `[{"@type": ${type}, ${text.replace(/^\{/, "")}]\n`;

test("validate says that all is well", async (t) => {
  const { code, out, err } = await run(t, { "b.yaml": bootstrap({ listeners: http(TO_LOCAL) }) });
  assert.deepEqual([code, out, err], [0, ["configuration 'b.yaml' OK"], []]);
});

test("validate names the field of a file that is not there or is no module", async (t) => {
  const routes = `{match: {path: /a}, direct_response: {status: 200, body: {filename: DIR/gone.txt}}}`;
  const { code, err } = await run(t, {
    "b.yaml": bootstrap({
      listeners: http(routes, "", wasm("DIR/text.wasm").replace(`, ${ROUTER}`, `, ${wasm("DIR/gone.wasm")}`)),
    }),
    "text.wasm": "no module",
  });
  assert.equal(code, 1);
  assert.equal(err.length, 3);
  const field = String.raw`vm_config\.code\.local\.filename: `;
  assert.match(
    err[0] ?? "",
    new RegExp(String.raw`^b\.yaml:4:\d+: static_.*\[0\].*${field}Cannot load the module of plugin "w"`),
  );
  assert.match(
    err[1] ?? "",
    new RegExp(String.raw`^b\.yaml:4:\d+: static_.*\[1\].*${field}"gone\.wasm" cannot be read: the file`),
  );
  assert.match(
    err[2] ?? "",
    /^b\.yaml:5:\d+: .*direct_response\.body\.filename: "gone\.txt" cannot be read: the file does/,
  );
});

test("validate checks the operators of formats", async (t) => {
  const routes = `{match: {prefix: /}, route: {cluster: local}, request_headers_to_add: [{header: {key: x, value: "%NO%"}}]}`;
  const fields = log(`json_format: {a: {b: ["%PROTOCOL%", "%NEVER%"]}}`);
  const { code, err } = await run(t, { "b.yaml": bootstrap({ listeners: http(routes, fields) }) });
  assert.equal(code, 1);
  assert.match(err.join("\n"), /json_format\["a"\]\["b"\]\[1\]: .*unknown operator %NEVER%/);
  assert.match(err.join("\n"), /request_headers_to_add\[0\]\.header\.value: .*unknown operator %NO%/);
  assert.equal(err.length, 2);
});

test("validate reads the resources that path_config_source names, and what they name", async (t) => {
  const rds = `rds: {route_config_name: r, config_source: ${path("DIR/rds.yaml")}}`;
  const { code, err } = await run(t, {
    "b.yaml": BY_FILES({ lds_config: "DIR/lds.yaml", cds_config: "DIR/gone.yaml" }),
    "lds.yaml": flow(LISTENER_TYPE, listener(hcm(rds))),
    "rds.yaml": resource(ROUTE_TYPE, "{name: r\n  virtual_hosts: [{name: a, domains: []}]}"),
  });
  assert.equal(code, 1);
  assert.equal(err.length, 2);
  assert.match(
    err[0] ?? "",
    /^b\.yaml:5:\d+: dynamic_resources\.cds_config\.path_config_source\.path: "gone\.yaml" cannot/,
  );
  assert.match(err[1] ?? "", /^rds\.yaml:3:\d+: \[0\]\.virtual_hosts\[0\]\.domains: has 0 items/);
});

test("validate knows clusters of files when it checks inline routes of files", async (t) => {
  const inline = (cluster: string) => http(`{match: {prefix: /}, route: {cluster: ${cluster}}}`);
  const files = (cluster: string) => ({
    "b.yaml": BY_FILES({ lds_config: "DIR/lds.yaml", cds_config: "DIR/cds.yaml" }),
    "lds.yaml": flow(LISTENER_TYPE, inline(cluster)),
    "cds.yaml": flow(CLUSTER_TYPE, LOCAL.replaceAll("local", "dynamic")),
  });
  assert.equal((await run(t, files("dynamic"))).code, 0);
  assert.equal((await run(t, files("local"))).code, 0);
  const { code, err } = await run(t, files("nowhere"));
  assert.equal(code, 1);
  assert.match(err.join("\n"), /^lds\.yaml:1:2: \[0\]: its routes name the unknown cluster "nowhere"$/);
});
