import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { SpanPart } from "../../../sidecar/telemetry/span-batch.ts";
import { SpanQueue } from "../../../sidecar/telemetry/span-queue.ts";

const HEAD = 10;
const EMPTY = new Uint8Array(0);

/** A part whose spans are bytes that say which they are; `first` is the first one's number. */
function part(first: number, sizes: readonly number[]): SpanPart {
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const ends: number[] = [];
  let at = 0;
  sizes.forEach((size, index) => {
    bytes.fill((first + index) & 255, at, at + size);
    at += size;
    ends.push(at);
  });
  return { provider: 1, bytes, ends: Uint32Array.from(ends) };
}

test("SpanQueue gives every span once, in order, in requests of at most so many", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 12 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 10 }),
      (parts, maxSpans, batch) => {
        const queue = new SpanQueue(maxSpans, EMPTY, EMPTY);
        const expected: number[] = [];
        const got: number[] = [];
        let number = 0;
        for (const sizes of parts) {
          const one = part(number, sizes);
          const added = queue.add(one, 0);
          expected.push(...one.bytes.subarray(0, added === 0 ? 0 : one.ends[added - 1]));
          number += sizes.length;
          assert.ok(queue.size <= maxSpans);
          if (number % 3 === 0) {
            got.push(...(queue.take(batch)?.bytes.subarray(HEAD) ?? []));
          }
        }
        for (let request = queue.take(batch); request !== undefined; request = queue.take(batch)) {
          assert.ok(request.count >= 1 && request.count <= batch);
          got.push(...request.bytes.subarray(HEAD));
        }
        assert.equal(queue.size, 0);
        assert.deepEqual(got, expected);
      },
    ),
  );
});

test("SpanQueue bounds the bytes that wait and those of one request, whatever the number of spans", () => {
  const queue = new SpanQueue(1_000_000, EMPTY, EMPTY);
  const mebibyte = (): SpanPart => part(0, [2 ** 20]);
  let added = 0;
  while (queue.add(mebibyte(), 0) === 1) {
    added++;
  }
  assert.equal(added, 32);
  const request = queue.take(1000);
  assert.equal(request?.count, 3);
  assert.equal(queue.size, 29);
  assert.equal(queue.add(mebibyte(), 0), 1);
  assert.equal(queue.clear(), 30);
  assert.equal(queue.take(1), undefined);
});

test("a span larger than a request's bound goes alone", () => {
  const queue = new SpanQueue(10, EMPTY, EMPTY);
  queue.add(part(0, [4 * 2 ** 20, 1]), 0);
  assert.equal(queue.take(10)?.count, 1);
  assert.equal(queue.take(10)?.count, 1);
});

test("a part that is added piece by piece is sent whole", () => {
  const queue = new SpanQueue(2, EMPTY, EMPTY);
  const one = part(1, [1, 1, 1]);
  const expected = [...one.bytes];
  assert.equal(queue.add(one, 0), 2);
  const first = queue.take(2);
  assert.equal(queue.add(one, 2), 1);
  const second = queue.take(2);
  assert.deepEqual(
    [...(first?.bytes ?? []), ...(second?.bytes ?? [])].filter((byte) => byte > 0 && byte < 4),
    expected,
  );
});

test("a request's buffer serves the next one, and a smaller request is cut to its size", () => {
  const queue = new SpanQueue(10, EMPTY, EMPTY);
  queue.add(part(1, [100, 100]), 0);
  const first = queue.take(10);
  assert.ok(first !== undefined);
  queue.reuse(first);
  queue.add(part(7, [5]), 0);
  const second = queue.take(10);
  assert.equal(second?.bytes.buffer, first.bytes.buffer);
  assert.deepEqual([...(second?.bytes.subarray(HEAD) ?? [])], [7, 7, 7, 7, 7]);
});
