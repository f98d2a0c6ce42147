// The histogram's buckets: log-linear, 32 equal steps in each power of two, so a value is known to 1/32 and a quantile
// to about 1.6 %. Values from 2^-24 (60 ns in seconds) to 2^40; below counts as zero, above as the last bucket.
// Used by table.ts to record and by reader.ts and exposition.ts to read. Pure.

export const BUCKETS_PER_OCTAVE = 32;
/** Exponent of the first octave. */
export const FIRST_EXPONENT = -24;
/** How many octaves there are. */
export const OCTAVES = 64;

/** Merged counts of a histogram. `octaves[n]` is undefined when nothing fell into octave n. */
export interface HistogramCounts {
  count: number;
  sum: number;
  /** Values too small for a bucket, zero mostly. */
  zeros: number;
  readonly octaves: (Float64Array | undefined)[];
}

export function emptyCounts(): HistogramCounts {
  return { count: 0, sum: 0, zeros: 0, octaves: [] };
}

/** `to` += factor × `from`. */
export function addCounts(to: HistogramCounts, from: HistogramCounts, factor = 1): void {
  to.count += factor * from.count;
  to.sum += factor * from.sum;
  to.zeros += factor * from.zeros;
  for (let octave = 0; octave < OCTAVES; octave++) {
    const source = from.octaves[octave];
    if (source === undefined) {
      continue;
    }
    const target = (to.octaves[octave] ??= new Float64Array(BUCKETS_PER_OCTAVE));
    for (let i = 0; i < BUCKETS_PER_OCTAVE; i++) {
      target[i] = (target[i] as number) + factor * (source[i] as number);
    }
  }
}

/** Lower edge of bucket `step` of octave `octave`. */
export function lowerEdge(octave: number, step: number): number {
  return 2 ** (octave + FIRST_EXPONENT) * (1 + step / BUCKETS_PER_OCTAVE);
}

/**
 * Values at the quantiles (0 to 1, ascending), interpolated inside the bucket as libcircllhist does; NaN for each when
 * the histogram is empty.
 */
export function quantiles(counts: HistogramCounts, wanted: readonly number[]): number[] {
  if (counts.count <= 0) {
    return wanted.map(() => Number.NaN);
  }
  const results: number[] = [];
  let below = counts.zeros;
  let next = 0;
  while (next < wanted.length && (wanted[next] as number) * counts.count <= below && below > 0) {
    results.push(0);
    next++;
  }
  let last = 0;
  for (let octave = 0; octave < OCTAVES && next < wanted.length; octave++) {
    const buckets = counts.octaves[octave];
    if (buckets === undefined) {
      continue;
    }
    const width = 2 ** (octave + FIRST_EXPONENT) / BUCKETS_PER_OCTAVE;
    for (let step = 0; step < BUCKETS_PER_OCTAVE; step++) {
      const here = buckets[step] as number;
      if (here <= 0) {
        continue;
      }
      const lower = lowerEdge(octave, step);
      last = lower + width;
      while (next < wanted.length && (wanted[next] as number) * counts.count <= below + here) {
        const inside = Math.max(0, (wanted[next] as number) * counts.count - below) / here;
        results.push(lower + width * inside);
        next++;
      }
      below += here;
    }
  }
  while (results.length < wanted.length) {
    results.push(last);
  }
  return results;
}

/** How many values are at most `limit`; a bucket counts when its lower edge is, so a whole number on an edge is in. */
export function countUpTo(counts: HistogramCounts, limit: number): number {
  let total = counts.zeros;
  for (let octave = 0; octave < OCTAVES; octave++) {
    const buckets = counts.octaves[octave];
    if (buckets === undefined) {
      continue;
    }
    for (let step = 0; step < BUCKETS_PER_OCTAVE; step++) {
      if (lowerEdge(octave, step) > limit) {
        return total;
      }
      total += buckets[step] as number;
    }
  }
  return total;
}
