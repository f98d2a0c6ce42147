// Cost of counting: one counter, one gauge, one histogram sample; and of reading 20,000 names as text.
// Run: node test/bench/stats.ts

import { prometheusText, statsText } from "../../sidecar/stats/exposition.ts";
import { StatsReader } from "../../sidecar/stats/reader.ts";
import { StatsTable } from "../../sidecar/stats/table.ts";

const reader = new StatsReader();
const table = new StatsTable({ onDefine: (update) => reader.apply("main", update) });

function measure(name: string, times: number, run: (i: number) => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    for (let i = 0; i < times; i++) {
      run(i);
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / times);
  }
  console.log(`${name.padEnd(40)} ${best.toFixed(1).padStart(12)} ns`);
}

const counters = Array.from({ length: 64 }, (_, i) => table.counter(`cluster.c${i}.upstream_rq_total`));
const gauge = table.gauge("http.in.downstream_rq_active");
const histogram = table.histogram("http.in.downstream_rq_time");
measure("counter.inc()", 10_000_000, (i) => counters[i & 63]?.inc());
measure("gauge.inc() and dec()", 10_000_000, () => {
  gauge.inc();
  gauge.dec();
});
measure("histogram.record()", 10_000_000, (i) => histogram.record(i & 1023));
measure("counter(name) that exists", 1_000_000, () => table.counter("cluster.c7.upstream_rq_total"));
for (let i = 0; i < 20_000; i++) {
  table.counter(`cluster.service-${i >> 4}.upstream_rq_${i & 15}`).inc();
}
for (let i = 0; i < 500; i++) {
  table.histogram(`cluster.service-${i}.upstream_rq_time`).record(i);
}
table.flush();
measure("/stats of 20,000 names", 5, () => statsText(reader, {}));
measure("/stats/prometheus of 20,000 names", 5, () => prometheusText(reader, {}));
