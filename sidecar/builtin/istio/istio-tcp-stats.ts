// istio.stats before a TCP proxy: Istio's standard metrics of connections (istio_tcp_connections_opened_total, …_closed_total,
// istio_tcp_sent_bytes_total, …_received_bytes_total). Bytes are counted every reporting interval and at the end; the connection
// counts as opened with the first of these, when its upstream is known, as in Istio.

import type { IstioStats } from "../../../xds/model/builtin-filter.ts";
import type { LiveCluster } from "../../cluster/cluster.ts";
import type { Host } from "../../cluster/host.ts";
import { Deadline, type DeadlineOwner, type TimerWheel } from "../../http/timer-wheel.ts";
import type { Counter, ProcessScope } from "../../stats/scope.ts";
import { labelsOf, metricName, serviceOf, UNKNOWN } from "./istio-labels.ts";
import { hostWorkload } from "./mesh-cluster.ts";
import { type Workload, workloadOfNode } from "./workload.ts";

/** What is known of a connection. */
export interface TcpFacts {
  readonly trafficDirection: "unspecified" | "inbound" | "outbound";
  readonly clusterName: string;
  readonly cluster: LiveCluster | undefined;
  readonly host: Host | undefined;
  readonly responseFlags: string;
  /** From the client, and to it. */
  readonly requestBodyBytes: number;
  readonly responseBodyBytes: number;
}

export interface TcpStatsDeps {
  readonly scope: ProcessScope;
  readonly wheel: TimerWheel;
  readonly nodeBytes: Uint8Array;
}

const NO_CLUSTER = {};

export class IstioTcpStats {
  readonly #config: IstioStats;
  readonly #deps: TcpStatsDeps;
  readonly #own: Workload;
  readonly #counters = new WeakMap<object, Map<string, Counter | undefined>>();

  constructor(config: IstioStats, deps: TcpStatsDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#own = workloadOfNode(deps.nodeBytes, []);
  }

  begin(facts: TcpFacts): { end(): void } {
    return new MeteredConnection(facts, this, this.#deps.wheel, this.#config.tcpReportingMs);
  }

  add(metric: string, facts: TcpFacts, amount: number): void {
    const peer = facts.trafficDirection === "inbound" ? undefined : hostWorkload(facts.host?.metadata);
    const known = this.#countersOf(facts.cluster?.model ?? NO_CLUSTER);
    const key = `${metric}\n${facts.responseFlags}\n${facts.clusterName}\n${peer?.workload}\n${peer?.namespace}\n${peer?.revision}`;
    let counter = known.get(key);
    if (counter === undefined && !known.has(key)) {
      counter = this.#define(metric, facts, peer);
      known.set(key, counter);
    }
    counter?.add(amount);
  }

  /** A cluster that is pushed anew may be that of another service. */
  #countersOf(cluster: object): Map<string, Counter | undefined> {
    let known = this.#counters.get(cluster);
    if (known === undefined) {
      known = new Map();
      this.#counters.set(cluster, known);
    }
    return known;
  }

  #define(metric: string, facts: TcpFacts, peer: Workload | undefined): Counter | undefined {
    const isServer = facts.trafficDirection === "inbound";
    const service = serviceOf({ routeName: "", clusterName: facts.clusterName, cluster: facts.cluster }, "");
    const labels = labelsOf(isServer, this.#own, peer, service, {
      request_protocol: "tcp",
      response_flags: facts.responseFlags === "" ? "-" : facts.responseFlags,
      connection_security_policy: isServer ? "none" : UNKNOWN,
    });
    const name = metricName(this.#config, metric, labels);
    return name === undefined ? undefined : this.#deps.scope.counter(name);
  }
}

class MeteredConnection implements DeadlineOwner {
  readonly #facts: TcpFacts;
  readonly #stats: IstioTcpStats;
  readonly #wheel: TimerWheel;
  readonly #intervalMs: number;
  readonly #next = new Deadline(this, 0);
  #isOpened = false;
  #sent = 0;
  #received = 0;

  constructor(facts: TcpFacts, stats: IstioTcpStats, wheel: TimerWheel, intervalMs: number) {
    this.#facts = facts;
    this.#stats = stats;
    this.#wheel = wheel;
    this.#intervalMs = intervalMs;
    wheel.arm(this.#next, intervalMs);
  }

  onDeadline(): void {
    // Until then nobody knows who is spoken to.
    if (this.#facts.host !== undefined) {
      this.#report();
    }
    this.#wheel.arm(this.#next, this.#intervalMs);
  }

  end(): void {
    this.#wheel.cancel(this.#next);
    this.#report();
    this.#stats.add("tcp_connections_closed_total", this.#facts, 1);
  }

  #report(): void {
    const { requestBodyBytes: received, responseBodyBytes: sent } = this.#facts;
    if (!this.#isOpened) {
      this.#isOpened = true;
      this.#stats.add("tcp_connections_opened_total", this.#facts, 1);
    }
    this.#stats.add("tcp_sent_bytes_total", this.#facts, sent - this.#sent);
    this.#stats.add("tcp_received_bytes_total", this.#facts, received - this.#received);
    this.#sent = sent;
    this.#received = received;
  }
}
