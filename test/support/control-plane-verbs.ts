// The verb `control-plane` in this process, with a folder of its own, and the verbs that ask it: `config` and `status`.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { CONFIG } from "../../sidecar/cli/control/config.ts";
import { runControlPlane } from "../../sidecar/cli/control/control-plane.ts";
import { EventLog } from "./events.ts";

export type Scene = Readonly<{ port: number; admin: string; folder: string; lines: EventLog<string> }>;

export async function controlPlane(t: TestContext, text: string, ...flags: readonly string[]): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), "config-verb-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "served.yaml"), text);
  const lines = new EventLog<string>();
  const stop = new AbortController();
  const print = (line: string) => lines.push(line.trimEnd());
  const io = { out: print, err: print, env: {}, stop: stop.signal, kill: stop.signal };
  const done = runControlPlane(["-f", join(folder, "served.yaml"), "--port", "0", ...flags], io);
  t.after(async () => {
    stop.abort("SIGTERM");
    await done;
  });
  const line = await lines.first("listening line", (each) => each.includes("listening on"));
  const [, port, admin = ""] = /listening on 127\.0\.0\.1:(\d+).* status on (\S+)$/.exec(line) ?? [];
  return { port: Number(port), admin, folder, lines };
}

export type Answer = Readonly<{ code: number; out: string; err: string }>;

export async function ask(run: typeof CONFIG.run, scene: Scene, ...argv: readonly string[]): Promise<Answer> {
  let out = "";
  let err = "";
  const { signal } = new AbortController();
  const io = {
    out: (text: string) => (out += text),
    err: (text: string) => (err += text),
    env: {},
    stop: signal,
    kill: signal,
  };
  const code = await run([...argv, "--admin", scene.admin], io);
  return { code, out, err };
}

export async function file(scene: Scene, name: string, text: string): Promise<string> {
  const path = join(scene.folder, name);
  await writeFile(path, text);
  return path;
}
