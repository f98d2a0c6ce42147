// Everything one discovery stream has asked for, for both protocol variants: what is wanted and what has been answered
// → the next request to send. Pure: no I/O, no clock, no protobuf; tested by golden transcripts. grpc-source.ts owns one
// for each stream and keeps it across reconnections. The per-type rules are in sotw-subscription.ts and
// delta-subscription.ts; this file owns the order on the stream:
//
//   1. answers (ACK, NACK)   2. first requests, in the order types were first wanted   3. changed subscriptions
//
// and puts the node on the first message of each stream.

import { DeltaSubscription } from "./delta-subscription.ts";
import type { DiscoveryRequest, DiscoveryResponse, ErrorDetail, Variant } from "./discovery-messages.ts";
import { SotwSubscription } from "./sotw-subscription.ts";

/** What is wanted of one type. */
export type Interest = Readonly<{ isWildcard: boolean; names: ReadonlySet<string> }>;

/** A response that was taken in and must be settled exactly once. A receipt of an earlier stream settles without an answer. */
export type Receipt = Readonly<{ stream: number; response: DiscoveryResponse }>;

/** What validation and application made of a response. */
export type Outcome = Readonly<{
  /** Applied resources, name to version. Those of a response that was refused in part count too. */
  accepted: ReadonlyMap<string, string>;
  removed: readonly string[];
  /** Names of the resources that were refused; empty when the response was refused as a whole. */
  refused: readonly string[];
  /** Set when anything was refused. */
  error: ErrorDetail | undefined;
  /** A digest of what was refused: the same content refused again is answered with a pause. Empty without error. */
  fingerprint: string;
}>;

export class Subscriptions {
  readonly variant: Variant;
  readonly #nodeOnEveryRequest: boolean;
  readonly #types = new Map<string, SotwSubscription | DeltaSubscription>();
  #stream = 0;
  #isNodeSent = false;

  /** `nodeOnEveryRequest` is the opposite of `set_node_on_first_message_only`. */
  constructor(variant: Variant, nodeOnEveryRequest: boolean) {
    this.variant = variant;
    this.#nodeOnEveryRequest = nodeOnEveryRequest;
  }

  /** Replaces what is wanted of a type. `next()` then says what to send, if anything. */
  setInterest(typeUrl: string, interest: Interest): void {
    let subscription = this.#types.get(typeUrl);
    if (subscription === undefined) {
      if (!interest.isWildcard && interest.names.size === 0) return;
      subscription = this.variant === "sotw" ? new SotwSubscription(typeUrl) : new DeltaSubscription(typeUrl);
      this.#types.set(typeUrl, subscription);
    }
    subscription.setInterest(interest.isWildcard, interest.names);
  }

  onStreamOpen(): void {
    this.#stream += 1;
    this.#isNodeSent = false;
    for (const subscription of this.#types.values()) subscription.onStreamOpen();
  }

  /** Takes a response in. Undefined: it answers nothing that was asked on this stream, drop it. */
  onResponse(response: DiscoveryResponse): Receipt | undefined {
    const subscription = this.#types.get(response.typeUrl);
    if (subscription === undefined || response.kind !== this.variant) return undefined;
    const isEmpty = response.resources.length === 0;
    if (!subscription.onResponse(response.nonce, isEmpty)) return undefined;
    return { stream: this.#stream, response };
  }

  /** Records the outcome and queues the answer. Returns n ≥ 1 when its NACK is held until `release()`, see Refusals. */
  settle(receipt: Receipt, outcome: Outcome): number {
    const { response, stream } = receipt;
    const subscription = this.#types.get(response.typeUrl);
    if (subscription === undefined) return 0;
    const isCurrent = stream === this.#stream;
    const { nonce, version } = response;
    if (subscription instanceof DeltaSubscription) return subscription.settle({ nonce, ...outcome }, isCurrent);
    const { error, fingerprint } = outcome;
    return subscription.settle({ version, nonce, error, fingerprint }, isCurrent);
  }

  /** A held NACK may go out now. */
  release(typeUrl: string): void {
    this.#types.get(typeUrl)?.release();
  }

  /** A resource is no longer held although the server did not remove it: its TTL ran out. */
  forget(typeUrl: string, name: string): void {
    const subscription = this.#types.get(typeUrl);
    if (subscription instanceof DeltaSubscription) subscription.forget(name);
  }

  /** The next request to send, or undefined. To be called until it says undefined, or until the stream's buffer is full. */
  next(): DiscoveryRequest | undefined {
    const request = this.#take();
    if (request === undefined) return undefined;
    const withNode = this.#nodeOnEveryRequest || !this.#isNodeSent;
    this.#isNodeSent = true;
    return withNode ? { ...request, withNode } : request;
  }

  #take(): DiscoveryRequest | undefined {
    for (const subscription of this.#types.values()) {
      const answer = subscription.takeAnswer();
      if (answer !== undefined) return answer;
    }
    for (const subscription of this.#types.values()) {
      const first = subscription.takeFirst();
      if (first !== undefined) return first;
    }
    for (const subscription of this.#types.values()) {
      const change = subscription.takeChange();
      if (change !== undefined) return change;
    }
    return undefined;
  }
}
