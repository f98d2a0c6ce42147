// Load reports of a client: what is said and when, with a stream and a clock that the test moves; and that the control plane
// reads what is written.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamSink } from "../../xds/ads-stream.ts";
import {
  decodeLoadReport,
  decodeLoadReportWish,
  encodeLoadReport,
  encodeLoadReportWish,
} from "../../xds/load-report-wire.ts";
import type { LoadReportWish } from "../../xds/load-report-wire.ts";
import { LoadReporter } from "../../xds/load-reporter.ts";
import type { ClusterCounts, LoadReport } from "../../xds/load-reporter.ts";
import { LoadReports, reporterKey } from "../../xds/server/load-reports.ts";
import { ManualXdsClock } from "../support/xds-clock.ts";

class Scene {
  readonly clock = new ManualXdsClock();
  readonly sent: LoadReport[] = [];
  readonly opened: number[] = [];
  readonly reporter: LoadReporter;
  counts: ClusterCounts[] = [];
  asked: unknown;
  isFull = false;
  sink: StreamSink<LoadReportWish> | undefined;

  constructor() {
    const quiet = () => {};
    this.reporter = new LoadReporter({
      open: (failures, sink) => {
        this.opened.push(failures);
        this.sink = sink;
        const send = (report: LoadReport) => {
          this.sent.push(report);
          return !this.isFull;
        };
        return { target: "test", stream: { send, pause: quiet, resume: quiet, close: quiet } };
      },
      counts: (clusters) => {
        this.asked = clusters;
        return this.counts;
      },
      backoff: { baseMs: 500, maxMs: 10_000, jitter: "full" },
      clock: this.clock,
      random: () => 1,
      log: { debug: quiet, info: quiet, warn: quiet },
    });
    this.reporter.start();
  }

  count(successes: number, errors: number): void {
    this.counts = [
      { cluster: "a", successes, errors, issued: successes + errors, active: 0 },
      { cluster: "idle", successes: 0, errors: 0, issued: 0, active: 0 },
    ];
  }
}

test("LoadReporter says who it is, and then at each interval what ended since the last", () => {
  const scene = new Scene();
  assert.deepEqual(scene.sent.splice(0), [{ clusters: [], intervalMs: 0, isFirst: true }]);
  scene.clock.advance(60_000);
  assert.deepEqual(scene.sent, [], "nobody has asked");
  scene.count(100, 5);
  scene.sink?.onResponse({ clusters: ["a"], intervalMs: 1_000 });
  assert.deepEqual(scene.asked, ["a"]);
  scene.count(110, 6);
  scene.clock.advance(1_000);
  const load = { cluster: "a", successes: 10, errors: 1, issued: 11, active: 0 };
  assert.deepEqual(scene.sent.splice(0), [{ clusters: [load], intervalMs: 1_000, isFirst: false }]);
  // Counters that were reset do not count backwards.
  scene.count(2, 0);
  scene.clock.advance(1_000);
  assert.deepEqual(scene.sent.splice(0), [{ clusters: [], intervalMs: 1_000, isFirst: false }]);
  scene.reporter.close();
  scene.clock.advance(60_000);
  assert.deepEqual(scene.sent, []);
});

test("LoadReporter leaves out reports that the server does not read, and loses nothing", () => {
  const scene = new Scene();
  scene.count(0, 0);
  scene.sink?.onResponse({ clusters: "all", intervalMs: 1_000 });
  scene.sent.splice(0);
  scene.isFull = true;
  scene.count(1, 0);
  for (const successes of [2, 3, 4]) {
    scene.clock.advance(1_000);
    scene.count(successes, 0);
  }
  assert.deepEqual(
    scene.sent.splice(0).map(({ clusters }) => clusters[0]?.successes),
    [1],
  );
  scene.isFull = false;
  scene.sink?.onDrain();
  scene.clock.advance(1_000);
  assert.deepEqual(
    scene.sent.map(({ clusters, intervalMs }) => [clusters[0]?.successes, intervalMs]),
    [[3, 3_000]],
  );
});

test("LoadReporter opens the stream again after a pause that grows, and begins anew", () => {
  const scene = new Scene();
  scene.sink?.onEnd("gone");
  scene.clock.advance(500);
  scene.sink?.onEnd("gone");
  scene.clock.advance(999);
  assert.deepEqual(scene.opened, [0, 1]);
  scene.clock.advance(1);
  assert.deepEqual(scene.opened, [0, 1, 2]);
  assert.deepEqual(
    scene.sent.map(({ isFirst }) => isFirst),
    [true, true, true],
  );
  scene.sink?.onResponse({ clusters: "all", intervalMs: 0 });
  assert.ok((scene.clock.delays[0] ?? 0) >= 100, "a server that asks for no interval makes no loop");
});

test("load reports and wishes are read as they were written, and what does not parse is a problem", () => {
  const clusters = [{ cluster: "a", successes: 7, errors: 2, issued: 10, active: 1 }];
  const report = decodeLoadReport(encodeLoadReport(clusters, 5_250));
  assert.deepEqual(report, {
    ok: true,
    value: { nodeId: undefined, clusters: [{ cluster: "a", successes: 7, errors: 2 }] },
  });
  for (const wish of [{ clusters: "all", intervalMs: 5_250 } as const, { clusters: ["a"], intervalMs: 100 }]) {
    assert.deepEqual(decodeLoadReportWish(encodeLoadReportWish(wish)), { ok: true, value: wish });
  }
  assert.equal(decodeLoadReport(Buffer.from([0xff])).ok, false);
  assert.equal(decodeLoadReportWish(Buffer.from([0xff])).ok, false);
});

test("LoadReports keeps what each client said of a time, by its certificate, and forgets who has gone", () => {
  const clock = new ManualXdsClock();
  const loads = new LoadReports({ clock, intervalMs: 1_000, maxStreams: 2 });
  const peer = (id: string) => ({ address: "127.0.0.1:1", spiffeIds: [id] });
  const wishes: LoadReportWish[] = [];
  const refusals: string[] = [];
  const stream = {
    send: (wish: LoadReportWish) => void wishes.push(wish),
    end: () => {},
    fail: (code: string) => void refusals.push(code),
  };
  const from = clock.now();
  const own = loads.onStream(peer("spiffe://e/a"), stream);
  const impostor = loads.onStream(peer("spiffe://e/b"), stream);
  assert.equal(loads.onStream(peer("spiffe://e/c"), stream), undefined);
  assert.deepEqual(refusals, ["exhausted"]);
  own?.onRequest({ nodeId: "n", clusters: [] });
  assert.deepEqual(wishes, [{ clusters: "all", intervalMs: 1_000 }]);
  impostor?.onRequest({ nodeId: "n", clusters: [{ cluster: "a", successes: 0, errors: 1_000 }] });
  // A report is of the time before it.
  own?.onRequest({ nodeId: undefined, clusters: [{ cluster: "a", successes: 0, errors: 9 }] });
  clock.advance(1_000);
  own?.onRequest({ nodeId: undefined, clusters: [{ cluster: "a", successes: 8, errors: 2 }] });
  const key = reporterKey(["spiffe://e/a"], "n");
  assert.deepEqual(loads.between([key], from, clock.now()), { requests: 10, errors: 2 });
  own?.onEnd("gone");
  assert.equal(loads.between([key], from, clock.now()), undefined);
  assert.equal(loads.size, 1);
});
