// What a guest writes to its standard output and error, as log lines. Go writes a panic in dozens of pieces, so pieces
// are put together until a newline comes; what is left when the callback ends is a line too.

import { Buffer } from "node:buffer";
import { LogLevel } from "./abi/constants.ts";
import type { PluginIdentity, PluginLog } from "./ports.ts";

/** A line without an end is cut here. */
const MAX_LINE_BYTES = 64 * 1024;
const LEVELS = [LogLevel.Info, LogLevel.Error] as const;

export class GuestOutput {
  readonly #log: PluginLog;
  /** Begun lines of output and error, one char a byte. */
  readonly #begun: [string, string] = ["", ""];
  /** Whether flush() has anything to do. */
  isPending = false;

  constructor(log: PluginLog) {
    this.#log = log;
  }

  /** `stream` 0: output, level info; 1: error, level error. `text`: one char a byte. */
  write(plugin: PluginIdentity, stream: 0 | 1, text: string): void {
    let rest = this.#begun[stream] + text;
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      this.#emit(plugin, stream, rest.slice(0, end));
      rest = rest.slice(end + 1);
    }
    if (rest.length >= MAX_LINE_BYTES) {
      this.#emit(plugin, stream, rest);
      rest = "";
    }
    this.#begun[stream] = rest;
    this.isPending = this.#begun[0] !== "" || this.#begun[1] !== "";
  }

  /** Gives out lines that have no newline yet. */
  flush(plugin: PluginIdentity): void {
    for (const stream of [0, 1] as const) {
      this.#emit(plugin, stream, this.#begun[stream]);
      this.#begun[stream] = "";
    }
    this.isPending = false;
  }

  #emit(plugin: PluginIdentity, stream: 0 | 1, line: string): void {
    const level = LEVELS[stream];
    if (line === "" || level < this.#log.level(plugin)) return;
    this.#log.write(plugin, level, Buffer.from(line.slice(0, MAX_LINE_BYTES), "latin1").toString("utf8"));
  }
}
