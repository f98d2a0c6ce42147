// State of the world, for one resource type on one stream: wanted names, accepted version, nonce → next request.
// Pure: no I/O, no clock. Owned by subscriptions.ts. Source: "The xDS transport protocol", and Envoy's behaviour where
// that document leaves a choice.
//
//   interest ──► first request (version kept across streams, no nonce) ──► response V,N
//                                                       ┌── all good ──► ACK  {V, N, names}
//                       response V,N ──► apply, settle ─┤
//                                                       └── refused  ──► NACK {last accepted version, N, names, error}
//   interest changed ──► {last accepted version, latest nonce, all names}

import type { ErrorDetail, SotwRequest } from "./discovery-messages.ts";
import { Refusals } from "./refusals.ts";

type Answer = Readonly<{ version: string; nonce: string; error: ErrorDetail | undefined }>;

/** What became of a response after its resources were validated. */
export type SotwVerdict = Readonly<{
  version: string;
  nonce: string;
  /** Set when anything in the response was refused. */
  error: ErrorDetail | undefined;
  /** Identifies the refused content, so that the same content again is answered with a pause. */
  fingerprint: string;
}>;

export class SotwSubscription {
  readonly typeUrl: string;
  #acceptedVersion = "";
  #nonce = "";
  #isWildcard = false;
  #names: ReadonlySet<string> = new Set();
  #isRequested = false;
  #isChanged = false;
  #answer: Answer | undefined;
  #heldAnswer: Answer | undefined;
  readonly #refusals = new Refusals();

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** Replaces what is wanted. Nothing is sent when nothing changed. */
  setInterest(isWildcard: boolean, names: ReadonlySet<string>): void {
    if (isWildcard === this.#isWildcard && sameNames(names, this.#names)) return;
    this.#isWildcard = isWildcard;
    this.#names = new Set(names);
    this.#isChanged = true;
  }

  /** A new stream: nonces and unsent answers of the old one mean nothing to it; the accepted version does. */
  onStreamOpen(): void {
    this.#nonce = "";
    this.#isRequested = false;
    this.#isChanged = false;
    this.#answer = undefined;
    this.#heldAnswer = undefined;
  }

  /**
   * A response arrived. False: nothing was asked for on this stream, ignore it. When every watch is gone and the server
   * had not heard of it yet, the answer repeats the (empty) interest without accepting the version, as Envoy does.
   */
  onResponse(nonce: string, isEmpty: boolean): boolean {
    if (!this.#isRequested) return false;
    this.#nonce = nonce;
    if (this.#isWildcard || this.#names.size > 0 || isEmpty) return true;
    this.#answer = { version: this.#acceptedVersion, nonce, error: undefined };
    this.#heldAnswer = undefined;
    return false;
  }

  /**
   * Queues the one ACK or NACK for a response; for one of an earlier stream (`isCurrent` false) only records it.
   * Returns n ≥ 1 when the NACK waits for `release()`, see Refusals.
   */
  settle(verdict: SotwVerdict, isCurrent: boolean): number {
    if (verdict.error === undefined) {
      this.#refusals.clear();
      this.#acceptedVersion = verdict.version;
      if (!isCurrent) return 0;
      this.#answer = { version: verdict.version, nonce: verdict.nonce, error: undefined };
      this.#heldAnswer = undefined;
      return 0;
    }
    if (!isCurrent) return 0;
    const answer = { version: this.#acceptedVersion, nonce: verdict.nonce, error: verdict.error };
    const wait = this.#refusals.note(verdict.fingerprint);
    this.#answer = wait === 0 ? answer : undefined;
    this.#heldAnswer = wait === 0 ? undefined : answer;
    return wait;
  }

  /** The pause is over: the held NACK may go out. */
  release(): void {
    if (this.#heldAnswer === undefined) return;
    this.#answer = this.#heldAnswer;
    this.#heldAnswer = undefined;
  }

  takeAnswer(): SotwRequest | undefined {
    const answer = this.#answer;
    if (answer === undefined) return undefined;
    this.#answer = undefined;
    this.#isChanged = false;
    return this.#request(answer.version, answer.nonce, answer.error);
  }

  /** Never for a type without names: a first request with an empty list means "everything" to most servers. */
  takeFirst(): SotwRequest | undefined {
    if (this.#isRequested || (!this.#isWildcard && this.#names.size === 0)) return undefined;
    this.#isRequested = true;
    this.#isChanged = false;
    return this.#request(this.#acceptedVersion, "", undefined);
  }

  takeChange(): SotwRequest | undefined {
    if (!this.#isRequested || !this.#isChanged) return undefined;
    this.#isChanged = false;
    return this.#request(this.#acceptedVersion, this.#nonce, undefined);
  }

  #request(version: string, nonce: string, error: ErrorDetail | undefined): SotwRequest {
    const names = [...this.#names].sort();
    // An empty list is the wildcard only as long as nothing was ever named, so a mixed interest spells it out.
    if (this.#isWildcard && names.length > 0) names.unshift("*");
    return { kind: "sotw", typeUrl: this.typeUrl, version, nonce, names, error, withNode: false };
  }
}

export function sameNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && a.isSubsetOf(b);
}
