// One direction of one stream through the filters: who has seen what, who holds what, who pauses whom.
// filter-chain.ts makes two of these for each stream (the response pass has the filters in reverse order).
// Rules are Envoy's FilterManager: a stop belongs to the filter that asked for it, and what arrives meanwhile waits there.
// Hot path: no closure and no object for a chunk; a stage's buffer borrows the chunk while its filter looks at it.

import type { BodyBuffer } from "../http/body-buffer.ts";
import { DataStatus, HeadersStatus, TrailersStatus } from "./filter.ts";
import { type Stage, StageState } from "./stage.ts";

/** What the pass needs of its stream; `filter-chain.ts` has one for each direction. */
export interface PassPort {
  callHeaders(stage: Stage, end: boolean): HeadersStatus;
  callData(stage: Stage, body: BodyBuffer, end: boolean): DataStatus;
  callTrailers(stage: Stage): TrailersStatus;
  /** The last stage let it pass. */
  forwardHeaders(end: boolean): void;
  forwardData(chunk: Uint8Array, end: boolean): void;
  forwardTrailers(): void;
  /** A stage holds more than the limit in a mode that must fail: 413 or 500. */
  overflow(): void;
  /** Counted requests to stop and go on reading. */
  pauseSource(): void;
  resumeSource(): void;
  /** The stream was answered or cut: nothing more may be done in this pass. */
  readonly ended: boolean;
}

export class FilterPass {
  readonly stages: readonly Stage[];
  readonly #port: PassPort;
  readonly #limitBytes: number;
  /** Set while the last data call runs: the filter may add trailers then. */
  lastDataCall = false;
  /** A filter added trailers during the last data call. */
  trailersAdded = false;

  constructor(stages: readonly Stage[], port: PassPort, limitBytes: number) {
    this.stages = stages;
    this.#port = port;
    this.#limitBytes = limitBytes;
  }

  headers(from: number, end: boolean): void {
    for (let i = from; i < this.stages.length; i++) {
      const stage = this.stages[i] as Stage;
      stage.inCall = true;
      const status = this.#port.callHeaders(stage, end);
      stage.inCall = false;
      if (this.#port.ended) {
        return;
      }
      const goOn = status === HeadersStatus.Continue || status === HeadersStatus.ContinueAndEndStream;
      if (goOn || stage.continueAsked) {
        stage.continueAsked = false;
        stage.headersForwarded = true;
        continue;
      }
      stage.holdsHeaders = true;
      stage.endWithHeaders = end;
      stage.state =
        status === HeadersStatus.StopIteration
          ? StageState.Stopped
          : status === HeadersStatus.StopAllIterationAndBuffer
            ? StageState.StoppedAllBuffer
            : StageState.StoppedAllWatermark;
      return;
    }
    this.#port.forwardHeaders(end);
  }

  data(from: number, chunk: Uint8Array, end: boolean): void {
    for (let i = from; i < this.stages.length; i++) {
      const stage = this.stages[i] as Stage;
      if (stage.state >= StageState.StoppedAllBuffer) {
        this.#hold(stage, chunk, end, stage.state === StageState.StoppedAllBuffer);
        return;
      }
      const next = this.#offer(stage, i, chunk, end);
      if (next === undefined) {
        return;
      }
      chunk = next;
      if (end && this.trailersAdded) {
        this.trailersAdded = false;
        this.data(i + 1, chunk, false);
        if (!this.#port.ended) {
          this.trailers(i + 1);
        }
        return;
      }
    }
    this.#port.forwardData(chunk, end);
  }

  trailers(from: number): void {
    for (let i = from; i < this.stages.length; i++) {
      const stage = this.stages[i] as Stage;
      if (stage.state >= StageState.StoppedAllBuffer) {
        stage.holdsTrailers = true;
        return;
      }
      stage.trailersSeen = true;
      stage.inCall = true;
      const status = this.#port.callTrailers(stage);
      stage.inCall = false;
      if (this.#port.ended) {
        return;
      }
      const goOn = status === TrailersStatus.Continue || stage.continueAsked;
      stage.continueAsked = false;
      if (!goOn) {
        stage.state = StageState.Stopped;
        stage.holdsTrailers = true;
        return;
      }
      if (stage.state !== StageState.Running) {
        stage.holdsTrailers = true;
        this.resume(i);
        return;
      }
    }
    this.#port.forwardTrailers();
  }

  /** Filter `index` asked to go on. Nothing happens when it holds nothing. */
  continueFrom(index: number): void {
    const stage = this.stages[index] as Stage;
    if (stage.inCall) {
      stage.continueAsked = true;
      return;
    }
    if (stage.state !== StageState.Running) {
      this.resume(index);
    }
  }

  /** Sends on what stage `index` holds, in the order head, body, trailers. */
  resume(index: number): void {
    const stage = this.stages[index] as Stage;
    // A filter stopped by "all" has not seen the body and trailers that waited: they start at itself.
    const next = stage.state >= StageState.StoppedAllBuffer ? index : index + 1;
    stage.state = StageState.Running;
    const body = stage.bodyArrived ? stage.body.take() : undefined;
    const bodyEnd = stage.endWithBody && !stage.holdsTrailers;
    const trailers = stage.holdsTrailers;
    stage.bodyArrived = false;
    stage.holdsTrailers = false;
    if (stage.sourcePaused) {
      stage.sourcePaused = false;
      this.#port.resumeSource();
    }
    if (stage.holdsHeaders) {
      stage.holdsHeaders = false;
      stage.headersForwarded = true;
      this.headers(index + 1, stage.endWithHeaders && body === undefined && !trailers);
      if (this.#port.ended) {
        return;
      }
    }
    if (body !== undefined && (body.length > 0 || bodyEnd)) {
      this.data(next, body, bodyEnd);
      if (this.#port.ended) {
        return;
      }
    }
    if (trailers) {
      this.trailers(stage.trailersSeen ? index + 1 : next);
    }
  }

  /** Shows the filter the chunk (with what it buffered before) and returns what goes on, or undefined when it stopped. */
  #offer(stage: Stage, index: number, chunk: Uint8Array, end: boolean): Uint8Array | undefined {
    const body = stage.body;
    if (stage.buffering) {
      body.append(chunk);
    }
    const shown = stage.buffering || body.length === 0 ? body : stage.chunk;
    if (!stage.buffering) {
      shown.borrow(chunk);
    }
    this.lastDataCall = end;
    stage.inCall = true;
    const status = this.#port.callData(stage, shown, end);
    stage.inCall = false;
    this.lastDataCall = false;
    if (this.#port.ended) {
      shown.clear();
      return undefined;
    }
    const goOn = status === DataStatus.Continue || stage.continueAsked;
    stage.continueAsked = false;
    if (goOn && stage.state === StageState.Running) {
      stage.buffering = false;
      return shown.take();
    }
    if (status === DataStatus.StopIterationNoBuffer && !goOn) {
      shown.clear();
    } else if (shown === body) {
      body.own();
    } else {
      body.append(shown.take());
    }
    stage.bodyArrived = true;
    stage.endWithBody = end && !this.trailersAdded;
    if (end && this.trailersAdded) {
      this.trailersAdded = false;
      stage.holdsTrailers = true;
      stage.trailersSeen = true;
    }
    if (goOn) {
      stage.buffering = false;
      this.resume(index);
      return undefined;
    }
    stage.buffering = status === DataStatus.StopIterationAndBuffer;
    stage.state = StageState.Stopped;
    this.#limit(stage, stage.buffering);
    return undefined;
  }

  #hold(stage: Stage, chunk: Uint8Array, end: boolean, failOnOverflow: boolean): void {
    stage.body.append(chunk);
    stage.bodyArrived = true;
    stage.endWithBody = end;
    this.#limit(stage, failOnOverflow);
  }

  #limit(stage: Stage, failOnOverflow: boolean): void {
    if (stage.body.length <= this.#limitBytes) {
      return;
    }
    if (failOnOverflow) {
      this.#port.overflow();
    } else if (!stage.sourcePaused && !stage.endWithBody) {
      stage.sourcePaused = true;
      this.#port.pauseSource();
    }
  }
}
