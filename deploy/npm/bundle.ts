// Joins what a running sidecar loads to a few files: the program is hundreds of small modules, and finding each costs a start half of
// its time and 15 MB. Written over the entry files that the compiler left (package-sources.ts), beside all the other modules: what is
// for plugin authors and for the demo, and what finds its files by its own place, stays as it is.

import { build } from "esbuild";
import { globSync, rmSync } from "node:fs";
import { join, relative } from "node:path";

const FOLDER = "sidecar";
/** Files that a thread or the launcher starts. */
const ENTRIES = ["main.js", "worker.js", "plugin-workshop-thread.js"];
const PARTS = "part-";
/** Modules that are not joined, below the root. */
const APART = /^(?:sidecar\/cli\/demo\.js|sidecar\/cli\/plugin\/.*|plugins\/metering\/revision\.js)$/;
/** Packages in CommonJS ask for Node's modules with it. */
const REQUIRE =
  'import { createRequire as createRequireHere } from "node:module"; const require = createRequireHere(import.meta.url);';

/** Throws when something does not resolve; it has said what. */
export async function bundle(root: string): Promise<void> {
  const folder = join(root, FOLDER);
  await build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map((name) => join(folder, name)),
    outdir: folder,
    allowOverwrite: true,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    chunkNames: `${PARTS}[hash]`,
    entryNames: "[name]",
    banner: { js: REQUIRE },
    legalComments: "inline",
    logLevel: "warning",
    plugins: [
      {
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
      },
    ],
  });
}

/** Takes the parts away again; the entry files are the compiler's. */
export function removeParts(root: string): void {
  for (const path of globSync(`${FOLDER}/${PARTS}*.js`, { cwd: root })) {
    rmSync(join(root, path));
  }
}
