// One plugin on one TCP connection: the connection's events become callbacks, their results say whether to go on.
// The embedder (a network filter) creates one with Plugin.createTcpContext and calls on…() in the order of the connection;
// host functions reach the connection through `connection` and ask here what may be written.
//
//   onNewConnection → (onDownstreamData | onUpstreamData)* → onDownstreamClose
//
// "Downstream data" is what the client sends, "upstream data" what goes to the client. Order and statuses follow Envoy's
// wasm filter; its closing of a connection whose plugin failed is done through ConnectionAccess before on…() returns.

import { Callback, FAULTED, type CallbackId } from "./abi/callbacks.ts";
import { GuestContext } from "./contexts.ts";
import type { Plugin } from "./plugin.ts";
import type { ConnectionAccess } from "./ports.ts";

/** What on…() answers; Envoy's Network::FilterStatus. */
export const NetworkStatus = { Continue: 0, StopIteration: 1 } as const;
export type NetworkStatus = (typeof NetworkStatus)[keyof typeof NetworkStatus];

/** Who ended a connection; the ABI's PeerType. */
export const CloseType = { Unknown: 0, Local: 1, Remote: 2 } as const;

/** What may be deferred until the guest has returned. */
export type ConnectionAction = "continue-downstream" | "continue-upstream" | "close-connection" | "vm-failed";

export class TcpContext {
  readonly plugin: Plugin;
  readonly connection: ConnectionAccess;
  /** For host functions: what may be written now: 1 downstream data, 2 upstream data. */
  writable = 0;
  #guest: GuestContext | undefined = undefined;
  /** Directions that the plugin has paused, and those that it asked to continue while their callback runs: as `writable`. */
  #paused = 0;
  #continueAsked = 0;
  /** The direction whose callback runs: 1, 2, or 0. */
  #current = 0;
  #closeAsked = false;
  #upstreamClosed = false;
  /** The plugin is out of this connection: it failed, or the connection is closed. */
  #out = false;

  constructor(plugin: Plugin, connection: ConnectionAccess) {
    this.plugin = plugin;
    this.connection = connection;
  }

  /** Id of the context in the guest; 0 before the first event. */
  get contextId(): number {
    return this.#guest?.id ?? 0;
  }

  /** The connection is accepted; nothing has been read. */
  onNewConnection(): NetworkStatus {
    return this.#run(1, Callback.OnNewConnection, 0, 0);
  }

  /** `size`: bytes offered, that is connection.dataLength(2). */
  onDownstreamData(size: number, endOfStream: boolean): NetworkStatus {
    return this.#run(1, Callback.OnDownstreamData, size, endOfStream ? 1 : 0);
  }

  /** `size`: bytes offered, that is connection.dataLength(3). The end is also the upstream connection's close. */
  onUpstreamData(size: number, endOfStream: boolean): NetworkStatus {
    const status = this.#run(2, Callback.OnUpstreamData, size, endOfStream ? 1 : 0);
    if (endOfStream && !this.#upstreamClosed) {
      this.#upstreamClosed = true;
      this.#notify(Callback.OnUpstreamConnectionClose, CloseType.Unknown);
    }
    return status;
  }

  /** The connection is over, by whom (CloseType): its last callbacks run. Calls after the first do nothing. */
  onDownstreamClose(by: number): void {
    const guest = this.#guest;
    this.#out = true;
    this.writable = 0;
    if (guest === undefined) return;
    this.#notify(Callback.OnDownstreamConnectionClose, by);
    this.#notify(Callback.OnDone, 0);
    this.#notify(Callback.OnLog, 0);
    this.#notify(Callback.OnDelete, 0);
    this.#guest = undefined;
    guest.root.vm.contexts.delete(guest.id);
    this.plugin.onStreamClosed(this);
  }

  /** For host functions: proxy_continue_stream; 1 downstream, 2 upstream. A direction that is not paused stays as it is. */
  askContinue(direction: 1 | 2): void {
    if (direction === this.#current) this.#continueAsked |= direction;
    else this.#defer(direction === 1 ? "continue-downstream" : "continue-upstream");
  }

  /** For host functions: proxy_close_stream. */
  askClose(): void {
    if (this.#closeAsked || this.#out) return;
    this.#closeAsked = true;
    this.#defer("close-connection");
  }

  /** For Vm.drain(): does what was deferred, if the connection still stands where that makes sense. */
  perform(action: ConnectionAction): void {
    if (this.#out) return;
    switch (action) {
      case "continue-downstream":
        this.#resume(1);
        break;
      case "continue-upstream":
        this.#resume(2);
        break;
      case "close-connection":
        this.connection.closeConnection();
        break;
      case "vm-failed":
        // Somebody else's callback killed the VM: a connection that waits for this plugin would wait for ever.
        if (this.#paused !== 0) this.#leave();
        break;
    }
  }

  #run(direction: 1 | 2, callback: CallbackId, first: number, second: number): NetworkStatus {
    if (!this.#enter()) return this.#withoutPlugin();
    const { vm } = (this.#guest as GuestContext).root;
    this.#current = direction;
    this.#continueAsked = 0;
    if (callback !== Callback.OnNewConnection) this.writable |= direction;
    const result = vm.call(callback, this.#guest as GuestContext, first, second, 0, 0);
    this.#current = 0;
    let status: NetworkStatus = NetworkStatus.Continue;
    if (result === FAULTED) status = this.#withoutPlugin();
    else if (this.#closeAsked || (result !== 0 && (this.#continueAsked & direction) === 0)) {
      this.#paused |= direction;
      status = NetworkStatus.StopIteration;
    } else this.#go(direction);
    vm.drain();
    return status;
  }

  /** Makes sure that there is a live guest context; creates it before the first event. */
  #enter(): boolean {
    if (this.#out) return false;
    if (this.#guest !== undefined) return this.#guest.root.vm.fault === undefined;
    const root = this.plugin.liveRoot(this);
    if (root === undefined) return false;
    const { vm } = root;
    this.#guest = new GuestContext(vm.contexts.nextId(), root, undefined, this);
    this.plugin.onStreamOpened();
    vm.contexts.add(this.#guest);
    if (vm.call(Callback.OnContextCreate, this.#guest, root.context.id, 0, 0, 0) !== FAULTED) return true;
    vm.drain();
    return false;
  }

  /** A callback whose result changes nothing; none in a dead VM. */
  #notify(callback: CallbackId, argument: number): void {
    const guest = this.#guest;
    if (guest === undefined || guest.root.vm.fault !== undefined) return;
    guest.root.vm.call(callback, guest, argument, 0, 0, 0);
    guest.root.vm.drain();
  }

  #go(direction: 1 | 2): void {
    this.#paused &= ~direction;
    this.writable &= ~direction;
  }

  #resume(direction: 1 | 2): void {
    if ((this.#paused & direction) === 0) return;
    this.#go(direction);
    if (direction === 1) this.connection.continueDownstream();
    else this.connection.continueUpstream();
  }

  /** A connection whose plugin cannot run: goes on without it, or is closed. */
  #withoutPlugin(): NetworkStatus {
    const isOpen = this.plugin.spec.failurePolicy === "open";
    if (!this.#out) {
      this.#out = true;
      this.writable = 0;
      if (!isOpen) this.connection.closeConnection();
    }
    return isOpen ? NetworkStatus.Continue : NetworkStatus.StopIteration;
  }

  #leave(): void {
    const paused = this.#paused;
    if (this.#withoutPlugin() === NetworkStatus.StopIteration) return;
    this.#paused = 0;
    if ((paused & 1) !== 0) this.connection.continueDownstream();
    if ((paused & 2) !== 0) this.connection.continueUpstream();
  }

  #defer(kind: ConnectionAction): void {
    this.#guest?.root.vm.defer({ kind, tcp: this });
  }
}
