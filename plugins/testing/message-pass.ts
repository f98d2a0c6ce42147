// One direction of a test's stream: the message that is pushed at the plugin, what the plugin holds of it, and what went on.
// The rules are those of Envoy's filter manager for one filter (the sidecar has them for a chain): a pause belongs to the
// part that asked for it, what arrives meanwhile waits, and goes on, or is shown, when the plugin resumes.
// Used by test-stream.ts.

import { DataStatus, HeadersStatus } from "../abi/constants.ts";
import { HeaderList } from "../header-list.ts";

/** The callbacks of one direction, answering Envoy's statuses. */
export interface MessageCallbacks {
  headers(count: number, end: boolean): number;
  body(size: number, end: boolean): number;
  trailers(count: number): number;
}

const NOTHING: Buffer = Buffer.alloc(0);
/** "stopped": the body is still shown. "stopped-all": nothing more is shown before the plugin resumes. */
type PassState = "running" | "stopped" | "stopped-all";

export class MessagePass {
  headers: HeaderList | undefined = undefined;
  trailers: HeaderList | undefined = undefined;
  /** Where the message stands with the plugin. */
  headersPassed = false;
  isComplete = false;
  /** No part may reach the plugin any more: the stream was answered or reset. */
  isOver = false;
  /** The last body callback of the message runs: trailers can be made. */
  isLastBody = false;
  readonly #callbacks: MessageCallbacks;
  readonly #passed: Buffer[] = [];
  #state: PassState = "running";
  /** Held, or shown in the callback that runs. */
  #body = NOTHING;
  /** A part that is shown by itself, while an earlier one is held. */
  #chunk: Buffer | undefined = undefined;
  #isBuffering = false;
  #isInCall = false;
  #continueAsked = false;
  #bodyArrived = false;
  #holdsHeaders = false;
  #endsWithHeaders = false;
  #endsWithBody = false;
  #holdsTrailers = false;
  #trailersSeen = false;
  #trailersAdded = false;

  constructor(callbacks: MessageCallbacks) {
    this.#callbacks = callbacks;
  }

  get isPaused(): boolean {
    return this.#state !== "running" && !this.isOver;
  }

  /** The body that went on past the plugin. */
  get passedBody(): Buffer {
    return Buffer.concat(this.#passed);
  }

  /** What a body host call acts on now; undefined when there is nothing. */
  get visibleBody(): Buffer | undefined {
    return this.#chunk ?? (this.#isInCall || this.#bodyArrived ? this.#body : undefined);
  }

  /** Replaces what visibleBody gives; false when there is nothing to replace. */
  setVisibleBody(bytes: Buffer): boolean {
    if (this.visibleBody === undefined) return false;
    if (this.#chunk === undefined) this.#body = bytes;
    else this.#chunk = bytes;
    return true;
  }

  addTrailers(): HeaderList | undefined {
    if (!this.isLastBody || this.trailers !== undefined) return this.trailers;
    this.#trailersAdded = true;
    this.trailers = new HeaderList();
    return this.trailers;
  }

  pushHeaders(headers: HeaderList, end: boolean): void {
    this.headers = headers;
    const status = this.#call(() => this.#callbacks.headers(headers.size, end));
    if (this.isOver) return;
    if (status === HeadersStatus.Continue || status === HeadersStatus.ContinueAndEndStream || this.#takeContinue()) {
      this.headersPassed = true;
      this.isComplete = end;
      return;
    }
    this.#holdsHeaders = true;
    this.#endsWithHeaders = end;
    this.#state = status === HeadersStatus.StopIteration ? "stopped" : "stopped-all";
  }

  pushBody(part: Buffer, end: boolean): void {
    if (this.isOver) return;
    if (this.#state === "stopped-all") {
      this.#body = Buffer.concat([this.#body, part]);
      this.#bodyArrived = true;
      this.#endsWithBody = end;
    } else this.#show(part, end);
  }

  pushTrailers(trailers: HeaderList): void {
    if (this.isOver) return;
    this.trailers = trailers;
    if (this.#state === "stopped-all") this.#holdsTrailers = true;
    else this.#showTrailers();
  }

  /** The plugin asked for this direction to go on. */
  resume(): void {
    if (this.isOver) return;
    if (this.#isInCall) {
      this.#continueAsked = true;
      return;
    }
    if (this.#state === "running") return;
    // What waited behind a full stop has not been shown yet.
    const isUnseen = this.#state === "stopped-all";
    this.#state = "running";
    const body = this.#bodyArrived ? this.#body : undefined;
    const hasTrailers = this.#holdsTrailers;
    const bodyEnds = this.#endsWithBody && !hasTrailers;
    this.#body = NOTHING;
    this.#bodyArrived = false;
    this.#holdsTrailers = false;
    this.#isBuffering = false;
    if (this.#holdsHeaders) {
      this.#holdsHeaders = false;
      this.headersPassed = true;
      this.isComplete = this.#endsWithHeaders && body === undefined && !hasTrailers;
    }
    if (body !== undefined && (body.length > 0 || bodyEnds)) {
      if (isUnseen) this.#show(body, bodyEnds);
      else this.#pass(body, bodyEnds);
    }
    if (!hasTrailers || this.isOver) return;
    if (isUnseen && !this.#trailersSeen) this.pushTrailers(this.trailers as HeaderList);
    else this.isComplete = true;
  }

  /** A whole message in place of what was pushed, past the plugin. */
  replace(headers: HeaderList, body: Buffer): void {
    this.isOver = true;
    this.headers = headers;
    this.trailers = undefined;
    this.headersPassed = true;
    this.#passed.length = 0;
    this.#pass(body, true);
  }

  #show(part: Buffer, end: boolean): void {
    const isWhole = this.#isBuffering || this.#body.length === 0;
    if (isWhole) this.#body = this.#isBuffering ? Buffer.concat([this.#body, part]) : part;
    else this.#chunk = part;
    this.isLastBody = end;
    const size = isWhole ? this.#body.length : part.length;
    const status = this.#call(() => this.#callbacks.body(size, end));
    this.isLastBody = false;
    const shown = this.#chunk ?? this.#body;
    this.#chunk = undefined;
    if (this.isOver) return;
    const goesOn = this.#takeContinue() || status === DataStatus.Continue;
    const trailersMade = this.#trailersAdded;
    this.#trailersAdded = false;
    if (goesOn && this.#state === "running") {
      this.#body = NOTHING;
      this.#isBuffering = false;
      this.#pass(shown, end);
      return;
    }
    const isDropped = status === DataStatus.StopIterationNoBuffer && !goesOn;
    if (!isWhole && !isDropped) this.#body = Buffer.concat([this.#body, shown]);
    else if (isWhole && isDropped) this.#body = NOTHING;
    this.#bodyArrived = true;
    this.#endsWithBody = end && !trailersMade;
    if (trailersMade) {
      this.#holdsTrailers = true;
      this.#trailersSeen = true;
    }
    this.#isBuffering = status === DataStatus.StopIterationAndBuffer;
    if (goesOn) this.resume();
    else this.#state = "stopped";
  }

  #showTrailers(): void {
    this.#trailersSeen = true;
    const status = this.#call(() => this.#callbacks.trailers((this.trailers as HeaderList).size));
    if (this.isOver) return;
    const goesOn = this.#takeContinue() || status === 0;
    if (goesOn && this.#state === "running") {
      this.isComplete = true;
      return;
    }
    this.#holdsTrailers = true;
    if (goesOn) this.resume();
    else this.#state = "stopped";
  }

  #pass(body: Buffer, end: boolean): void {
    this.#passed.push(body);
    if (end) this.isComplete = true;
  }

  #call(run: () => number): number {
    this.#isInCall = true;
    const status = run();
    this.#isInCall = false;
    return status;
  }

  #takeContinue(): boolean {
    const asked = this.#continueAsked;
    this.#continueAsked = false;
    return asked;
  }
}
