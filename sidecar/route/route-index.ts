// The routes of one virtual host in order, and a shortcut through them: exact paths by hash, prefixes by hash of each
// prefix length, regular expressions by the literal text that they begin with; many of one path by the fields that they
// demand (field-split.ts). Built by route-table.ts.
// The first route in order that matches wins, whichever shortcut finds it: a candidate is tried only when its place is
// before the best one so far, so the answer is always that of a walk from the top (a property test holds it to that).

import type { RequestHead } from "../http/message.ts";
import { type Candidate, type Candidates, divide, firstOf, WALK_UP_TO } from "./field-split.ts";
import { pathEnd } from "./request-value.ts";

interface PrefixBucket<C extends Candidate> {
  readonly length: number;
  readonly byText: ReadonlyMap<string, Candidates<C>>;
}

/** One for all of the many hosts with few routes. */
const NONE: ReadonlyMap<string, never> = new Map<string, never>();

export class RouteIndex<C extends Candidate> {
  readonly #isIndexed: boolean;
  /** Those to walk: all of a short list, otherwise those without a key. */
  readonly #walk: Candidates<C>;
  readonly #exact: ReadonlyMap<string, Candidates<C>>;
  /** The shortest first. */
  readonly #prefixes: readonly PrefixBucket<C>[];

  /** `candidates` in order of their places. */
  constructor(candidates: readonly C[]) {
    this.#isIndexed = candidates.length > WALK_UP_TO;
    const walk: C[] = [];
    const exact = new Map<string, C[]>();
    const prefixes = new Map<number, Map<string, C[]>>();
    for (const candidate of candidates) {
      const { key } = candidate;
      if (!this.#isIndexed || key === undefined) {
        walk.push(candidate);
      } else if (key.kind === "exact") {
        addTo(exact, key.text, candidate);
      } else {
        let bucket = prefixes.get(key.text.length);
        if (bucket === undefined) {
          bucket = new Map();
          prefixes.set(key.text.length, bucket);
        }
        addTo(bucket, key.text, candidate);
      }
    }
    this.#walk = divide(walk);
    this.#exact = divideEach(exact);
    this.#prefixes = [...prefixes]
      .map(([length, byText]) => ({ length, byText: divideEach(byText) }))
      .sort((a, b) => a.length - b.length);
  }

  select(head: RequestHead, random: number): C | undefined {
    const end = pathEnd(head.path);
    return firstOf(this.#walk, this.#isIndexed ? this.#lookUp(head, end, random) : undefined, head, end, random);
  }

  #lookUp(head: RequestHead, end: number, random: number): C | undefined {
    const target = head.path;
    const path = end === target.length ? target : target.slice(0, end);
    let best = firstOf(this.#exact.get(path), undefined, head, end, random);
    const prefixes = this.#prefixes;
    for (let i = 0; i < prefixes.length; i++) {
      const bucket = prefixes[i] as PrefixBucket<C>;
      if (bucket.length > end) {
        break;
      }
      best = firstOf(bucket.byText.get(path.slice(0, bucket.length)), best, head, end, random);
    }
    return best;
  }
}

/** The same lists, the long ones divided. */
function divideEach<C extends Candidate>(lists: ReadonlyMap<string, readonly C[]>): ReadonlyMap<string, Candidates<C>> {
  return lists.size === 0 ? NONE : new Map(Array.from(lists, ([text, list]) => [text, divide(list)]));
}

function addTo<C>(map: Map<string, C[]>, key: string, candidate: C): void {
  const list = map.get(key);
  if (list === undefined) {
    map.set(key, [candidate]);
  } else {
    list.push(candidate);
  }
}
