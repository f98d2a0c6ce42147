// The routes of one virtual host in order, and a shortcut through them: exact paths by hash, prefixes by hash of each
// prefix length, regular expressions by the literal text that they begin with. Built by route-table.ts.
// The first route in order that matches wins, whichever shortcut finds it: a candidate is tried only when its place is
// before the best one so far, so the answer is always that of a walk from the top (a property test holds it to that).

import type { RequestHead } from "../http/message.ts";
import { pathEnd } from "./request-value.ts";

/** What one route demands. */
export interface Candidate {
  /** Place in the virtual host. */
  readonly place: number;
  /** How to find it: an exact path, a text that the path begins with, or neither (tried in order). */
  readonly key: { readonly kind: "exact" | "prefix"; readonly text: string } | undefined;
  /** `end` is where the path of `head.path` ends and its query begins. */
  accepts(head: RequestHead, end: number, random: number): boolean;
}

/** Fewer routes than this are faster to walk. */
const WALK_UP_TO = 8;

interface PrefixBucket<C> {
  readonly length: number;
  readonly byText: Map<string, C[]>;
}

export class RouteIndex<C extends Candidate> {
  readonly #isIndexed: boolean;
  /** Those to walk: all of a short list, otherwise those without a key. */
  readonly #walk: C[] = [];
  readonly #exact = new Map<string, C[]>();
  readonly #prefixes: PrefixBucket<C>[] = [];

  /** `candidates` in order of their places. */
  constructor(candidates: readonly C[]) {
    const walkAll = candidates.length <= WALK_UP_TO;
    this.#isIndexed = !walkAll;
    for (const candidate of candidates) {
      if (walkAll || candidate.key === undefined) {
        this.#walk.push(candidate);
      } else if (candidate.key.kind === "exact") {
        addTo(this.#exact, candidate.key.text, candidate);
      } else {
        this.#addPrefix(candidate.key.text, candidate);
      }
    }
  }

  select(head: RequestHead, random: number): C | undefined {
    const end = pathEnd(head.path);
    return first(this.#walk, this.#isIndexed ? this.#lookUp(head, end, random) : undefined, head, end, random);
  }

  #lookUp(head: RequestHead, end: number, random: number): C | undefined {
    const target = head.path;
    const path = end === target.length ? target : target.slice(0, end);
    let best = first(this.#exact.get(path), undefined, head, end, random);
    const prefixes = this.#prefixes;
    for (let i = 0; i < prefixes.length; i++) {
      const bucket = prefixes[i] as PrefixBucket<C>;
      if (bucket.length > end) {
        break;
      }
      best = first(bucket.byText.get(path.slice(0, bucket.length)), best, head, end, random);
    }
    return best;
  }

  #addPrefix(text: string, candidate: C): void {
    let bucket = this.#prefixes.find(({ length }) => length === text.length);
    if (bucket === undefined) {
      bucket = { length: text.length, byText: new Map() };
      this.#prefixes.push(bucket);
      this.#prefixes.sort((a, b) => a.length - b.length);
    }
    addTo(bucket.byText, text, candidate);
  }
}

/** The first of `candidates` that comes before `best` and accepts the request, else `best`. */
function first<C extends Candidate>(
  candidates: readonly C[] | undefined,
  best: C | undefined,
  head: RequestHead,
  end: number,
  random: number,
): C | undefined {
  if (candidates === undefined) {
    return best;
  }
  const limit = best === undefined ? Number.MAX_SAFE_INTEGER : best.place;
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

function addTo<C>(map: Map<string, C[]>, key: string, candidate: C): void {
  const list = map.get(key);
  if (list === undefined) {
    map.set(key, [candidate]);
  } else {
    list.push(candidate);
  }
}
