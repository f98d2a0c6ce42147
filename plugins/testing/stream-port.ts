// What the plugin host sees of a test's stream (StreamAccess): the two messages, properties, and what the plugin asks for.
// test-stream.ts makes it and hears what was asked.

import type { HeaderAccess, LocalReply, StreamAccess, StreamBody, StreamMap } from "../ports.ts";
import type { PropertyValue } from "../property-value.ts";
import type { MessagePass } from "./message-pass.ts";
import { messageProperty, type PropertiesInput, propertyPath, propertyTable } from "./test-properties.ts";

export interface StreamEvents {
  onReply(reply: LocalReply): void;
  onClose(): void;
  onClearRouteCache(): void;
}

/** As in the sidecar: what the plugins of one stream may store on it. */
const MAX_PROPERTIES = 256;
const MAX_PROPERTY_BYTES = 64 * 1024;

export class StreamPort implements StreamAccess {
  readonly #request: MessagePass;
  readonly #response: MessagePass;
  readonly #given: ReadonlyMap<string, PropertyValue | null>;
  readonly #stored = new Map<string, Uint8Array>();
  readonly #events: StreamEvents;

  constructor(request: MessagePass, response: MessagePass, properties: PropertiesInput, events: StreamEvents) {
    this.#request = request;
    this.#response = response;
    this.#given = propertyTable(properties);
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
    const given = this.#given.get(path);
    if (given !== undefined) return given;
    return this.#stored.get(path) ?? messageProperty(this.#request, this.#response, segments);
  }

  setProperty(path: string, value: Uint8Array): boolean {
    const isFull = this.#stored.size >= MAX_PROPERTIES && !this.#stored.has(path);
    const isOwn =
      this.#given.has(path) || messageProperty(this.#request, this.#response, path.split("\0")) !== undefined;
    if (isFull || isOwn || value.length > MAX_PROPERTY_BYTES) return false;
    this.#stored.set(path, value);
    return true;
  }

  /** What the plugin stored under a dotted path. */
  stored(path: string): Buffer | undefined {
    const bytes = this.#stored.get(propertyPath(path));
    return bytes === undefined ? undefined : Buffer.from(bytes);
  }

  #message(body: StreamBody): MessagePass {
    return body === 0 ? this.#request : this.#response;
  }
}
