// The stand-in for a filter that cannot be: every stream that reaches it is answered. Made by filter-slot.ts, for a plugin that
// could not be loaded and whose policy is FAIL_CLOSED, and for a filter by name (ECDS) whose configuration has not come.
// Source: Envoy's wasm filter without a VM, and its MissingConfigFilter.

import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead } from "../http/message.ts";
import type { FilterCallbacks, FilterFactory, FilterReply, StreamFilter } from "./filter.ts";
import { DataStatus, HeadersStatus, TrailersStatus } from "./filter.ts";
import { PassFilter } from "./pass-filter.ts";

/** As one whose plugin has failed. */
export const PLUGIN_FAILED: FilterReply = {
  status: 503,
  details: "wasm_fail_stream",
  body: new Uint8Array(),
  headers: [],
  grpcStatus: 14,
  flag: "",
};

export const CONFIG_MISSING: FilterReply = {
  status: 500,
  details: "",
  body: new Uint8Array(),
  headers: [],
  grpcStatus: -1,
  flag: "NFCF",
};

export class FailingFilterFactory implements FilterFactory<unknown> {
  readonly name: string;
  readonly #reply: FilterReply;

  constructor(name: string, reply: FilterReply) {
    this.name = name;
    this.#reply = reply;
  }

  create(_stream: unknown, callbacks: FilterCallbacks): StreamFilter {
    return new FailingFilter(callbacks, this.#reply);
  }
}

class FailingFilter extends PassFilter {
  readonly #callbacks: FilterCallbacks;
  readonly #reply: FilterReply;

  constructor(callbacks: FilterCallbacks, reply: FilterReply) {
    super();
    this.#callbacks = callbacks;
    this.#reply = reply;
  }

  override onRequestHeaders(_head: RequestHead, _end: boolean): HeadersStatus {
    this.#callbacks.sendLocalReply(this.#reply);
    return HeadersStatus.StopAllIterationAndWatermark;
  }

  override onRequestData(_body: BodyBuffer, _end: boolean): DataStatus {
    return DataStatus.StopIterationNoBuffer;
  }

  override onRequestTrailers(_trailers: HeaderMap): TrailersStatus {
    return TrailersStatus.StopIteration;
  }
}
