// The stand-in for a plugin that could not be loaded and whose policy is FAIL_CLOSED: every stream that reaches it is answered
// with 503, as one whose plugin has failed. Made by live-config.ts. Source: Envoy's wasm filter without a VM.

import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead } from "../http/message.ts";
import type { FilterCallbacks, FilterFactory, FilterReply, StreamFilter } from "./filter.ts";
import { DataStatus, HeadersStatus, TrailersStatus } from "./filter.ts";
import { PassFilter } from "./pass-filter.ts";

const REPLY: FilterReply = {
  status: 503,
  details: "wasm_fail_stream",
  body: new Uint8Array(),
  headers: [],
  grpcStatus: 14,
  flag: "",
};

export class FailingFilterFactory implements FilterFactory<unknown> {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  create(_stream: unknown, callbacks: FilterCallbacks): StreamFilter {
    return new FailingFilter(callbacks);
  }
}

class FailingFilter extends PassFilter {
  readonly #callbacks: FilterCallbacks;

  constructor(callbacks: FilterCallbacks) {
    super();
    this.#callbacks = callbacks;
  }

  override onRequestHeaders(_head: RequestHead, _end: boolean): HeadersStatus {
    this.#callbacks.sendLocalReply(REPLY);
    return HeadersStatus.StopAllIterationAndWatermark;
  }

  override onRequestData(_body: BodyBuffer, _end: boolean): DataStatus {
    return DataStatus.StopIterationNoBuffer;
  }

  override onRequestTrailers(_trailers: HeaderMap): TrailersStatus {
    return TrailersStatus.StopIteration;
  }
}
