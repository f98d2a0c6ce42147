// LDS and CDS, which are asked for as a whole: whether each was answered, and whether what came last was refused. Owned by client.ts.

import type { Wait, Wanted } from "./assembly.ts";
import type { Clock } from "./clock.ts";
import type { ConfigSource } from "./model/config-source.ts";
import { typeLabel } from "./type-urls.ts";

export type Collection = {
  readonly typeUrl: string;
  readonly source: ConfigSource;
  /** Also by a refused response and a timeout: both let the start go on. */
  isAnswered: boolean;
  /** The latest response was refused, at least in part, or has just been repaired. */
  isRefused: boolean;
  cancelRepaired: (() => void) | undefined;
};

/** After a repair of CDS, the routes that belong to it follow within this time. */
const REPAIR_MS = 2_000;

export class Collections {
  readonly list: readonly Collection[];
  readonly #clock: Clock;
  readonly #onChange: () => void;

  /** `sources` in the order in which a new stream asks for them. `onChange`: what was refused is repaired for good. */
  constructor(
    sources: readonly (readonly [typeUrl: string, source: ConfigSource | undefined])[],
    clock: Clock,
    onChange: () => void,
  ) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.list = sources.flatMap(([typeUrl, source]) =>
      source === undefined ? [] : [{ typeUrl, source, isAnswered: false, isRefused: false, cancelRepaired: undefined }],
    );
  }

  of(typeUrl: string): Collection | undefined {
    return this.list.find((each) => each.typeUrl === typeUrl);
  }

  onAnswer(collection: Collection, isRefused: boolean): void {
    collection.isAnswered = true;
    if (!isRefused && (!collection.isRefused || collection.cancelRepaired !== undefined)) return;
    collection.cancelRepaired?.();
    collection.cancelRepaired = undefined;
    collection.isRefused = true;
    if (isRefused) return;
    collection.cancelRepaired = this.#clock.after(REPAIR_MS, () => {
      collection.cancelRepaired = undefined;
      collection.isRefused = false;
      this.#onChange();
    });
  }

  /** The first answer is waited for like any resource. */
  waits(): Wait[] {
    return this.list
      .filter((each) => !each.isAnswered)
      .map(({ typeUrl, source }) => {
        const resource: Wanted = { typeUrl, name: "", source };
        return { key: typeUrl, timeoutMs: source.initialFetchTimeoutMs, resource };
      });
  }

  /** Those that were not answered yet, for people. */
  get unanswered(): readonly string[] {
    return this.list.filter((each) => !each.isAnswered).map(({ typeUrl }) => typeLabel(typeUrl));
  }

  close(): void {
    for (const { cancelRepaired } of this.list) cancelRepaired?.();
  }
}
