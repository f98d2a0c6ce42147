// Adapts one plugin on one stream to the filter chain: the chain's events become HttpContext calls, and what the plugin
// asks for (StreamAccess) becomes calls on the chain and on the stream's facts.
// Made by WasmFilterFactory for each stream; live-config.ts makes the factory. Hot path: views are made when first asked for.

import type { HttpContext } from "../../plugins/http-context.ts";
import type { Plugin } from "../../plugins/plugin.ts";
import type {
  DeclaredProperty,
  HeaderAccess,
  LocalReply,
  StreamAccess,
  StreamBody,
  StreamMap,
} from "../../plugins/ports.ts";
import type { PropertyItem } from "../../plugins/property-value.ts";
import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type {
  DataStatus,
  FilterCallbacks,
  FilterFactory,
  HeadersStatus,
  StreamFilter,
  TrailersStatus,
} from "./filter.ts";
import type { FilterState } from "./filter-state.ts";
import { RequestHeaderView, ResponseHeaderView, TrailerView } from "./header-view.ts";
import type { StreamInfo } from "./stream-info.ts";
import { type OutsideProperty, propertyOf, setStreamProperty } from "./stream-properties.ts";

/** What a plugin's filter needs of the stream besides the chain. */
export interface WasmStream {
  readonly facts: StreamInfo;
  /** A plugin that read or set a property made the router's choice matter before routing. */
  ensureRoute(): void;
  /** The plugin let a direction go on that it had paused; for `proxy_wasm.paused_ms`. */
  onPluginResumed(pluginIndex: number, isRequest: boolean): void;
}

/** Where a plugin comes from at the moment: it is replaced under the factory when its configuration changes. */
export interface PluginSource {
  readonly name: string;
  /** undefined: the plugin cannot be used and its policy lets streams pass. */
  readonly plugin: Plugin | undefined;
  /** Properties that no stream is needed for: node, xds.node, listener metadata. */
  readonly property: OutsideProperty;
}

export class WasmFilterFactory implements FilterFactory<WasmStream> {
  readonly name: string;
  readonly #source: PluginSource;

  constructor(source: PluginSource) {
    this.name = source.name;
    this.#source = source;
  }

  create(stream: WasmStream, callbacks: FilterCallbacks): StreamFilter | undefined {
    const plugin = this.#source.plugin;
    return plugin === undefined ? undefined : new WasmFilter(plugin, stream, callbacks, this.#source);
  }
}

const REQUEST_BODY: StreamBody = 0;
/** Envoy's Continue, of all three statuses. */
const PASS = 0;
/** What rests on the router's choice, and so makes it. */
const ROUTE_PROPERTY = /^(xds(\0(route|virtual_host|cluster)|$)|route_|cluster_|upstream\0num|upstream$)/;

export class WasmFilter implements StreamFilter, StreamAccess {
  readonly stream: WasmStream;
  readonly #callbacks: FilterCallbacks;
  readonly #source: PluginSource;
  readonly #context: HttpContext;
  #requestView: RequestHeaderView | undefined = undefined;
  #responseView: ResponseHeaderView | undefined = undefined;
  /** False: the request was answered before it came here. Then the plugin sees nothing of the answer, as in Envoy. */
  #hasRequest = false;
  /** The body in the running data callback. */
  #requestBody: BodyBuffer | undefined = undefined;
  #responseBody: BodyBuffer | undefined = undefined;

  constructor(plugin: Plugin, stream: WasmStream, callbacks: FilterCallbacks, source: PluginSource) {
    this.stream = stream;
    this.#callbacks = callbacks;
    this.#source = source;
    this.#context = plugin.createHttpContext(this);
  }

  onRequestHeaders(head: RequestHead, end: boolean): HeadersStatus {
    this.#hasRequest = true;
    const view = (this.#requestView = new RequestHeaderView(head));
    return this.#context.onRequestHeaders(view.size, end) as HeadersStatus;
  }

  onRequestData(body: BodyBuffer, end: boolean): DataStatus {
    this.#requestBody = body;
    const status = this.#context.onRequestBody(body.length, end) as DataStatus;
    this.#requestBody = undefined;
    return status;
  }

  onRequestTrailers(trailers: HeaderMap): TrailersStatus {
    return this.#context.onRequestTrailers(trailers.size) as TrailersStatus;
  }

  onResponseHeaders(head: ResponseHead, end: boolean): HeadersStatus {
    return this.#hasRequest ? (this.#context.onResponseHeaders(head.headers.size + 1, end) as HeadersStatus) : PASS;
  }

  onResponseData(body: BodyBuffer, end: boolean): DataStatus {
    if (!this.#hasRequest) {
      return PASS;
    }
    this.#responseBody = body;
    const status = this.#context.onResponseBody(body.length, end) as DataStatus;
    this.#responseBody = undefined;
    return status;
  }

  onResponseTrailers(trailers: HeaderMap): TrailersStatus {
    return this.#hasRequest ? (this.#context.onResponseTrailers(trailers.size) as TrailersStatus) : PASS;
  }

  onComplete(): void {
    this.#context.onLog();
  }

  onDestroy(): void {
    this.#context.close();
  }

  headers(map: StreamMap): HeaderAccess | undefined {
    const facts = this.stream.facts;
    switch (map) {
      case 0:
        return (this.#requestView ??= new RequestHeaderView(facts.requestHead));
      case 1:
        return facts.requestTrailers === undefined ? undefined : new TrailerView(facts.requestTrailers);
      case 2: {
        const head = facts.responseHead;
        if (head === undefined) {
          return undefined;
        }
        // A local reply replaces the head.
        if (this.#responseView?.head !== head) {
          this.#responseView = new ResponseHeaderView(head);
        }
        return this.#responseView;
      }
      case 3:
        return facts.responseTrailers === undefined ? undefined : new TrailerView(facts.responseTrailers);
    }
  }

  addTrailers(map: StreamMap): HeaderAccess | undefined {
    const trailers = map === 1 ? this.#callbacks.requestTrailers(true) : this.#callbacks.responseTrailers(true);
    return trailers === undefined ? undefined : new TrailerView(trailers);
  }

  bodyLength(body: StreamBody): number {
    return this.#body(body)?.length ?? 0;
  }

  copyBody(body: StreamBody, start: number, target: Uint8Array): void {
    const bytes = this.#body(body)?.view();
    if (bytes !== undefined) {
      target.set(bytes.subarray(start, start + target.length));
    }
  }

  replaceBody(body: StreamBody, start: number, length: number, data: Uint8Array): boolean {
    const buffer = this.#body(body);
    if (buffer === undefined) {
      return false;
    }
    buffer.replace(start, length, data);
    if (data.length !== length) {
      this.#dropContentLength(body);
    }
    return true;
  }

  continueRequest(): void {
    this.stream.onPluginResumed(this.#context.plugin.identity.index, true);
    this.#callbacks.continueRequest();
  }

  continueResponse(): void {
    this.stream.onPluginResumed(this.#context.plugin.identity.index, false);
    this.#callbacks.continueResponse();
  }

  closeStream(): void {
    this.#callbacks.resetStream("wasm_close_stream");
  }

  sendLocalResponse(reply: LocalReply): void {
    const headers: [string, string][] = [];
    for (let i = 0; i < reply.headers.length; i += 2) {
      headers.push([reply.headers[i] as string, reply.headers[i + 1] as string]);
    }
    this.#callbacks.sendLocalReply({
      status: reply.status,
      details: reply.details,
      body: reply.body,
      headers,
      grpcStatus: reply.grpcStatus,
      flag: "",
    });
  }

  clearRouteCache(): void {
    this.#callbacks.clearRouteCache();
  }

  property(path: string, segments: readonly string[]): PropertyItem | undefined {
    if (ROUTE_PROPERTY.test(path)) {
      this.stream.ensureRoute();
    }
    return propertyOf(this.stream.facts, this.#source.property, path, segments);
  }

  /** For the foreign function set_envoy_filter_state. */
  get filterState(): FilterState {
    return this.stream.facts.filterState;
  }

  setProperty(path: string, value: Uint8Array, declared: DeclaredProperty | undefined): boolean {
    return setStreamProperty(this.stream.facts, path, value, declared);
  }

  /** A body of another size: its head, while this filter still holds it, must not tell the old one (Envoy lets it). */
  #dropContentLength(body: StreamBody): void {
    const facts = this.stream.facts;
    if (body === REQUEST_BODY) {
      if (!this.#callbacks.requestHeadersForwarded()) {
        facts.requestHead.headers.remove("content-length");
      }
    } else if (!this.#callbacks.responseHeadersForwarded()) {
      facts.responseHead?.headers.remove("content-length");
    }
  }

  #body(body: StreamBody): BodyBuffer | undefined {
    return body === REQUEST_BODY
      ? (this.#requestBody ?? this.#callbacks.heldRequestBody())
      : (this.#responseBody ?? this.#callbacks.heldResponseBody());
  }
}
