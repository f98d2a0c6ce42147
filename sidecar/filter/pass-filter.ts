// A filter that lets everything pass: the proxy's own filters, and the one that fails every stream, change what they care for.

import type { BodyBuffer } from "../http/body-buffer.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { DataStatus, HeadersStatus, type StreamFilter, TrailersStatus } from "./filter.ts";

export abstract class PassFilter implements StreamFilter {
  onRequestHeaders(_head: RequestHead, _end: boolean): HeadersStatus {
    return HeadersStatus.Continue;
  }

  onRequestData(_body: BodyBuffer, _end: boolean): DataStatus {
    return DataStatus.Continue;
  }

  onRequestTrailers(_trailers: HeaderMap): TrailersStatus {
    return TrailersStatus.Continue;
  }

  onResponseHeaders(_head: ResponseHead, _end: boolean): HeadersStatus {
    return HeadersStatus.Continue;
  }

  onResponseData(_body: BodyBuffer, _end: boolean): DataStatus {
    return DataStatus.Continue;
  }

  onResponseTrailers(_trailers: HeaderMap): TrailersStatus {
    return TrailersStatus.Continue;
  }

  onComplete(): void {
    // Nothing was begun.
  }

  onDestroy(): void {
    // Nothing is held.
  }
}
