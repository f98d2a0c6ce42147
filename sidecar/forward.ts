// One request on its way to one upstream: waiting for a connection, sending, one retry over a stale connection, giving up.
// proxy.ts makes it once the route has chosen a cluster and a host, and gets the response back through ForwardOwner.
// Body that arrives before a connection is ready waits here, up to the buffer limit; then the client is paused.

import type { Host } from "./cluster/host.ts";
import { addressText } from "./upstream/address-text.ts";
import type { LiveCluster } from "./cluster/cluster.ts";
import type { ProxyError } from "./errors.ts";
import { BodyBuffer } from "./http/body-buffer.ts";
import type { HeaderMap } from "./http/headers.ts";
import type { RequestHead, ResponseHead } from "./http/message.ts";
import type { StreamWaiter, UpstreamStream } from "./http/stream.ts";
import type { StreamRecord } from "./stream-record.ts";
import type { RoutePriority, StreamPool } from "./upstream/stream-pool.ts";

export interface ForwardOwner {
  readonly facts: StreamRecord;
  onUpstreamInformational(head: ResponseHead): void;
  onUpstreamResponse(head: ResponseHead, end: boolean): void;
  onUpstreamData(chunk: Uint8Array, end: boolean): void;
  onUpstreamTrailers(trailers: HeaderMap): void;
  onUpstreamFailure(error: ProxyError): void;
  /** Counted. */
  pauseRequestSource(): void;
  resumeRequestSource(): void;
}

export class Forward implements StreamWaiter {
  readonly cluster: LiveCluster;
  readonly host: Host;
  readonly #owner: ForwardOwner;
  readonly #head: RequestHead;
  readonly #endWithHead: boolean;
  readonly #priority: RoutePriority;
  #pool: StreamPool | undefined = undefined;
  #upstream: UpstreamStream | undefined = undefined;
  #pending: BodyBuffer | undefined = undefined;
  #pendingEnd = false;
  #pendingTrailers: HeaderMap | undefined = undefined;
  #sourcePaused = false;
  #bodySent = false;
  #retried = false;
  #responded = false;
  #isTimed = false;
  #finished = false;

  constructor(
    owner: ForwardOwner,
    cluster: LiveCluster,
    host: Host,
    request: { head: RequestHead; end: boolean; priority: RoutePriority },
  ) {
    this.#owner = owner;
    this.cluster = cluster;
    this.host = host;
    this.#head = request.head;
    this.#endWithHead = request.end;
    this.#priority = request.priority;
  }

  /** `isTimed`: filters run, whose properties tell the times of waiting and of the response's end. */
  start(isTimed: boolean): void {
    const facts = this.#owner.facts;
    this.#isTimed = isTimed;
    if (isTimed) {
      facts.upstreamAskedAt = performance.now();
    }
    facts.attempts++;
    facts.upstreamAddress = addressText(this.host.address);
    facts.host = this.host;
    const { source } = facts.connection;
    const pool = source === undefined ? this.host.pool : this.host.poolFrom(source);
    this.#pool = pool;
    pool.acquire(this, this.#priority);
  }

  /** True while the response is not complete and nothing has failed. */
  get isActive(): boolean {
    return !this.#finished;
  }

  get responded(): boolean {
    return this.#responded;
  }

  data(chunk: Uint8Array, end: boolean): void {
    if (this.#finished) {
      return;
    }
    if (this.#upstream !== undefined) {
      this.#bodySent = true;
      this.#upstream.data(chunk, end);
      return;
    }
    this.#pending ??= new BodyBuffer();
    this.#pending.append(chunk);
    this.#pendingEnd = end;
    if (this.#pending.length > this.cluster.model.perConnectionBufferLimitBytes && !end && !this.#sourcePaused) {
      this.#sourcePaused = true;
      this.#owner.pauseRequestSource();
    }
  }

  trailers(trailers: HeaderMap): void {
    if (this.#finished) {
      return;
    }
    if (this.#upstream === undefined) {
      this.#pendingTrailers = trailers;
    } else {
      this.#upstream.trailers(trailers);
    }
  }

  pauseResponse(): void {
    this.#upstream?.pauseResponse();
  }

  resumeResponse(): void {
    this.#upstream?.resumeResponse();
  }

  /** Gives the request up. Nothing reaches the owner afterwards. */
  abort(): void {
    if (this.#finished) {
      return;
    }
    this.#finished = true;
    if (this.#upstream === undefined) {
      this.#pool?.cancel(this);
    } else {
      this.#upstream.abort();
    }
    this.#release();
  }

  /** Counts the status that the upstream gave (or 503 for a failure) on its cluster. */
  countResponse(status: number): void {
    const { stats } = this.cluster;
    stats.rqCompleted.inc();
    (stats.rqXx[Math.floor(status / 100)] ?? stats.rqXx[0])?.inc();
    stats.rqCode(status).inc();
    const { upstreamFirstByteAt, upstreamSentAt } = this.#owner.facts;
    if (upstreamFirstByteAt > 0) {
      stats.rqTime.record(upstreamFirstByteAt - upstreamSentAt);
    }
  }

  /** Counts on the host how the whole request ended. */
  countOutcome(isSuccess: boolean): void {
    if (isSuccess) {
      this.host.counts.rqSuccess++;
    } else {
      this.host.counts.rqError++;
    }
  }

  onPoolReady(stream: UpstreamStream): void {
    this.#upstream = stream;
    this.#owner.facts.upstreamLocalAddress = stream.localAddress;
    this.#owner.facts.upstreamSentAt = performance.now();
    stream.request(this.#head, this.#endWithHead);
    const pending = this.#pending;
    if (pending !== undefined && !this.#finished) {
      this.#pending = undefined;
      this.#bodySent = true;
      stream.data(pending.take(), this.#pendingEnd);
    }
    if (this.#pendingTrailers !== undefined && !this.#finished) {
      stream.trailers(this.#pendingTrailers);
    }
    this.#release();
  }

  onPoolFailure(error: ProxyError): void {
    this.#fail(error);
  }

  onInformational(head: ResponseHead): void {
    this.#owner.onUpstreamInformational(head);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    this.#responded = true;
    this.#finished = end;
    this.#noteEnd(end);
    this.#owner.onUpstreamResponse(head, end);
  }

  onResponseData(chunk: Uint8Array, end: boolean): void {
    this.#finished = end;
    this.#noteEnd(end);
    this.#owner.onUpstreamData(chunk, end);
  }

  onResponseTrailers(trailers: HeaderMap): void {
    this.#finished = true;
    this.#noteEnd(true);
    this.#owner.onUpstreamTrailers(trailers);
  }

  onUpstreamReset(error: ProxyError): void {
    this.#upstream = undefined;
    // Only a reused connection that the upstream had already closed says "retryable": the request did not reach anybody.
    if (error.retryable && !this.#retried && !this.#responded && !this.#bodySent) {
      this.#retried = true;
      this.#owner.facts.attempts++;
      this.cluster.stats.rqRetry.inc();
      this.#pool?.acquire(this, this.#priority, true);
      return;
    }
    this.#fail(error);
  }

  onRequestBlocked(blocked: boolean): void {
    if (blocked) {
      this.#owner.pauseRequestSource();
    } else {
      this.#owner.resumeRequestSource();
    }
  }

  #fail(error: ProxyError): void {
    if (this.#finished) {
      return;
    }
    this.#finished = true;
    this.#release();
    this.#owner.onUpstreamFailure(error);
  }

  #noteEnd(end: boolean): void {
    if (end && this.#isTimed) {
      this.#owner.facts.upstreamEndedAt = performance.now();
    }
  }

  #release(): void {
    if (this.#sourcePaused) {
      this.#sourcePaused = false;
      this.#owner.resumeRequestSource();
    }
  }
}
