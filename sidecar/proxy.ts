// Life of one HTTP stream: pick configuration → request filters → route → pick host → forward → response filters → finish.
// A codec's connection makes a ProxyStream for each request (through `openStream`) and pushes the request into it; the
// filter chain and Forward push back. Everything is synchronous; sidecar/README.md tells the same story in words.
// A stream is answered once: by the upstream, by the route (redirect, direct response) or by a local reply.

import type { ForwardAction } from "../xds/model/route.ts";
import type { ErrorCode, ProxyError } from "./errors.ts";
import type { FilterReply } from "./filter/filter.ts";
import { type ChainOwner, FilterChain } from "./filter/filter-chain.ts";
import type { WasmStream } from "./filter/wasm-filter.ts";
import { Forward, type ForwardOwner } from "./forward.ts";
import { finishResponseHeaders } from "./http/forwarded.ts";
import type { HeaderMap } from "./http/headers.ts";
import { LOCAL_REPLIES } from "./http/local-reply.ts";
import type { ResponseHead } from "./http/message.ts";
import type { DownstreamStream, RequestSink } from "./http/stream.ts";
import type { DeadlineOwner } from "./http/timer-wheel.ts";
import { countRouted, type HttpServing } from "./http-serving.ts";
import type { ClusterPick } from "./route/cluster-choice.ts";
import type { RouteMatch } from "./route/route-table.ts";
import { failureReply, routedReply, routeMessage, strictReply } from "./stream-answers.ts";
import { StreamRecord } from "./stream-record.ts";
import { prepareDownstreamHead, prepareUpstreamHead, StreamRoute } from "./stream-route.ts";
import { StreamTimeout, StreamTimers, TIMEOUT_ERRORS } from "./stream-timers.ts";

export class ProxyStream implements RequestSink, ForwardOwner, ChainOwner, WasmStream, DeadlineOwner {
  readonly facts: StreamRecord;
  readonly #serving: HttpServing;
  readonly #downstream: DownstreamStream;
  readonly #timers: StreamTimers;
  readonly route: StreamRoute;
  #chain: FilterChain | undefined = undefined;
  #forward: Forward | undefined = undefined;
  #requestEnded = false;
  #responseStarted = false;
  #responseEnded = false;
  #finished = false;
  requestPassEnded = false;
  responsePassEnded = false;

  constructor(serving: HttpServing, downstream: DownstreamStream) {
    this.#serving = serving;
    this.#downstream = downstream;
    this.route = new StreamRoute(serving, downstream.head);
    this.facts = new StreamRecord(downstream, serving.origin);
    this.#timers = new StreamTimers(this, serving.environment.wheel);
  }

  // ── The request comes in ──────────────────────────────────────────────────────────────────────────────────────────

  /** Begins with the head; may answer before it returns. `isInternal`: the request is trusted as the mesh's own. */
  start(isInternal: boolean): void {
    const { accessLogs, environment, filters, hcm, tracing } = this.#serving;
    accessLogs.begin();
    const trace = environment.recorder.begin(this.#downstream.head, this.#downstream.startedAt);
    this.facts.trace = trace;
    const traced = tracing.isEnabled && this.route.isTracedByRoute ? this.ensureRoute()?.route : undefined;
    tracing.start(trace, this.#downstream.head.headers, isInternal, traced);
    const end = this.#downstream.endOfRequest;
    if (end) {
      this.#onRequestEnd();
    }
    this.#timers.start(this.facts.startedAt, hcm);
    if (hcm.logsOnStart) {
      this.ensureRoute();
      accessLogs.logNow(this.facts, "DownstreamStart");
    }
    const route = filters.dependsOnRoute ? this.ensureRoute() : undefined;
    const set = route === undefined ? filters.standard : filters.of(this.route.filterOverrides);
    if (set.factories.length > 0) {
      const limit = this.#serving.bufferLimitBytes;
      const chain = new FilterChain(set.factories, this, { requestBytes: limit, responseBytes: limit });
      if (chain.size > 0) {
        this.#chain = chain;
        chain.request.headers(0, end);
        this.#limitWhileHeld();
        return;
      }
    }
    this.onRequestHeadersPassed(end);
  }

  onRequestData(chunk: Uint8Array, end: boolean): void {
    this.facts.requestBodyBytes += chunk.length;
    this.#timers.touch();
    if (end) {
      this.#onRequestEnd();
    }
    if (this.requestPassEnded) {
      return;
    }
    if (this.#chain === undefined) {
      this.onRequestDataPassed(chunk, end);
    } else {
      this.#chain.request.data(0, chunk, end);
    }
  }

  onRequestTrailers(trailers: HeaderMap): void {
    this.facts.requestTrailers = trailers;
    this.#onRequestEnd();
    if (this.requestPassEnded) {
      return;
    }
    if (this.#chain === undefined) {
      this.onRequestTrailersPassed();
    } else {
      this.#chain.request.trailers(0);
    }
  }

  #onRequestEnd(): void {
    this.#requestEnded = true;
    this.facts.requestEndedAt = this.#downstream.endOfRequest ? this.facts.startedAt : performance.now();
  }

  /** A filter holds the head: the limits of the route that it has now begin already, as in Envoy. */
  #limitWhileHeld(): void {
    if (this.#forward === undefined && !this.requestPassEnded) {
      const action = this.ensureRoute()?.action;
      if (action?.kind === "forward") {
        this.#timers.limitStream(action.idleTimeoutMs, action.maxStreamDurationMs);
      }
    }
  }

  onDownstreamReset(error: ProxyError): void {
    if (this.#finished) {
      return;
    }
    const reply = LOCAL_REPLIES[error.code];
    this.facts.flag(reply.flag);
    if (this.facts.responseCodeDetails === "" || !this.#responseStarted) {
      this.facts.responseCodeDetails = reply.details;
    }
    this.#endPasses();
    this.#finish();
  }

  onResponseBlocked(blocked: boolean): void {
    if (blocked) {
      this.#forward?.pauseResponse();
    } else {
      this.#forward?.resumeResponse();
    }
  }

  onDownstreamDone(): void {
    this.#finish();
  }

  // ── Route and forward: the end of the request pass ────────────────────────────────────────────────────────────────

  ensureRoute(): RouteMatch | undefined {
    return this.route.choose(this.facts.requestHead, this.facts, this.#serving.clusters);
  }

  clearRouteCache(): void {
    // Too late once the request is on its way.
    if (this.#forward === undefined) {
      this.route.forget();
    }
  }

  onRequestHeadersPassed(end: boolean): void {
    const match = this.ensureRoute();
    this.#timers.requestPassed(end);
    countRouted(this.#serving.stats, match?.action.kind);
    if (match === undefined || match.action.kind === "non_forwarding") {
      this.#fail("no_route");
    } else if (match.action.kind === "forward") {
      this.#forwardTo(match, match.action, end);
    } else {
      this.#answer(match);
    }
  }

  #forwardTo(match: RouteMatch, action: ForwardAction, end: boolean): void {
    const pick = this.route.pick as ClusterPick;
    const cluster = this.#serving.clusters.get(pick.clusterName);
    if (cluster === undefined) {
      this.#serving.stats.noCluster.inc();
      this.#fail("no_cluster", action.clusterNotFoundStatus);
      return;
    }
    const { strictHeaders } = this.#serving;
    const refusal = strictHeaders && strictReply(strictHeaders, this.facts.requestHead.headers);
    if (refusal !== undefined) {
      this.onFilterReply(refusal);
      return;
    }
    if (cluster.dropCategory() !== undefined) {
      this.#fail("drop_overload");
      return;
    }
    const host = cluster.original === undefined ? cluster.choose() : cluster.original.choose(this.facts);
    if (host === undefined) {
      this.#fail("no_healthy_upstream");
      return;
    }
    const head = this.facts.requestHead;
    const timeouts = prepareUpstreamHead(match, pick, action, this.facts, {
      hostname: host.hostname,
      serving: this.#serving,
    });
    this.#timers.routeMs = timeouts.requestMs;
    this.#timers.limitStream(action.idleTimeoutMs, timeouts.maxStreamMs);
    if (this.facts.trace !== undefined) {
      this.#serving.tracing.inject(this.facts.trace, head.headers);
    }
    this.#forward = new Forward(this, cluster, host, { head, end, priority: action.priority === "high" ? 1 : 0 });
    this.#timers.requestPassed(end);
    this.#forward.start(this.#chain !== undefined);
  }

  onRequestDataPassed(chunk: Uint8Array, end: boolean): void {
    this.#timers.requestPassed(end);
    this.#forward?.data(chunk, end);
  }

  onRequestTrailersPassed(): void {
    this.#timers.requestPassed(true);
    this.#forward?.trailers(this.facts.requestTrailers as HeaderMap);
  }

  pauseRequestSource(): void {
    this.#downstream.pauseRequest();
  }
  resumeRequestSource(): void {
    this.#downstream.resumeRequest();
  }
  onInjected(): void {
    this.#timers.touch();
  }
  pauseResponseSource(): void {
    this.#forward?.pauseResponse();
  }
  resumeResponseSource(): void {
    this.#forward?.resumeResponse();
  }

  // ── The response comes back ───────────────────────────────────────────────────────────────────────────────────────

  onUpstreamInformational(head: ResponseHead): void {
    // Envoy answers "100-continue" itself unless proxy_100_continue; other 1xx heads pass.
    if (!this.#responseStarted && (head.status !== 100 || this.#serving.hcm.proxy100Continue)) {
      this.#downstream.inform(head);
    }
  }

  onUpstreamResponse(head: ResponseHead, end: boolean): void {
    const facts = this.facts;
    facts.upstreamFirstByteAt = performance.now();
    facts.responseCodeDetails = "via_upstream";
    facts.responseHead = head;
    this.#timers.touch();
    prepareDownstreamHead(head, facts, this.#serving.suppressEnvoyHeaders, this.route.pick);
    this.#forward?.countResponse(head.status);
    this.#timers.responseReceived(end);
    this.#respond(end);
  }

  onUpstreamData(chunk: Uint8Array, end: boolean): void {
    this.#timers.touch();
    this.#timers.responseReceived(end);
    if (this.responsePassEnded) {
      return;
    }
    if (this.#chain === undefined) {
      this.onResponseDataPassed(chunk, end);
    } else {
      this.#chain.response.data(0, chunk, end);
    }
  }

  onUpstreamTrailers(trailers: HeaderMap): void {
    this.facts.responseTrailers = trailers;
    this.#timers.responseReceived(true);
    if (this.responsePassEnded) {
      return;
    }
    if (this.#chain === undefined) {
      this.onResponseTrailersPassed();
    } else {
      this.#chain.response.trailers(0);
    }
  }

  onUpstreamFailure(error: ProxyError): void {
    this.facts.upstreamFailure = error.message;
    this.#forward?.countResponse(503);
    this.#fail(error.code);
  }

  /** Sends a head through the response filters, or past them when there are none. */
  #respond(end: boolean): void {
    if (this.#chain === undefined) {
      this.onResponseHeadersPassed(end);
    } else {
      this.#chain.response.headers(0, end);
    }
  }

  onResponseHeadersPassed(end: boolean): void {
    const head = this.facts.responseHead as ResponseHead;
    this.#serving.proxyStatus?.apply(head, this.facts);
    if (this.facts.trace !== undefined) {
      this.#serving.tracing.finishResponse(this.facts.trace, head.headers);
    }
    finishResponseHeaders(head, this.facts.requestHead, this.#serving.hcm);
    this.facts.status = head.status;
    this.#responseStarted = true;
    this.#responseEnded = end;
    this.#downstream.respond(head, end);
  }

  onResponseDataPassed(chunk: Uint8Array, end: boolean): void {
    this.facts.responseBodyBytes += chunk.length;
    this.#responseEnded = end;
    this.#downstream.data(chunk, end);
  }

  onResponseTrailersPassed(): void {
    this.#responseEnded = true;
    this.#downstream.trailers(this.facts.responseTrailers as HeaderMap);
  }

  // ── Answers that are not the upstream's ───────────────────────────────────────────────────────────────────────────

  #answer(match: RouteMatch): void {
    this.requestPassEnded = true;
    const { head, body } = routeMessage(match, this.facts, this.#serving.localReplies);
    this.#send(head, body);
  }

  onTooLarge(code: "request_payload_too_large" | "response_payload_too_large"): void {
    const { stats } = this.#serving;
    (code === "request_payload_too_large" ? stats.rqTooLarge : stats.rsTooLarge).inc();
    this.#fail(code);
  }

  #fail(code: ErrorCode, status?: number): void {
    const entry = LOCAL_REPLIES[code];
    if (entry.status === 0) {
      this.facts.flag(entry.flag);
      this.facts.responseCodeDetails = entry.details;
      this.#abort();
      return;
    }
    if (entry.close) {
      this.#downstream.closeAfter();
    }
    const isRouted = this.#forward !== undefined || code === "no_healthy_upstream";
    this.onFilterReply(failureReply(code, this.#requestEnded, status, isRouted ? this.facts.route : undefined));
  }

  onFilterReply(reply: FilterReply): void {
    if (this.#finished) {
      return;
    }
    this.facts.flag(reply.flag);
    this.facts.responseCodeDetails = reply.details;
    if (this.#responseStarted) {
      this.#abort();
      return;
    }
    const isReplacement = this.facts.responseHead !== undefined;
    this.requestPassEnded = true;
    this.#forward?.abort();
    this.ensureRoute();
    const mutations = this.route.responseMutations;
    const { head, body } = routedReply(reply, this.facts, { mutations, localReplies: this.#serving.localReplies });
    // Over a response whose head the filters have begun with, the reply goes past them (Envoy's sendDirectLocalReply).
    this.responsePassEnded = isReplacement;
    this.#send(head, body);
  }

  /** Sends a whole message: through the response filters, or past them when the response pass is over. */
  #send(head: ResponseHead, body: Uint8Array): void {
    const bodiless = body.length === 0 || this.facts.requestHead.method === "HEAD";
    const isDirect = this.#chain === undefined || this.responsePassEnded;
    this.facts.responseHead = head;
    if (isDirect) {
      this.onResponseHeadersPassed(bodiless);
    } else {
      this.#chain?.response.headers(0, bodiless);
    }
    if (bodiless || this.#finished) {
      return;
    }
    if (isDirect) {
      this.onResponseDataPassed(body, true);
    } else if (!this.responsePassEnded) {
      this.#chain?.response.data(0, body, true);
    }
  }

  onFilterReset(details: string): void {
    this.facts.responseCodeDetails = details;
    this.#abort();
  }

  /** Cuts the stream: nothing honest can be said any more. */
  #abort(): void {
    if (this.#finished) {
      return;
    }
    this.#endPasses();
    this.#downstream.abort();
    this.#finish();
  }

  #endPasses(): void {
    this.requestPassEnded = true;
    this.responsePassEnded = true;
    this.#forward?.abort();
  }

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  onDeadline(kind: number): void {
    if (kind === StreamTimeout.Log) {
      this.#serving.accessLogs.logNow(this.facts, "DownstreamPeriodic");
      this.#timers.armLog(this.#serving.hcm.accessLogFlushIntervalMs);
      return;
    }
    if (kind === StreamTimeout.Route) {
      this.#forward?.cluster.stats.rqTimeout.inc();
    } else {
      this.#serving.stats.timeouts[kind]?.inc();
    }
    this.#fail(TIMEOUT_ERRORS[kind] ?? "internal");
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  onPluginResumed(pluginIndex: number, isRequest: boolean): void {
    this.facts.trace?.resume(pluginIndex, isRequest, performance.now());
  }

  #finish(): void {
    if (this.#finished) {
      return;
    }
    this.#finished = true;
    this.#endPasses();
    this.#timers.clear();
    const { facts } = this;
    const { accessLogs, environment } = this.#serving;
    facts.endedAt = performance.now();
    this.#forward?.countOutcome(facts.status < 500 && this.#responseEnded);
    this.#chain?.complete();
    accessLogs.end(facts);
    this.#chain?.destroy();
    const trace = facts.trace;
    if (trace !== undefined) {
      facts.trace = undefined;
      environment.recorder.finish(trace, facts);
    }
  }
}
