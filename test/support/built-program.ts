// The program as tests start it: its modules joined to a few files, as in the packed npm file, which halves the processor time of a
// start. Made anew when a source has changed, and kept in .cache/built. OUTRIGGER_TEST_SOURCES=1 starts the sources themselves,
// as some tests always do (the walk-through, captured pods, the demo).

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
/** Below the root. */
const BUILT = ".cache/built";
/** What a build is made of. */
const OTHERS = ["outrigger", "package.json", "package-lock.json", "deploy/npm/bundle.ts"];
const FOLDERS = ["sidecar", "plugins", "xds"];
const NOT_LOADED: ReadonlySet<string> = new Set(["plugins/examples", "plugins/templates"]);
/** What stands beside the joined files, as in the repository. */
const BESIDE = ["package.json", "node_modules", "plugins", "xds", "deploy"];
const DAY_MS = 24 * 60 * 60 * 1_000;

export interface Program {
  readonly launcher: string;
  /** What its processes need in their environment. */
  readonly env: Readonly<Record<string, string>>;
}

let program: Promise<Program> | undefined = undefined;

/** Rejects when the sources cannot be joined. */
export function builtProgram(): Promise<Program> {
  return (program ??= findOrMake());
}

async function findOrMake(): Promise<Program> {
  if (process.env["OUTRIGGER_TEST_SOURCES"] === "1") return { launcher: join(ROOT, "outrigger"), env: {} };
  const home = join(ROOT, BUILT, digestOfSources());
  if (!existsSync(home)) await make(home);
  return { launcher: join(home, "outrigger"), env: { NODE_COMPILE_CACHE: join(home, "compiled") } };
}

function digestOfSources(): string {
  const hash = createHash("sha256").update(process.version);
  const modules = FOLDERS.flatMap((folder) => modulesIn(folder));
  for (const path of [...OTHERS, ...modules]) {
    const { size, mtimeMs } = statSync(join(ROOT, path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}

function modulesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return NOT_LOADED.has(path) ? [] : modulesIn(path);
    return path.endsWith(".ts") ? [path] : [];
  });
}

/** Several test files may do so at once: the first that is done counts. */
async function make(home: string): Promise<void> {
  const { bundleSources } = await import("../../deploy/npm/bundle.ts");
  const folder = `${home}.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  await bundleSources(ROOT, `${BUILT}/${basename(folder)}/sidecar`);
  for (const name of BESIDE) symlinkSync(join(ROOT, name), join(folder, name));
  copyFileSync(join(ROOT, "outrigger"), join(folder, "outrigger"));
  removeOld();
  try {
    renameSync(folder, home);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
}

/** Builds of yesterday's sources; what runs may still load from today's. */
function removeOld(): void {
  for (const name of readdirSync(join(ROOT, BUILT))) {
    const folder = join(ROOT, BUILT, name);
    const { mtimeMs } = statSync(folder, { throwIfNoEntry: false }) ?? { mtimeMs: Number.POSITIVE_INFINITY };
    if (Date.now() - mtimeMs > DAY_MS) rmSync(folder, { recursive: true, force: true });
  }
}
