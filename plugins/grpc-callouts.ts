// The gRPC calls and streams of one root context: which callback an event of the embedder becomes, and what
// proxy_grpc_send, _close and _cancel mean for a token. Made by contexts.ts; started by hostcalls/grpc-call.ts.
//
//   unary   ─▶ proxy_on_grpc_receive (it went well)  or  proxy_on_grpc_close (it did not)
//   stream  ─▶ …_initial_metadata ─▶ proxy_on_grpc_receive* ─▶ …_trailing_metadata ─▶ proxy_on_grpc_close
//
// The order and the choice are Envoy's (Context::onGrpcReceiveWrapper, onGrpcCloseWrapper).

import { Callback, type CallbackId } from "./abi/callbacks.ts";
import { Status } from "./abi/constants.ts";
import type { RootContext } from "./contexts.ts";
import type { GrpcCall, GrpcReceiver, PendingGrpcCall } from "./grpc-port.ts";
import { HeaderList } from "./header-list.ts";
import { CALL_KINDS, CallKind } from "./runtime-host.ts";

/** Calls and streams that one root context may have under way. */
const MAX_UNDER_WAY = 1024;
/** Streams that the server has ended and the plugin has not: their tokens are still known. The oldest are forgotten. */
const MAX_HALF_OPEN = 1024;
const INTERNAL = 13;
const NOTHING = new Uint8Array(0);

export class GrpcCallouts {
  readonly #root: RootContext;
  readonly #underWay = new Map<number, Callout>();
  readonly #halfOpen = new Set<number>();
  /** Set while their callbacks run; maps 4 and 5 read them. */
  initialMetadata: HeaderList | undefined = undefined;
  trailingMetadata: HeaderList | undefined = undefined;
  /** The message that proxy_on_grpc_receive is given, nothing outside of it; buffer 5. */
  message: Uint8Array = NOTHING;

  constructor(root: RootContext) {
    this.#root = root;
  }

  get canCall(): boolean {
    return !this.#root.hasEnded && this.#underWay.size < MAX_UNDER_WAY;
  }

  /** Starts a call or a stream; false when it cannot be sent now. */
  start(call: GrpcCall): boolean {
    const callout = new Callout(this, call.token, call.message !== undefined);
    const pending = this.#root.vm.host.ports.grpc?.call(call, callout);
    if (pending === undefined || pending === "unavailable") return false;
    callout.pending = pending;
    this.#underWay.set(call.token, callout);
    return true;
  }

  /** proxy_grpc_send. BadArgument: no stream's token, or the plugin has closed it. A message after the server's end is lost. */
  send(token: number, message: Uint8Array, endStream: boolean): number {
    if (token % CALL_KINDS !== CallKind.GrpcStream) return Status.BadArgument;
    const callout = this.#underWay.get(token);
    if (callout === undefined) return this.#halfOpen.has(token) ? Status.Ok : Status.NotFound;
    if (callout.hasSentAll) return Status.BadArgument;
    callout.hasSentAll = endStream;
    callout.pending?.send(message, endStream);
    return Status.Ok;
  }

  /** proxy_grpc_close: nothing more is sent on a stream; a unary call is given up. */
  close(token: number): number {
    const callout = this.#underWay.get(token);
    if (callout === undefined) return this.#halfOpen.delete(token) ? Status.Ok : Status.NotFound;
    if (callout.isUnary) return this.cancel(token);
    if (!callout.hasSentAll) callout.pending?.closeSend();
    callout.hasSentAll = true;
    callout.isClosed = true;
    return Status.Ok;
  }

  /** proxy_grpc_cancel: no callback comes any more. */
  cancel(token: number): number {
    const callout = this.#underWay.get(token);
    if (callout === undefined) return this.#halfOpen.delete(token) ? Status.Ok : Status.NotFound;
    this.#underWay.delete(token);
    callout.pending?.cancel();
    return Status.Ok;
  }

  /** Gives everything up without telling the guest. */
  release(): void {
    const all = [...this.#underWay.values()];
    this.#underWay.clear();
    this.#halfOpen.clear();
    for (const callout of all) callout.pending?.cancel();
  }

  isUnderWay(token: number): boolean {
    return this.#underWay.has(token);
  }

  receiveInitialMetadata(token: number, pairs: readonly string[]): void {
    this.initialMetadata = new HeaderList([...pairs]);
    this.#deliver(Callback.OnGrpcReceiveInitialMetadata, token, this.initialMetadata.size);
    this.initialMetadata = undefined;
  }

  receiveTrailingMetadata(token: number, pairs: readonly string[]): void {
    this.trailingMetadata = new HeaderList([...pairs]);
    this.#deliver(Callback.OnGrpcReceiveTrailingMetadata, token, this.trailingMetadata.size);
    this.trailingMetadata = undefined;
  }

  receiveMessage(token: number, message: Uint8Array): void {
    this.message = message;
    this.#deliver(Callback.OnGrpcReceive, token, message.length);
    this.message = NOTHING;
  }

  /** A unary call went well. */
  finish(token: number, message: Uint8Array): void {
    this.#underWay.delete(token);
    this.#root.statusCode = 0;
    this.receiveMessage(token, message);
  }

  /** A unary call failed, or the server ended a stream; `isClosed`: the plugin had ended it before. */
  fail(token: number, isClosed: boolean, status: number, message: string): void {
    this.#underWay.delete(token);
    if (!isClosed) this.#keepHalfOpen(token);
    this.#root.statusCode = status;
    this.#root.statusMessage = message;
    this.#deliver(Callback.OnGrpcClose, token, status);
    this.#root.statusMessage = "";
  }

  #keepHalfOpen(token: number): void {
    if (this.#halfOpen.size >= MAX_HALF_OPEN) {
      for (const oldest of this.#halfOpen) {
        this.#halfOpen.delete(oldest);
        break;
      }
    }
    this.#halfOpen.add(token);
  }

  #deliver(callback: CallbackId, token: number, argument: number): void {
    const vm = this.#root.vm;
    vm.answeredToken = token;
    vm.call(callback, this.#root.context, token, argument, 0, 0);
    vm.answeredToken = 0;
    vm.drain();
  }
}

/** One call or stream, as the embedder sees it. It stays quiet once the plugin has given it up. */
class Callout implements GrpcReceiver {
  pending: PendingGrpcCall | undefined = undefined;
  readonly isUnary: boolean;
  /** Nothing more may be sent. */
  hasSentAll = false;
  /** The plugin called proxy_grpc_close. */
  isClosed = false;
  readonly #callouts: GrpcCallouts;
  readonly #token: number;
  /** A unary call's answer, which is delivered when its status is known. */
  #message: Uint8Array | undefined = undefined;

  constructor(callouts: GrpcCallouts, token: number, isUnary: boolean) {
    this.#callouts = callouts;
    this.#token = token;
    this.isUnary = isUnary;
  }

  onInitialMetadata(pairs: readonly string[]): void {
    if (!this.isUnary && this.#isAwaited()) this.#callouts.receiveInitialMetadata(this.#token, pairs);
  }

  onMessage(message: Uint8Array): void {
    // As Envoy: of several messages to a unary call the last one counts.
    if (this.isUnary) this.#message = message;
    else if (this.#isAwaited()) this.#callouts.receiveMessage(this.#token, message);
  }

  onTrailingMetadata(pairs: readonly string[]): void {
    if (!this.isUnary && this.#isAwaited()) this.#callouts.receiveTrailingMetadata(this.#token, pairs);
  }

  onClose(status: number, message: string): void {
    if (!this.#isAwaited()) return;
    if (!this.isUnary) this.#callouts.fail(this.#token, this.isClosed, status, message);
    else if (status === 0 && this.#message !== undefined) this.#callouts.finish(this.#token, this.#message);
    // Ok without a message is no answer: Internal, as in Envoy.
    else this.#callouts.fail(this.#token, true, status === 0 ? INTERNAL : status, message);
  }

  #isAwaited(): boolean {
    return this.#callouts.isUnderWay(this.#token);
  }
}
