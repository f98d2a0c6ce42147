// A canary: a new release goes to a fraction of the sidecars first, and to more only when those have acknowledged it and
// their error rate holds. Which sidecars is decided by a hash of the node id, so one that reconnects gets the same again.
// Halts by itself, and then everybody has the release before. Pure but for the clock; releases.ts joins it to the clients.

import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Load } from "./load-reports.ts";

export type CanaryOptions = Readonly<{
  /** Of the sidecars that the release changes something for, growing: [0.1, 0.5]. Then all. */
  fractions: readonly number[];
  /** How long the error rate is watched once a step is acknowledged, ms. */
  holdMs: number;
  /** Longest wait for the acknowledgements of a step, and for `minRequests`, beyond `holdMs`, ms. */
  timeoutMs: number;
  /** By how much the error rate may exceed that of the other sidecars, or its own before: 0.01 is one request in 100. */
  maxErrorIncrease: number;
  /** A step that has seen fewer requests than this is no evidence: it halts at its timeout. 0: it goes on. */
  minRequests: number;
}>;

export const DEFAULT_CANARY: CanaryOptions = {
  fractions: [0.1],
  holdMs: 30_000,
  timeoutMs: 60_000,
  maxErrorIncrease: 0.01,
  minRequests: 0,
};

/** One sidecar as a canary sees it. */
export type Member = Readonly<{
  nodeId: string;
  /** By which its load reports are found. */
  loadKey: string;
  /** The release changes something for it. */
  isAffected: boolean;
  isSettled: boolean;
  refusals: readonly Readonly<{ typeUrl: string; message: string; at: number }>[];
}>;

export type RolloutView = Readonly<{
  state: "acknowledging" | "watching" | "complete" | "halted";
  /** Of the present step. */
  fraction: number;
  step: number;
  steps: number;
  /** Node ids that the step began with. */
  sidecars: readonly string[];
  acknowledged: number;
  startedAt: number;
  stepAt: number;
  /** Undefined while nobody reports load. */
  load: Load | undefined;
  /** What the error rate is compared with, 0 to 1; undefined when there is nothing to compare with. */
  baseline: number | undefined;
  /** Why it halted, or what it waits for. */
  reason: string;
}>;

export type RolloutDeps = Readonly<{
  clock: Clock;
  options: CanaryOptions;
  members(): readonly Member[];
  load(keys: Iterable<string>, from: number, to: number): Load | undefined;
  /** More sidecars get the release now. */
  onStep(): void;
  /** Complete: all get it. Halted: nobody has it any more. */
  onEnd(outcome: "complete" | "halted"): void;
}>;

/** Fewer requests say nothing about a rate before the time is over. */
const EARLY_REQUESTS = 50;
/** How far back a rate "before" is taken. */
const BEFORE_MS = 300_000;
const MAX_REASON = 1_000;

export class Rollout {
  readonly #deps: RolloutDeps;
  readonly #startedAt: number;
  /** Refusals that were there before: they are not this release's fault. */
  #oldRefusals: ReadonlySet<string> = new Set();
  #state: RolloutView["state"] = "acknowledging";
  #step = -1;
  #threshold = -1;
  #stepAt = 0;
  #watchedSince = 0;
  #expected: readonly string[] = [];
  #reason = "";
  #cancel = () => {};

  constructor(deps: RolloutDeps) {
    this.#deps = deps;
    this.#startedAt = deps.clock.now();
  }

  get state(): RolloutView["state"] {
    return this.#state;
  }

  /** Stops looking, and changes nothing. */
  close(): void {
    this.#cancel();
  }

  /** Begins with the first step. With nobody to try it on it is complete at once. */
  start(): void {
    const members = this.#deps.members();
    this.#oldRefusals = new Set(members.flatMap((each) => each.refusals.map((one) => refusalKey(each, one))));
    this.#nextStep();
  }

  /** Whether a sidecar gets the release. */
  has(nodeId: string): boolean {
    return this.#state === "complete" || (this.#state !== "halted" && unitHash(nodeId) <= this.#threshold);
  }

  /** Looks again: something about a sidecar has changed. */
  look(): void {
    if (this.#isOver) return;
    const problem = this.#problem();
    if (problem !== undefined) {
      this.#end("halted", problem);
      return;
    }
    const { clock, options } = this.#deps;
    const waitsFor = this.#waitsFor();
    this.#reason = waitsFor;
    const now = clock.now();
    if (this.#state === "acknowledging" && waitsFor === "") {
      this.#state = "watching";
      this.#watchedSince = now;
    }
    const isWatched = this.#state === "watching" && now >= this.#watchedSince + options.holdMs;
    if (isWatched && waitsFor === "") {
      const requests = this.#load()?.requests ?? 0;
      if (requests >= options.minRequests) {
        this.#nextStep();
        return;
      }
      this.#reason = `waits for requests: ${requests} of ${options.minRequests}`;
    }
    if (now >= this.#stepAt + options.holdMs + options.timeoutMs) this.#end("halted", `too late: ${this.#reason}`);
    else this.#lookLater();
  }

  /** Ends it; everybody has the release before. */
  halt(reason: string): void {
    if (!this.#isOver) this.#end("halted", reason);
  }

  view(): RolloutView {
    const { fractions } = this.#deps.options;
    return {
      state: this.#state,
      fraction: this.#state === "complete" ? 1 : (fractions[this.#step] ?? 1),
      step: Math.min(this.#step + 1, fractions.length),
      steps: fractions.length,
      sidecars: this.#expected,
      acknowledged: this.#expected.length - this.#unsettled().length,
      startedAt: this.#startedAt,
      stepAt: this.#stepAt,
      load: this.#load(),
      baseline: this.#baseline(),
      reason: this.#reason,
    };
  }

  get #isWatched(): boolean {
    return this.#watchedSince > 0 && this.#state !== "acknowledging";
  }

  get #isOver(): boolean {
    return this.#state === "complete" || this.#state === "halted";
  }

  #nextStep(): void {
    const { options, clock, onStep } = this.#deps;
    this.#step += 1;
    const fraction = options.fractions[this.#step];
    const affected = this.#deps.members().filter(({ isAffected }) => isAffected);
    const ids = [...new Set(affected.map(({ nodeId }) => nodeId))].sort((a, b) => unitHash(a) - unitHash(b));
    if (fraction === undefined || ids.length === 0) {
      this.#end("complete", "");
      return;
    }
    this.#expected = ids.slice(0, Math.max(1, Math.ceil(ids.length * fraction)));
    this.#threshold = Math.max(this.#threshold, unitHash(this.#expected.at(-1) ?? ""));
    this.#state = "acknowledging";
    this.#stepAt = clock.now();
    onStep();
    // Not at once: whoever calls may be in the middle of something.
    this.#lookLater();
  }

  #lookLater(): void {
    this.#cancel();
    const pollMs = Math.min(1_000, Math.max(20, this.#deps.options.holdMs / 10));
    this.#cancel = this.#deps.clock.after(pollMs, () => this.look());
  }

  #end(outcome: "complete" | "halted", reason: string): void {
    this.#cancel();
    this.#state = outcome;
    this.#reason = reason.slice(0, MAX_REASON);
    this.#deps.onEnd(outcome);
  }

  #chosen(): readonly Member[] {
    return this.#deps.members().filter(({ nodeId }) => this.has(nodeId));
  }

  #problem(): string | undefined {
    for (const member of this.#chosen()) {
      for (const refusal of member.refusals) {
        if (refusal.at < this.#startedAt || this.#oldRefusals.has(refusalKey(member, refusal))) continue;
        const type = refusal.typeUrl.slice(refusal.typeUrl.lastIndexOf(".") + 1);
        return `${member.nodeId} refused ${type}: ${refusal.message}`;
      }
    }
    const { maxErrorIncrease, minRequests } = this.#deps.options;
    const load = this.#load();
    if (load === undefined || load.requests < 1) return undefined;
    const isDue = this.#deps.clock.now() >= this.#watchedSince + this.#deps.options.holdMs;
    if (!isDue && load.requests < Math.max(minRequests, EARLY_REQUESTS)) return undefined;
    const rate = load.errors / load.requests;
    const baseline = this.#baseline() ?? 0;
    if (rate <= baseline + maxErrorIncrease) return undefined;
    return `error rate ${percent(rate)} of ${load.requests} requests, elsewhere or before ${percent(baseline)}`;
  }

  /** Node ids that the step began with and that are not there, or have not answered. */
  #unsettled(): string[] {
    const settled = new Map<string, boolean>();
    for (const { nodeId, isSettled } of this.#deps.members()) {
      settled.set(nodeId, isSettled && (settled.get(nodeId) ?? true));
    }
    return this.#expected.filter((nodeId) => settled.get(nodeId) !== true);
  }

  #waitsFor(): string {
    const unsettled = this.#unsettled();
    if (unsettled.length === 0) return "";
    const present = new Set(this.#deps.members().map(({ nodeId }) => nodeId));
    const [first = ""] = unsettled;
    const more = unsettled.length === 1 ? "" : ` and ${unsettled.length - 1} more`;
    return `waits for ${first}${present.has(first) ? "" : ", which has gone away,"}${more}`;
  }

  #load(): Load | undefined {
    if (!this.#isWatched) return undefined;
    const keys = this.#chosen().map(({ loadKey }) => loadKey);
    return this.#deps.load(new Set(keys), this.#watchedSince, this.#deps.clock.now());
  }

  /** The error rate of the others in the same time, or without them the canaries' own before. */
  #baseline(): number | undefined {
    if (!this.#isWatched) return undefined;
    const members = this.#deps.members();
    const others = new Set(members.filter(({ nodeId }) => !this.has(nodeId)).map(({ loadKey }) => loadKey));
    const own = new Set(members.filter(({ nodeId }) => this.has(nodeId)).map(({ loadKey }) => loadKey));
    const { load, clock } = this.#deps;
    const now = load(others, this.#watchedSince, clock.now());
    const compared =
      now === undefined || now.requests === 0 ? load(own, this.#startedAt - BEFORE_MS, this.#startedAt) : now;
    return compared === undefined || compared.requests === 0 ? undefined : compared.errors / compared.requests;
  }
}

function refusalKey({ nodeId }: Member, { typeUrl, message }: Member["refusals"][number]): string {
  return JSON.stringify([nodeId, typeUrl, message]);
}

/** A number from 0 to 1 that is always the same for a node id. */
export function unitHash(nodeId: string): number {
  return createHash("sha256").update(nodeId).digest().readUInt32BE(0) / 2 ** 32;
}

function percent(rate: number): string {
  return `${(rate * 100).toFixed(2)} %`;
}
