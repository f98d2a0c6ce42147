// An XdsClient for tests that keeps everything it says, so that a test can wait for a snapshot or a state.

import { createXdsClient } from "../../xds/client.ts";
import type { XdsClient, XdsClientOptions } from "../../xds/client.ts";
import type { Bootstrap } from "../../xds/model/bootstrap.ts";
import type { Snapshot } from "../../xds/model/snapshot.ts";
import type { SnapshotChanges } from "../../xds/snapshot-changes.ts";
import { EventLog } from "./events.ts";

export type SeenSnapshot = Readonly<{ snapshot: Snapshot; changes: SnapshotChanges }>;

export type TestClient = Readonly<{
  client: XdsClient;
  snapshots: EventLog<SeenSnapshot>;
  statuses: EventLog<"status">;
  log: readonly string[];
  /** Waits until the present snapshot or a later one satisfies `test`. */
  until(what: string, test: (snapshot: Snapshot) => boolean): Promise<Snapshot>;
  /** Waits until `test` holds, looking after each change of status. */
  untilStatus(what: string, test: () => boolean): Promise<void>;
}>;

export function startClient(bootstrap: Bootstrap, options: Partial<XdsClientOptions> = {}): TestClient {
  const snapshots = new EventLog<SeenSnapshot>();
  const statuses = new EventLog<"status">();
  const log: string[] = [];
  const say = (level: string) => (message: string, fields: object) => {
    log.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const client = createXdsClient({
    bootstrap,
    version: "0.0.0-test",
    log: { debug: say("debug"), info: say("info"), warn: say("warn") },
    onSnapshot: (snapshot, changes) => snapshots.push({ snapshot, changes }),
    onStatus: () => statuses.push("status"),
    // Reconnection without the pauses that a real server is spared with.
    random: () => 0.01,
    ...options,
  });
  client.start();
  return {
    client,
    snapshots,
    statuses,
    log,
    until: async (what, test) => {
      const present = Math.max(0, snapshots.all.length - 1);
      return (await snapshots.first(what, ({ snapshot }) => test(snapshot), present)).snapshot;
    },
    untilStatus: async (what, test) => {
      await statuses.first(what, () => test());
    },
  };
}
