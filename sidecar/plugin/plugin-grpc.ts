// The gRPC calls and streams that plugins make: from a worker to a host of a named cluster, over HTTP/2 whatever the cluster's
// own protocol is. plugin host → GrpcCaller.call → GrpcExchange → H2Pool. Nothing is loaded or kept before the first call.

import type { GrpcCall, GrpcCaller, GrpcReceiver, PendingGrpcCall } from "../../plugins/grpc-port.ts";
import type { LiveCluster } from "../cluster/cluster.ts";
import type { Host } from "../cluster/host.ts";
import { type ExchangeOwner, GrpcExchange, type Outcome } from "./grpc-exchange.ts";
import type { Counter, StatsScope } from "../stats/scope.ts";
import { labelled } from "../stats/tags.ts";
import type { Callout } from "../telemetry/stream-trace.ts";
import { type TraceRecorder, traceparentOf } from "../telemetry/trace-recorder.ts";
import { H2Pool } from "../upstream/h2-pool.ts";

/** Largest message that may come, unless a GrpcService says less or more; gRPC's own default. Envoy has none. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Largest `max_receive_message_length` that counts. */
const MAX_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** Bytes that one call may have waiting to be sent, the message of a unary one included. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** The same for all calls of a worker. */
const MAX_ALL_HELD_BYTES = 64 * 1024 * 1024;
/** Calls and streams under way on one worker. */
const MAX_CALLS = 1024;

type Refusal = "too_many_calls" | "send_buffer_full";

export interface PluginGrpcDeps {
  readonly clusters: () => ReadonlyMap<string, LiveCluster>;
  readonly recorder: TraceRecorder;
  readonly scope: StatsScope;
}

export class PluginGrpcCalls implements GrpcCaller, ExchangeOwner {
  readonly #deps: PluginGrpcDeps;
  readonly #pools = new Map<Host, H2Pool>();
  readonly #underWay = new Map<GrpcExchange, Callout | undefined>();
  readonly #refused = new Map<string, Counter>();
  #held = 0;

  constructor(deps: PluginGrpcDeps) {
    this.#deps = deps;
  }

  // GrpcCaller

  knows(cluster: string): boolean {
    return this.#deps.clusters().has(cluster);
  }

  call(call: GrpcCall, receiver: GrpcReceiver): PendingGrpcCall | "unavailable" {
    const cluster = this.#deps.clusters().get(call.cluster);
    if (cluster === undefined) {
      return "unavailable";
    }
    if (this.#underWay.size >= MAX_CALLS) {
      this.#countRefusal(call, "too_many_calls");
      return "unavailable";
    }
    const callout = this.#deps.recorder.callStarted(call.stream, {
      token: call.token,
      rpc: "grpc",
      cluster: call.cluster,
      method: "POST",
      path: call.path,
      authority: call.authority === "" ? call.cluster : call.authority,
      startedAt: performance.now(),
    });
    const limit = Math.min(
      call.maxMessageBytes === 0 ? MAX_MESSAGE_BYTES : call.maxMessageBytes,
      MAX_MAX_MESSAGE_BYTES,
    );
    const traceparent = callout === undefined ? "" : traceparentOf(callout);
    const exchange = new GrpcExchange(call, receiver, this, limit, traceparent);
    this.#underWay.set(exchange, callout);
    const host = cluster.choose();
    exchange.start(host === undefined ? undefined : { cluster, host, pool: this.#poolOf(cluster, host) });
    return exchange;
  }

  // ExchangeOwner

  takeRoom(call: GrpcCall, held: number, bytes: number): boolean {
    if (held + bytes > MAX_HELD_BYTES || this.#held + bytes > MAX_ALL_HELD_BYTES) {
      this.#countRefusal(call, "send_buffer_full");
      return false;
    }
    this.#held += bytes;
    return true;
  }

  giveRoom(bytes: number): void {
    this.#held -= bytes;
  }

  onOver(exchange: GrpcExchange, outcome: Outcome): void {
    const callout = this.#underWay.get(exchange);
    if (callout === undefined) {
      return;
    }
    const { recorder } = this.#deps;
    const now = performance.now();
    if (outcome.kind === "cancelled") {
      recorder.callCancelled(callout, now);
    } else {
      const [status, error] = outcome.kind === "status" ? [outcome.status, ""] : [0, outcome.message];
      recorder.callEnded(callout, status, error, now);
    }
  }

  onSettled(exchange: GrpcExchange): void {
    const callout = this.#underWay.get(exchange);
    this.#underWay.delete(exchange);
    if (callout !== undefined) {
      this.#deps.recorder.callSettled(callout);
    }
  }

  /** After a change of configuration: sessions to hosts that are gone end with their last stream. */
  onConfigured(): void {
    if (this.#pools.size === 0) {
      return;
    }
    const live = new Set<Host>();
    for (const cluster of this.#deps.clusters().values()) {
      for (const host of cluster.madeHosts) {
        live.add(host);
      }
    }
    for (const [host, pool] of this.#pools) {
      if (!live.has(host)) {
        pool.drain();
        this.#pools.delete(host);
      }
    }
  }

  /** Gives up every call and closes every session. */
  close(): void {
    for (const exchange of Array.from(this.#underWay.keys())) {
      exchange.cancel();
    }
    for (const pool of this.#pools.values()) {
      pool.dispose();
    }
    this.#pools.clear();
  }

  #poolOf(cluster: LiveCluster, host: Host): H2Pool {
    let pool = this.#pools.get(host);
    if (pool === undefined) {
      pool = new H2Pool({
        settings: cluster.model,
        stats: cluster.stats,
        opened: this.#deps.scope.counter(`cluster.${cluster.model.statName}.upstream_cx_http2_total`),
        limits: cluster.breakers[0],
        counts: host.counts,
        address: () => host.address,
      });
      this.#pools.set(host, pool);
    }
    return pool;
  }

  #countRefusal(call: GrpcCall, reason: Refusal): void {
    const name = labelled("outrigger_wasm_grpc_refused_total", { plugin: call.plugin.name, reason });
    let counter = this.#refused.get(name);
    if (counter === undefined) {
      counter = this.#deps.scope.counter(name);
      this.#refused.set(name, counter);
    }
    counter.inc();
  }
}
