// One client's stream, seen by the server: takes requests, decides what to send and when. Pure but for the clock; the
// bytes and the connection are control-plane.ts's. Changes go out make-before-break:
//
//   1. clusters and endpoints      new and changed ones; what is going stays for now
//   2. plugins, listeners, routes  when the client has answered 1
//   3. removals                    when the client has answered 2 and asks for nothing more (served-set.ts)
//
// A client that does not answer is not waited for for ever.

import type { Clock } from "../clock.ts";
import type { DiscoveryRequest, DiscoveryResponse, Variant } from "../discovery-messages.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, PUSH_ORDER, VIRTUAL_HOST_TYPE } from "../type-urls.ts";
import type { Answer, ClientType } from "./client-type.ts";
import { DeltaType } from "./delta-type.ts";
import type { ResourceSet } from "./resource-set.ts";
import { GATE_MS, QUIET_MS, ServedSet } from "./served-set.ts";
import { SotwType } from "./sotw-type.ts";
import { VirtualHostsType } from "./virtual-hosts-type.ts";

export type SessionEvent =
  | Readonly<{ kind: "pushed"; typeUrl: string; version: string; resources: number; removed: number }>
  | Readonly<{ kind: "acknowledged"; typeUrl: string; version: string }>
  | Readonly<{ kind: "refused"; typeUrl: string; version: string; message: string }>
  | Readonly<{ kind: "unknown type"; typeUrl: string }>;

export type SessionDeps = Readonly<{
  variant: Variant;
  resources: ResourceSet;
  controlPlane: string;
  clock: Clock;
  send(response: DiscoveryResponse): void;
  onEvent(event: SessionEvent): void;
}>;

/** What a client was sent of one type, and what it said to that. Versions are empty, and times undefined, before the first. */
export type TypeView = Readonly<{
  typeUrl: string;
  names: readonly string[];
  sent: string;
  /** When it was sent, ms since the epoch, while it is not answered. */
  pendingSince: number | undefined;
  acknowledged: string;
  acknowledgedAt: number | undefined;
  /** Until a later version is acknowledged. */
  refused: Refusal | undefined;
}>;

export type Refusal = Readonly<{ version: string; message: string; at: number }>;

type Answers = { sent: string; sentAt: number; acknowledged: string; acknowledgedAt?: number; refused?: Refusal };

type ServedType = SotwType | DeltaType | VirtualHostsType;

const FIRST_TYPES: ReadonlySet<string> = new Set([CLUSTER_TYPE, ENDPOINTS_TYPE]);

/** One that is lost, or comes late, ends nothing. */
const HEARTBEATS_OF_TTL = 3;
const MIN_HEARTBEAT_MS = 100;

const MAX_NAMES = 100_000;
const MAX_UNKNOWN_TYPES = 32;
/** Of a refusal's text, characters: Envoy's and ours are at most 4 KiB. */
const MAX_REFUSAL = 4_096;

export class Session {
  readonly #deps: SessionDeps;
  readonly #types = new Map<string, ServedType>();
  readonly #answers = new Map<string, Answers>();
  readonly #unknown = new Set<string>();
  readonly #served: ServedSet;
  #nonce = 0;
  #isGateOpen = false;
  #cancelGate: (() => void) | undefined;
  #cancelQuiet: (() => void) | undefined;
  #cancelHeartbeat: (() => void) | undefined;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#served = new ServedSet(deps.resources, deps.clock.now());
  }

  /** Takes a request in and sends what it asks for. Returns what is wrong with it, when the stream must end. */
  onRequest(request: DiscoveryRequest): string | undefined {
    const { typeUrl } = request;
    const type = this.#typeOf(typeUrl);
    if (type === undefined) return this.#onUnknown(typeUrl);
    let answer;
    if (type instanceof SotwType && request.kind === "sotw") answer = type.onRequest(request);
    if (!(type instanceof SotwType) && request.kind === "delta") answer = type.onRequest(request);
    if (type.names.size > MAX_NAMES) return `more than ${MAX_NAMES} names of ${typeUrl}`;
    if (answer !== undefined) this.#onAnswer(typeUrl, answer);
    this.#push();
    return undefined;
  }

  /** Serves another set from now on. */
  setResources(resources: ResourceSet): void {
    this.#served.replace(resources, this.#deps.clock.now());
    this.#isGateOpen = false;
    this.#push();
  }

  /** Everything that the client asked for was sent and answered, removals too. */
  get isSettled(): boolean {
    return this.#served.isNewest && !this.#isAwaited;
  }

  /** What it refuses at present. */
  refusals(): (Refusal & { typeUrl: string })[] {
    return [...this.#answers].flatMap(([typeUrl, { refused }]) =>
      refused === undefined ? [] : [{ ...refused, typeUrl }],
    );
  }

  view(): TypeView[] {
    return [...this.#types.values()].map(({ typeUrl, names, isAwaited }) => {
      const { sent = "", sentAt, acknowledged = "", acknowledgedAt, refused } = this.#answers.get(typeUrl) ?? {};
      const pendingSince = isAwaited ? sentAt : undefined;
      return { typeUrl, names: [...names].sort(), sent, pendingSince, acknowledged, acknowledgedAt, refused };
    });
  }

  close(): void {
    this.#cancelGate?.();
    this.#cancelQuiet?.();
    this.#cancelHeartbeat?.();
  }

  #onAnswer(typeUrl: string, answer: Answer): void {
    const { version } = answer;
    const answers = this.#answersOf(typeUrl);
    const at = this.#deps.clock.now();
    if (answer.kind === "ack") {
      answers.acknowledged = version;
      answers.acknowledgedAt = at;
      delete answers.refused;
      this.#deps.onEvent({ kind: "acknowledged", typeUrl, version });
    } else {
      const message = answer.message.slice(0, MAX_REFUSAL);
      answers.refused = { version, message, at };
      this.#deps.onEvent({ kind: "refused", typeUrl, version, message });
    }
  }

  #answersOf(typeUrl: string): Answers {
    let answers = this.#answers.get(typeUrl);
    if (answers === undefined) this.#answers.set(typeUrl, (answers = { sent: "", sentAt: 0, acknowledged: "" }));
    return answers;
  }

  #typeOf(typeUrl: string): ServedType | undefined {
    const known = this.#types.get(typeUrl);
    if (known !== undefined || !PUSH_ORDER.includes(typeUrl)) return known;
    const type = this.#newType(typeUrl);
    if (type !== undefined) this.#types.set(typeUrl, type);
    return type;
  }

  #newType(typeUrl: string): ServedType | undefined {
    const isHosts = typeUrl === VIRTUAL_HOST_TYPE;
    if (this.#deps.variant === "delta") return isHosts ? new VirtualHostsType() : new DeltaType(typeUrl);
    return isHosts ? undefined : new SotwType(typeUrl);
  }

  /** A type that is not served stays unanswered, as with any server; it is told once. */
  #onUnknown(typeUrl: string): string | undefined {
    if (this.#unknown.has(typeUrl)) return undefined;
    if (this.#unknown.size >= MAX_UNKNOWN_TYPES) return `more than ${MAX_UNKNOWN_TYPES} unknown types`;
    this.#unknown.add(typeUrl);
    this.#deps.onEvent({ kind: "unknown type", typeUrl });
    return undefined;
  }

  #push(): void {
    for (const typeUrl of PUSH_ORDER) {
      const type = this.#types.get(typeUrl);
      if (type === undefined) continue;
      if (!FIRST_TYPES.has(typeUrl) && !this.#mayGoOn()) continue;
      this.#send(type);
    }
    this.#planRemovals();
    this.#planHeartbeat();
  }

  /** Resources with a time to live are told of again before it is over. */
  #planHeartbeat(): void {
    if (this.#cancelHeartbeat !== undefined) return;
    const ttls = [...this.#types.keys()].flatMap((typeUrl) => this.#served.all.shortestTtl(typeUrl) ?? []);
    if (ttls.length === 0) return;
    const delay = Math.max(MIN_HEARTBEAT_MS, Math.min(...ttls) / HEARTBEATS_OF_TTL);
    this.#cancelHeartbeat = this.#deps.clock.after(delay, () => {
      this.#cancelHeartbeat = undefined;
      for (const [typeUrl, type] of this.#types) {
        if (this.#served.all.shortestTtl(typeUrl) !== undefined) type.refresh();
      }
      this.#push();
    });
  }

  #send(type: ClientType): void {
    const response = type.respond(this.#served.all, String(this.#nonce + 1), this.#deps.controlPlane);
    if (response === undefined) return;
    this.#nonce += 1;
    this.#deps.send(response);
    const { typeUrl, version } = response;
    const answers = this.#answersOf(typeUrl);
    answers.sent = version;
    answers.sentAt = this.#deps.clock.now();
    const removed = response.kind === "delta" ? response.removed.length : 0;
    this.#deps.onEvent({ kind: "pushed", typeUrl, version, resources: response.resources.length, removed });
  }

  /** Clusters and endpoints were answered, or not in time. */
  #mayGoOn(): boolean {
    const isAwaited = [...FIRST_TYPES].some((typeUrl) => this.#types.get(typeUrl)?.isAwaited ?? false);
    if (!isAwaited) {
      this.#cancelGate?.();
      this.#cancelGate = undefined;
      return true;
    }
    if (this.#isGateOpen) return true;
    this.#cancelGate ??= this.#deps.clock.after(GATE_MS, () => {
      this.#cancelGate = undefined;
      this.#isGateOpen = true;
      this.#push();
    });
    return false;
  }

  get #isAwaited(): boolean {
    return [...this.#types.values()].some(({ isAwaited }) => isAwaited);
  }

  #planRemovals(): void {
    if (this.#served.isNewest) return;
    const isAwaited = this.#isAwaited;
    if (!isAwaited) this.#served.onAnswered(this.#deps.clock.now());
    this.#cancelQuiet?.();
    this.#cancelQuiet = this.#deps.clock.after(isAwaited ? GATE_MS : QUIET_MS, () => {
      this.#served.onQuiet(this.#deps.clock.now());
      this.#push();
    });
  }
}
