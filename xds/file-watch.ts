// Says when a file may have changed: watches its directory, so that editors and tools that replace the file by a rename
// are seen too, and waits until it is quiet. Used by path-source.ts and by the control plane.

import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "./clock.ts";

export type FileWatchSettings = Readonly<{
  path: string;
  /** What is watched; undefined means the file's own directory. */
  directory?: string;
  /** Changes are told when nothing has happened for this long, ms. */
  quietMs: number;
  clock: Clock;
  onChange(): void;
}>;

/** A directory that is not there, or went away, is looked for again after this. */
const RETRY_MS = 1_000;

/** Watches until the returned function is called. Never throws; watching alone does not keep the process alive. */
export function watchFile(settings: FileWatchSettings): () => void {
  const { clock, quietMs, onChange } = settings;
  const directory = settings.directory ?? dirname(settings.path);
  let watcher: FSWatcher | undefined;
  let cancelQuiet = () => {};
  let cancelRetry = () => {};
  let isClosed = false;
  const changed = () => {
    cancelQuiet();
    cancelQuiet = clock.after(quietMs, onChange);
  };
  const retry = () => {
    watcher?.close();
    watcher = undefined;
    cancelRetry();
    if (!isClosed) cancelRetry = clock.after(RETRY_MS, () => open(true));
  };
  const open = (isRetry: boolean) => {
    try {
      watcher = watch(directory, { persistent: false }, changed);
      watcher.on("error", retry);
      // The directory may have been replaced while nobody watched.
      if (isRetry) changed();
    } catch {
      retry();
    }
  };
  open(false);
  return () => {
    isClosed = true;
    cancelQuiet();
    cancelRetry();
    watcher?.close();
  };
}
