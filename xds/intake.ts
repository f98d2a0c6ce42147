// Takes one response in: checks its shape, decodes what changed, lets the program validate it (`prepare`), applies each
// good resource and refuses each bad one on its own. The result says what to acknowledge. Called by client.ts for every
// kind of source. Nothing here throws on what a server sent.
//
//   response ─► shape ─► same bytes as in use? ─► decode ─► prepare (may take time) ─► store ─► Outcome
//                 └ broken: refused as a whole        └──────── issues: that resource keeps its last good version

import { createHash } from "node:crypto";
import type { Clock } from "./clock.ts";
import { formatIssues } from "./decode/issues.ts";
import type { Decoded, Issue, Warning } from "./decode/issues.ts";
import type { PreviousVersion, Resource } from "./decode/resource.ts";
import type { DiscoveryResponse, WireResource } from "./discovery-messages.ts";
import { typeProblem } from "./references.ts";
import type { ResourceStore } from "./resource-store.ts";
import { peekName, shapeProblem } from "./response-shape.ts";
import type { Interest, Outcome } from "./subscriptions.ts";
import type { ScopedRoute } from "./model/scoped-routes.ts";
import { scopeProblem } from "./scope-conflicts.ts";
import { COLLECTION_TYPES, SCOPED_ROUTE_TYPE, typeLabel, VIRTUAL_HOST_TYPE } from "./type-urls.ts";
import { noteHostAnswers } from "./virtual-hosts.ts";

/** `previous`: the resource's last good version, if there is one. */
export type Decode = (typeUrl: string, bytes: Uint8Array, previous?: PreviousVersion) => Decoded<Resource>;

/** Validation beyond the bytes (a plugin's module exists and compiles): issues refuse the resource. */
export type Prepare = (resource: Resource) => readonly Issue[] | Promise<readonly Issue[]>;

export type IntakeDeps = Readonly<{
  store: ResourceStore;
  decode: Decode;
  prepare: Prepare | undefined;
  /** A resource that is not prepared in this time is refused. */
  prepareTimeoutMs: number;
  clock: Clock;
  onWarnings(typeUrl: string, name: string, warnings: readonly Warning[]): void;
  /** A resource came with, or without, a time to live; `refresh` when only that is new. */
  onTtl(typeUrl: string, name: string, ttlMs: number | undefined): void;
}>;

/** Who sent a response, and what was wanted of that type when it is applied. */
export type Scope = Readonly<{ source: string; interest: () => Interest }>;

type Candidate = { wire: WireResource; name: string; bytes: Uint8Array; decoded: Decoded<Resource> | "same" };

type Refusal = Readonly<{ candidate: Candidate; issues: readonly Issue[] }>;

/** INTERNAL, as Envoy answers. */
const REFUSED_CODE = 13;

/** Control planes print the text; longer ones are cut. */
const MAX_ERROR_BYTES = 4096;

/** Buffers up to this size may have parts of several messages: node:http2 reads 64 KiB at a time. A larger one is one message's. */
const MAX_SHARED_BYTES = 1 << 18;

export class Intake {
  readonly #deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** A promise only when `prepare` made one. It never rejects. */
  take(response: DiscoveryResponse, scope: Scope): Outcome | Promise<Outcome> {
    const receivedAt = this.#deps.clock.now();
    const candidates = this.#candidates(response, scope);
    if (typeof candidates === "string") return refuseWhole(response, candidates);
    const refusals: Refusal[] = [];
    const pending: Promise<void>[] = [];
    for (const candidate of candidates) {
      const checked = this.#check(response.typeUrl, candidate);
      if (checked instanceof Promise) pending.push(checked.then((issues) => note(refusals, candidate, issues)));
      else note(refusals, candidate, checked);
    }
    const apply = () => this.#apply(response, scope, { candidates, refusals, receivedAt });
    return pending.length === 0 ? apply() : Promise.all(pending).then(apply);
  }

  /** The resources to look at, or what is wrong with the response as a whole. */
  #candidates(response: DiscoveryResponse, scope: Scope): Candidate[] | string {
    const problem = shapeProblem(response);
    if (problem !== undefined) return problem;
    const { typeUrl } = response;
    const { isWildcard, names } = scope.interest();
    const candidates: Candidate[] = [];
    const seen = new Set<string>();
    for (const wire of response.resources) {
      if (wire.bytes === undefined) continue;
      const peeked = wire.name === "" ? peekName(wire.bytes) : wire.name;
      if (!isWildcard && peeked !== "" && !names.has(peeked)) continue;
      const isSame = peeked !== "" && this.#deps.store.isSame(typeUrl, peeked, wire.bytes);
      const decoded = isSame
        ? "same"
        : this.#deps.decode(typeUrl, wire.bytes, this.#deps.store.accepted(typeUrl, peeked));
      const name = decoded !== "same" && decoded.ok && wire.name === "" ? decoded.value.name : peeked;
      // A name that cannot be found is kept, to be refused.
      if (!isWildcard && name !== "" && !names.has(name)) continue;
      if (name !== "" && seen.has(name)) return `the resource ${JSON.stringify(name)} is in the response twice`;
      seen.add(name);
      if (this.#deps.store.isStatic(typeUrl, name)) continue;
      candidates.push({ wire, name, bytes: wire.bytes, decoded });
    }
    return typeUrl === SCOPED_ROUTE_TYPE ? (this.#scopeProblem(response, candidates) ?? candidates) : candidates;
  }

  #scopeProblem(response: DiscoveryResponse, candidates: readonly Candidate[]): string | undefined {
    const known = this.#deps.store.tables.scopes;
    const fresh = new Map<string, ScopedRoute>();
    for (const { name, decoded } of candidates) {
      const scope = decoded === "same" ? known.get(name) : decoded.ok ? decoded.value.value : undefined;
      if (scope !== undefined) fresh.set(name, scope as ScopedRoute);
    }
    return scopeProblem(response, fresh, known);
  }

  #check(typeUrl: string, candidate: Candidate): readonly Issue[] | Promise<readonly Issue[]> {
    const { decoded, name } = candidate;
    if (decoded === "same") return [];
    if (decoded.warnings.length > 0) this.#deps.onWarnings(typeUrl, name, decoded.warnings);
    if (!decoded.ok) return decoded.issues;
    const resource = decoded.value;
    const innerName = resource.name;
    // A virtual host is called what it likes inside; the resource's name says which routes it belongs to.
    if (innerName !== name && typeUrl !== VIRTUAL_HOST_TYPE)
      return [{ path: "name", problem: `is ${JSON.stringify(innerName)} inside the resource` }];
    if (name === "") return [{ path: "name", problem: "is empty" }];
    if (resource.kind === "plugin") {
      const problem = typeProblem(name, resource.value, this.#deps.store.tables.listeners.values());
      if (problem !== undefined) return [{ path: "typed_config", problem }];
    }
    try {
      const issues = this.#deps.prepare?.(resource) ?? [];
      return issues instanceof Promise ? this.#beforeDeadline(issues) : issues;
    } catch (error) {
      return [failedToPrepare(error)];
    }
  }

  async #beforeDeadline(issues: Promise<readonly Issue[]>): Promise<readonly Issue[]> {
    const { clock, prepareTimeoutMs } = this.#deps;
    let cancel = () => {};
    const deadline = new Promise<readonly Issue[]>((resolve) => {
      const problem = `was not ready within ${prepareTimeoutMs} ms`;
      cancel = clock.after(prepareTimeoutMs, () => resolve([{ path: "", problem }]));
    });
    try {
      return await Promise.race([issues, deadline]);
    } catch (error) {
      return [failedToPrepare(error)];
    } finally {
      cancel();
    }
  }

  #apply(
    response: DiscoveryResponse,
    scope: Scope,
    result: { candidates: readonly Candidate[]; refusals: readonly Refusal[]; receivedAt: number },
  ): Outcome {
    const { typeUrl } = response;
    const interest = scope.interest();
    // Removals first: a listener may take the address of one that goes.
    const removed = this.#remove(response, scope.source, interest, result.candidates);
    const accepted = new Map<string, string>();
    const refused = new Set(result.refusals.map(({ candidate }) => candidate));
    for (const candidate of result.candidates) {
      // Interest may have gone while the resource was prepared.
      if (refused.has(candidate) || (!interest.isWildcard && !interest.names.has(candidate.name))) continue;
      this.#accept(response, scope.source, candidate, result.receivedAt);
      accepted.set(candidate.name, candidate.wire.version);
    }
    if (typeUrl === VIRTUAL_HOST_TYPE) {
      const names = new Set(result.refusals.map(({ candidate }) => candidate.name));
      noteHostAnswers(response, names, interest.names, this.#deps.store);
    } else {
      for (const wire of response.resources) {
        if (wire.bytes === undefined) this.#deps.onTtl(typeUrl, wire.name, wire.ttlMs);
      }
    }
    if (result.refusals.length === 0) return { accepted, removed, refused: [], error: undefined, fingerprint: "" };
    for (const { candidate, issues } of result.refusals) {
      if (candidate.name === "") continue;
      const version = versionOf(response, candidate.wire);
      const bytes = new Uint8Array(candidate.bytes);
      const error = { details: formatIssues(issues), version, at: result.receivedAt, bytes };
      this.#deps.store.refuse(typeUrl, candidate.name, scope.source, error);
    }
    const names = result.refusals.map(({ candidate }) => candidate.name);
    return { accepted, removed, refused: names, ...refusalOf(response, result.refusals) };
  }

  #accept(response: DiscoveryResponse, source: string, candidate: Candidate, receivedAt: number): void {
    const { typeUrl } = response;
    const { decoded, name, wire, bytes } = candidate;
    const version = versionOf(response, wire);
    const ackedAt = this.#deps.clock.now();
    if (decoded === "same") this.#deps.store.confirm(typeUrl, name, version, ackedAt);
    else if (decoded.ok) {
      const model = decoded.value.value;
      // A copy (a Buffer's slice() is none): the bytes are a view into the whole response, which may be many megabytes. Unless they are
      // most of it.
      const value = bytes.length * 2 < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes;
      const isAlone = response.resources.length === 1 && bytes.buffer.byteLength > MAX_SHARED_BYTES;
      const ownsBuffer = isAlone && decoded.value.kind === "route" && decoded.value.leavesBytes === true;
      this.#deps.store.accept({ typeUrl, name, source, version, receivedAt, ackedAt, value, ownsBuffer, model });
    }
    this.#deps.onTtl(typeUrl, name, wire.ttlMs);
  }

  #remove(
    response: DiscoveryResponse,
    source: string,
    interest: Interest,
    candidates: readonly Candidate[],
  ): readonly string[] {
    const { typeUrl } = response;
    const { store } = this.#deps;
    if (response.kind === "delta") {
      for (const name of response.removed) {
        if (interest.names.has(name)) store.markAbsent(typeUrl, name);
        else store.remove(typeUrl, name);
      }
      return response.removed;
    }
    if (!interest.isWildcard || !COLLECTION_TYPES.has(typeUrl)) return [];
    const present = new Set(candidates.map((candidate) => candidate.name));
    // A heartbeat of a wrapped resource has a name and nothing else: it is still there.
    for (const wire of response.resources) if (wire.bytes === undefined) present.add(wire.name);
    const gone = store.names(typeUrl, source).filter((name) => !present.has(name));
    for (const name of gone) store.remove(typeUrl, name);
    return gone;
  }
}

function note(refusals: Refusal[], candidate: Candidate, issues: readonly Issue[]): void {
  if (issues.length > 0) refusals.push({ candidate, issues });
}

function failedToPrepare(error: unknown): Issue {
  return { path: "", problem: error instanceof Error ? error.message : String(error) };
}

function versionOf(response: DiscoveryResponse, wire: WireResource): string {
  return wire.version === "" ? response.version : wire.version;
}

function refuseWhole(response: DiscoveryResponse, problem: string): Outcome {
  const message = `${typeLabel(response.typeUrl)} response refused: ${problem}`;
  const fingerprint = `${response.version} ${problem}`;
  return { accepted: new Map(), removed: [], refused: [], error: { code: REFUSED_CODE, message }, fingerprint };
}

function refusalOf(response: DiscoveryResponse, refusals: readonly Refusal[]): Pick<Outcome, "error" | "fingerprint"> {
  const noun = response.typeUrl.slice(response.typeUrl.lastIndexOf(".") + 1);
  const digest = createHash("sha1").update(response.version);
  const lines: string[] = [];
  for (const { candidate, issues } of refusals) {
    digest.update(candidate.bytes);
    lines.push(`${noun} ${JSON.stringify(candidate.name)}: ${formatIssues(issues)}`);
  }
  const message = cutText(lines, MAX_ERROR_BYTES);
  return { error: { code: REFUSED_CODE, message }, fingerprint: digest.digest("hex") };
}

/** The lines as one text of at most `maxBytes` of UTF-8, with the number of lines left out. */
export function cutText(lines: readonly string[], maxBytes: number): string {
  const whole = lines.join("\n");
  if (Buffer.byteLength(whole) <= maxBytes) return whole;
  // Room for "… and N more" and for a character cut in half.
  const kept = Buffer.from(whole)
    .subarray(0, maxBytes - 40)
    .toString("utf8")
    .replace(/\uFFFD+$/, "");
  const left = lines.length - kept.split("\n").length;
  return left > 0 ? `${kept}… and ${left} more` : `${kept}…`;
}
