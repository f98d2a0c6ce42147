// One plugin on one HTTP stream: the stream's events become callbacks, their results become Envoy's filter statuses.
// The embedder (a filter) creates one with Plugin.createHttpContext and calls on…() in the order of the stream;
// host functions reach the stream through `stream` and ask here what may be written.
//
//   onRequestHeaders → onRequestBody* → onRequestTrailers? → onResponseHeaders → … → onLog → close
//
// What a status asks for besides itself (a local reply, a reset, the 503 of a failed plugin) is done through
// StreamAccess after the guest returned and before on…() returns. Order and statuses follow Envoy's wasm filter.

import { Callback, FAULTED, type CallbackId } from "./abi/callbacks.ts";
import { DataStatus, HeadersStatus, TrailersStatus } from "./abi/constants.ts";
import { GuestContext } from "./contexts.ts";
import type { Plugin } from "./plugin.ts";
import type { LocalReply, StreamAccess } from "./ports.ts";

/** Bits of `writable`: maps by their id, bodies from bit 4. */
const REQUEST_HEADERS = 1 << 0;
const REQUEST_TRAILERS = 1 << 1;
const RESPONSE_HEADERS = 1 << 2;
const RESPONSE_TRAILERS = 1 << 3;
const REQUEST_BODY = 1 << 4;
const RESPONSE_BODY = 1 << 5;
const REQUEST_PARTS = REQUEST_HEADERS | REQUEST_TRAILERS | REQUEST_BODY;
const RESPONSE_PARTS = RESPONSE_HEADERS | RESPONSE_TRAILERS | RESPONSE_BODY;

const FAILED_REPLY: LocalReply = {
  status: 503,
  details: "wasm_fail_stream",
  body: new Uint8Array(0),
  headers: [],
  grpcStatus: 14,
};

/** Where one direction of the stream stands with this plugin. */
const Flow = { Going: 0, Paused: 1, Over: 2 } as const;

export class HttpContext {
  readonly plugin: Plugin;
  readonly stream: StreamAccess;
  /** For host functions: what may be written now, bits as above. */
  writable = 0;
  /** For host functions: the body callback that runs has end_of_stream (then trailers may be added). */
  atBodyEnd = false;
  #guest: GuestContext | undefined = undefined;
  #request: number = Flow.Going;
  #response: number = Flow.Going;
  /** Directions that the plugin asked to continue while their own callback runs: 1 request, 2 response. */
  #continueAsked = 0;
  /** The direction whose callback runs: 1 request, 2 response, 0 none. */
  #current = 0;
  #requestEnded = false;
  #responseBegan = false;
  #reply: LocalReply | undefined = undefined;
  #replied = false;
  #closeAsked = false;
  /** The plugin is out of this stream: it failed here, or the stream is closed. */
  #out = false;
  #failedReply = false;
  #ending = false;

  constructor(plugin: Plugin, stream: StreamAccess) {
    this.plugin = plugin;
    this.stream = stream;
  }

  /** Id of the context in the guest; 0 before the first event. */
  get contextId(): number {
    return this.#guest?.id ?? 0;
  }

  /** For host functions: a request callback runs. */
  get isInRequest(): boolean {
    return this.#current === 1;
  }

  /** Answers a HeadersStatus. `count` includes pseudo headers. */
  onRequestHeaders(count: number, endOfStream: boolean): number {
    if (!this.#enter()) return this.#withoutPlugin(1, HeadersStatus.StopAllIterationAndWatermark);
    this.#begin(1, REQUEST_HEADERS);
    this.#requestEnded = endOfStream;
    const result = this.#call(Callback.OnRequestHeaders, count, endOfStream ? 1 : 0);
    return this.#settle(1, result, this.#headersStatus(result), HeadersStatus.StopAllIterationAndWatermark);
  }

  /** Answers a DataStatus. `size`: bytes offered, that is stream.bodyLength(0). */
  onRequestBody(size: number, endOfStream: boolean): number {
    if (!this.#enter()) return this.#withoutPlugin(1, DataStatus.StopIterationNoBuffer);
    this.#begin(1, REQUEST_BODY);
    this.#requestEnded = endOfStream;
    this.atBodyEnd = endOfStream;
    const result = this.#call(Callback.OnRequestBody, size, endOfStream ? 1 : 0);
    this.atBodyEnd = false;
    return this.#settle(1, result, dataStatus(result), DataStatus.StopIterationNoBuffer);
  }

  /** Answers a TrailersStatus. */
  onRequestTrailers(count: number): number {
    if (!this.#enter()) return this.#withoutPlugin(1, TrailersStatus.StopIteration);
    this.#begin(1, REQUEST_TRAILERS);
    this.#requestEnded = true;
    const result = this.#call(Callback.OnRequestTrailers, count, 0);
    return this.#settle(1, result, trailersStatus(result), TrailersStatus.StopIteration);
  }

  /** Answers a HeadersStatus. */
  onResponseHeaders(count: number, endOfStream: boolean): number {
    this.#moveFromDeadVm();
    if (!this.#enter()) return this.#withoutPlugin(2, HeadersStatus.StopAllIterationAndWatermark);
    this.#responseBegan = true;
    this.#begin(2, RESPONSE_HEADERS);
    const result = this.#call(Callback.OnResponseHeaders, count, endOfStream ? 1 : 0);
    return this.#settle(2, result, this.#headersStatus(result), HeadersStatus.StopAllIterationAndWatermark);
  }

  /** Answers a DataStatus. */
  onResponseBody(size: number, endOfStream: boolean): number {
    if (!this.#enter()) return this.#withoutPlugin(2, DataStatus.StopIterationNoBuffer);
    this.#begin(2, RESPONSE_BODY);
    this.atBodyEnd = endOfStream;
    const result = this.#call(Callback.OnResponseBody, size, endOfStream ? 1 : 0);
    this.atBodyEnd = false;
    return this.#settle(2, result, dataStatus(result), DataStatus.StopIterationNoBuffer);
  }

  /** Answers a TrailersStatus. */
  onResponseTrailers(count: number): number {
    if (!this.#enter()) return this.#withoutPlugin(2, TrailersStatus.StopIteration);
    this.#begin(2, RESPONSE_TRAILERS);
    const result = this.#call(Callback.OnResponseTrailers, count, 0);
    return this.#settle(2, result, trailersStatus(result), TrailersStatus.StopIteration);
  }

  /** The access log phase: everything readable, nothing writable. Before close(), at most once. */
  onLog(): void {
    this.#ending = true;
    this.writable = 0;
    if (this.#guest?.root.vm.fault !== undefined || !this.#enter()) return;
    this.#call(Callback.OnLog, 0, 0);
    this.#guest?.root.vm.drain();
  }

  /** The stream is over, however it ended: proxy_on_done, proxy_on_delete. The plugin is never called again for it. */
  close(): void {
    if (this.#out && this.#guest === undefined) return;
    this.#ending = true;
    this.writable = 0;
    const guest = this.#guest;
    this.#guest = undefined;
    this.#out = true;
    if (guest === undefined) return;
    const vm = guest.root.vm;
    vm.call(Callback.OnDone, guest, 0, 0, 0, 0);
    vm.follow();
    vm.call(Callback.OnDelete, guest, 0, 0, 0, 0);
    vm.contexts.delete(guest.id);
    vm.drain();
    this.plugin.onStreamClosed(this);
  }

  /** For host functions: proxy_continue_stream. A direction that is not paused stays as it is. */
  askContinue(direction: 1 | 2): void {
    if (direction === this.#current) this.#continueAsked |= direction;
    else this.#vmDefer(direction === 1 ? "continue-request" : "continue-response");
  }

  /** For host functions: proxy_close_stream. */
  askClose(): void {
    if (this.#closeAsked || this.#ending) return;
    this.#closeAsked = true;
    this.#vmDefer("close");
  }

  /** For host functions: proxy_send_local_response. Only the first counts; none after the stream ended. */
  askReply(reply: LocalReply): void {
    if (this.#replied || this.#reply !== undefined || this.#ending || this.#out) return;
    this.#reply = reply;
    this.#vmDefer("reply");
  }

  /** For Vm.drain(): does what was deferred, if the stream still stands where that makes sense. */
  perform(action: "continue-request" | "continue-response" | "close" | "reply" | "vm-failed"): void {
    if (this.#ending || this.#out) return;
    switch (action) {
      case "continue-request":
        this.#resume(1);
        break;
      case "continue-response":
        this.#resume(2);
        break;
      case "close":
        this.#stopBoth();
        this.stream.closeStream();
        break;
      case "reply":
        this.#sendReply();
        break;
      case "vm-failed":
        this.#onVmFailed();
        break;
    }
  }

  /** Makes sure that there is a live guest context; creates it before the first event. */
  #enter(): boolean {
    if (this.#out) return false;
    const guest = this.#guest;
    if (guest !== undefined) return guest.root.vm.fault === undefined;
    const root = this.plugin.liveRoot(this);
    if (root === undefined) return false;
    const vm = root.vm;
    const made = new GuestContext(vm.contexts.nextId(), root, this, undefined);
    this.#guest = made;
    this.plugin.onStreamOpened();
    vm.contexts.add(made);
    if (vm.call(Callback.OnContextCreate, made, root.context.id, 0, 0, 0) === FAULTED) {
      vm.drain();
      return false;
    }
    vm.follow();
    return true;
  }

  #begin(direction: 1 | 2, part: number): void {
    this.#current = direction;
    this.#continueAsked = 0;
    this.writable |= part;
  }

  #call(id: CallbackId, first: number, second: number): number {
    const guest = this.#guest as GuestContext;
    const result = guest.root.vm.call(id, guest, first, second, 0, 0);
    this.#current = 0;
    return result;
  }

  /** From a callback's result to the status: what the plugin asked for meanwhile goes first. */
  #settle(direction: 1 | 2, result: number, status: number, stop: number): number {
    const vm = (this.#guest as GuestContext).root.vm;
    let answer = status;
    if (result === FAULTED) answer = this.#withoutPlugin(direction, stop);
    else if (this.#reply !== undefined || this.#closeAsked) {
      answer = stop;
      this.#setFlow(direction, Flow.Paused);
    } else if (status !== 0 && (this.#continueAsked & direction) === 0) this.#setFlow(direction, Flow.Paused);
    else {
      answer = 0;
      this.#setFlow(direction, Flow.Going);
      this.writable &= direction === 1 ? ~REQUEST_PARTS : ~RESPONSE_PARTS;
    }
    vm.drain();
    return answer;
  }

  #setFlow(direction: 1 | 2, flow: number): void {
    if (direction === 1) {
      if (this.#request !== Flow.Over) this.#request = flow;
    } else if (this.#response !== Flow.Over) this.#response = flow;
  }

  #stopBoth(): void {
    this.#request = Flow.Over;
    this.#response = Flow.Over;
    this.writable = 0;
  }

  #resume(direction: 1 | 2): void {
    if ((direction === 1 ? this.#request : this.#response) !== Flow.Paused) return;
    this.#setFlow(direction, Flow.Going);
    if (direction === 1) {
      this.writable &= ~REQUEST_PARTS;
      this.stream.continueRequest();
    } else {
      this.writable &= ~RESPONSE_PARTS;
      this.stream.continueResponse();
    }
  }

  #sendReply(): void {
    const reply = this.#reply;
    if (reply === undefined || this.#replied) return;
    this.#reply = undefined;
    this.#replied = true;
    this.#request = Flow.Over;
    this.writable &= ~REQUEST_PARTS;
    // A reply in place of a response that this plugin has seen is not shown to it again.
    if (this.#responseBegan) this.#stopBoth();
    this.stream.sendLocalResponse(reply);
  }

  /** The VM died in somebody else's callback. A stream that waits for this plugin would wait for ever. */
  #onVmFailed(): void {
    if (this.#request === Flow.Paused) this.#leavePaused(1);
    if (this.#response === Flow.Paused) this.#leavePaused(2);
  }

  #leavePaused(direction: 1 | 2): void {
    if (this.plugin.spec.failurePolicy === "open") this.#resume(direction);
    else this.#withoutPlugin(direction, 0);
  }

  /**
   * A stream whose request went through before the VM died gets a context in the fresh VM for its response, so that one
   * stream's fault does not fail the others (Envoy answers them 503). Only between the two directions: inside one, the
   * guest would miss a part of the message.
   */
  #moveFromDeadVm(): void {
    const guest = this.#guest;
    if (guest === undefined || this.#out || guest.root.vm.fault === undefined) return;
    if (!this.#requestEnded || this.#request === Flow.Paused) return;
    this.plugin.onStreamClosed(this);
    this.#guest = undefined;
  }

  /** The status of a stream whose plugin cannot run: goes on, or gets its one 503. */
  #withoutPlugin(direction: 1 | 2, stop: number): number {
    if (this.plugin.spec.failurePolicy === "open" || this.#ending) {
      this.#out = true;
      this.writable = 0;
      return 0;
    }
    // The 503 itself travels the response direction through this filter.
    if (this.#failedReply) return direction === 1 ? stop : 0;
    this.#out = true;
    this.#failedReply = true;
    this.#stopBoth();
    if (!this.#replied || direction === 2) this.stream.sendLocalResponse(FAILED_REPLY);
    return stop;
  }

  #headersStatus(result: number): number {
    switch (result) {
      case 0:
      case 2: // ContinueAndEndStream: Envoy does not let plugins end a stream early.
        return HeadersStatus.Continue;
      case 1:
        return this.plugin.spec.allowOnHeadersStopIteration === true
          ? HeadersStatus.StopIteration
          : HeadersStatus.StopAllIterationAndWatermark;
      case 3:
        return HeadersStatus.StopAllIterationAndBuffer;
      default:
        return HeadersStatus.StopAllIterationAndWatermark;
    }
  }

  #vmDefer(kind: "continue-request" | "continue-response" | "close" | "reply"): void {
    this.#guest?.root.vm.defer({ kind, http: this });
  }
}

function dataStatus(result: number): number {
  return result <= DataStatus.StopIterationNoBuffer ? result : DataStatus.StopIterationNoBuffer;
}

function trailersStatus(result: number): number {
  return result === 0 ? TrailersStatus.Continue : TrailersStatus.StopIteration;
}
