// What the plugin host sees of a test's stream (StreamAccess): the two messages, properties, and what the plugin asks for.
// test-stream.ts makes it and hears what was asked.

import type { HeaderAccess, LocalReply, StreamAccess, StreamBody, StreamMap } from "../ports.ts";
import type { PropertyValue } from "../property-value.ts";
import type { MessagePass } from "./message-pass.ts";
import { messageProperty, type PropertiesInput, StreamProperties } from "./test-properties.ts";

export interface StreamEvents {
  onReply(reply: LocalReply): void;
  onClose(): void;
  onClearRouteCache(): void;
}

export class StreamPort implements StreamAccess {
  readonly #request: MessagePass;
  readonly #response: MessagePass;
  readonly #properties: StreamProperties;
  readonly #events: StreamEvents;

  constructor(request: MessagePass, response: MessagePass, properties: PropertiesInput, events: StreamEvents) {
    this.#request = request;
    this.#response = response;
    this.#properties = new StreamProperties(properties, (segments) => messageProperty(request, response, segments));
    this.#events = events;
  }

  headers(map: StreamMap): HeaderAccess | undefined {
    const message = map < 2 ? this.#request : this.#response;
    return map % 2 === 0 ? message.headers : message.trailers;
  }

  addTrailers(map: StreamMap): HeaderAccess | undefined {
    return (map === 1 ? this.#request : this.#response).addTrailers();
  }

  bodyLength(body: StreamBody): number {
    return this.#message(body).visibleBody?.length ?? 0;
  }

  copyBody(body: StreamBody, start: number, target: Uint8Array): void {
    this.#message(body).visibleBody?.copy(target, 0, start, start + target.length);
  }

  replaceBody(body: StreamBody, start: number, length: number, data: Uint8Array): boolean {
    const message = this.#message(body);
    const old = message.visibleBody;
    if (old === undefined) return false;
    // A head that the plugin still holds must not tell the old length.
    if (data.length !== length && !message.headersPassed) message.headers?.remove("content-length");
    return message.setVisibleBody(Buffer.concat([old.subarray(0, start), data, old.subarray(start + length)]));
  }

  continueRequest(): void {
    this.#request.resume();
  }

  continueResponse(): void {
    this.#response.resume();
  }

  closeStream(): void {
    this.#events.onClose();
  }

  sendLocalResponse(reply: LocalReply): void {
    this.#events.onReply(reply);
  }

  clearRouteCache(): void {
    this.#events.onClearRouteCache();
  }

  property(path: string, segments: readonly string[]): PropertyValue | null | undefined {
    return this.#properties.get(path, segments);
  }

  setProperty(path: string, value: Uint8Array): boolean {
    return this.#properties.set(path, value);
  }

  /** What the plugin stored under a dotted path. */
  stored(path: string): Buffer | undefined {
    return this.#properties.stored(path);
  }

  #message(body: StreamBody): MessagePass {
    return body === 0 ? this.#request : this.#response;
  }
}
