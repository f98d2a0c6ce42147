// A stream that is over, as the plugin of an access logger reads it. Made by access-logs.ts for each stream and plugin.

import type { HeaderAccess, LoggedStream, StreamMap } from "../../plugins/ports.ts";
import type { PropertyItem } from "../../plugins/property-value.ts";
import { RequestHeaderView, ResponseHeaderView, TrailerView } from "./header-view.ts";
import type { StreamInfo } from "./stream-info.ts";
import { propertyOf } from "./stream-properties.ts";
import type { PluginSource } from "./wasm-filter.ts";

export class WasmLogStream implements LoggedStream {
  readonly facts: StreamInfo;
  readonly #outside: PluginSource["property"];

  /** `outside`: properties that no stream is needed for. */
  constructor(facts: StreamInfo, outside: PluginSource["property"]) {
    this.facts = facts;
    this.#outside = outside;
  }

  /** As in Envoy without the request's trailers; a connection has nothing. */
  headers(map: StreamMap): HeaderAccess | undefined {
    const { requestHead, responseHead, responseTrailers } = this.facts;
    switch (map) {
      case 0:
        return requestHead.method === "" ? undefined : new RequestHeaderView(requestHead);
      case 2:
        return responseHead === undefined ? undefined : new ResponseHeaderView(responseHead);
      case 3:
        return responseTrailers === undefined ? undefined : new TrailerView(responseTrailers);
      case 1:
        return undefined;
    }
  }

  property(path: string, segments: readonly string[]): PropertyItem | undefined {
    return propertyOf(this.facts, this.#outside, path, segments);
  }
}
