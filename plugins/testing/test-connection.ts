// One TCP connection through a network plugin, driven by a test: the client's bytes go downstream to upstream, the upstream's the
// other way. Made by TestPlugin.connection(). The rules are those of the sidecar's network filters for one filter: what a plugin
// holds is shown again, with what has come since, and goes on when the plugin lets it.

import type { Plugin } from "../plugin.ts";
import type { ConnectionAccess, ConnectionData } from "../ports.ts";
import type { PropertyValue } from "../property-value.ts";
import { CloseType, NetworkStatus, type TcpContext } from "../tcp-context.ts";
import { type PropertiesInput, StreamProperties } from "./test-properties.ts";
import type { Action, PartOptions } from "./test-stream.ts";

const NOTHING: Buffer = Buffer.alloc(0);
const DOWNSTREAM: ConnectionData = 2;

/** One direction. */
export interface DataView {
  /** What went on past the plugin. */
  readonly passed: Buffer;
  /** What the plugin holds back. */
  readonly held: Buffer;
  readonly isPaused: boolean;
  /** Its end went on. */
  readonly isEnded: boolean;
}

export class TestConnection {
  /** How calls and transcripts name this connection. */
  readonly access: ConnectionAccess;
  /** The plugin has let the connection begin. */
  isAdmitted = false;
  /** The plugin closed it, or the host did because the plugin failed. */
  isClosedByPlugin = false;
  readonly #context: TcpContext;
  readonly #properties: StreamProperties;
  readonly #downstream: DataFlow;
  readonly #upstream: DataFlow;
  #isEnded = false;

  constructor(plugin: Plugin, properties: PropertiesInput) {
    this.#properties = new StreamProperties(properties, () => undefined);
    this.#downstream = new DataFlow((size, end) => this.#context.onDownstreamData(size, end));
    this.#upstream = new DataFlow((size, end) => this.#context.onUpstreamData(size, end));
    this.access = this.#port();
    this.#context = plugin.createTcpContext(this.access);
    this.isAdmitted = this.#context.onNewConnection() === NetworkStatus.Continue;
  }

  /** What the client sends: proxy_on_downstream_data. */
  send(bytes: string | Uint8Array, { endOfStream = false }: PartOptions = {}): Action {
    return this.#push(this.#downstream, bytes, endOfStream);
  }

  /** What the upstream sends: proxy_on_upstream_data. */
  receive(bytes: string | Uint8Array, { endOfStream = false }: PartOptions = {}): Action {
    return this.#push(this.#upstream, bytes, endOfStream);
  }

  /** The connection is over: proxy_on_downstream_connection_close, done, log, delete. Once; a second time nothing happens. */
  end(by: "local" | "remote" = "remote"): this {
    if (this.#isEnded) return this;
    this.#isEnded = true;
    this.#context.onDownstreamClose(by === "local" ? CloseType.Local : CloseType.Remote);
    return this;
  }

  /** From the client to the upstream. */
  get downstream(): DataView {
    return this.#downstream.view();
  }

  /** From the upstream to the client. */
  get upstream(): DataView {
    return this.#upstream.view();
  }

  /** Id of its context in the guest; 0 when the plugin never ran for it. */
  get contextId(): number {
    return this.#context.contextId;
  }

  /** Bytes of a property that the plugin set, by its dotted path. */
  storedProperty(path: string): Buffer | undefined {
    return this.#properties.stored(path);
  }

  #push(flow: DataFlow, bytes: string | Uint8Array, end: boolean): Action {
    if (this.#isEnded) throw new Error("the connection has ended");
    flow.push(Buffer.from(bytes), end);
    return flow.isPaused || flow.isOver ? "pause" : "continue";
  }

  #port(): ConnectionAccess {
    const flow = (data: ConnectionData): DataFlow => (data === DOWNSTREAM ? this.#downstream : this.#upstream);
    return {
      dataLength: (data) => flow(data).buffer.length,
      copyData: (data, start, target) => void flow(data).buffer.copy(target, 0, start, start + target.length),
      replaceData: (data, start, length, bytes) => {
        const { buffer } = flow(data);
        flow(data).buffer = Buffer.concat([buffer.subarray(0, start), bytes, buffer.subarray(start + length)]);
        return true;
      },
      continueDownstream: () => {
        if (this.isAdmitted) this.#downstream.resume();
        else this.isAdmitted = true;
      },
      continueUpstream: () => this.#upstream.resume(),
      closeConnection: () => {
        this.isClosedByPlugin = true;
        this.#downstream.isOver = true;
        this.#upstream.isOver = true;
      },
      property: (path, segments): PropertyValue | null | undefined => this.#properties.get(path, segments),
      setProperty: (path, value) => this.#properties.set(path, value),
    };
  }
}

class DataFlow {
  /** What is shown now, and what is held after the plugin stopped. */
  buffer: Buffer = NOTHING;
  isPaused = false;
  /** Nothing goes on any more. */
  isOver = false;
  #isEnded = false;
  #endCame = false;
  readonly #passed: Buffer[] = [];
  readonly #show: (size: number, end: boolean) => NetworkStatus;

  constructor(show: (size: number, end: boolean) => NetworkStatus) {
    this.#show = show;
  }

  push(bytes: Buffer, end: boolean): void {
    if (this.isOver) return;
    if (this.#endCame) throw new Error("this direction has ended already");
    this.buffer = Buffer.concat([this.buffer, bytes]);
    this.#endCame = end;
    const status = this.#show(this.buffer.length, end);
    if (this.isOver) return;
    this.isPaused = status !== NetworkStatus.Continue;
    if (!this.isPaused) this.#pass();
  }

  resume(): void {
    if (!this.isPaused || this.isOver) return;
    this.isPaused = false;
    this.#pass();
  }

  view(): DataView {
    const { buffer: held, isPaused } = this;
    return { passed: Buffer.concat(this.#passed), held, isPaused, isEnded: this.#isEnded };
  }

  #pass(): void {
    this.#passed.push(this.buffer);
    this.buffer = NOTHING;
    this.#isEnded = this.#endCame;
  }
}
