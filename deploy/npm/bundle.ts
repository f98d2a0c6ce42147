// Joins what a running sidecar loads to a few files: the program is hundreds of small modules, and finding each costs a start half of
// its time and 15 MB. Written over the entry files that the compiler left (package-sources.ts), beside all the other modules: what is
// for plugin authors and for the demo, and what finds its files by its own place, stays as it is.
//
// Each thread has files of its own, and what a thread always loads is one: finding and linking thirty files costs a start 30 ms.
//
//   main.js ─▶ the verb `run`: one file ─▶ what serves: one file ─▶ what a configuration asks for: gRPC, exporters …
//   worker.js: one file ─▶ what a configuration asks for

import { build, type Metafile, type Plugin } from "esbuild";
import { globSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";

const FOLDER = "sidecar";
/** A file that a thread or the launcher starts; `steps`: the modules that a sidecar then loads by `import()`, one after the other. */
const THREADS: readonly { readonly name: string; readonly entry: string; readonly steps: readonly string[] }[] = [
  { name: "main", entry: "main.js", steps: ["sidecar/cli/run.js", "sidecar/cli/serving.js"] },
  { name: "worker", entry: "worker.js", steps: [] },
  { name: "workshop", entry: "plugin-workshop-thread.js", steps: [] },
];
const PARTS = "part-";
/** Modules that are not joined, below the root. */
const APART = /^(?:sidecar\/cli\/demo\.js|sidecar\/cli\/plugin\/.*|plugins\/metering\/revision\.js)$/;
/** Of the protobuf runtime's own files those that configuration uses; test/xds/descriptors compares them too. */
const WELL_KNOWN = /\/google\/protobuf\/(?:any|duration|empty|struct|timestamp|wrappers)_pb\.js$/;
/** Packages in CommonJS ask for Node's modules with it. */
const REQUIRE =
  'import { createRequire as createRequireHere } from "node:module"; const require = createRequireHere(import.meta.url);';

/** Throws when something does not resolve; it has said what. */
export async function bundle(root: string): Promise<void> {
  const folder = join(root, FOLDER);
  for (const { name, entry, steps } of THREADS) {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [join(folder, entry)],
      outdir: folder,
      allowOverwrite: true,
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      target: "node24",
      chunkNames: `${PARTS}${name}-[hash]`,
      entryNames: "[name]",
      banner: { js: REQUIRE },
      legalComments: "inline",
      logLevel: "warning",
      metafile: true,
      plugins: [apart(root, folder), lazyDescriptors(root)],
    });
    const loaded = closure(metafile.outputs, [`${FOLDER}/${entry}`]);
    for (const step of steps) {
      const joined = `${PARTS}${name}-${basename(step)}`;
      const parts = [...closure(metafile.outputs, [partWith(step, metafile)])].filter((path) => !loaded.has(path));
      await joinParts(root, joined, parts, metafile);
      parts.forEach((path) => loaded.add(path));
    }
  }
}

function partWith(module: string, { outputs }: Metafile): string {
  const found = Object.entries(outputs).find(([, { inputs }]) => Object.hasOwn(inputs, module));
  if (found === undefined) {
    throw new Error(`no part has ${module}`);
  }
  return found[0];
}

/** Makes one file of the parts; what others import from one of them comes from there. */
async function joinParts(root: string, joined: string, parts: readonly string[], { outputs }: Metafile): Promise<void> {
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
      resolveDir: join(root, FOLDER),
    },
    outfile: join(root, FOLDER, joined),
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    legalComments: "inline",
    logLevel: "warning",
    plugins: [
      {
        name: "other parts stay",
        setup(context) {
          context.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
            const file = relative(root, join(resolveDir, path)).replaceAll("\\", "/");
            return parts.includes(file) ? undefined : { external: true, path };
          });
        },
      },
    ],
  });
  for (const path of parts) {
    const names = exportsOf(path).map(([from, to]) => `${to} as ${from}`);
    writeFileSync(join(root, path), `import "./${joined}";\nexport { ${names.join(", ")} } from "./${joined}";\n`);
  }
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

function apart(root: string, folder: string): Plugin {
  return {
    name: "apart",
    setup(context) {
      context.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
        const file = join(resolveDir, path);
        if (!APART.test(relative(root, file).replaceAll("\\", "/"))) {
          return undefined;
        }
        const fromFolder = relative(folder, file);
        return { external: true, path: fromFolder.startsWith(".") ? fromFolder : `./${fromFolder}` };
      });
    },
  };
}

/** The runtime's own messages are described as generated code's are, when they are asked for (xds/descriptors). */
function lazyDescriptors(root: string): Plugin {
  return {
    name: "lazy descriptors",
    setup(context) {
      context.onResolve({ filter: /\/codegenv2\/(?:file|message|enum)\.js$/ }, ({ importer }) =>
        WELL_KNOWN.test(importer) ? { path: join(root, "xds/descriptors/lazy-file.js") } : undefined,
      );
    },
  };
}

/** Takes the parts away again; the entry files are the compiler's. */
export function removeParts(root: string): void {
  for (const path of globSync(`${FOLDER}/${PARTS}*.js`, { cwd: root })) {
    rmSync(join(root, path));
  }
}
