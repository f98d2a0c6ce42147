// The program as tests start it: its modules joined to a few files, as in the packed npm file, which halves the processor time of a
// start. Made anew when a source has changed, and kept in .cache/built. OUTRIGGER_TEST_SOURCES=1 starts the sources themselves,
// as some tests always do (the walk-through, captured pods, the demo).

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const ROOT = join(import.meta.dirname, "../..");
/** Below the root. */
const BUILT = ".cache/built";
/** What a build is made of. */
const OTHERS = ["outrigger", "package.json", "package-lock.json", "deploy/npm/bundle.ts"];
const FOLDERS = ["sidecar", "plugins", "xds"];
const NOT_LOADED: ReadonlySet<string> = new Set(["plugins/examples", "plugins/templates"]);
/** What stands beside the joined files, as in the repository. */
const BESIDE = ["package.json", "node_modules", "plugins", "xds", "deploy"];
/** In a build that is complete. */
const READY = "ready";
const ASK_AGAIN_MS = 50;
const GIVE_UP_MS = 60_000;
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
  // Several test files may come here at once: one makes it, the others wait.
  while (!existsSync(join(home, READY))) {
    if (isMine(`${home}.lock`)) await make(home);
    else await delay(ASK_AGAIN_MS);
  }
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

/** Takes the lock, also of a maker that has not come to an end in long. */
function isMine(lock: string): boolean {
  mkdirSync(dirname(lock), { recursive: true });
  const { mtimeMs } = statSync(lock, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
  if (Date.now() - mtimeMs > GIVE_UP_MS) rmSync(lock, { recursive: true, force: true });
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}

async function make(home: string): Promise<void> {
  try {
    // Another may have come to an end just before the lock was taken.
    if (existsSync(join(home, READY))) return;
    const { bundleSources } = await import("../../deploy/npm/bundle.ts");
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home);
    await bundleSources(ROOT, `${BUILT}/${basename(home)}/sidecar`);
    for (const name of BESIDE) symlinkSync(join(ROOT, name), join(home, name));
    copyFileSync(join(ROOT, "outrigger"), join(home, "outrigger"));
    // The first start of a version fills its compile cache; not each of those that come at once.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(home, "compiled") };
    await promisify(execFile)(join(home, "outrigger"), ["run", "--help"], { env });
    writeFileSync(join(home, READY), "");
    removeOld();
  } finally {
    rmSync(`${home}.lock`, { recursive: true, force: true });
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
