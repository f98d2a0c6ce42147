// Many routes that one path leads to, told apart by the exact value of a request's field: those that demand a value are found by
// it, the others are walked in order. route-index.ts makes one of each long list, so that a thousand versions of one path cost
// what a few do. A list that no field divides stays a list, and a request without long lists never comes here.
// The first in order that accepts the request wins, whichever side it is on (see `firstOf`).

import type { RequestHead } from "../http/message.ts";
import { type Demand, demanded } from "./matchers.ts";

/** What one route demands. */
export interface Candidate {
  /** Place in the virtual host. */
  readonly place: number;
  /** How to find it: an exact path, a text that the path begins with, or neither (tried in order). */
  readonly key: { readonly kind: "exact" | "prefix"; readonly text: string } | undefined;
  /** Fields that must have one value, whatever else it demands. Asked for while an index is made, not for requests. */
  demands(): readonly Demand[];
  /** `end` is where the path of `head.path` ends and its query begins. */
  accepts(head: RequestHead, end: number, random: number): boolean;
}

/** In order of their places. */
export type Candidates<C extends Candidate> = readonly C[] | FieldSplit<C>;

/** Fewer candidates than this are faster to walk, and so is a list that a field makes shorter by fewer. */
export const WALK_UP_TO = 8;
/** Splits within splits: bounds the time to make one and to look through one, whatever the configuration holds. */
const MAX_DEPTH = 8;

class FieldSplit<C extends Candidate> {
  readonly firstPlace: number;
  readonly #field: Demand;
  readonly #byValue = new Map<string, Candidates<C>>();
  readonly #others: Candidates<C>;

  constructor(candidates: readonly C[], field: Demand, depth: number) {
    this.firstPlace = (candidates[0] as C).place;
    this.#field = field;
    const byValue = new Map<string, C[]>();
    const others: C[] = [];
    for (const candidate of candidates) {
      const value = candidate.demands().find((demand) => isSameField(demand, field))?.value;
      if (value === undefined) {
        others.push(candidate);
      } else {
        const list = byValue.get(value);
        if (list === undefined) {
          byValue.set(value, [candidate]);
        } else {
          list.push(candidate);
        }
      }
    }
    for (const [value, list] of byValue) {
      this.#byValue.set(value, divide(list, depth));
    }
    this.#others = divide(others, depth);
  }

  first(best: C | undefined, head: RequestHead, end: number, random: number): C | undefined {
    const value = demanded(this.#field, head, end);
    const found = value === undefined ? best : firstOf(this.#byValue.get(value), best, head, end, random);
    return firstOf(this.#others, found, head, end, random);
  }
}

/** The same candidates, found by the fields that they demand where that saves steps. */
export function divide<C extends Candidate>(candidates: readonly C[], depth = 0): Candidates<C> {
  if (candidates.length <= WALK_UP_TO || depth === MAX_DEPTH) {
    return candidates;
  }
  const field = bestField(candidates);
  return field === undefined ? candidates : new FieldSplit(candidates, field, depth + 1);
}

/** The first of `candidates` that comes before `best` and accepts the request, else `best`. */
export function firstOf<C extends Candidate>(
  candidates: Candidates<C> | undefined,
  best: C | undefined,
  head: RequestHead,
  end: number,
  random: number,
): C | undefined {
  if (candidates === undefined) {
    return best;
  }
  const limit = best === undefined ? Number.MAX_SAFE_INTEGER : best.place;
  if (candidates instanceof FieldSplit) {
    return candidates.firstPlace < limit ? candidates.first(best, head, end, random) : best;
  }
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i] as C;
    if (candidate.place >= limit) {
      return best;
    }
    if (candidate.accepts(head, end, random)) {
      return candidate;
    }
  }
  return best;
}

/** The field that leaves the fewest candidates to walk at worst; undefined when none leaves enough out to pay. */
function bestField(candidates: readonly Candidate[]): Demand | undefined {
  const fields = new Map<string, { readonly field: Demand; readonly counts: Map<string, number>; total: number }>();
  for (const candidate of candidates) {
    const seen = new Set<string>();
    for (const demand of candidate.demands()) {
      const id = `${demand.kind} ${demand.name}`;
      // A second demand on one field is left to `accepts`.
      if (seen.has(id)) {
        continue;
      }
      seen.add(id);
      let field = fields.get(id);
      if (field === undefined) {
        field = { field: demand, counts: new Map(), total: 0 };
        fields.set(id, field);
      }
      field.counts.set(demand.value, (field.counts.get(demand.value) ?? 0) + 1);
      field.total += 1;
    }
  }
  let best: Demand | undefined;
  let most = WALK_UP_TO - 1;
  for (const { field, counts, total } of fields.values()) {
    const leftOut = total - [...counts.values()].reduce((a, b) => Math.max(a, b), 0);
    if (leftOut > most) {
      most = leftOut;
      best = field;
    }
  }
  return best;
}

function isSameField(one: Demand, other: Demand): boolean {
  return one.kind === other.kind && one.name === other.name;
}
