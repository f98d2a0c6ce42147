// What the guests of all cases log, by case, and waiting for a line of it.

import type { GuestLine } from "./subject.ts";

const LINE_DEADLINE_MS = 4_000;

/** What the guests said, by case. */
export class GuestLines {
  readonly streams = new Map<string, string[]>();
  readonly roots = new Map<string, Set<string>>();
  readonly #waiting = new Map<string, (() => void)[]>();

  add({ level, text }: GuestLine): void {
    const found = /^#(c\d+-\d+)(\^?) (.*)$/s.exec(text);
    const [, id = "", isRoot, said = ""] = found ?? /^(c\d+-\d+)()\b(.*)$/s.exec(text) ?? [];
    if (id === "") {
      return;
    }
    const line = level === "info" ? said : `[${level}] ${said}`;
    if (isRoot === "^") {
      this.roots.set(id, (this.roots.get(id) ?? new Set()).add(line));
    } else {
      this.streams.set(id, [...(this.streams.get(id) ?? []), line]);
    }
    for (const check of this.#waiting.get(id) ?? []) {
      check();
    }
  }

  /** Resolves when `times` lines with this text are there, or after the deadline. */
  async until(id: string, text: string, times: number): Promise<void> {
    const isThere = () => {
      const all = [...(this.streams.get(id) ?? []), ...(this.roots.get(id) ?? [])];
      return all.filter((line) => ` ${line}`.includes(text)).length >= times;
    };
    if (isThere()) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LINE_DEADLINE_MS);
      const check = () => {
        if (isThere()) {
          clearTimeout(timer);
          resolve();
        }
      };
      this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), check]);
    });
  }
}
