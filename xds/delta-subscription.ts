// Delta (incremental), for one resource type on one stream: wanted names, versions held → next request. Pure: no I/O,
// no clock. Owned by subscriptions.ts. Source: "The xDS transport protocol"; quirks of servers are named where they
// decide something.
//
//   first request   initial_resource_versions = all held, subscribe = all names (empty = wildcard), no nonce
//   ACK / NACK      nonce (+ error) and nothing else: istiod mishandles an ACK that also changes subscriptions
//   change          subscribe / unsubscribe, never a nonce

import type { DeltaRequest, ErrorDetail } from "./discovery-messages.ts";
import { Refusals } from "./refusals.ts";

type Answer = Readonly<{ nonce: string; error: ErrorDetail | undefined }>;

/** Answers that a server does not read, or that are held: beyond this the oldest are dropped, so that a flood stays small. */
const MAX_ANSWERS = 1_000;

const NO_VERSIONS: ReadonlyMap<string, string> = new Map();

/** What became of a response after its resources were validated. */
export type DeltaVerdict = Readonly<{
  nonce: string;
  error: ErrorDetail | undefined;
  fingerprint: string;
  /** The resources that were applied, name to version; also those of a response that was refused in part. */
  accepted: ReadonlyMap<string, string>;
  removed: readonly string[];
}>;

export class DeltaSubscription {
  readonly typeUrl: string;
  readonly #held = new Map<string, string>();
  #isWildcard = false;
  #names: ReadonlySet<string> = new Set();
  readonly #added = new Set<string>();
  readonly #dropped = new Set<string>();
  #isRequested = false;
  #answers: Answer[] = [];
  #heldAnswers: Answer[] = [];
  readonly #refusals = new Refusals();

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /**
   * Replaces what is wanted. A name that is dropped and wanted again before the server heard of either is sent as two
   * messages, unsubscribe then subscribe: servers (istiod) do not answer a second subscription of a name they know,
   * and its resource was let go here.
   */
  setInterest(isWildcard: boolean, names: ReadonlySet<string>): void {
    if (isWildcard !== this.#isWildcard) this.#setWildcard(isWildcard);
    for (const name of this.#names) {
      if (names.has(name)) continue;
      if (!this.#added.delete(name) && this.#isRequested) this.#dropped.add(name);
      if (!this.#isWildcard) this.#held.delete(name);
    }
    for (const name of names) if (!this.#names.has(name)) this.#added.add(name);
    this.#names = new Set(names);
  }

  #setWildcard(isWildcard: boolean): void {
    this.#isWildcard = isWildcard;
    if (!this.#isRequested) return;
    if (isWildcard) this.#added.add("*");
    else if (!this.#added.delete("*")) this.#dropped.add("*");
    if (!isWildcard) for (const name of this.#held.keys()) if (!this.#names.has(name)) this.#held.delete(name);
  }

  /** A new stream: everything wanted is asked for anew, so unsent changes and answers are folded into that. */
  onStreamOpen(): void {
    this.#isRequested = false;
    this.#added.clear();
    this.#dropped.clear();
    this.#answers = [];
    this.#heldAnswers = [];
  }

  /** A response arrived. False: nothing was asked for on this stream, ignore it. */
  onResponse(): boolean {
    return this.#isRequested;
  }

  /**
   * Queues the one ACK or NACK for a response; for one of an earlier stream (`isCurrent` false) only records it.
   * Returns n ≥ 1 when the NACK waits for `release()`, see Refusals.
   */
  settle(verdict: DeltaVerdict, isCurrent: boolean): number {
    for (const [name, version] of verdict.accepted) {
      if (this.#isWildcard || this.#names.has(name)) this.#held.set(name, version);
    }
    // A removed name that is subscribed stays so: the server sends it when it exists again.
    for (const name of verdict.removed) this.#held.delete(name);
    if (!isCurrent) return 0;
    const answer = { nonce: verdict.nonce, error: verdict.error };
    if (verdict.error === undefined) {
      this.#refusals.clear();
      pushBounded(this.#answers, answer);
      return 0;
    }
    const wait = this.#refusals.note(verdict.fingerprint);
    pushBounded(wait === 0 ? this.#answers : this.#heldAnswers, answer);
    return wait;
  }

  /** The resource is no longer held (its TTL ran out), so the next stream must ask for it as if never seen. */
  forget(name: string): void {
    this.#held.delete(name);
  }

  /** The pause is over: the held NACKs may go out. */
  release(): void {
    for (const answer of this.#heldAnswers) pushBounded(this.#answers, answer);
    this.#heldAnswers = [];
  }

  takeAnswer(): DeltaRequest | undefined {
    const answer = this.#answers.shift();
    if (answer === undefined) return undefined;
    return { ...this.#empty(), nonce: answer.nonce, error: answer.error };
  }

  /** Never for a type without names: istiod reads an empty first request of any type as "everything". */
  takeFirst(): DeltaRequest | undefined {
    if (this.#isRequested || (!this.#isWildcard && this.#names.size === 0)) return undefined;
    this.#isRequested = true;
    this.#added.clear();
    this.#dropped.clear();
    const subscribe = [...this.#names].sort();
    if (this.#isWildcard && subscribe.length > 0) subscribe.unshift("*");
    return { ...this.#empty(), subscribe, initialVersions: new Map(this.#held) };
  }

  takeChange(): DeltaRequest | undefined {
    if (!this.#isRequested || (this.#added.size === 0 && this.#dropped.size === 0)) return undefined;
    const unsubscribe = [...this.#dropped].sort();
    const subscribe = [...this.#added].filter((name) => !this.#dropped.has(name)).sort();
    this.#dropped.clear();
    for (const name of subscribe) this.#added.delete(name);
    return { ...this.#empty(), subscribe, unsubscribe };
  }

  #empty(): DeltaRequest {
    return {
      kind: "delta",
      typeUrl: this.typeUrl,
      subscribe: [],
      unsubscribe: [],
      initialVersions: NO_VERSIONS,
      nonce: "",
      error: undefined,
      withNode: false,
    };
  }
}

function pushBounded(answers: Answer[], answer: Answer): void {
  answers.push(answer);
  if (answers.length > MAX_ANSWERS) answers.shift();
}
