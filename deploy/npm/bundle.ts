// Joins what a running sidecar loads to a few files: the program is hundreds of small modules, and finding each costs a start half of
// its time and 15 MB. Written over the entry files that the compiler left (package-sources.ts), beside all the other modules: what is
// for plugin authors and for the demo, and what finds its files by its own place, stays as it is. Tests that start the program join its
// sources in the same way (test/support/built-program.ts).
//
// Each thread has files of its own, and what a thread always loads is one: finding and linking thirty files costs a start 30 ms.
//
//   main.js ─▶ what verbs share: one file ─▶ the verb `run`: one file ─▶ what serves: one file ─▶ what a configuration asks for
//   worker.js: one file ─▶ what a configuration asks for

import { build, type Metafile, type Plugin } from "esbuild";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";

const FOLDER = "sidecar";
/** A module that a thread or the launcher starts; `steps`: the modules that a sidecar then loads by `import()`, one after the other. */
const THREADS: readonly { readonly name: string; readonly entry: string; readonly steps: readonly string[] }[] = [
  { name: "main", entry: "main", steps: ["sidecar/cli/run", "sidecar/cli/serving"] },
  { name: "worker", entry: "worker", steps: [] },
  { name: "workshop", entry: "plugin-workshop-thread", steps: [] },
];
const PARTS = "part-";
/** Modules that are not joined, below the root. */
const APART = /^(?:sidecar\/cli\/demo\.[jt]s|sidecar\/cli\/plugin\/.*|plugins\/metering\/revision\.[jt]s)$/;
/** It asks for gRPC behind the bundler's back, and would get one of its own, whose credentials the joined one does not take. */
const GRPC_EXPORTER = /otlp-grpc-exporter-base\/.*\.mjs$/;
/** What is left of TypeScript: a thread's or a module's file named by its URL. */
const FILE_URL = /(new URL\("\.[^"]*)\.ts("\s*,\s*import\.meta\.url\))/g;
/** Of the protobuf runtime's own files those that configuration uses; test/xds/descriptors compares them too. */
const WELL_KNOWN = /\/google\/protobuf\/(?:any|duration|empty|struct|timestamp|wrappers)_pb\.js$/;
/** Packages in CommonJS ask for Node's modules with it. */
const REQUIRE =
  'import { createRequire as createRequireHere } from "node:module"; const require = createRequireHere(import.meta.url);';

/** What esbuild makes of everything here. */
const MODULES = {
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  legalComments: "inline",
  logLevel: "warning",
} as const;

/** What is joined: `folder`, below `root`, gets the files. */
interface Joining {
  readonly root: string;
  readonly from: "js" | "ts";
  readonly folder: string;
}

/** Joins the compiled program in `root`, in place. Throws when something does not resolve; it has said what. */
export async function bundle(root: string): Promise<void> {
  await joinModules({ root, from: "js", folder: FOLDER });
}

/** Joins the sources in `root` to files in `folder` below it, which load what is apart from where it stands. Throws as `bundle` does. */
export async function bundleSources(root: string, folder: string): Promise<void> {
  await joinModules({ root, from: "ts", folder });
  for (const name of globSync("*.js", { cwd: join(root, folder) })) {
    const file = join(root, folder, name);
    writeFileSync(file, namesJavaScript(readFileSync(file, "utf8")));
  }
}

/** A module's text with the URLs of its files as they are called once there is JavaScript. */
export function namesJavaScript(text: string): string {
  return text.replaceAll(FILE_URL, "$1.js$2");
}

async function joinModules(joining: Joining): Promise<void> {
  const { root, from, folder } = joining;
  for (const { name, entry, steps } of THREADS) {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [join(root, FOLDER, `${entry}.${from}`)],
      outdir: join(root, folder),
      allowOverwrite: true,
      ...MODULES,
      splitting: true,
      chunkNames: `${PARTS}${name}-[hash]`,
      entryNames: "[name]",
      banner: { js: REQUIRE },
      metafile: true,
      plugins: [apart(joining), lazyDescriptors(joining), oneGrpc(), requiredCrypto()],
    });
    const start = `${folder}/${entry}.js`;
    const loaded = closure(metafile.outputs, [start]);
    const emptied = new Set<string>();
    const shared = [...loaded].filter((path) => path !== start);
    if (shared.length > 1) {
      // What the start needs is in as many parts as there are sets of verbs that need it too.
      await joinParts(joining, `${PARTS}${name}-${basename(entry)}.js`, shared, metafile, emptied);
    }
    for (const step of steps) {
      const joined = `${PARTS}${name}-${basename(step)}.js`;
      const parts = [...closure(metafile.outputs, [partWith(`${step}.${from}`, metafile)])].filter(
        (path) => !loaded.has(path),
      );
      await joinParts(joining, joined, parts, metafile, emptied);
      parts.forEach((path) => loaded.add(path));
    }
    const others = Object.keys(metafile.outputs).filter((path) => path.endsWith(".js") && !emptied.has(path));
    await joinEmptied(joining, others, emptied);
    removeUnused(joining, emptied);
  }
}

function partWith(module: string, { outputs }: Metafile): string {
  const found = Object.entries(outputs).find(([, { inputs }]) => Object.hasOwn(inputs, module));
  if (found === undefined) {
    throw new Error(`no part has ${module}`);
  }
  return found[0];
}

/** Makes one file of the parts, which are `emptied` then: what others import from one of them comes from there. */
async function joinParts(
  joining: Joining,
  joined: string,
  parts: readonly string[],
  { outputs }: Metafile,
  emptied: Set<string>,
): Promise<void> {
  const { root, folder } = joining;
  // Exports of two parts may have the same name.
  const exportsOf = (path: string): [from: string, to: string][] =>
    (outputs[path]?.exports ?? []).map((each) => [each, `p${parts.indexOf(path)}_${each}`]);
  await build({
    absWorkingDir: root,
    stdin: {
      contents: parts
        .map((path) => {
          const names = exportsOf(path).map(([from, to]) => `${from} as ${to}`);
          return `import "./${basename(path)}"; export { ${names.join(", ")} } from "./${basename(path)}";`;
        })
        .join("\n"),
      resolveDir: join(root, folder),
    },
    outfile: join(root, folder, joined),
    ...MODULES,
    plugins: [onlyWith(joining, new Set([...parts, ...emptied]))],
  });
  for (const path of parts) {
    const names = exportsOf(path).map(([from, to]) => `${to} as ${from}`);
    writeFileSync(join(root, path), `import "./${joined}";\nexport { ${names.join(", ")} } from "./${joined}";\n`);
    emptied.add(path);
  }
}

/** Has the other parts import from where things went, and not by way of the emptied parts. */
async function joinEmptied(joining: Joining, others: readonly string[], emptied: ReadonlySet<string>): Promise<void> {
  const { root, folder } = joining;
  await build({
    absWorkingDir: root,
    entryPoints: others.map((path) => join(root, path)),
    outdir: join(root, folder),
    entryNames: "[name]",
    allowOverwrite: true,
    ...MODULES,
    plugins: [onlyWith(joining, emptied)],
  });
}

/** Of the emptied parts those stay that somebody asks for by `import()`. */
function removeUnused({ root, folder }: Joining, emptied: ReadonlySet<string>): void {
  const files = globSync("*.js", { cwd: join(root, folder) });
  const texts = files.map((name) => readFileSync(join(root, folder, name), "utf8"));
  for (const path of emptied) {
    if (!texts.some((text) => text.includes(basename(path)))) {
      rmSync(join(root, path));
    }
  }
}

function onlyWith({ root }: Joining, parts: ReadonlySet<string>): Plugin {
  return {
    name: "other parts stay",
    setup(context) {
      // Sources that stay apart are named by their whole paths.
      context.onResolve({ filter: /^\.{0,2}\// }, ({ kind, path, resolveDir }) => {
        const file = relative(root, resolve(resolveDir, path)).replaceAll("\\", "/");
        return kind === "entry-point" || parts.has(file) ? undefined : { external: true, path };
      });
    },
  };
}

/** Parts with all that they import, but not by `import()`. */
function closure(outputs: Metafile["outputs"], paths: readonly string[]): Set<string> {
  const seen = new Set(paths);
  for (const path of seen) {
    for (const { path: next, kind } of outputs[path]?.imports ?? []) {
      if (kind === "import-statement" && Object.hasOwn(outputs, next)) {
        seen.add(next);
      }
    }
  }
  return seen;
}

function apart({ root, from, folder }: Joining): Plugin {
  return {
    name: "apart",
    setup(context) {
      context.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
        const file = join(resolveDir, path);
        if (!APART.test(relative(root, file).replaceAll("\\", "/"))) {
          return undefined;
        }
        if (from === "ts") {
          return { external: true, path: file };
        }
        const fromFolder = relative(join(root, folder), file);
        return { external: true, path: fromFolder.startsWith(".") ? fromFolder : `./${fromFolder}` };
      });
    },
  };
}

/**
 * The runtime's own messages are described as generated code's are, when they are asked for (xds/descriptors). What describes them imports
 * nothing of the runtime (test/xds/descriptors says so), so the order in which modules are evaluated does not matter.
 */
function lazyDescriptors({ root, from }: Joining): Plugin {
  return {
    name: "lazy descriptors",
    setup(context) {
      context.onResolve({ filter: /\/codegenv2\/(?:file|message|enum)\.js$/ }, ({ importer }) =>
        WELL_KNOWN.test(importer) ? { path: join(root, `xds/descriptors/lazy-file.${from}`) } : undefined,
      );
    },
  };
}

/** gRPC's exporter gets the same gRPC as everybody. */
function oneGrpc(): Plugin {
  return {
    name: "one gRPC",
    setup(context) {
      context.onLoad({ filter: GRPC_EXPORTER }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        const contents = text.replaceAll('__require("@grpc/grpc-js")', 'require("@grpc/grpc-js")');
        if (contents === text && path.endsWith("/grpc-exporter-transport.mjs")) {
          throw new Error(`${path} does not ask for gRPC as it did`);
        }
        return { contents, loader: "js" };
      });
    },
  };
}

/** `import` of one of its names evaluates all of the module, Web Crypto with it, which takes 10 ms in each thread; `require` does not. */
function requiredCrypto(): Plugin {
  return {
    name: "required crypto",
    setup(context) {
      context.onResolve({ filter: /^node:crypto$/ }, ({ kind }) =>
        kind === "import-statement" ? { path: "node:crypto", namespace: "required" } : undefined,
      );
      context.onLoad({ filter: /./, namespace: "required" }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(path)});`,
      }));
    },
  };
}

/** Takes the parts away again; the entry files are the compiler's. */
export function removeParts(root: string): void {
  for (const path of globSync(`${FOLDER}/${PARTS}*.js`, { cwd: root })) {
    rmSync(join(root, path));
  }
}
