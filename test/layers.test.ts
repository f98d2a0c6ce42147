// Who may import whom, checked against the table in support/layers.ts; and what follows from it: no circles, one place for
// each package, pure folders without sockets, workers without the main thread's weight, one file that touches the process.
// A failure says "a.ts must not import b.ts (reason)".

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { type Layer, LAYERS } from "./support/layers.ts";
import { PACKAGES } from "./support/package-places.ts";
import { type Import, importsOf, packageOf, ROOT, sourceFiles, sourceText } from "./support/source-imports.ts";

/** Folders that are functions of their input: sockets, files and threads are other folders' business. */
const WITHOUT_IO = [
  "plugins/abi/",
  "plugins/hostcalls/",
  "sidecar/filter/",
  "sidecar/http/",
  "sidecar/route/",
  "xds/model/",
];
const IO_MODULES = /^node:(?:net|tls|http2|https|dns|dgram|fs|child_process|worker_threads|cluster)(?:\/|$)/;
/** Arithmetic that Node keeps among its sockets. */
const ADDRESS_ARITHMETIC = /^import \{ (?:(?:BlockList|isIP|isIPv4|isIPv6)(?:, )?)+ \} from "node:net";$/m;

/** Not for workers: each costs megabytes and start-up time in every worker, and belongs to the main thread. */
const MAIN_THREAD_ONLY =
  /^(?:xds\/(?!model\/|endpoint-bytes\.ts)|sidecar\/(?:cli|admin)\/|sidecar\/supervisor\.ts|@bufbuild\/|@grpc\/|@opentelemetry\/|yaml$)/;

const FILES = sourceFiles();
const IMPORTS = FILES.flatMap((file) => importsOf(file));

function within(file: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith("/") ? file.startsWith(place) : file === place));
}

/** Why the arrow is wrong, or undefined. */
function problemOf({ from, to, isTypeOnly }: Import): string | undefined {
  const layer = LAYERS.find(({ at }) => within(from, [at]));
  if (layer === undefined) {
    return `${from} is in no layer of test/support/layers.ts`;
  }
  const home = `${from.slice(0, from.lastIndexOf("/"))}/`;
  const allowed = isOwn(layer, home, to) || within(to, layer.code) || (isTypeOnly && within(to, layer.types));
  return allowed ? undefined : `${from} must not import ${to} (${layer.why})`;
}

/** One's own folder, with all in it. The files at the top of sidecar/ and xds/ have rows of their own: a row for the rest. */
function isOwn(layer: Layer, home: string, to: string): boolean {
  if (home === "sidecar/" || home === "xds/") {
    return layer.at === home && to.startsWith(home) && !to.slice(home.length).includes("/");
  }
  return to.startsWith(home) || (layer.at.endsWith("/") && to.startsWith(layer.at));
}

/** What is loaded with `entry`, each with the file that pulls it in. */
function loadedBy(entry: string): Map<string, string> {
  const pulledBy = new Map<string, string>([[entry, ""]]);
  for (const file of pulledBy.keys()) {
    for (const { from, to, isTypeOnly } of IMPORTS) {
      if (from === file && !isTypeOnly && !pulledBy.has(to)) {
        pulledBy.set(to, file);
      }
    }
  }
  return pulledBy;
}

function chainTo(file: string, pulledBy: ReadonlyMap<string, string>): string {
  const chain: string[] = [];
  for (let at: string | undefined = file; at !== undefined && at !== ""; at = pulledBy.get(at)) {
    chain.unshift(at);
  }
  return chain.join(" → ");
}

/** The first cycle among imports that load code, as "a → b → a". */
function findCycle(imports: readonly Import[]): string | undefined {
  const edges = Map.groupBy(
    imports.filter(({ isTypeOnly }) => !isTypeOnly),
    ({ from }) => from,
  );
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): string | undefined => {
    const start = path.indexOf(file);
    if (start >= 0) {
      return [...path.slice(start), file].join(" → ");
    }
    if (done.has(file)) {
      return undefined;
    }
    for (const { to } of edges.get(file) ?? []) {
      const cycle = walk(to, [...path, file]);
      if (cycle !== undefined) {
        return cycle;
      }
    }
    done.add(file);
    return undefined;
  };
  return [...edges.keys()].map((file) => walk(file, [])).find((cycle) => cycle !== undefined);
}

suite("layers", () => {
  test("every import goes along an arrow of the table", () => {
    const files = IMPORTS.filter(({ to }) => FILES.includes(to) || /^(?:plugins|sidecar|xds|test)\//.test(to));
    assert.ok(files.length > 500, "imports are found");
    assert.deepEqual(
      files.flatMap((arrow) => problemOf(arrow) ?? []),
      [],
    );
  });

  test("the table has no row that no file is in", () => {
    const unused = LAYERS.filter((layer) =>
      FILES.every((file) => LAYERS.find(({ at }) => within(file, [at])) !== layer),
    );
    assert.deepEqual(
      unused.map(({ at }) => at),
      [],
    );
  });

  test("a package is imported from its own place only", () => {
    const problems = IMPORTS.flatMap(({ from, to }) => {
      const name = packageOf(to);
      if (name === undefined || within(from, PACKAGES[name] ?? [])) {
        return [];
      }
      const places = PACKAGES[name];
      return places === undefined
        ? `${from} must not import ${name} (a new package needs a row here and a sentence in README.md)`
        : `${from} must not import ${name} (only ${places.join(", ")} may)`;
    });
    assert.deepEqual(problems, []);
  });

  test("every package that is loaded is declared, so that npm ci --omit=dev brings it", () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { dependencies: object };
    const loaded = IMPORTS.flatMap(({ to, isTypeOnly }) => (isTypeOnly ? [] : (packageOf(to) ?? [])));
    const missing = new Set(loaded.filter((name) => !Object.hasOwn(dependencies, name)));
    assert.deepEqual([...missing], []);
  });

  test("Node's modules are imported as node:", () => {
    assert.deepEqual(
      IMPORTS.filter(({ to }) => /^(?:fs|net|http2?|path|os|crypto|url|util)(?:\/|$)/.test(to)),
      [],
    );
  });

  test("folders of pure functions touch no socket, file or thread", () => {
    const problems = IMPORTS.filter(
      ({ from, to }) =>
        within(from, WITHOUT_IO) &&
        IO_MODULES.test(to) &&
        !(to === "node:net" && ADDRESS_ARITHMETIC.test(sourceText(from))),
    );
    assert.deepEqual(
      problems.map(({ from, to }) => `${from} must not import ${to} (it is given bytes and values)`),
      [],
    );
  });

  test("no imports go round in a circle", () => {
    assert.equal(findCycle(IMPORTS), undefined);
  });

  test("only main.ts touches the process", () => {
    const touches =
      /\bprocess\s*\.\s*(?:env|exit|exitCode|argv|abort|kill|on|once|stdin|stdout|stderr|chdir)\b|from "node:process"/;
    const files = FILES.filter((file) => file !== "sidecar/main.ts" && touches.test(sourceText(file)));
    assert.deepEqual(files, [], "arguments, environment, signals and exit code belong to sidecar/main.ts");
  });

  test("a worker loads nothing of the main thread's", () => {
    const pulledBy = loadedBy("sidecar/worker.ts");
    assert.ok(pulledBy.has("sidecar/proxy.ts"), "the worker reaches the proxy");
    // The first step over the border says it; what lies behind follows from it.
    const problems = [...pulledBy]
      .filter(([file, by]) => MAIN_THREAD_ONLY.test(file) && !MAIN_THREAD_ONLY.test(by))
      .map(([file]) => file);
    assert.deepEqual(
      problems.map((file) => chainTo(file, pulledBy)),
      [],
    );
  });

  test("the tools for plugin authors are loaded by the verb plugin only, when it runs", () => {
    const door = "sidecar/cli/plugin.ts";
    assert.doesNotMatch(sourceText(door), /from "\.\/plugin\//);
    const isTool = (file: string): boolean => /^(?:sidecar\/cli\/plugin\/|plugins\/testing\/)/.test(file);
    const problems = IMPORTS.filter(
      ({ from, to, isTypeOnly }) => isTool(to) && !isTool(from) && from !== door && !isTypeOnly,
    );
    assert.deepEqual(
      problems.map(({ from, to }) => `${from} → ${to}`),
      [],
    );
  });
});

suite("layers.test.ts itself", () => {
  const text = [
    'import type { A } from "./a.ts";',
    'import { type B } from "../route/b.ts";',
    "import {",
    "  c,",
    "  type D,",
    '} from "../errors.ts";',
    'export type { E } from "./e.ts";',
    'export * from "yaml";',
    'import "node:net";',
    'const late = await import("@grpc/grpc-js/build/x");',
    '// import { no } from "./comment.ts";',
  ].join("\n");

  test("importsOf() tells imports of types from those that load code", () => {
    const found = importsOf("sidecar/http/x.ts", text.replace(/\/\/.*$/m, ""));
    assert.deepEqual(
      found.map(({ to, isTypeOnly }) => [to, isTypeOnly]),
      [
        ["sidecar/http/a.ts", true],
        ["sidecar/route/b.ts", false],
        ["sidecar/errors.ts", false],
        ["sidecar/http/e.ts", true],
        ["yaml", false],
        ["node:net", false],
        ["@grpc/grpc-js/build/x", false],
      ],
    );
    assert.equal(packageOf("@grpc/grpc-js/build/x"), "@grpc/grpc-js");
  });

  const cases: readonly { name: string; arrow: Import; problem: RegExp | undefined }[] = [
    {
      name: "xds to sidecar",
      arrow: arrow("xds/client.ts", "sidecar/errors.ts"),
      problem: /neither plugins nor the proxy/,
    },
    {
      name: "plugins to xds, types too",
      arrow: arrow("plugins/vm.ts", "xds/model/wasm.ts", true),
      problem: /package of its own/,
    },
    {
      name: "http to route",
      arrow: arrow("sidecar/http/path.ts", "sidecar/route/matchers.ts"),
      problem: /HTTP is the bottom/,
    },
    {
      name: "route to its sibling",
      arrow: arrow("sidecar/route/rewrite.ts", "sidecar/cluster/host.ts", true),
      problem: /alone/,
    },
    { name: "code of the model", arrow: arrow("sidecar/route/rewrite.ts", "xds/model/route.ts"), problem: /alone/ },
    {
      name: "types of the model",
      arrow: arrow("sidecar/route/rewrite.ts", "xds/model/route.ts", true),
      problem: undefined,
    },
    {
      name: "generated code outside decode",
      arrow: arrow("xds/client.ts", "xds/gen/a_pb.ts"),
      problem: /protobuf stays/,
    },
    { name: "a file of one's own folder", arrow: arrow("xds/client.ts", "xds/backoff.ts"), problem: undefined },
    {
      name: "the proxy to the listener",
      arrow: arrow("sidecar/proxy.ts", "sidecar/listener/listener.ts"),
      problem: /one story/,
    },
    {
      name: "anything to a test",
      arrow: arrow("sidecar/cli/run.ts", "test/support/events.ts"),
      problem: /must not import/,
    },
  ];
  for (const { name, arrow: tried, problem } of cases) {
    test(`problemOf() ${problem === undefined ? "allows" : "refuses"}: ${name}`, () => {
      const said = problemOf(tried);
      if (problem === undefined) {
        assert.equal(said, undefined);
      } else {
        assert.match(said ?? "", problem);
      }
    });
  }

  test("findCycle() finds a circle and ignores one of types", () => {
    assert.equal(findCycle([arrow("a", "b"), arrow("b", "c"), arrow("c", "b")]), "b → c → b");
    assert.equal(findCycle([arrow("a", "b"), arrow("b", "a", true)]), undefined);
  });
});

function arrow(from: string, to: string, isTypeOnly = false): Import {
  return { from, to, isTypeOnly };
}
