// Who may import whom: the arrows of the code as data. xds/ and plugins/ are libraries that know neither each other nor
// the proxy; sidecar/ joins them. A failure says "a.ts must not import b.ts (reason)"; change the table when the reason
// no longer holds, not to make a test pass. Imports of types are looser: they couple words, not code.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Import, importsOf, packageOf, sourceFiles, sourceText } from "./support/source-imports.ts";

interface Layer {
  /** A file, or a folder with all in it. The first row that fits a file is its layer. */
  readonly at: string;
  /** What it may import besides its own folder. Ends with "/": the folder with all in it. */
  readonly code: readonly string[];
  /** What it may import by `import type` besides. */
  readonly types: readonly string[];
  readonly why: string;
}

const MODEL = "xds/model/";
const EVERYTHING = ["sidecar/", "plugins/", "xds/"];
/** What every stage of a request speaks. */
const STREAM_WORDS = ["sidecar/http/", "sidecar/errors.ts"];

const LAYERS: readonly Layer[] = [
  // ── xds/: configuration, bytes to value ──
  { at: "xds/gen/", code: [], types: [], why: "generated code stands alone" },
  { at: MODEL, code: [], types: [], why: "the model is the shared language and knows nobody" },
  {
    at: "xds/decode/",
    code: ["xds/gen/", "xds/type-urls.ts", "xds/fields.ts"],
    types: [MODEL],
    why: "decoding is bytes to value, without the protocol that brought the bytes",
  },
  { at: "xds/field-rows/", code: ["xds/fields.ts"], types: [], why: "the table of fields is data" },
  // Protobuf ends at the wire: what else is in xds/ sees messages that discovery-wire.ts has taken apart.
  { at: "xds/discovery-wire.ts", code: ["xds/"], types: [], why: "xds/ knows neither plugins nor the proxy" },
  {
    at: "xds/server/",
    code: ["xds/"],
    types: [],
    why: "the control plane is a library that knows neither plugins nor the proxy",
  },
  {
    at: "xds/",
    code: ["xds/decode/", "xds/field-rows/"],
    types: ["xds/gen/", MODEL],
    why: "protobuf stays in decode/ and discovery-wire.ts, and xds/ knows neither plugins nor the proxy",
  },

  // ── plugins/: the plugin host, a library ──
  {
    at: "plugins/abi/",
    code: ["plugins/memory.ts"],
    types: ["plugins/"],
    why: "the ABI is data about numbers and bytes",
  },
  { at: "plugins/", code: ["plugins/"], types: [], why: "a plugin host that could be a package of its own" },

  // ── sidecar/: from the bottom up ──
  { at: "sidecar/errors.ts", code: [], types: [], why: "errors are the bottom" },
  { at: "sidecar/version.ts", code: [], types: [], why: "a constant" },
  { at: "sidecar/stats/", code: [], types: [], why: "statistics know nobody who counts" },
  {
    at: "sidecar/http/",
    code: ["sidecar/errors.ts"],
    types: [MODEL],
    why: "HTTP is the bottom: no route, cluster, filter or plugin",
  },
  {
    at: "sidecar/listener/",
    code: STREAM_WORDS,
    types: [MODEL, "sidecar/stats/"],
    why: "a listener is handed openStream(); it does not know the proxy or its siblings",
  },
  {
    at: "sidecar/upstream/",
    code: STREAM_WORDS,
    types: [MODEL, "sidecar/stats/"],
    why: "the pool knows addresses and bytes, not clusters and routes",
  },
  {
    at: "sidecar/cluster/",
    code: [...STREAM_WORDS, "sidecar/upstream/"],
    types: [MODEL, "sidecar/stats/"],
    why: "clusters and routes are siblings, joined by the proxy",
  },
  {
    at: "sidecar/route/",
    code: [...STREAM_WORDS, "sidecar/telemetry/format.ts"],
    types: [MODEL, "sidecar/telemetry/"],
    why: "a route decides by the request alone; format strings of headers are the access log's",
  },
  {
    at: "sidecar/filter/",
    code: STREAM_WORDS,
    types: ["plugins/"],
    why: "filters act on streams only; a plugin is handed to them by live-config.ts",
  },
  {
    at: "sidecar/telemetry/access-log.ts",
    code: ["sidecar/route/matchers.ts"],
    types: [MODEL, "sidecar/http/", "sidecar/filter/", "sidecar/stats/"],
    why: "log filters match headers as routes do, and need nothing else of them",
  },
  {
    at: "sidecar/telemetry/",
    code: ["plugins/abi/callbacks.ts"],
    types: [MODEL, "plugins/", "sidecar/http/", "sidecar/filter/", "sidecar/stats/"],
    why: "telemetry watches: it records what it is given and starts nothing",
  },
  {
    at: "sidecar/admin/",
    code: ["sidecar/http/", "sidecar/stats/", "sidecar/version.ts"],
    types: EVERYTHING,
    why: "the admin port is a window: what it shows and changes is handed to it (admin/ports.ts)",
  },
  {
    at: "sidecar/forward.ts",
    code: [...STREAM_WORDS, "sidecar/upstream/address-text.ts"],
    types: ["sidecar/cluster/", "sidecar/upstream/", "sidecar/stream-record.ts"],
    why: "one request on its way to one host",
  },
  {
    at: "sidecar/stream-record.ts",
    code: [...STREAM_WORDS, "sidecar/upstream/address-text.ts"],
    types: [MODEL, "sidecar/filter/", "sidecar/telemetry/", "sidecar/cluster/"],
    why: "a record of facts",
  },
  {
    at: "sidecar/proxy.ts",
    code: [...STREAM_WORDS, "sidecar/filter/", "sidecar/route/", "sidecar/forward.ts", "sidecar/stream-record.ts"],
    types: [MODEL, "sidecar/http-serving.ts", "sidecar/cluster/", "sidecar/telemetry/"],
    why: "one story, no set-up: what a stream needs is in HttpServing",
  },
  {
    at: "sidecar/http-serving.ts",
    code: STREAM_WORDS,
    types: [MODEL, "sidecar/"],
    why: "the bundle of what a stream needs is a type, not code",
  },
  {
    at: "sidecar/live-config.ts",
    code: ["sidecar/route/", "sidecar/cluster/", "sidecar/filter/", "sidecar/http-serving.ts"],
    types: [MODEL, "sidecar/"],
    why: "model to live objects, and nothing else: no socket, no exporter",
  },
  { at: "sidecar/worker-link.ts", code: [], types: EVERYTHING, why: "messages are types" },
  {
    at: "sidecar/publisher.ts",
    code: [],
    types: [MODEL, "plugins/", "sidecar/plugin-code.ts", "sidecar/worker-link.ts"],
    why: "it compares models and sends; who loads and who receives is handed to it",
  },

  // ── sidecar/: the composition roots ──
  { at: "sidecar/main.ts", code: ["sidecar/cli/"], types: [], why: "the process edge picks a verb" },
  { at: "sidecar/cli/", code: EVERYTHING, types: [], why: "a verb joins what it needs" },
  { at: "sidecar/supervisor.ts", code: EVERYTHING, types: [], why: "the main thread's composition root" },
  { at: "sidecar/admin-state.ts", code: EVERYTHING, types: [], why: "gathers the admin's views on the main thread" },
  {
    at: "sidecar/",
    code: ["sidecar/", "plugins/"],
    types: [MODEL, "xds/log.ts"],
    why: "xds/ is the main thread's, through supervisor.ts",
  },
];

/** A package is imported from one place, so that it can be replaced there. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "@bufbuild/protobuf": ["xds/decode/", "xds/gen/", "xds/discovery-wire.ts"],
  "@grpc/grpc-js": ["xds/ads-stream.ts", "xds/server/control-plane.ts"],
  "@opentelemetry/api": ["sidecar/telemetry/tracing.ts", "sidecar/telemetry/hook-spans.ts"],
  "@opentelemetry/core": ["sidecar/telemetry/tracing.ts", "sidecar/telemetry/hook-spans.ts"],
  "@opentelemetry/exporter-trace-otlp-grpc": ["sidecar/telemetry/tracing.ts"],
  "@opentelemetry/exporter-trace-otlp-proto": ["sidecar/telemetry/tracing.ts"],
  "@opentelemetry/resources": ["sidecar/telemetry/tracing.ts", "sidecar/telemetry/hook-spans.ts"],
  "@opentelemetry/sdk-trace": ["sidecar/telemetry/tracing.ts", "sidecar/telemetry/hook-spans.ts"],
  pino: ["sidecar/telemetry/log.ts"],
  re2js: ["xds/decode/regex.ts"],
  undici: ["sidecar/plugin-calls.ts"],
  yaml: ["xds/decode/yaml-document.ts"],
};

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

/** Not for workers: each costs megabytes and start-up time in every worker, and belongs to the main thread. */
const MAIN_THREAD_ONLY =
  /^(?:xds\/(?!model\/)|sidecar\/(?:cli|admin)\/|sidecar\/supervisor\.ts|@bufbuild\/|@grpc\/|@opentelemetry\/|yaml$)/;

const FILES = sourceFiles();
const IMPORTS = FILES.flatMap((file) => importsOf(file));

function within(file: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith("/") ? file.startsWith(place) : file === place));
}

/** Why the arrow is wrong, or undefined. */
function problemOf({ from, to, isTypeOnly }: Import): string | undefined {
  const layer = LAYERS.find(({ at }) => within(from, [at]));
  if (layer === undefined) {
    return `${from} is in no layer of test/layers.test.ts`;
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

  test("Node's modules are imported as node:", () => {
    assert.deepEqual(
      IMPORTS.filter(({ to }) => /^(?:fs|net|http2?|path|os|crypto|url|util)(?:\/|$)/.test(to)),
      [],
    );
  });

  test("folders of pure functions touch no socket, file or thread", () => {
    const problems = IMPORTS.filter(({ from, to }) => within(from, WITHOUT_IO) && IO_MODULES.test(to));
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
