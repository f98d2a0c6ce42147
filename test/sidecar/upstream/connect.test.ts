// The options of an upstream socket.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { dial } from "../../../sidecar/upstream/connect.ts";
import { KEEP_ALIVE_TIMER, timerOfConnectionTo } from "../../support/tcp-timers.ts";

test("dial() has TCP probe an idle upstream when it is told after how long, and only then", async (t) => {
  for (const [keepAliveMs, timer] of [
    [60_000, KEEP_ALIVE_TIMER],
    [undefined, 0],
  ] as const) {
    const server = createServer();
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const options = {
      readBuffer: Buffer.alloc(16),
      bufferLimitBytes: 16,
      onRead: () => true,
      keepAliveMs,
      bind: undefined,
      source: undefined,
    };
    const socket = dial({ kind: "tcp", host: "127.0.0.1", port }, options);
    t.after(() => socket.destroy());
    await once(socket, "connect");
    assert.equal(timerOfConnectionTo(port), timer);
  }
});
