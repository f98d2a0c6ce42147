// What a stranger gets wrong, and what the launcher then says: one clear line on stderr that names the place and what to change,
// exit 1 (2 for wrong usage), nothing half-started. Each case is the whole output.

import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { folderWith, launchIn } from "../support/launcher.ts";
import { freePort } from "../support/sidecar-story.ts";

interface Parts {
  readonly port?: string;
  readonly adminPort?: string;
  /** A line in the connection manager. */
  readonly manager?: string;
  /** Path of a plugin's module. */
  readonly module?: string;
}

const TYPE = "type.googleapis.com/envoy.extensions.filters";

function bootstrap({ port = "0", adminPort = "0", manager = "", module }: Parts): string {
  const plugin = `
                  - name: plugin
                    typed_config:
                      "@type": ${TYPE}.http.wasm.v3.Wasm
                      config:
                        name: plugin
                        vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: ${module} } } }`;
  return `admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${adminPort} } } }
static_resources:
  listeners:
    - name: in
      address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
      filter_chains:
        - filters:
            - name: hcm
              typed_config:
                "@type": ${TYPE}.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: in
                ${manager}
                route_config: { virtual_hosts: [{ name: a, domains: ["*"], routes: [{ match: { prefix: / }, direct_response: { status: 200 } }] }] }
                http_filters:${module === undefined ? "" : plugin}
                  - { name: router, typed_config: { "@type": ${TYPE}.http.router.v3.Router } }
`;
}

const MANAGER = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
const MODULE = `${MANAGER}.http_filters[0].typed_config.config.vm_config.code.local.filename`;
const PORT = "b.yaml:5:68: static_resources.listeners[0].address.socket_address.port_value";

/** The text of the file b.yaml, and the line that is said of it. */
const FILES: readonly (readonly [name: string, text: string, said: string])[] = [
  [
    "YAML whose list is not closed",
    "static_resources:\n  listeners: [a\n",
    "b.yaml:3:1: not valid YAML: a [ before this is not closed: the ] is missing, or stands too far left",
  ],
  ["a tab", "static_resources:\n\tlisteners: []\n", "b.yaml:2:1: not valid YAML: a tab indents this line; use spaces"],
  [
    "a key that stands too far left for its item",
    "static_resources:\n  clusters:\n  - name: a\n   type: STATIC\n",
    "b.yaml:4:1: not valid YAML: this line is indented as an item of the list before it, and has no - at its beginning",
  ],
  [
    "a key without its colon",
    "node:\n  id a\n  cluster: b\n",
    "b.yaml:2:3: not valid YAML: a colon is missing after the key of this line",
  ],
  ["an alias without its anchor", "node: *us\n", "b.yaml:1:7: *us: no anchor &us stands before it"],
  ["an empty file", "", "b.yaml: is empty"],
  [
    "a misspelt field at the top",
    "static_resource: {}\n",
    "b.yaml:1:1: static_resource: unknown field of envoy.config.bootstrap.v3.Bootstrap; did you mean static_resources?",
  ],
  [
    "a misspelt field inside a filter",
    bootstrap({ manager: "stat_prefx: x" }),
    `b.yaml:12:17: ${MANAGER}.stat_prefx: unknown field of envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager; did you mean stat_prefix?`,
  ],
  ["a port that is too large", bootstrap({ port: "70000" }), `${PORT}: is 70000, must be at most 65535`],
  [
    "a port that is a word",
    bootstrap({ port: "http" }),
    `${PORT}: must be a port from 0 to 65535, not the string "http"`,
  ],
  ["a port below 0", bootstrap({ port: "-1" }), `${PORT}: must be a port from 0 to 65535, not the number -1`],
  [
    "a module that is not there",
    bootstrap({ module: "nowhere/plugin.wasm" }),
    `b.yaml:20:97: ${MODULE}: "nowhere/plugin.wasm" cannot be read: the file does not exist`,
  ],
  [
    "a module that is a folder",
    bootstrap({ module: "/" }),
    `b.yaml:20:97: ${MODULE}: "/" cannot be read: is a directory`,
  ],
  [
    "a module that is no WebAssembly",
    bootstrap({ module: "b.yaml" }),
    `b.yaml:20:97: ${MODULE}: Cannot load the module of plugin "plugin" ("b.yaml"): not a WebAssembly module: starts with 61646d69 (expected 0061736d)`,
  ],
];

interface Said {
  readonly code: number | null;
  readonly stderr: readonly string[];
  readonly stdout: readonly string[];
}

/** The launcher in a folder with a file b.yaml, to its end. */
async function outcome(t: TestContext, text: string, ...args: readonly string[]): Promise<Said> {
  const program = launchIn(t, folderWith(t, { "b.yaml": text }), ...args);
  const { code } = await program.untilEnded();
  return { code, stderr: program.stderr.all, stdout: program.stdout.all };
}

/** A port that somebody listens on until the test's end. */
async function takenPort(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

suite("a bootstrap that is wrong", { concurrency: 2 }, () => {
  for (const [name, text, said] of FILES) {
    test(`run says of ${name} where it is and what is allowed`, async (t) => {
      assert.deepEqual(await outcome(t, text, "run", "-c", "b.yaml"), { code: 1, stderr: [said], stdout: [] });
    });
  }

  test("run says of a listener's port that is taken whose it is, and frees what it has", async (t) => {
    const [port, adminPort] = [await takenPort(t), await freePort()];
    const said = await outcome(t, bootstrap({ port: `${port}`, adminPort: `${adminPort}` }), "-c", "b.yaml");
    assert.equal(said.code, 1);
    assert.equal(said.stderr.length, 1);
    const problem = "the address is in use by another process; change the port or stop that process";
    assert.equal(said.stderr[0], `${PORT}: Cannot bind listener "in" to 127.0.0.1:${port}: ${problem}`);
    await assert.rejects(fetch(`http://127.0.0.1:${adminPort}/ready`));
  });

  test("run says of an admin port that is taken which field to change", async (t) => {
    const port = await takenPort(t);
    const said = await outcome(t, bootstrap({ adminPort: `${port}` }), "run", "-c", "b.yaml");
    assert.equal(said.code, 1);
    assert.equal(said.stderr.length, 1);
    assert.match(
      said.stderr[0] ?? "",
      new RegExp(
        `^b\\.yaml:1:\\d+: admin\\.address\\.socket_address\\.port_value: .* admin address 127\\.0\\.0\\.1:${port}: .*; set admin\\.address`,
      ),
    );
  });

  test("run says of a log file that cannot be opened which flag names it", async (t) => {
    const said = await outcome(t, bootstrap({}), "run", "-c", "b.yaml", "--log-path", "b.yaml/x.log");
    assert.equal(said.code, 1);
    assert.match(
      said.stderr.join("\n"),
      /^outrigger run: --log-path b\.yaml\/x\.log: cannot be opened for writing: ENOTDIR[^\n]*$/,
    );
  });

  test("run says of a file that is not there which one", async (t) => {
    const stderr = ["nowhere.yaml: cannot be read: the file does not exist"];
    assert.deepEqual(await outcome(t, "", "run", "-c", "nowhere.yaml"), { code: 1, stderr, stdout: [] });
  });
});

/** Arguments, and the first line that is said; the second one names the help. More in test/sidecar/cli/run-flags.test.ts. */
const USAGES: readonly (readonly [args: readonly string[], said: string])[] = [
  [
    ["run", "-c", "b.yaml", "--cocurrency", "2"],
    "outrigger run: unknown flag --cocurrency, did you mean --concurrency?",
  ],
  [["vaildate", "-c", "b.yaml"], 'outrigger: unknown verb "vaildate", did you mean validate?'],
  [["help", "serve-all"], 'outrigger: unknown verb "serve-all"'],
  [["--log-level", "info"], "outrigger run: needs a bootstrap: -c FILE or --config-yaml TEXT"],
  [["config", "psuh"], 'outrigger config: unknown verb "psuh": push, diff, rollback or history'],
  [["control-plane"], "outrigger control-plane: needs a file or a folder of resources: -f PATH"],
];

suite("wrong usage", { concurrency: 2 }, () => {
  for (const [args, said] of USAGES) {
    test(`outrigger ${args.join(" ")} says what to change and ends with 2`, async (t) => {
      const { code, stderr, stdout } = await outcome(t, bootstrap({}), ...args);
      assert.equal(stderr[0], said);
      assert.match(stderr[1] ?? "", /^Try "outrigger help.*"\.$/);
      assert.deepEqual([code, stderr.length, stdout], [2, 2, []]);
    });
  }

  test("outrigger without arguments shows what there is and ends with 2", async (t) => {
    const { code, stdout } = await outcome(t, "");
    assert.equal(code, 2);
    assert.match(stdout.join("\n"), /Usage: outrigger VERB/);
  });
});
