// A proxy's side of one upstream request: it writes down what the pool and the connection tell it.

import type { ProxyError } from "../../sidecar/errors.ts";
import { HeaderMap } from "../../sidecar/http/headers.ts";
import { RequestHead } from "../../sidecar/http/message.ts";
import type { ResponseHead } from "../../sidecar/http/message.ts";
import type { StreamWaiter, UpstreamStream } from "../../sidecar/http/stream.ts";
import { Signal } from "./fake-upstream.ts";

export function buildRequest(method: string, path = "/", fields: Readonly<Record<string, string>> = {}): RequestHead {
  return new RequestHead(method, path, "a.test", "http", HeaderMap.from(Object.entries({ Host: "a.test", ...fields })));
}

export class RecordingWaiter implements StreamWaiter {
  /** In order: `ready`, `failure CODE`, `1xx STATUS`, `head STATUS`, `data BYTES`, `trailers NAMES`, `end`, `reset CODE`, `blocked`, `unblocked`. */
  readonly events: string[] = [];
  body = "";
  bodyBytes = 0;
  head: ResponseHead | undefined = undefined;
  error: ProxyError | undefined = undefined;
  keepsText = true;
  /** Called when the stream is there, before `acquire` or the event returns. */
  onReady: ((stream: UpstreamStream) => void) | undefined;
  /** Called at the last event, whichever it is. */
  onEnd: (() => void) | undefined = undefined;
  /** For tests that give requests up. */
  gaveUp = false;
  onFailure: ((error: ProxyError) => void) | undefined = undefined;
  onData: ((bytes: number) => void) | undefined = undefined;
  onBlocked: ((blocked: boolean) => void) | undefined = undefined;
  #stream: UpstreamStream | undefined = undefined;
  readonly #changed = new Signal();

  constructor(onReady?: (stream: UpstreamStream) => void) {
    this.onReady = onReady;
  }

  /** Sends a whole request as soon as a connection is there. */
  static sending(request: RequestHead): RecordingWaiter {
    return new RecordingWaiter((stream) => stream.request(request, true));
  }

  get stream(): UpstreamStream {
    if (this.#stream === undefined) {
      throw new Error("No stream yet");
    }
    return this.#stream;
  }

  /** The events, data counted as bytes, neighbours joined. */
  get story(): string {
    return this.events.join(", ");
  }

  async until(event: string): Promise<void> {
    await this.#changed.until(() => this.events.some((e) => e.startsWith(event)), `${event} after ${this.story}`);
  }

  /** The response is complete or will never be. */
  async untilDone(): Promise<void> {
    const isDone = (): boolean => this.events.some((event) => /^(end|reset|failure)/.test(event));
    await this.#changed.until(isDone, `end or failure after ${this.story}`);
  }

  /** The response is complete. */
  async untilEnd(): Promise<void> {
    await this.until("end");
  }

  onPoolReady(stream: UpstreamStream): void {
    this.#stream = stream;
    this.#note("ready");
    this.onReady?.(stream);
  }

  onPoolFailure(error: ProxyError): void {
    this.error = error;
    this.#note(`failure ${error.code}`);
    this.onFailure?.(error);
  }

  onInformational(head: ResponseHead): void {
    this.#note(`1xx ${head.status}`);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    this.head = head;
    this.#note(`head ${head.status}`);
    this.#end(end);
  }

  onResponseData(chunk: Uint8Array, end: boolean): void {
    this.bodyBytes += chunk.length;
    if (this.keepsText) {
      this.body += Buffer.from(chunk).toString("latin1");
      this.#note(`data ${chunk.length}`);
    } else {
      this.#changed.notify();
    }
    this.onData?.(chunk.length);
    this.#end(end);
  }

  onResponseTrailers(trailers: HeaderMap): void {
    this.#note(`trailers ${Array.from(trailers, ([name, value]) => `${name}=${value}`).join(" ")}`);
    this.#end(true);
  }

  onUpstreamReset(error: ProxyError): void {
    this.error = error;
    this.#note(`reset ${error.code}`);
    this.onFailure?.(error);
  }

  onRequestBlocked(blocked: boolean): void {
    this.#note(blocked ? "blocked" : "unblocked");
    this.onBlocked?.(blocked);
  }

  #end(end: boolean): void {
    if (end) {
      this.#note("end");
    }
  }

  #note(event: string): void {
    this.events.push(event);
    this.#changed.notify();
    if (/^(end|reset|failure)/.test(event)) {
      this.onEnd?.();
    }
  }
}
