// One TCP connection of `plugin run --tcp`: the sidecar's network filters with a plugin in them, and around them what tcp-connection.ts
// is in a sidecar, without sockets: what the client sends, what the upstream answers to it, and what came out either way.

import type { ConnectionInfo } from "../../http/stream.ts";
import { type ChainOwner, NetworkChain } from "../../tcp/network-chain.ts";
import type { NetworkFilterFactory } from "../../tcp/network-filter.ts";
import { TcpRecord } from "../../tcp/tcp-record.ts";

export interface RunConnectionOptions {
  readonly factory: NetworkFilterFactory;
  /** What the client sends, part by part; it ends its side with the last. */
  readonly sent: readonly Uint8Array[];
  /** What the upstream answers when it has all of that; it ends its side with the last. */
  readonly answered: readonly Uint8Array[];
  readonly connection: ConnectionInfo;
  readonly bufferLimitBytes: number;
  /** Runs on a later turn. */
  readonly later: (run: () => void) => void;
  readonly note: (text: string) => void;
}

const NOTHING = new Uint8Array(0);

/** One direction as it came out. */
export interface PassedData {
  readonly chunks: Uint8Array[];
  isEnded: boolean;
}

export class RunConnection implements ChainOwner {
  readonly facts: TcpRecord;
  readonly toUpstream: PassedData = { chunks: [], isEnded: false };
  readonly toClient: PassedData = { chunks: [], isEnded: false };
  isAdmitted = false;
  /** A filter closed it. */
  isCut = false;
  isOver = false;
  readonly #chain: NetworkChain;
  readonly #options: RunConnectionOptions;
  #sent: Uint8Array[];
  #answered: Uint8Array[];
  /** The filters hold too much of what comes from there. */
  #isClientFull = false;
  #isUpstreamFull = false;

  constructor(options: RunConnectionOptions) {
    this.#options = options;
    this.#sent = options.sent.length === 0 ? [NOTHING] : [...options.sent];
    this.#answered = options.answered.length === 0 ? [NOTHING] : [...options.answered];
    this.facts = new TcpRecord(options.connection, performance.now(), {
      listenerName: "",
      trafficDirection: "unspecified",
      filterChainName: "",
      listenerMetadata: undefined,
      filterChainMetadata: undefined,
    });
    const limit = options.bufferLimitBytes;
    this.#chain = new NetworkChain([options.factory], this, [limit, limit]);
  }

  start(): void {
    this.#chain.begin();
  }

  /** Where it waits, for people; undefined when it is over. */
  get waitsIn(): "beginning" | "client's data" | "upstream's data" | undefined {
    if (this.isOver) {
      return undefined;
    }
    if (!this.isAdmitted) {
      return "beginning";
    }
    return this.toUpstream.isEnded ? "upstream's data" : "client's data";
  }

  /** Ends what is left. */
  giveUp(): void {
    this.#finish("local");
  }

  onAdmitted(): void {
    this.isAdmitted = true;
    this.#options.note("the connection begins");
    this.#options.later(() => this.#pumpClient());
  }

  onDownstreamPassed(bytes: Uint8Array, end: boolean): void {
    pass(this.toUpstream, bytes, end);
    this.facts.requestBodyBytes += bytes.length;
    if (end) {
      this.#options.note("the upstream has all of what the client sent");
      this.#options.later(() => this.#pumpUpstream());
    }
  }

  onUpstreamPassed(bytes: Uint8Array, end: boolean): void {
    pass(this.toClient, bytes, end);
    this.facts.responseBodyBytes += bytes.length;
    if (end) {
      this.#options.later(() => this.#finish("remote"));
    }
  }

  onDownstreamHeld(isFull: boolean): void {
    this.#isClientFull = isFull;
    if (!isFull) {
      this.#options.later(() => this.#pumpClient());
    }
  }

  onUpstreamHeld(isFull: boolean): void {
    this.#isUpstreamFull = isFull;
    if (!isFull) {
      this.#options.later(() => this.#pumpUpstream());
    }
  }

  onFilterClose(): void {
    this.isCut = true;
    this.#options.note("the connection is closed by the plugin, or because it failed");
    this.#options.later(() => this.#finish("local"));
  }

  #pumpClient(): void {
    while (!this.#isClientFull && !this.isCut && !this.isOver) {
      const part = this.#sent.shift();
      if (part === undefined) {
        return;
      }
      this.#chain.downstream(part, this.#sent.length === 0);
    }
  }

  #pumpUpstream(): void {
    while (!this.#isUpstreamFull && !this.isCut && !this.isOver) {
      const part = this.#answered.shift();
      if (part === undefined) {
        return;
      }
      this.#chain.upstream(part, this.#answered.length === 0);
    }
  }

  #finish(by: "local" | "remote"): void {
    if (this.isOver) {
      return;
    }
    this.isOver = true;
    this.facts.endedAt = performance.now();
    this.#chain.close(by);
  }
}

function pass(data: PassedData, bytes: Uint8Array, end: boolean): void {
  // Borrowed.
  data.chunks.push(Uint8Array.from(bytes));
  data.isEnded = end;
}
