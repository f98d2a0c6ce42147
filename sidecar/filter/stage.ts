// One filter's place in one direction of one stream: what it has seen and what waits at it.
// Made by filter-chain.ts, driven by filter-pass.ts.

import { BodyBuffer } from "../http/body-buffer.ts";
import type { StreamFilter } from "./filter.ts";

/** Ordered: everything from `StoppedAllBuffer` on also keeps the body and the trailers from the filter itself. */
export const StageState = { Running: 0, Stopped: 1, StoppedAllBuffer: 2, StoppedAllWatermark: 3 } as const;
export type StageState = (typeof StageState)[keyof typeof StageState];

export class Stage {
  readonly filter: StreamFilter;
  state: StageState = StageState.Running;
  /** The filter is being called: a wish to go on waits until it returns. */
  inCall = false;
  continueAsked = false;
  headersForwarded = false;
  holdsHeaders = false;
  endWithHeaders = false;
  /** Body held here; `bodyArrived` tells an empty last chunk from none. */
  readonly body = new BodyBuffer();
  bodyArrived = false;
  endWithBody = false;
  /** The filter returned StopIterationAndBuffer: its next call shows everything held. */
  buffering = false;
  /** The chunk under a filter's eyes while older bytes wait in `body` unseen. */
  readonly chunk = new BodyBuffer();
  holdsTrailers = false;
  trailersSeen = false;
  sourcePaused = false;

  constructor(filter: StreamFilter) {
    this.filter = filter;
  }
}
