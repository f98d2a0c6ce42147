// Shared data and shared queues of plugins: one block of memory for the whole process, used by all workers at once.
// The main thread makes the memory, each PluginRuntime opens a SharedStore on it. The host calls are synchronous and
// compare-and-swap is part of the ABI, so there is a lock instead of messages; sections under it are short.
//
//   header words | free lists by size class | hash buckets | blocks …        (all offsets in bytes, blocks 2^k long)
//   entry block: next, hash, kind, key length, value offset, value length, stamp, queue fields …, key bytes
//   message block: next, length, bytes
//
// Data lives as long as the process (Envoy: as long as a VM with the vm_id), so that a configuration update loses
// nothing. When the memory is full, writes fail and nothing that is there is lost.

import { Buffer } from "node:buffer";
import { randomInt } from "node:crypto";

const DEFAULT_BYTES = 8 * 1024 * 1024;

/** Header words. */
const LOCK = 0;
const NEXT_FREE_BYTE = 1;
const LAST_CAS = 2;
const LAST_RUNTIME = 3;
const LAST_QUEUE = 4;
const IDENTITY = 5;
/** Free list of blocks of 2^k bytes at word FREE_LISTS + k. */
const FREE_LISTS = 8;
const BUCKETS = 64;
const BUCKET_COUNT = 8192;
const FIRST_BLOCK = (BUCKETS + BUCKET_COUNT) * 4;

/** Words of an entry block. */
const NEXT = 0;
const HASH = 1;
const KIND = 2;
const KEY_LENGTH = 3;
const VALUE = 4;
const VALUE_LENGTH = 5;
/** Compare-and-swap number of data, token of a queue. */
const STAMP = 6;
const LISTENER_RUNTIME = 7;
const LISTENER_ROOT = 8;
const LAST_MESSAGE = 9;
const ENTRY_BYTES = 40;
const MESSAGE_BYTES = 8;

const KIND_DATA = 1;
const KIND_QUEUE = 2;

/**
 * A holder that has not released the lock after this long, twice in a row, was ended in the middle (a worker that was
 * terminated): no section takes a millisecond. The next one takes the lock over. Twice, because after the whole process
 * was stopped for a while the first deadline has passed although the holder is fine.
 */
const LOCK_DEADLINE_MS = 1500;
const LOCK_DEADLINES = 2;

/** Makes the process's shared memory. Pages that are never used cost nothing. */
export function createSharedMemory(bytes: number = DEFAULT_BYTES): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(Math.max(bytes, FIRST_BLOCK + 4096));
  const words = new Int32Array(memory);
  words[NEXT_FREE_BYTE] = FIRST_BLOCK;
  words[IDENTITY] = randomInt(2 ** 31);
  return memory;
}

export interface SharedValue {
  readonly value: Uint8Array;
  readonly cas: number;
}

/** Where a queue's messages are to be announced. */
export interface QueueListener {
  readonly runtime: number;
  readonly root: number;
}

export class SharedStore {
  /** Number of this runtime in the process, from 1. */
  readonly runtime: number;
  /** The same for everybody who opened this memory. */
  readonly identity: number;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  /** Entries are never moved or removed, so their places may be kept. */
  readonly #queues = new Map<number, number>();

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#bytes = Buffer.from(memory);
    this.identity = this.#words[IDENTITY] as number;
    this.runtime = Atomics.add(this.#words, LAST_RUNTIME, 1) + 1;
  }

  /** The value and its compare-and-swap number (never 0); undefined when the key was never set. */
  get(space: string, key: string): SharedValue | undefined {
    const name = keyBytes(space, key);
    this.#lock();
    try {
      const entry = this.#find(KIND_DATA, name);
      if (entry === 0) return undefined;
      const length = this.#word(entry, VALUE_LENGTH);
      const start = this.#word(entry, VALUE);
      return { value: copyOf(this.#bytes, start, length), cas: this.#word(entry, STAMP) >>> 0 };
    } finally {
      this.#unlock();
    }
  }

  /** cas 0 writes always; another one only when it is the stored one, or when the key is new. */
  set(space: string, key: string, value: Uint8Array, cas: number): "ok" | "mismatch" | "full" {
    const name = keyBytes(space, key);
    this.#lock();
    try {
      let entry = this.#find(KIND_DATA, name);
      if (entry !== 0 && cas !== 0 && this.#word(entry, STAMP) >>> 0 !== cas) return "mismatch";
      if (entry === 0) entry = this.#insert(KIND_DATA, name);
      if (entry === 0 || !this.#putValue(entry, value)) return "full";
      this.#setWord(entry, STAMP, this.#nextCas());
      return "ok";
    } finally {
      this.#unlock();
    }
  }

  /** Creates or takes over a queue; messages are announced to the latest registrant. 0: no room. */
  registerQueue(space: string, name: string, listener: QueueListener): number {
    const key = keyBytes(space, name);
    this.#lock();
    try {
      let entry = this.#find(KIND_QUEUE, key);
      if (entry === 0) {
        entry = this.#insert(KIND_QUEUE, key);
        if (entry === 0) return 0;
        const token = (this.#words[LAST_QUEUE] as number) + 1;
        this.#words[LAST_QUEUE] = token;
        this.#setWord(entry, STAMP, token);
      }
      this.#setWord(entry, LISTENER_RUNTIME, listener.runtime);
      this.#setWord(entry, LISTENER_ROOT, listener.root);
      return this.#word(entry, STAMP);
    } finally {
      this.#unlock();
    }
  }

  /** Token of a queue, 0 when nobody registered it. */
  resolveQueue(space: string, name: string): number {
    const key = keyBytes(space, name);
    this.#lock();
    try {
      const entry = this.#find(KIND_QUEUE, key);
      return entry === 0 ? 0 : this.#word(entry, STAMP);
    } finally {
      this.#unlock();
    }
  }

  enqueue(token: number, message: Uint8Array): "ok" | "unknown" | "full" {
    this.#lock();
    try {
      const queue = this.#queue(token);
      if (queue === 0) return "unknown";
      const block = this.#allocate(MESSAGE_BYTES + message.length);
      if (block === 0) return "full";
      this.#setWord(block, 0, 0);
      this.#setWord(block, 1, message.length);
      this.#bytes.set(message, block + MESSAGE_BYTES);
      const last = this.#word(queue, LAST_MESSAGE);
      if (last === 0) this.#setWord(queue, VALUE, block);
      else this.#setWord(last, 0, block);
      this.#setWord(queue, LAST_MESSAGE, block);
      return "ok";
    } finally {
      this.#unlock();
    }
  }

  dequeue(token: number): Uint8Array | "unknown" | "empty" {
    this.#lock();
    try {
      const queue = this.#queue(token);
      if (queue === 0) return "unknown";
      const block = this.#word(queue, VALUE);
      if (block === 0) return "empty";
      const next = this.#word(block, 0);
      const length = this.#word(block, 1);
      const message = copyOf(this.#bytes, block + MESSAGE_BYTES, length);
      this.#setWord(queue, VALUE, next);
      if (next === 0) this.#setWord(queue, LAST_MESSAGE, 0);
      this.#release(block, MESSAGE_BYTES + length);
      return message;
    } finally {
      this.#unlock();
    }
  }

  /** Who is told about a queue's messages; undefined for an unknown token. */
  listenerOf(token: number): QueueListener | undefined {
    this.#lock();
    try {
      const queue = this.#queue(token);
      if (queue === 0) return undefined;
      return { runtime: this.#word(queue, LISTENER_RUNTIME), root: this.#word(queue, LISTENER_ROOT) };
    } finally {
      this.#unlock();
    }
  }

  #word(block: number, index: number): number {
    return this.#words[(block >> 2) + index] as number;
  }

  #setWord(block: number, index: number, value: number): void {
    this.#words[(block >> 2) + index] = value;
  }

  #nextCas(): number {
    const cas = ((this.#words[LAST_CAS] as number) + 1) >>> 0 || 1;
    this.#words[LAST_CAS] = cas;
    return cas;
  }

  #find(kind: number, key: Buffer): number {
    const hash = hashOf(key);
    let entry = this.#words[BUCKETS + (hash & (BUCKET_COUNT - 1))] as number;
    while (entry !== 0) {
      if (this.#word(entry, HASH) === hash && this.#word(entry, KIND) === kind && this.#keyEquals(entry, key))
        return entry;
      entry = this.#word(entry, NEXT);
    }
    return 0;
  }

  #keyEquals(entry: number, key: Buffer): boolean {
    const start = entry + ENTRY_BYTES;
    return (
      this.#word(entry, KEY_LENGTH) === key.length &&
      this.#bytes.compare(key, 0, key.length, start, start + key.length) === 0
    );
  }

  #insert(kind: number, key: Buffer): number {
    const entry = this.#allocate(ENTRY_BYTES + key.length);
    if (entry === 0) return 0;
    const hash = hashOf(key);
    const bucket = BUCKETS + (hash & (BUCKET_COUNT - 1));
    this.#words.fill(0, entry >> 2, (entry + ENTRY_BYTES) >> 2);
    this.#setWord(entry, HASH, hash);
    this.#setWord(entry, KIND, kind);
    this.#setWord(entry, KEY_LENGTH, key.length);
    this.#bytes.set(key, entry + ENTRY_BYTES);
    this.#setWord(entry, NEXT, this.#words[bucket] as number);
    this.#words[bucket] = entry;
    return entry;
  }

  #putValue(entry: number, value: Uint8Array): boolean {
    const old = this.#word(entry, VALUE);
    const oldLength = this.#word(entry, VALUE_LENGTH);
    let block = old;
    if (old === 0 || sizeClass(oldLength) !== sizeClass(value.length)) {
      block = this.#allocate(value.length);
      if (block === 0) return false;
      if (old !== 0) this.#release(old, oldLength);
    }
    this.#bytes.set(value, block);
    this.#setWord(entry, VALUE, block);
    this.#setWord(entry, VALUE_LENGTH, value.length);
    return true;
  }

  #queue(token: number): number {
    const known = this.#queues.get(token);
    if (known !== undefined) return known;
    if (token === 0 || token > (this.#words[LAST_QUEUE] as number)) return 0;
    for (let bucket = BUCKETS; bucket < BUCKETS + BUCKET_COUNT; bucket++) {
      for (let entry = this.#words[bucket] as number; entry !== 0; entry = this.#word(entry, NEXT)) {
        if (this.#word(entry, KIND) !== KIND_QUEUE || this.#word(entry, STAMP) !== token) continue;
        this.#queues.set(token, entry);
        return entry;
      }
    }
    return 0;
  }

  /** A block of at least `length` bytes, 8-aligned; 0 when the memory is used up. */
  #allocate(length: number): number {
    const bits = sizeClass(length);
    const list = FREE_LISTS + bits;
    const free = this.#words[list] as number;
    if (free !== 0) {
      this.#words[list] = this.#word(free, 0);
      return free;
    }
    const block = this.#words[NEXT_FREE_BYTE] as number;
    const size = 2 ** bits;
    if (block + size > this.#bytes.length) return 0;
    this.#words[NEXT_FREE_BYTE] = block + size;
    return block;
  }

  #release(block: number, length: number): void {
    const list = FREE_LISTS + sizeClass(length);
    this.#setWord(block, 0, this.#words[list] as number);
    this.#words[list] = block;
  }

  /** Word LOCK: 0 free, 1 held, 2 held and somebody waits (Drepper, "Futexes are tricky", mutex 2). */
  #lock(): void {
    let deadlines = 0;
    let state = Atomics.compareExchange(this.#words, LOCK, 0, 1);
    while (state !== 0) {
      if (state === 2 || Atomics.compareExchange(this.#words, LOCK, 1, 2) !== 0) {
        if (Atomics.wait(this.#words, LOCK, 2, LOCK_DEADLINE_MS) === "timed-out" && ++deadlines === LOCK_DEADLINES) {
          Atomics.store(this.#words, LOCK, 2);
          return;
        }
      }
      state = Atomics.compareExchange(this.#words, LOCK, 0, 2);
    }
  }

  #unlock(): void {
    if (Atomics.exchange(this.#words, LOCK, 0) === 2) Atomics.notify(this.#words, LOCK, 1);
  }
}

/** Size class: the block is 2^k bytes, at least 16. */
function sizeClass(length: number): number {
  return 32 - Math.clz32(Math.max(length, 16) - 1);
}

function keyBytes(space: string, key: string): Buffer {
  return Buffer.from(`${space.length}:${space}${key}`, "latin1");
}

/** FNV-1a, as i32 like the words it is compared with. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash | 0;
}

function copyOf(bytes: Uint8Array, start: number, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(start, start + length));
  return copy;
}
