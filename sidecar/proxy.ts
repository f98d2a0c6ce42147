// Life of one HTTP stream: pick configuration → request filters → route → pick host → forward → response filters → finish.
// A codec's connection makes a ProxyStream for each request (through `openStream`) and pushes the request into it; the
// filter chain and Forward push back. Everything is synchronous; sidecar/README.md tells the same story in words.
// A stream is answered once: by the upstream, by the route (redirect, direct response) or by a local reply.

import type { ForwardAction } from "../xds/model/route.ts";
import { type ErrorCode, ProxyError } from "./errors.ts";
import type { FilterReply } from "./filter/filter.ts";
import { type ChainOwner, FilterChain } from "./filter/filter-chain.ts";
import type { WasmStream } from "./filter/wasm-filter.ts";
import { Forward, type ForwardOwner } from "./forward.ts";
import { finishResponseHeaders } from "./http/forwarded.ts";
import type { HeaderMap } from "./http/headers.ts";
import { buildReply, LOCAL_REPLIES, timeoutStatus } from "./http/local-reply.ts";
import { type RequestHead, ResponseHead } from "./http/message.ts";
import type { DownstreamStream, RequestSink } from "./http/stream.ts";
import { Deadline, type DeadlineOwner } from "./http/timer-wheel.ts";
import type { HttpServing } from "./http-serving.ts";
import { type ClusterPick } from "./route/cluster-choice.ts";
import { rewriteHost, rewritePath } from "./route/rewrite.ts";
import { pickCluster, type RouteMatch, type RouteTable } from "./route/route-table.ts";
import { requestTimeouts } from "./route/timeouts.ts";
import { StreamRecord } from "./stream-record.ts";

const ROUTE_TIMEOUT = 1;
const IDLE_TIMEOUT = 2;
const MAX_DURATION = 3;
const REQUEST_TIMEOUT = 4;
const EMPTY = new Uint8Array(0);

export class ProxyStream implements RequestSink, ForwardOwner, ChainOwner, WasmStream, DeadlineOwner {
  readonly facts: StreamRecord;
  readonly #serving: HttpServing;
  readonly #downstream: DownstreamStream;
  /** The routes as they were when the request began. */
  readonly #table: RouteTable | undefined;
  #chain: FilterChain | undefined = undefined;
  #random = -1;
  #match: RouteMatch | undefined = undefined;
  #matched = false;
  #pick: ClusterPick | undefined = undefined;
  #forward: Forward | undefined = undefined;
  #routeTimeoutMs = 0;
  #routeTimer: Deadline | undefined = undefined;
  #idleTimer: Deadline | undefined = undefined;
  #idleTimeoutMs = 0;
  #durationTimer: Deadline | undefined = undefined;
  #requestTimer: Deadline | undefined = undefined;
  #requestEnded = false;
  #responseStarted = false;
  #responseEnded = false;
  #finished = false;
  requestPassEnded = false;
  responsePassEnded = false;

  constructor(serving: HttpServing, downstream: DownstreamStream) {
    this.#serving = serving;
    this.#downstream = downstream;
    this.#table = serving.routes.table;
    this.facts = new StreamRecord(downstream, serving.origin);
  }

  // ── The request comes in ──────────────────────────────────────────────────────────────────────────────────────────

  /** Begins with the head; may answer before it returns. `isInternal`: the request is trusted as the mesh's own. */
  start(isInternal: boolean): void {
    const { environment, factories, discovered, hcm } = this.#serving;
    const head = this.#downstream.head;
    const trace = environment.recorder.begin(head, this.#downstream.startedAt);
    this.facts.trace = trace;
    this.#serving.tracing.start(trace, head.headers, isInternal);
    const end = this.#downstream.endOfRequest;
    if (end) {
      this.#onRequestEnd();
    } else {
      this.#requestTimer = this.#arm(REQUEST_TIMEOUT, hcm.requestTimeoutMs);
    }
    this.#idleTimeoutMs = hcm.streamIdleTimeoutMs;
    this.#idleTimer = this.#arm(IDLE_TIMEOUT, this.#idleTimeoutMs);
    this.#durationTimer = this.#arm(MAX_DURATION, hcm.maxStreamDurationMs);
    for (let i = 0; i < discovered.length; i++) {
      if (discovered[i]?.plugin === undefined) {
        this.#fail("filter_config_missing");
        return;
      }
    }
    if (factories.length > 0) {
      const limit = this.#serving.bufferLimitBytes;
      const chain = new FilterChain(factories, this, { requestBytes: limit, responseBytes: limit });
      if (chain.size > 0) {
        this.#chain = chain;
        chain.request.headers(0, end);
        return;
      }
    }
    this.onRequestHeadersPassed(end);
  }

  get requestHead(): RequestHead {
    return this.#downstream.head;
  }
  get responseHead(): ResponseHead | undefined {
    return this.facts.responseHead;
  }
  get requestTrailers(): HeaderMap | undefined {
    return this.facts.requestTrailers;
  }
  set requestTrailers(trailers: HeaderMap | undefined) {
    this.facts.requestTrailers = trailers;
  }
  get responseTrailers(): HeaderMap | undefined {
    return this.facts.responseTrailers;
  }
  set responseTrailers(trailers: HeaderMap | undefined) {
    this.facts.responseTrailers = trailers;
  }

  onRequestData(chunk: Uint8Array, end: boolean): void {
    this.facts.requestBodyBytes += chunk.length;
    this.#touch();
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
    this.#disarm(this.#requestTimer);
    this.#startRouteTimer();
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

  /** The route of the request as it is now; chosen once, and again after `clearRouteCache`. */
  ensureRoute(): RouteMatch | undefined {
    if (!this.#matched) {
      this.#matched = true;
      if (this.#random < 0) {
        this.#random = this.#serving.environment.random();
      }
      const match = this.#table?.select(this.requestHead, { random: this.#random });
      this.#match = match;
      this.#pick = match === undefined ? undefined : pickCluster(match, this.requestHead, this.#random);
      this.facts.virtualHostName = match?.virtualHost.name ?? "";
      this.facts.routeName = match?.route?.name ?? "";
      this.facts.routeMetadata = match?.route?.metadata;
      this.facts.clusterName = this.#pick?.clusterName ?? "";
      this.facts.clusterMetadata = this.#serving.clusters.get(this.facts.clusterName)?.model.metadata;
    }
    return this.#match;
  }

  clearRouteCache(): void {
    // Too late once the request is on its way.
    if (this.#forward === undefined) {
      this.#matched = false;
    }
  }

  onRequestHeadersPassed(end: boolean): void {
    const match = this.ensureRoute();
    this.#serving.stats.rqTotalRouted.inc();
    if (match === undefined) {
      this.#serving.stats.noRoute.inc();
      this.#fail("no_route");
      return;
    }
    switch (match.action.kind) {
      case "forward":
        this.#forwardTo(match, match.action, end);
        return;
      case "redirect":
        this.#serving.stats.rqRedirect.inc();
        this.#answerFromRoute(match, match.redirect?.status ?? 301, EMPTY, match.redirect?.location(this.requestHead));
        return;
      case "direct_response":
        this.#serving.stats.rqDirectResponse.inc();
        this.#answerFromRoute(match, match.action.status, match.body ?? EMPTY, undefined);
        return;
      case "non_forwarding":
        this.#fail("no_route");
    }
  }

  #forwardTo(match: RouteMatch, action: ForwardAction, end: boolean): void {
    const pick = this.#pick as ClusterPick;
    const cluster = this.#serving.clusters.get(pick.clusterName);
    if (cluster === undefined) {
      this.#serving.stats.noCluster.inc();
      this.#fail("no_cluster", action.clusterNotFoundStatus);
      return;
    }
    if (cluster.dropCategory() !== undefined) {
      this.#fail("drop_overload");
      return;
    }
    const host = cluster.choose();
    if (host === undefined) {
      this.#fail("no_healthy_upstream");
      return;
    }
    const head = this.requestHead;
    const timeouts = requestTimeouts(action, head, this.#serving.suppressEnvoyHeaders);
    this.#routeTimeoutMs = timeouts.requestMs;
    this.#applyRouteTimeouts(action, timeouts.maxStreamMs);
    pick.requestMutations?.apply(head.headers, this.facts);
    if (match.pathRewrite !== undefined) {
      rewritePath(head, match.pathRewrite, this.#serving.suppressEnvoyHeaders);
    }
    const newHost = pick.hostRewrite?.(head) ?? (action.hostRewrite?.kind === "auto" ? host.hostname : "");
    if (newHost !== "") {
      rewriteHost(head, newHost, action.appendXForwardedHost);
    }
    if (this.facts.trace !== undefined) {
      this.#serving.tracing.inject(this.facts.trace, head.headers);
    }
    const priority = action.priority === "high" ? 1 : 0;
    this.#forward = new Forward(this, cluster, host, { head, end, priority });
    this.#startRouteTimer();
    this.#forward.start();
  }

  #applyRouteTimeouts(action: ForwardAction, maxStreamMs: number | undefined): void {
    if (action.idleTimeoutMs !== undefined) {
      this.#disarm(this.#idleTimer);
      this.#idleTimeoutMs = action.idleTimeoutMs;
      this.#idleTimer = this.#arm(IDLE_TIMEOUT, action.idleTimeoutMs);
    }
    if (maxStreamMs !== undefined) {
      this.#disarm(this.#durationTimer);
      this.#durationTimer = this.#arm(MAX_DURATION, maxStreamMs);
    }
  }

  onRequestDataPassed(chunk: Uint8Array, end: boolean): void {
    this.#forward?.data(chunk, end);
  }

  onRequestTrailersPassed(): void {
    const trailers = this.facts.requestTrailers;
    if (trailers !== undefined) {
      this.#forward?.trailers(trailers);
    }
  }

  pauseRequestSource(): void {
    this.#downstream.pauseRequest();
  }
  resumeRequestSource(): void {
    this.#downstream.resumeRequest();
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
    this.#touch();
    if (!this.#serving.suppressEnvoyHeaders) {
      const serviceTimeMs = Math.round(facts.upstreamFirstByteAt - facts.upstreamSentAt);
      head.headers.set("x-envoy-upstream-service-time", String(serviceTimeMs));
    }
    this.#pick?.responseMutations?.apply(head.headers, facts);
    this.#countUpstream(head.status);
    this.#respond(head, end);
  }

  onUpstreamData(chunk: Uint8Array, end: boolean): void {
    this.#touch();
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
    this.#countUpstream(503);
    this.#fail(error.code);
  }

  /** Sends a head through the response filters, or past them when there are none. */
  #respond(head: ResponseHead, end: boolean): void {
    this.facts.responseHead = head;
    if (this.#chain === undefined) {
      this.onResponseHeadersPassed(end);
    } else {
      this.#chain.response.headers(0, end);
    }
  }

  onResponseHeadersPassed(end: boolean): void {
    const head = this.facts.responseHead as ResponseHead;
    finishResponseHeaders(head, this.requestHead, this.#serving.hcm);
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

  #answerFromRoute(match: RouteMatch, status: number, body: Uint8Array, location: string | undefined): void {
    this.requestPassEnded = true;
    this.facts.responseCodeDetails = location === undefined ? "direct_response" : "redirect";
    const head = new ResponseHead(status, "");
    if (location !== undefined) {
      head.headers.add("location", location);
    }
    head.headers.add("content-length", String(body.length));
    if (body.length > 0) {
      head.headers.add("content-type", "text/plain");
    }
    match.responseMutations?.apply(head.headers, this.facts);
    this.#send(head, body);
  }

  onFilterReply(reply: FilterReply): void {
    this.#reply(reply);
  }

  onRequestTooLarge(): void {
    this.#serving.stats.rqTooLarge.inc();
    this.#fail("request_payload_too_large");
  }

  onResponseTooLarge(): void {
    this.#serving.stats.rsTooLarge.inc();
    this.#fail("response_payload_too_large");
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
    this.#reply({
      status: status ?? (entry.status === 408 ? timeoutStatus(this.#requestEnded) : entry.status),
      details: entry.details,
      body: entry.body === "" ? EMPTY : Buffer.from(entry.body, "latin1"),
      headers: [],
      grpcStatus: -1,
      flag: entry.flag,
    });
  }

  #reply(reply: FilterReply): void {
    if (this.#finished) {
      return;
    }
    this.facts.flag(reply.flag);
    if (this.#responseStarted) {
      this.#abort();
      return;
    }
    this.facts.responseCodeDetails = reply.details;
    const isReplacement = this.facts.responseHead !== undefined;
    this.requestPassEnded = true;
    this.#forward?.abort();
    const { head, body } = buildReply(reply.status, reply.body, this.requestHead);
    for (const [name, value] of reply.headers) {
      head.headers.add(name, value);
    }
    if (reply.grpcStatus >= 0 && head.headers.has("grpc-status")) {
      head.headers.set("grpc-status", String(reply.grpcStatus));
    }
    (this.#pick ?? this.#match)?.responseMutations?.apply(head.headers, this.facts);
    if (isReplacement) {
      // The response filters have begun with another head: the reply goes past them (Envoy's sendDirectLocalReply).
      this.responsePassEnded = true;
      this.facts.responseHead = head;
      this.#sendDirect(body);
      return;
    }
    this.#send(head, body);
  }

  #send(head: ResponseHead, body: Uint8Array): void {
    const bodiless = body.length === 0 || this.requestHead.method === "HEAD";
    this.#respond(head, bodiless);
    if (bodiless || this.responsePassEnded || this.#finished) {
      return;
    }
    if (this.#chain === undefined) {
      this.onResponseDataPassed(body, true);
    } else {
      this.#chain.response.data(0, body, true);
    }
  }

  #sendDirect(body: Uint8Array): void {
    const bodiless = body.length === 0 || this.requestHead.method === "HEAD";
    this.onResponseHeadersPassed(bodiless);
    if (!bodiless) {
      this.onResponseDataPassed(body, true);
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
    const { stats } = this.#serving;
    switch (kind) {
      case ROUTE_TIMEOUT:
        this.#forward?.cluster.stats.rqTimeout.inc();
        this.#fail("upstream_timeout");
        return;
      case IDLE_TIMEOUT:
        stats.rqIdleTimeout.inc();
        this.#fail("stream_idle_timeout");
        return;
      case MAX_DURATION:
        stats.rqMaxDurationReached.inc();
        this.#fail("max_stream_duration");
        return;
      default:
        stats.rqTimeout.inc();
        this.#fail("request_timeout");
    }
  }

  /** The route's timeout runs from the end of the request to the end of the response. */
  #startRouteTimer(): void {
    if (this.#requestEnded && this.#forward !== undefined && this.#routeTimer === undefined) {
      this.#routeTimer = this.#arm(ROUTE_TIMEOUT, this.#routeTimeoutMs);
    }
  }

  #arm(kind: number, delayMs: number): Deadline | undefined {
    if (delayMs <= 0) {
      return undefined;
    }
    const deadline = new Deadline(this, kind);
    this.#serving.environment.wheel.arm(deadline, delayMs);
    return deadline;
  }

  #disarm(deadline: Deadline | undefined): void {
    if (deadline !== undefined) {
      this.#serving.environment.wheel.cancel(deadline);
    }
  }

  /** Something moved: the idle timeout begins anew. */
  #touch(): void {
    if (this.#idleTimer !== undefined) {
      this.#serving.environment.wheel.arm(this.#idleTimer, this.#idleTimeoutMs);
    }
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  onPluginResumed(pluginIndex: number, isRequest: boolean): void {
    this.facts.trace?.resume(pluginIndex, isRequest, performance.now());
  }

  #countUpstream(status: number): void {
    const cluster = this.#forward?.cluster;
    if (cluster === undefined) {
      return;
    }
    const { stats } = cluster;
    stats.rqCompleted.inc();
    (stats.rqXx[Math.floor(status / 100)] ?? stats.rqXx[0])?.inc();
    stats.rqCode(status).inc();
    if (this.facts.upstreamFirstByteAt > 0) {
      stats.rqTime.record(this.facts.upstreamFirstByteAt - this.facts.upstreamSentAt);
    }
  }

  #finish(): void {
    if (this.#finished) {
      return;
    }
    this.#finished = true;
    this.#endPasses();
    this.#disarm(this.#routeTimer);
    this.#disarm(this.#idleTimer);
    this.#disarm(this.#durationTimer);
    this.#disarm(this.#requestTimer);
    const { facts } = this;
    const { accessLogs, environment } = this.#serving;
    facts.endedAt = performance.now();
    if (this.#forward !== undefined) {
      const { counts } = this.#forward.host;
      if (facts.status >= 500 || !this.#responseEnded) {
        counts.rqError++;
      } else {
        counts.rqSuccess++;
      }
    }
    this.#chain?.complete();
    for (let i = 0; i < accessLogs.length; i++) {
      accessLogs[i]?.log(facts);
    }
    this.#chain?.destroy();
    const trace = facts.trace;
    if (trace !== undefined) {
      facts.trace = undefined;
      environment.recorder.finish(trace, facts);
    }
  }
}
