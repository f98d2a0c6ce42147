// A stream as a plugin sees it, without sockets: header maps, bodies, properties, and a journal of what was asked.

import { HeaderList } from "../../../plugins/header-list.ts";
import type {
  DeclaredProperty,
  HeaderAccess,
  LocalReply,
  StreamAccess,
  StreamBody,
  StreamMap,
} from "../../../plugins/ports.ts";
import type { PropertyValue } from "../../../plugins/property-value.ts";

export class FakeStream implements StreamAccess {
  readonly maps: (HeaderList | undefined)[] = [undefined, undefined, undefined, undefined];
  readonly bodies: Buffer[] = [Buffer.alloc(0), Buffer.alloc(0)];
  readonly properties = new Map<string, PropertyValue | null>();
  readonly replies: LocalReply[] = [];
  /** "continue-request", "reply 403" … in order. */
  readonly journal: string[] = [];
  canAddTrailers = true;
  /** Runs inside sendLocalResponse, as an embedder that sends the reply through its filters at once. */
  onReply: ((reply: LocalReply) => void) | undefined = undefined;

  constructor(request: string[] = [":method", "GET", ":path", "/", ":authority", "example.com"]) {
    this.maps[0] = new HeaderList(request);
  }

  respond(...pairs: string[]): void {
    this.maps[2] = new HeaderList([":status", "200", ...pairs]);
  }

  map(id: StreamMap): HeaderList {
    const map = this.maps[id];
    if (map === undefined) throw new Error(`the stream has no map ${id}`);
    return map;
  }

  headers(map: StreamMap): HeaderAccess | undefined {
    return this.maps[map];
  }

  addTrailers(map: StreamMap): HeaderAccess | undefined {
    if (!this.canAddTrailers) return undefined;
    const made = new HeaderList();
    this.maps[map] = made;
    return made;
  }

  bodyLength(body: StreamBody): number {
    return (this.bodies[body] as Buffer).length;
  }

  copyBody(body: StreamBody, start: number, target: Uint8Array): void {
    (this.bodies[body] as Buffer).copy(target, 0, start, start + target.length);
  }

  replaceBody(body: StreamBody, start: number, length: number, data: Uint8Array): boolean {
    const old = this.bodies[body] as Buffer;
    this.bodies[body] = Buffer.concat([old.subarray(0, start), data, old.subarray(start + length)]);
    return true;
  }

  continueRequest(): void {
    this.journal.push("continue-request");
  }

  continueResponse(): void {
    this.journal.push("continue-response");
  }

  closeStream(): void {
    this.journal.push("close");
  }

  sendLocalResponse(reply: LocalReply): void {
    this.journal.push(`reply ${reply.status} ${reply.details}`);
    this.replies.push(reply);
    this.onReply?.(reply);
  }

  clearRouteCache(): void {
    this.journal.push("clear-route-cache");
  }

  property(path: string): PropertyValue | null | undefined {
    return this.properties.get(path);
  }

  setProperty(path: string, value: Uint8Array, declared?: DeclaredProperty): boolean {
    if (path.startsWith("readonly") || (declared?.isReadOnly === true && this.properties.has(path))) return false;
    this.properties.set(path, value);
    return true;
  }
}
