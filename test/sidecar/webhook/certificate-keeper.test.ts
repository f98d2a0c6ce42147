// Certificates over time and among replicas: made once, kept, renewed, replaced with the old authority still trusted, left to others.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import {
  issueServing,
  type KeyedCertificate,
  makeAuthority,
  readCertificate,
} from "../../../sidecar/webhook/certificate.ts";
import { CertificateKeeper, type KeeperEvent } from "../../../sidecar/webhook/certificate-keeper.ts";
import {
  type CertificateStore,
  FolderStore,
  type Stored,
  type StoredCertificates,
} from "../../../sidecar/webhook/certificate-store.ts";

const NAMES = ["webhook.system.svc"];
const DAY_MS = 86_400_000;
const START = Date.parse("2026-11-28T12:00:00Z");

/** A Secret in memory; `onWrite` runs before each write, as another replica would. */
class MemoryStore implements CertificateStore {
  certificates: StoredCertificates = { "ca.crt": "", "ca.key": "", "tls.crt": "", "tls.key": "" };
  version = 0;
  onWrite: (() => void) | undefined;

  async read(): Promise<Stored> {
    return { certificates: this.certificates, version: this.version === 0 ? undefined : String(this.version) };
  }

  async write(certificates: StoredCertificates, version: string | undefined): Promise<boolean> {
    this.onWrite?.();
    if (version !== (this.version === 0 ? undefined : String(this.version))) {
      return false;
    }
    this.certificates = certificates;
    this.version++;
    return true;
  }
}

interface Replica {
  readonly keeper: CertificateKeeper;
  readonly served: KeyedCertificate[];
  readonly events: KeeperEvent[];
  readonly trusted: string[];
}

function replica(store: CertificateStore, clock: { nowMs: number }, publishTrust?: () => Promise<void>): Replica {
  const served: KeyedCertificate[] = [];
  const events: KeeperEvent[] = [];
  const trusted: string[] = [];
  const keeper = new CertificateKeeper({
    store,
    names: NAMES,
    nowMs: () => clock.nowMs,
    onServing: (serving) => served.push(serving),
    publishTrust: async (bundle) => {
      await publishTrust?.();
      trusted.push(bundle);
    },
    onEvent: (event) => events.push(event),
  });
  return { keeper, served, events, trusted };
}

suite("CertificateKeeper", () => {
  test("makes certificates once; a second replica and a restart take the same", async () => {
    const [store, clock] = [new MemoryStore(), { nowMs: START }];
    const [one, two] = [replica(store, clock), replica(store, clock)];
    assert.ok((await one.keeper.refresh()) && (await two.keeper.refresh()) && (await one.keeper.refresh()));
    assert.deepEqual(two.served, one.served);
    assert.equal(one.served.length, 1);
    assert.deepEqual(
      [...one.events, ...two.events].map(({ kind }) => kind),
      ["issued", "loaded", "loaded"],
    );
    assert.ok(one.trusted.every((bundle) => bundle === store.certificates["ca.crt"]));
  });

  test("two replicas that start at once end with one certificate", async () => {
    const [store, clock] = [new MemoryStore(), { nowMs: START }];
    const [one, two] = [replica(store, clock), replica(store, clock)];
    assert.deepEqual(await Promise.all([one.keeper.refresh(), two.keeper.refresh()]), [true, true]);
    assert.deepEqual(one.served.at(-1), two.served.at(-1));
    assert.equal(store.version, 1);
  });

  test("renews by the same authority, and all replicas follow", async () => {
    const [store, clock] = [new MemoryStore(), { nowMs: START }];
    const [one, two] = [replica(store, clock), replica(store, clock)];
    await one.keeper.refresh();
    await two.keeper.refresh();
    const authority = store.certificates["ca.crt"];
    clock.nowMs += 61 * DAY_MS;
    await one.keeper.refresh();
    await two.keeper.refresh();
    assert.equal(store.certificates["ca.crt"], authority);
    assert.equal(one.served.length, 2);
    assert.deepEqual(one.served.at(-1), two.served.at(-1));
    assert.equal(one.keeper.expiresAtMs, Date.parse(readCertificate(store.certificates["tls.crt"])?.validTo ?? ""));
  });

  test("an old authority is replaced, and trusted until it ends", async () => {
    const [store, clock] = [new MemoryStore(), { nowMs: START }];
    const one = replica(store, clock);
    await one.keeper.refresh();
    const old = store.certificates["ca.crt"];
    clock.nowMs += 2_500 * DAY_MS;
    await one.keeper.refresh();
    const bundle = store.certificates["ca.crt"];
    assert.ok(bundle.endsWith(old) && bundle.length > old.length);
    assert.equal(one.trusted.at(-1), bundle);
    clock.nowMs += 61 * DAY_MS;
    await one.keeper.refresh();
    assert.equal(store.certificates["ca.crt"], bundle, "the new one goes on");
  });

  test("what is stored for other names, or is broken, is made anew", async () => {
    const clock = { nowMs: START };
    const authority = makeAuthority("x", START);
    for (const leaf of [issueServing(authority, ["other.svc"], START), { certificate: "nonsense", key: "" }]) {
      const store = new MemoryStore();
      store.certificates = {
        "ca.crt": authority.certificate,
        "ca.key": authority.key,
        "tls.crt": leaf.certificate,
        "tls.key": leaf.key,
      };
      store.version = 7;
      const one = replica(store, clock);
      assert.equal(await one.keeper.refresh(), true);
      assert.equal(one.events[0]?.kind, "issued");
      assert.equal(store.certificates["ca.crt"], authority.certificate);
    }
  });

  test("certificates that others issue are served and followed, never changed", async () => {
    const [store, clock] = [new MemoryStore(), { nowMs: START }];
    const authority = makeAuthority("cert-manager", START);
    const put = (): void => {
      const leaf = issueServing(authority, ["whatever.svc"], clock.nowMs);
      store.certificates = {
        "ca.crt": authority.certificate,
        "ca.key": "",
        "tls.crt": leaf.certificate,
        "tls.key": leaf.key,
      };
      store.version++;
    };
    put();
    const one = replica(store, clock);
    await one.keeper.refresh();
    clock.nowMs += 89 * DAY_MS;
    await one.keeper.refresh();
    assert.equal(one.served.length, 1);
    put();
    await one.keeper.refresh();
    assert.equal(one.served.length, 2);
    assert.equal(store.version, 2);
  });

  test("a store that fails is reported, and the last certificate stays in use", async () => {
    const [store, clock] = [new MemoryStore(), { nowMs: START }];
    const one = replica(store, clock);
    await one.keeper.refresh();
    store.read = () => Promise.reject(new Error("away"));
    assert.equal(await one.keeper.refresh(), false);
    assert.deepEqual(one.events.at(-1), { kind: "failed", step: "certificates", problem: "away" });
    assert.equal(one.served.length, 1);
  });

  test("trust that cannot be published is reported apart", async () => {
    const one = replica(new MemoryStore(), { nowMs: START }, () => Promise.reject(new Error("forbidden")));
    assert.equal(await one.keeper.refresh(), false);
    assert.deepEqual(one.events.at(-1), { kind: "failed", step: "trust", problem: "forbidden" });
    assert.equal(one.served.length, 1);
  });

  test("a replica that always loses says so instead of trying for ever", async () => {
    const [store, clock] = [new MemoryStore(), { nowMs: START }];
    store.onWrite = () => store.version++;
    const one = replica(store, clock);
    assert.equal(await one.keeper.refresh(), false);
    assert.match(JSON.stringify(one.events.at(-1)), /faster 5 times/);
  });
});

suite("FolderStore", () => {
  test("keeps the four files, for the owner's eyes only", async () => {
    const folder = join(mkdtempSync(join(tmpdir(), "outrigger-certs-")), "made");
    try {
      const store = new FolderStore(folder);
      assert.equal((await store.read()).version, undefined);
      const certificates = { "ca.crt": "a", "ca.key": "b", "tls.crt": "c", "tls.key": "d" };
      assert.equal(await store.write(certificates), true);
      assert.deepEqual((await store.read()).certificates, certificates);
      assert.equal(statSync(join(folder, "ca.key")).mode & 0o777, 0o600);
      writeFileSync(join(folder, "ca.key"), "");
      assert.equal((await store.read()).certificates["ca.key"], "");
    } finally {
      rmSync(join(folder, ".."), { recursive: true });
    }
  });
});
