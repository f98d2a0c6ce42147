// Adapts one plugin on one connection to the network filters: the chain's events become TcpContext calls, and what the plugin
// asks for (ConnectionAccess) becomes calls on the chain and on the connection's facts.
// Made by WasmNetworkFilterFactory for each connection; live-config.ts makes the factory.

import type { Plugin } from "../../plugins/plugin.ts";
import type { ConnectionAccess, ConnectionData, DeclaredProperty } from "../../plugins/ports.ts";
import type { PropertyItem } from "../../plugins/property-value.ts";
import type { TcpContext } from "../../plugins/tcp-context.ts";
import type { FilterState } from "../filter/filter-state.ts";
import { type OutsideProperty, propertyOf, setStreamProperty } from "../filter/stream-properties.ts";
import type { BodyBuffer } from "../http/body-buffer.ts";
import type {
  CloseSide,
  FilterConnection,
  FilterVerdict,
  NetworkFilter,
  NetworkFilterFactory,
} from "./network-filter.ts";
import type { TcpRecord } from "./tcp-record.ts";

/** Where the plugin comes from. */
export interface NetworkPluginSource {
  readonly name: string;
  readonly plugin: Plugin;
  /** Properties that no connection is needed for. */
  readonly property: OutsideProperty;
}

export class WasmNetworkFilterFactory implements NetworkFilterFactory {
  readonly name: string;
  readonly #source: NetworkPluginSource;

  constructor(source: NetworkPluginSource) {
    this.name = source.name;
    this.#source = source;
  }

  create(connection: FilterConnection): NetworkFilter {
    return new WasmNetworkFilter(this.#source, connection);
  }
}

/** Stands in for a plugin without code whose policy is FAIL_CLOSED: no connection passes. */
export class FailingNetworkFilterFactory implements NetworkFilterFactory {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  create(connection: FilterConnection): NetworkFilter {
    return {
      onNewConnection() {
        connection.close();
        return "stop";
      },
      onDownstreamData: () => "stop",
      onUpstreamData: () => "stop",
      onClosed() {},
    };
  }
}

const DOWNSTREAM: ConnectionData = 2;
const CLOSE_TYPE = { local: 1, remote: 2 } as const;
/** What a plugin may make of what it is offered. */
const MAX_DATA_BYTES = 16 * 1024 * 1024;

export class WasmNetworkFilter implements NetworkFilter, ConnectionAccess {
  readonly #source: NetworkPluginSource;
  readonly #connection: FilterConnection;
  readonly #context: TcpContext;

  constructor(source: NetworkPluginSource, connection: FilterConnection) {
    this.#source = source;
    this.#connection = connection;
    this.#context = source.plugin.createTcpContext(this);
  }

  get facts(): TcpRecord {
    return this.#connection.facts;
  }

  onNewConnection(): FilterVerdict {
    return verdict(this.#context.onNewConnection());
  }

  onDownstreamData(data: BodyBuffer, end: boolean): FilterVerdict {
    return verdict(this.#context.onDownstreamData(data.length, end));
  }

  onUpstreamData(data: BodyBuffer, end: boolean): FilterVerdict {
    return verdict(this.#context.onUpstreamData(data.length, end));
  }

  onClosed(by: CloseSide): void {
    this.#context.onDownstreamClose(CLOSE_TYPE[by]);
  }

  // ConnectionAccess

  dataLength(data: ConnectionData): number {
    return this.#data(data).length;
  }

  copyData(data: ConnectionData, start: number, target: Uint8Array): void {
    target.set(
      this.#data(data)
        .view()
        .subarray(start, start + target.length),
    );
  }

  replaceData(data: ConnectionData, start: number, length: number, bytes: Uint8Array): boolean {
    const buffer = this.#data(data);
    if (buffer.length - length + bytes.length > MAX_DATA_BYTES) {
      return false;
    }
    buffer.replace(start, length, bytes);
    return true;
  }

  continueDownstream(): void {
    this.facts.trace?.resume(this.#source.plugin.identity.index, true, performance.now());
    this.#connection.continueDownstream();
  }

  continueUpstream(): void {
    this.facts.trace?.resume(this.#source.plugin.identity.index, false, performance.now());
    this.#connection.continueUpstream();
  }

  closeConnection(): void {
    this.#connection.close();
  }

  property(path: string, segments: readonly string[]): PropertyItem | undefined {
    return propertyOf(this.#connection.facts, this.#source.property, path, segments);
  }

  /** For the foreign function set_envoy_filter_state. */
  get filterState(): FilterState {
    return this.#connection.facts.filterState;
  }

  setProperty(path: string, value: Uint8Array, declared: DeclaredProperty | undefined): boolean {
    return setStreamProperty(this.#connection.facts, path, value, declared);
  }

  #data(data: ConnectionData): BodyBuffer {
    return data === DOWNSTREAM ? this.#connection.downstreamData() : this.#connection.upstreamData();
  }
}

function verdict(status: number): FilterVerdict {
  return status === 0 ? "go" : "stop";
}
