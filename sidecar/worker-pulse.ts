// Where a worker says that guest code runs, for a thread that watches (watchdog.ts): a few words of shared memory.
// worker-handle.ts makes them, worker.ts hands the writing end to the plugin host, which calls it around every callback.
//
//   0 beat: odd while guest code runs   1 how long it may, in ms (0: as long as it likes)   2 plugin's index   3 callback   4… names

import { Buffer } from "node:buffer";
import { CALLBACK_NAMES } from "../plugins/abi/callbacks.ts";
import type { CallbackWatch, PluginIdentity } from "../plugins/ports.ts";

const BEAT = 0;
const ALLOWED_MS = 1;
const PLUGIN = 2;
const CALLBACK = 3;
const WORDS = 4;
/** Plugins by index modulo this: what a name is for is a log line. */
const SLOTS = 64;
const NAME_BYTES = 64;
const NAMES_AT = WORDS * 8;

export function createPulse(): SharedArrayBuffer {
  return new SharedArrayBuffer(NAMES_AT + SLOTS * NAME_BYTES);
}

/** The worker's end. Hot: some stores for each callback. */
export class PulseWriter implements CallbackWatch {
  readonly #words: Float64Array;
  readonly #names: Buffer;
  /** Index of the plugin whose name is in each slot. */
  readonly #named = new Int32Array(SLOTS).fill(-1);

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Float64Array(memory, 0, WORDS);
    this.#names = Buffer.from(memory, NAMES_AT);
  }

  enter(plugin: PluginIdentity, callback: number, allowedMs: number): void {
    const words = this.#words;
    if (this.#named[plugin.index & (SLOTS - 1)] !== plugin.index) {
      this.#name(plugin);
    }
    words[ALLOWED_MS] = allowedMs;
    words[PLUGIN] = plugin.index;
    words[CALLBACK] = callback;
    words[BEAT] = (words[BEAT] as number) + 1;
  }

  leave(): void {
    this.#words[BEAT] = (this.#words[BEAT] as number) + 1;
  }

  #name({ index, name }: PluginIdentity): void {
    const slot = index & (SLOTS - 1);
    this.#names.fill(0, slot * NAME_BYTES, (slot + 1) * NAME_BYTES);
    this.#names.write(name, slot * NAME_BYTES, NAME_BYTES, "utf8");
    this.#named[slot] = index;
  }
}

export interface Pulse {
  /** Another one each time that guest code begins or ends. */
  readonly beat: number;
  readonly isInGuest: boolean;
  readonly allowedMs: number;
  readonly plugin: string;
  /** "proxy_on_tick"; "the start" before there are callbacks. */
  readonly callback: string;
}

/** What the worker says now. The beat alone is exact; the rest belongs to it as long as it does not change. */
export function readPulse(memory: SharedArrayBuffer): Pulse {
  const words = new Float64Array(memory, 0, WORDS);
  const beat = words[BEAT] as number;
  const slot = (words[PLUGIN] as number) & (SLOTS - 1);
  const name = Buffer.from(Buffer.from(memory, NAMES_AT + slot * NAME_BYTES, NAME_BYTES));
  const end = name.indexOf(0);
  return {
    beat,
    isInGuest: beat % 2 === 1,
    allowedMs: words[ALLOWED_MS] as number,
    plugin: name.toString("utf8", 0, end < 0 ? NAME_BYTES : end),
    callback: CALLBACK_NAMES[words[CALLBACK] as number] ?? "the start",
  };
}
