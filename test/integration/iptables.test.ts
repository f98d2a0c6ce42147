// The verb `iptables` in network namespaces: twice is once, nothing stays after clean, a refused rule changes nothing, and
// validate knows whether connections are captured. What the sidecar makes of captured connections: capture.test.ts.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Owner } from "../support/launcher.ts";
import { NetworkNamespace, namespacesMissing, type Ran } from "../support/network-namespace.ts";
import type { PodStep } from "../support/pod-steps.ts";

const LAUNCHER = join(import.meta.dirname, "../../outrigger");
const STEPS = join(import.meta.dirname, "../support/pod-steps.ts");
const skip = namespacesMissing();

/** Everything that rules consist of, in the kernel's own words; without counters, comments, and addresses that come by themselves. */
const STATE = `{ nft list ruleset
iptables-save | sed 's/\\[[0-9:]*\\]//'
ip6tables-save | sed 's/\\[[0-9:]*\\]//'
ip rule; ip -6 rule; ip route show table all | sort; ip -6 route show table all | sort; ip -6 addr show dev lo
} | sed 's/counter packets [0-9]* bytes [0-9]*//' | grep -Ev '^#|fe80|multicast'`;

async function namespace(t: Owner): Promise<NetworkNamespace> {
  const pod = await NetworkNamespace.create(t);
  await pod.sh(`ip link add e0 type veth peer name e1
ip addr add 10.77.0.2/24 dev e0; ip -6 addr add fd77::2/64 dev e0 nodad; ip link set e0 up; ip link set e1 up
ip route add default via 10.77.0.1; ip -6 route add default via fd77::1`);
  return pod;
}

/** What came of each step; `sh` steps fail the test when they fail. */
async function perform(pod: NetworkNamespace, ...steps: readonly PodStep[]): Promise<readonly Ran[]> {
  const { code, stdout, stderr } = await pod.run(process.execPath, [STEPS], JSON.stringify(steps));
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as readonly Ran[];
}

for (const backend of ["nft", "iptables"]) {
  const use = ["--backend", backend];

  test(`iptables --backend ${backend}: apply twice is once, clean leaves nothing`, { skip }, async (t) => {
    const all = ["apply", ...use, "-m", "TPROXY", "--redirect-dns", "--capture-all-dns", "--drop-invalid"];
    // Rules of others stay where they are; they also make the kernel's own chains, which stay, empty, when ours go.
    const others = `for t in raw mangle nat; do for c in PREROUTING OUTPUT; do
iptables -t $t -A $c -d 203.0.113.9 -p tcp; ip6tables -t $t -A $c -d 2001:db8::9 -p tcp; done; done`;
    const steps = [others, STATE, all, STATE, all, STATE, ["apply", ...use], STATE, ["clean"], STATE, ["clean"]];
    const results = await perform(await namespace(t), ...steps);
    assert.deepEqual(
      results.map(({ code, stderr }) => `${code} ${stderr}`),
      results.map(() => "0 "),
    );
    const [, before, , first, , second, , redirect, , cleaned] = results.map(({ stdout }) => stdout);
    assert.match(first ?? "", /outrigger[^]*fwmark/i);
    assert.equal(second, first);
    // Another mode replaces all of it, its route too.
    assert.match(redirect ?? "", /outrigger/i);
    assert.doesNotMatch(redirect ?? "", /TPROXY|tproxy|fwmark/);
    assert.equal(cleaned, before);
  });

  test(`iptables --backend ${backend}: what the kernel refuses leaves everything as it was`, { skip }, async (t) => {
    const bad = ["apply", ...use, "-m", "TPROXY", "--outbound-owner-groups-exclude", "no-such-group"];
    const results = await perform(await namespace(t), ["apply", ...use], STATE, bad, STATE);
    const [applied, before, refused, after] = results;
    assert.ok(applied !== undefined && refused !== undefined);
    assert.equal(applied.code, 0, applied.stderr);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /no-such-group[^]*Nothing was changed\./);
    assert.match(before?.stdout ?? "", /outrigger/i);
    assert.equal(after?.stdout, before?.stdout);
  });

  test(`iptables --backend ${backend}: validate knows whether connections are captured`, { skip }, async (t) => {
    const pod = await namespace(t);
    const [bare, redirect, tproxy] = await perform(
      pod,
      ["validate", "--probe-timeout", "100ms"],
      ["apply", ...use, "--run-validation"],
      ["apply", ...use, "-m", "TPROXY", "--run-validation"],
    );
    assert.ok(bare !== undefined && redirect !== undefined && tproxy !== undefined);
    assert.equal(bare.code, 1);
    assert.match(bare.stderr, /inbound IPv4: 10\.77\.0\.2:15002 is not captured: ECONNREFUSED/);
    assert.match(bare.stderr, /outbound IPv6: \[2001:db8::1\]:15002 is not captured: nothing arrived within 100 ms/);
    for (const captured of [redirect, tproxy]) {
      assert.equal(captured.code, 0, captured.stderr);
      assert.equal(captured.stdout.match(/with its original destination/g)?.length, 4, captured.stdout);
    }
  });
}

test(
  "iptables as the sidecar's user, without capabilities: validate works, apply says what it needs",
  { skip },
  async (t) => {
    const pod = await namespace(t);
    const refused = await pod.run(LAUNCHER, ["iptables", "apply"], "", { uid: 1337 });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /not permitted[^]*Nothing was changed\. This needs CAP_NET_ADMIN/);
    await perform(pod, ["apply"]);
    const own = await pod.run(LAUNCHER, ["iptables", "validate"], "", { uid: 1337 });
    assert.equal(own.code, 0, own.stderr);
    assert.match(own.stdout, /inbound IPv4[^]*inbound IPv6/);
    assert.match(own.stderr, /outbound IPv4: 192\.0\.2\.1:15002 was not tried: user 1337 is the sidecar's/);
  },
);
