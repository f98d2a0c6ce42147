// One TCP proxy of a filter chain, compiled: everything that a connection picks up at its start and keeps to its end. A push
// makes a new one, which new connections get. Made by live-config.ts, handed to the listener as a RawChain.

import type { Socket } from "node:net";
import type { TcpProxy } from "../../xds/model/listener.ts";
import type { LiveCluster } from "../cluster/cluster.ts";
import type { ConnectionInfo } from "../http/stream.ts";
import type { AcceptedConnection, ConnectionObserver, RawChain } from "../listener/accepted-connection.ts";
import type { StatsScope } from "../stats/scope.ts";
import type { AccessLogs } from "../access-logs.ts";
import { MeteredObserver, type TcpMeter } from "./metered-observer.ts";
import type { NetworkFilterFactory } from "./network-filter.ts";
import { TcpConnection } from "./tcp-connection.ts";
import type { ConnectionOrigin } from "./tcp-record.ts";
import { resolveTcpStats, type TcpStats } from "./tcp-stats.ts";
import type { TcpEnvironment } from "./upstream-leg.ts";

export interface TcpServingParts {
  readonly proxy: TcpProxy;
  readonly origin: ConnectionOrigin;
  readonly environment: TcpEnvironment;
  readonly clusters: ReadonlyMap<string, LiveCluster>;
  readonly accessLogs: AccessLogs;
  readonly bufferLimitBytes: number;
  /** In order, those before the TCP proxy. */
  readonly filters: readonly NetworkFilterFactory[];
  readonly meter: TcpMeter | undefined;
}

export class TcpServing implements RawChain, TcpServingParts {
  readonly kind = "raw";
  readonly proxy: TcpProxy;
  readonly origin: ConnectionOrigin;
  readonly environment: TcpEnvironment;
  readonly clusters: ReadonlyMap<string, LiveCluster>;
  readonly accessLogs: AccessLogs;
  readonly bufferLimitBytes: number;
  readonly filters: readonly NetworkFilterFactory[];
  readonly meter: TcpMeter | undefined;
  readonly stats: TcpStats;
  readonly #totalWeight: number;

  constructor(parts: TcpServingParts, scope: StatsScope) {
    this.proxy = parts.proxy;
    this.origin = parts.origin;
    this.environment = parts.environment;
    this.clusters = parts.clusters;
    this.accessLogs = parts.accessLogs;
    this.bufferLimitBytes = parts.bufferLimitBytes;
    this.filters = parts.filters;
    this.meter = parts.meter;
    this.stats = resolveTcpStats(scope, parts.proxy.statPrefix);
    this.#totalWeight = parts.proxy.clusters.reduce((sum, { weight }) => sum + weight, 0);
  }

  open(socket: Socket, info: ConnectionInfo, observer: ConnectionObserver): AcceptedConnection {
    this.accessLogs.begin();
    if (this.meter === undefined) {
      return new TcpConnection(socket, info, this, observer);
    }
    const metered = new MeteredObserver(observer, this.meter);
    const connection = new TcpConnection(socket, info, this, metered);
    metered.begin(connection.facts);
    return connection;
  }

  /** The name of the cluster for one attempt. */
  pickCluster(): string {
    const { clusters } = this.proxy;
    let point = clusters.length === 1 ? 0 : Math.floor(this.environment.random() * this.#totalWeight);
    for (const { name, weight } of clusters) {
      point -= weight;
      if (point < 0) {
        return name;
      }
    }
    return "";
  }
}
