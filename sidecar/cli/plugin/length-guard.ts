// Whether a body fits the Content-Length of its head, which the sidecar's codec checks when it writes (http/h1-writer.ts): a plugin
// that changes a body and leaves the length is the commonest way to break a message. Used by run-stream.ts.

import type { HeaderMap } from "../../http/headers.ts";

export class LengthGuard {
  /** What the head says; -1 when it says nothing, and the body is sent in chunks. */
  readonly length: number;
  #left: number;

  /** `hasBody` is false where a body is never sent: HEAD, 204, 304. */
  constructor(headers: HeaderMap, hasBody: boolean) {
    const index = hasBody ? headers.indexOf("content-length") : -1;
    const isUsable =
      index >= 0 && headers.indexOf("content-length", index + 1) < 0 && /^\d+$/.test(headers.valueAt(index));
    this.length = isUsable ? Number(headers.valueAt(index)) : -1;
    this.#left = this.length;
  }

  /** False when the body is longer than it may be, or ends too early. */
  take(bytes: number, end: boolean): boolean {
    if (this.length < 0) {
      return true;
    }
    this.#left -= bytes;
    return this.#left >= 0 && !(end && this.#left > 0);
  }
}
