// A stream of the proxy's without its sockets, for benches that run the real filter chain: whatever the chain sends on goes nowhere.

import type { ChainOwner } from "../../sidecar/filter/filter-chain.ts";
import type { WasmStream } from "../../sidecar/filter/wasm-filter.ts";
import type { StreamRecord } from "../../sidecar/stream-record.ts";

export class SocketlessStream implements ChainOwner, WasmStream {
  readonly facts: StreamRecord;
  requestPassEnded = false;
  responsePassEnded = false;
  constructor(facts: StreamRecord) {
    this.facts = facts;
  }
  ensureRoute(): void {}
  onPluginResumed(): void {}
  onRequestHeadersPassed(): void {}
  onRequestDataPassed(): void {}
  onRequestTrailersPassed(): void {}
  onResponseHeadersPassed(): void {}
  onResponseDataPassed(): void {}
  onResponseTrailersPassed(): void {}
  onFilterReply(): void {}
  onFilterReset(): void {}
  onTooLarge(): void {}
  pauseRequestSource(): void {}
  resumeRequestSource(): void {}
  pauseResponseSource(): void {}
  resumeResponseSource(): void {}
  clearRouteCache(): void {}

  onInjected(): void {}
}
