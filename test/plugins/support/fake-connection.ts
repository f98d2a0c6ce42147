// A connection as a plugin sees it, without sockets: data in both directions, properties, and a journal of what was asked.

import type { ConnectionAccess, ConnectionData } from "../../../plugins/ports.ts";
import type { PropertyValue } from "../../../plugins/property-value.ts";

export class FakeConnection implements ConnectionAccess {
  /** What is offered or held, by ConnectionData. */
  readonly data = new Map<ConnectionData, Buffer>();
  readonly properties = new Map<string, PropertyValue | null>();
  /** "continue-downstream", "close" … in order. */
  readonly journal: string[] = [];

  /** Offers bytes, behind those that are there; their number. */
  offer(data: ConnectionData, text: string): number {
    const all = Buffer.concat([this.data.get(data) ?? Buffer.alloc(0), Buffer.from(text, "latin1")]);
    this.data.set(data, all);
    return all.length;
  }

  /** Takes what is there. */
  take(data: ConnectionData): string {
    const bytes = this.data.get(data)?.toString("latin1") ?? "";
    this.data.delete(data);
    return bytes;
  }

  dataLength(data: ConnectionData): number {
    return this.data.get(data)?.length ?? 0;
  }

  copyData(data: ConnectionData, start: number, target: Uint8Array): void {
    this.data.get(data)?.copy(target, 0, start, start + target.length);
  }

  replaceData(data: ConnectionData, start: number, length: number, bytes: Uint8Array): boolean {
    const old = this.data.get(data) ?? Buffer.alloc(0);
    this.data.set(data, Buffer.concat([old.subarray(0, start), bytes, old.subarray(start + length)]));
    return true;
  }

  continueDownstream(): void {
    this.journal.push("continue-downstream");
  }

  continueUpstream(): void {
    this.journal.push("continue-upstream");
  }

  closeConnection(): void {
    this.journal.push("close");
  }

  property(path: string): PropertyValue | null | undefined {
    return this.properties.get(path);
  }

  setProperty(path: string, value: Uint8Array): boolean {
    this.properties.set(path, value);
    return true;
  }
}
