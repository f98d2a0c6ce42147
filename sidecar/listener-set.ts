// The listening sockets of one worker, and which connections and requests get which compiled chain.
// worker.ts hands it what live-config.ts compiled. An unchanged address keeps its socket: only the chains are swapped, so no
// connection in the accept queue is lost, and a request on a connection that is open gets the chain that is live when it begins.

import type { Address } from "../xds/model/address.ts";
import type { Listener as ListenerModel } from "../xds/model/listener.ts";
import type { Capture } from "./listener/capture.ts";
import { CloseChoice } from "./listener/close-choice.ts";
import type { ConnectionLog, RawChain } from "./listener/accepted-connection.ts";
import { ConnectionLogs } from "./connection-logs.ts";
import { type ConnectionOptions, connectionOptions, type WorkerContext } from "./listener/connection-options.ts";
import { downstreamStats, listenerStats } from "./listener/downstream-stats.ts";
import { type ChainEntry, selectFilterChain } from "./listener/filter-chain-match.ts";
import { type ChainSelector, Listener } from "./listener/listener.ts";
import type { ConnectionInfo, DownstreamStream, RequestSink } from "./http/stream.ts";
import type { BuiltReply } from "./http/local-reply.ts";
import type { Rejection } from "./listener/rejection.ts";
import { refusedReply } from "./refused-request.ts";
import { FilteredHttpChain } from "./filtered-http.ts";
import { forwardedOptions, mutateRequestHeaders, trustedClient } from "./http/forwarded.ts";
import type { HttpServing } from "./http-serving.ts";
import { nodeNames } from "./node-names.ts";
import type { LiveChain, LiveListener } from "./live-config.ts";
import { ProxyStream } from "./proxy.ts";
import { socketOptions } from "./socket-options.ts";
import { ChainStats } from "./stats/chain-stats.ts";
import type { StatsScope } from "./stats/scope.ts";
import type { StreamOrigin } from "./stream-record.ts";
import type { ConnectionTracing } from "./tcp/connection-tracing.ts";
import type { ApplyFailure, DrainOrder } from "./worker-link.ts";
import { addressText } from "./upstream/address-text.ts";

export interface ListenerSetDeps {
  readonly context: WorkerContext;
  readonly scope: StatsScope;
  readonly onFailure: (failure: ApplyFailure) => void;
  readonly drainTimeMs: number;
  /** Of connections that have plugins before HTTP. */
  readonly tracing: ConnectionTracing;
}

/** A filter chain with TLS, which is not supported yet: its connections are closed, because to serve them in the clear would be a hole. */
const CLOSED = Symbol("closed");

type Chosen = ConnectionOptions | RawChain | typeof CLOSED;

function openOnly(chosen: Chosen | undefined): ConnectionOptions | RawChain | undefined {
  return chosen === CLOSED ? undefined : chosen;
}

/** What the sockets of a listener are given. */
interface Chains {
  readonly select: ChainSelector;
  readonly log: ConnectionLog<ConnectionOptions | RawChain> | undefined;
  readonly capture: Capture<Listener> | undefined;
}

/** Sockets of one configured listener, all serving the same chains. */
interface Bound {
  model: ListenerModel;
  readonly sockets: Map<string, Listener>;
  readonly chains: Map<string, ChainHandler>;
  readonly stats: ChainStats;
}

export class ListenerSet {
  readonly #deps: ListenerSetDeps;
  readonly #bound = new Map<string, Bound>();
  /** Made when a connection is handed on; undefined since something has changed. */
  #byAddress: ReadonlyMap<string, Listener> | undefined = undefined;
  /** What the names of a socket's statistics begin with. */
  readonly #statPrefixes = new WeakMap<Listener, string>();
  #drained: { readonly order: DrainOrder; readonly choice: CloseChoice } | undefined = undefined;
  #isFailing = false;

  constructor(deps: ListenerSetDeps) {
    this.#deps = deps;
  }

  /** Brings listeners into use; resolves when the new addresses are bound (or have failed and were reported). */
  async apply(changed: readonly LiveListener[], removed: readonly string[]): Promise<void> {
    this.#byAddress = undefined;
    for (const name of removed) {
      this.#remove(name);
    }
    await Promise.all(changed.map((live) => this.#apply(live)));
  }

  /** Connections that are open. */
  get connectionCount(): number {
    let count = 0;
    for (const { sockets } of this.#bound.values()) {
      for (const socket of sockets.values()) {
        count += socket.connectionCount;
      }
    }
    return count;
  }

  /** Stops accepting and lets requests finish; resolves when the last connection is gone. */
  async drain(order: DrainOrder): Promise<void> {
    this.#byAddress = undefined;
    this.#drained = { order, choice: new CloseChoice(order.gradualMs) };
    const draining: Promise<void>[] = [];
    for (const { model, sockets } of this.#bound.values()) {
      if (!isInScope(order, model)) {
        continue;
      }
      for (const socket of sockets.values()) {
        if (order.stopAccepting) {
          socket.stopAccepting();
        }
        socket.closeChoice = this.#closeChoice(model);
        if (order.gradualMs === 0) {
          draining.push(socket.drain());
        }
      }
    }
    await Promise.all(draining);
  }

  /** While it fails its health checks every response closes its connection, as in Envoy; listeners stay open. */
  set isFailing(isFailing: boolean) {
    this.#isFailing = isFailing;
    for (const { model, sockets } of this.#bound.values()) {
      for (const socket of sockets.values()) {
        socket.closeChoice = this.#closeChoice(model);
      }
    }
  }

  #closeChoice(model: ListenerModel): CloseChoice | undefined {
    if (this.#isFailing) {
      return EVERY_RESPONSE;
    }
    const drained = this.#drained;
    return drained !== undefined && isInScope(drained.order, model) ? drained.choice : undefined;
  }

  destroy(): void {
    for (const { sockets } of this.#bound.values()) {
      for (const socket of sockets.values()) {
        socket.destroy();
      }
    }
    this.#bound.clear();
  }

  async #apply(live: LiveListener): Promise<void> {
    const { model } = live;
    const problem = missingFor(model.interception);
    if (problem !== undefined) {
      this.#deps.onFailure({ resource: "listener", name: model.name, problem });
      return;
    }
    const bound = this.#bound.get(model.name) ?? {
      model,
      sockets: new Map(),
      chains: new Map(),
      stats: new ChainStats(this.#deps.scope),
    };
    bound.model = model;
    bound.stats.use(live.chains);
    this.#bound.set(model.name, bound);
    const chains = this.#chains(live, bound);
    const wanted = new Map(addressesOf(model).map((address) => [addressText(address), address]));
    for (const [key, socket] of bound.sockets) {
      if (wanted.has(key)) {
        socket.useChains(chains.select, chains.log, chains.capture);
      } else {
        bound.sockets.delete(key);
        void this.#retire(socket);
      }
    }
    for (const [key, address] of wanted) {
      if (!bound.sockets.has(key)) {
        await this.#bind(model, address, chains, bound);
      }
    }
  }

  async #bind(model: ListenerModel, address: Address, chains: Chains, bound: Bound): Promise<void> {
    const key = addressText(address);
    const statName = model.statPrefix === "" ? key.replaceAll(":", "_") : model.statPrefix;
    const statPrefix = `listener.${statName}.`;
    this.#deps.scope.retain?.(statPrefix);
    const socket = new Listener(
      // Workers share a port only by SO_REUSEPORT.
      {
        address,
        reusePort: address.kind === "tcp",
        backlog: model.tcpBacklog,
        maxConnections: 0,
        interception: model.interception,
      },
      chains.select,
      this.#deps.context,
      listenerStats(this.#deps.scope, statName),
    );
    socket.useChains(chains.select, chains.log, chains.capture);
    this.#statPrefixes.set(socket, statPrefix);
    socket.closeChoice = this.#closeChoice(model);
    bound.sockets.set(key, socket);
    this.#byAddress = undefined;
    if (!model.bindToPort) {
      return;
    }
    try {
      await socket.start();
    } catch (error) {
      bound.sockets.delete(key);
      this.#byAddress = undefined;
      this.#deps.scope.release?.(statPrefix);
      const problem = `listener "${model.name}": ${error instanceof Error ? error.message : String(error)}`;
      this.#deps.onFailure({ resource: "listener", name: model.name, problem });
      return;
    }
    // The configuration or the process may have moved on while the address was being bound.
    if (this.#bound.get(model.name)?.sockets.get(key) !== socket || this.#isStopped(model)) {
      socket.stopAccepting();
    }
  }

  #isStopped(model: ListenerModel): boolean {
    const order = this.#drained?.order;
    return order !== undefined && order.stopAccepting && isInScope(order, model);
  }

  #remove(name: string): void {
    const bound = this.#bound.get(name);
    this.#bound.delete(name);
    const ends = [...(bound?.sockets.values() ?? [])].map((socket) => this.#retire(socket));
    void Promise.all(ends).then(() => bound?.stats.release());
  }

  /** Lets a socket's connections finish their request and go; what is left when the drain time is over is cut. */
  async #retire(socket: Listener): Promise<void> {
    socket.stopAccepting();
    const timer = setTimeout(() => socket.destroy(), this.#deps.drainTimeMs);
    timer.unref();
    await socket.drain();
    clearTimeout(timer);
    this.#deps.scope.release?.(this.#statPrefixes.get(socket) ?? "");
  }

  /** Chains keep their handler by name, so that open connections follow a change. */
  #chains(live: LiveListener, bound: Bound): Chains {
    const origins = new Map<ConnectionOptions | RawChain, StreamOrigin>();
    const entries: ChainEntry<Chosen>[] = [];
    let fallback: Chosen | undefined;
    for (const chain of live.chains) {
      const options = chain.model.tls === undefined ? this.#options(live.model, chain, bound) : CLOSED;
      if (options === undefined) {
        continue;
      }
      const origin = (chain.serving ?? chain.tcp)?.origin;
      if (origin !== undefined && options !== CLOSED) {
        origins.set(options, origin);
      }
      if (chain.model === live.model.defaultFilterChain) {
        fallback = options;
      } else {
        entries.push({ chain: options, match: chain.model.match });
      }
    }
    const [first] = entries;
    const only = entries.length === 1 && first?.match === undefined ? first?.chain : undefined;
    const select: ChainSelector =
      only === undefined || only === CLOSED
        ? (connection) => openOnly(selectFilterChain(entries, connection) ?? fallback)
        : () => only;
    return {
      select,
      capture: this.#capture(live.model),
      log: live.accessLogs.isEmpty ? undefined : connectionLog(live, origins),
    };
  }

  #capture({ interception }: ListenerModel): Capture<Listener> | undefined {
    const { restoresDestination, source } = interception;
    return restoresDestination || source !== undefined
      ? { interception, listenerOf: (host, port) => this.#listenerOf(host, port) }
      : undefined;
  }

  /** As in Envoy: the listener of the very address, else that of all addresses at the port. Stopped ones do not count. */
  #listenerOf(host: string, port: number): Listener | undefined {
    const index = (this.#byAddress ??= this.#indexByAddress());
    return (
      index.get(addressText({ kind: "tcp", host, port })) ??
      index.get(host.includes(":") ? `[::]:${port}` : `0.0.0.0:${port}`)
    );
  }

  #indexByAddress(): ReadonlyMap<string, Listener> {
    const index = new Map<string, Listener>();
    for (const { model, sockets } of this.#bound.values()) {
      if (!this.#isStopped(model)) {
        sockets.forEach((listener, address) => index.set(address, listener));
      }
    }
    return index;
  }

  #options(model: ListenerModel, chain: LiveChain, bound: Bound): ConnectionOptions | RawChain | undefined {
    if (chain.serving === undefined) {
      return chain.tcp;
    }
    let handler = bound.chains.get(chain.model.name);
    if (handler === undefined) {
      handler = new ChainHandler(chain.serving);
      bound.chains.set(chain.model.name, handler);
    } else {
      handler.serving = chain.serving;
    }
    const { hcm } = chain.serving;
    const stats = downstreamStats(this.#deps.scope, hcm.statPrefix);
    const options = connectionOptions(hcm, model.perConnectionBufferLimitBytes, stats, handler);
    const { factories } = chain.network;
    return factories.length === 0
      ? options
      : new FilteredHttpChain(options, this.#deps.context, factories, chain.serving.origin, this.#deps.tracing);
  }
}

/** Where requests of one filter chain go: the chain's serving is replaced when its configuration changes. */
class ChainHandler {
  #serving: HttpServing;
  #forwarded: ReturnType<typeof forwardedOptions>;

  constructor(serving: HttpServing) {
    this.#serving = serving;
    this.#forwarded = forwardedOptions(serving.hcm, nodeNames(serving.environment.nodeBytes));
  }

  set serving(serving: HttpServing) {
    this.#serving = serving;
    this.#forwarded = forwardedOptions(serving.hcm, nodeNames(serving.environment.nodeBytes));
  }

  onStream(downstream: DownstreamStream): RequestSink {
    const { connection, head } = downstream;
    // Read first: the peer is appended to the field.
    const isForwarded = head.headers.has("x-forwarded-for");
    const client = isForwarded ? trustedClient(head.headers, connection, this.#forwarded) : "";
    const isInternal = mutateRequestHeaders(head, connection, this.#forwarded);
    const stream = new ProxyStream(this.#serving, downstream);
    if (!isInternal) {
      stream.route.removeInternalFields(head);
    }
    if (client !== connection.remoteAddress) {
      stream.facts.trustedClient = client;
    }
    stream.start(isInternal);
    return stream;
  }

  rejectionReply(rejection: Rejection, connection: ConnectionInfo): BuiltReply | undefined {
    return refusedReply(rejection, connection, this.#serving);
  }
}

/** Why this Node.js cannot take connections as the listener wants; undefined: it can. */
function missingFor({ restoresDestination, source }: ListenerModel["interception"]): string | undefined {
  try {
    if (restoresDestination || source !== undefined) {
      socketOptions();
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const EVERY_RESPONSE = new CloseChoice(0);

function isInScope(order: DrainOrder, model: ListenerModel): boolean {
  switch (order.scope) {
    case "all":
      return true;
    case "inbound":
      return model.trafficDirection === "inbound";
    case "not-outbound":
      return model.trafficDirection !== "outbound";
  }
}

function addressesOf(model: ListenerModel): readonly Address[] {
  return [model.address, ...model.additionalAddresses];
}

function connectionLog(
  { model, accessLogs }: LiveListener,
  origins: ReadonlyMap<ConnectionOptions | RawChain, StreamOrigin>,
): ConnectionLogs<ConnectionOptions | RawChain> {
  const { name: listenerName, trafficDirection, metadata: listenerMetadata } = model;
  const none = {
    listenerName,
    trafficDirection,
    filterChainName: "",
    listenerMetadata,
    filterChainMetadata: undefined,
  };
  return new ConnectionLogs(accessLogs, none, origins);
}
