import assert from "node:assert/strict";
import { test } from "node:test";
import { type IptablesOptions, parseIptablesOptions } from "../../../sidecar/cli/iptables/capture-flags.ts";
import { captureRules } from "../../../sidecar/interception/capture-rules.ts";
import {
  nameServers,
  parseCidrs,
  parseInterfaces,
  parsePorts,
} from "../../../sidecar/interception/capture-settings.ts";
import { nftScript } from "../../../sidecar/interception/nft-script.ts";
import { restoreScript } from "../../../sidecar/interception/restore-script.ts";

function options(argv: readonly string[], env: Record<string, string> = {}): IptablesOptions {
  const parsed = parseIptablesOptions(argv, env);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.options;
}

/** Two spaces make an empty argument. */
function words(text: string): string[] {
  return text.split(" ");
}

function nft(...argv: readonly string[]): string {
  return nftScript(captureRules(options(argv).settings));
}

test("captureRules() without flags captures everything but the sidecar's own", () => {
  assert.equal(
    nft(),
    `table inet outrigger {}
delete table inet outrigger
table inet outrigger {
  chain nat_prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    meta l4proto tcp tcp dport 15008 return
    meta l4proto tcp tcp dport 15020 return
    meta l4proto tcp tcp dport 15021 return
    meta l4proto tcp tcp dport 15090 return
    meta l4proto tcp redirect to :15006
  }
  chain nat_output {
    type nat hook output priority -100; policy accept;
    oifname "lo" ip saddr 127.0.0.6/32 return
    oifname "lo" ip6 saddr ::6/128 return
    oifname "lo" meta l4proto tcp ip daddr != 127.0.0.1/32 tcp dport != { 15008 } meta skuid 1337 redirect to :15006
    oifname "lo" meta l4proto tcp ip6 daddr != ::1/128 tcp dport != { 15008 } meta skuid 1337 redirect to :15006
    oifname "lo" meta l4proto tcp ip daddr != 127.0.0.1/32 tcp dport != { 15008 } meta skgid 1337 redirect to :15006
    oifname "lo" meta l4proto tcp ip6 daddr != ::1/128 tcp dport != { 15008 } meta skgid 1337 redirect to :15006
    meta skuid 1337 return
    meta skgid 1337 return
    oifname "lo" return
    ip daddr 127.0.0.1/32 return
    ip6 daddr ::1/128 return
    meta l4proto tcp redirect to :15001
  }
}
`,
  );
});

test("restoreScript() says the same to iptables, each family its own", () => {
  const rules = captureRules(options(["-x", "10.1.0.0/16,fd01::/16"]).settings);
  assert.equal(
    restoreScript(rules, 4, ""),
    `*nat
:OUTRIGGER_PREROUTING - [0:0]
:OUTRIGGER_OUTPUT - [0:0]
-A OUTRIGGER_PREROUTING -p tcp --dport 15008 -j RETURN
-A OUTRIGGER_PREROUTING -p tcp --dport 15020 -j RETURN
-A OUTRIGGER_PREROUTING -p tcp --dport 15021 -j RETURN
-A OUTRIGGER_PREROUTING -p tcp --dport 15090 -j RETURN
-A OUTRIGGER_PREROUTING -p tcp -j REDIRECT --to-ports 15006
-A PREROUTING -j OUTRIGGER_PREROUTING
-A OUTRIGGER_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A OUTRIGGER_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m multiport ! --dports 15008 -m owner --uid-owner 1337 -j REDIRECT --to-ports 15006
-A OUTRIGGER_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m multiport ! --dports 15008 -m owner --gid-owner 1337 -j REDIRECT --to-ports 15006
-A OUTRIGGER_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A OUTRIGGER_OUTPUT -m owner --gid-owner 1337 -j RETURN
-A OUTRIGGER_OUTPUT -o lo -j RETURN
-A OUTRIGGER_OUTPUT -d 127.0.0.1/32 -j RETURN
-A OUTRIGGER_OUTPUT -d 10.1.0.0/16 -j RETURN
-A OUTRIGGER_OUTPUT -p tcp -j REDIRECT --to-ports 15001
-A OUTPUT -j OUTRIGGER_OUTPUT
COMMIT
`,
  );
  assert.match(restoreScript(rules, 6, ""), /-d fd01::\/16 -j RETURN/);
  assert.doesNotMatch(restoreScript(rules, 6, ""), /10\.1\./);
});

test("restoreScript() takes out the jumps and chains of before", () => {
  const saved =
    "*nat\n:OUTRIGGER_OUTPUT - [0:0]\n-A OUTPUT -j OUTRIGGER_OUTPUT\n-A OUTPUT -j OUTRIGGER_OUTPUT\nCOMMIT\n";
  assert.equal(
    restoreScript([], 4, saved),
    "*nat\n:OUTRIGGER_OUTPUT - [0:0]\n-D OUTPUT -j OUTRIGGER_OUTPUT\n-D OUTPUT -j OUTRIGGER_OUTPUT\n-X OUTRIGGER_OUTPUT\nCOMMIT\n",
  );
  assert.equal(restoreScript([], 4, "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"), "");
});

test("captureRules() excludes and includes as Istio's flags say", () => {
  const rules = nft(
    ...words("-b 80,443 -d 80 -o 3306 -q 9092 -i 10.0.0.0/8,fd00::/8 -x 10.9.0.0/16 -c eth1,net+ -k vnet0"),
    ...words("-u 1337,2000 -g  --outbound-owner-groups-exclude ftp"),
  );
  const lines = rules.split("\n").map((line) => line.trim());
  const place = (line: string): number => {
    const found = lines.indexOf(line);
    assert.ok(found >= 0, `${line} in\n${rules}`);
    return found;
  };
  // A list of inbound ports is captured whole: exclusions count only beside "*".
  place("meta l4proto tcp tcp dport 80 redirect to :15006");
  assert.ok(!lines.includes("meta l4proto tcp redirect to :15006"));
  assert.ok(
    place('iifname "eth1" return') < place('iifname "vnet0" meta l4proto tcp ip daddr 10.0.0.0/8 redirect to :15001'),
  );
  place('oifname "net*" return');
  assert.ok(place("meta l4proto tcp tcp dport 3306 return") < place("meta skuid 2000 return"));
  place("meta l4proto udp udp dport 3306 return");
  assert.ok(place("meta skgid ftp return") < place('oifname "lo" return'));
  assert.ok(place("ip daddr 10.9.0.0/16 return") < place("meta l4proto tcp tcp dport 9092 redirect to :15001"));
  assert.ok(place("meta l4proto tcp ip daddr 10.0.0.0/8 redirect to :15001") > 0);
  assert.ok(!lines.includes("meta l4proto tcp redirect to :15001"));
});

test("captureRules() captures nothing in a direction whose list is empty", () => {
  const rules = nft("-b", "", "-i", "");
  assert.doesNotMatch(rules, /redirect/);
  assert.doesNotMatch(nft("-m", "TPROXY", "-b", ""), /tproxy/);
});

test("captureRules() sends DNS to its own port and keeps the two halves apart", () => {
  const rules = nft("--redirect-dns", "--capture-all-dns");
  assert.match(rules, /meta l4proto udp udp dport 53 redirect to :15053/);
  assert.match(rules, /meta l4proto udp udp dport 53 meta skuid 1337 ct zone set 1 return\n/);
  assert.match(rules, /tcp dport != \{ 53, 15008 \}/);
  assert.doesNotMatch(nft(), /15053/);
  assert.deepEqual(nameServers("search x\nnameserver 10.96.0.10\n nameserver fd00::a # b\nnameserver bad\n"), [
    "10.96.0.10",
    "fd00::a",
  ]);
});

test("parseIptablesOptions() lets a flag win over its variable, and that over the default", () => {
  const env = { ENVOY_PORT: "16001", ISTIO_INBOUND_PORTS: "8080", ISTIO_META_DNS_CAPTURE: "true", PROXY_UID: "5" };
  const { settings } = options(["-p", "17001"], env);
  assert.equal(settings.outboundPort, 17_001);
  assert.deepEqual(settings.inboundPorts, [8080]);
  assert.notEqual(settings.dns, undefined);
  assert.deepEqual(settings.proxyGids, ["5"]);
  // What Istio's injector passes for a pod without annotations.
  const injected = options(
    words("-p 15001 -z 15006 -u 1337 -m REDIRECT -i * -x  -b * -d 15090,15021,15020 --log_output_level=default:info"),
  );
  assert.deepEqual(
    { ...injected.settings, inboundPortsExclude: [] },
    { ...options([]).settings, inboundPortsExclude: [] },
  );
});

for (const [argv, problem] of [
  [["-p", "0"], '--envoy-port: "0" is not a number from 1 to 65535'],
  [["-b", "80,http"], '--istio-inbound-ports: "http" is not a port from 1 to 65535'],
  [["-i", "10.0.0.0/33"], '--istio-service-cidr: "10.0.0.0/33" is not an address range'],
  [["-c", "eth0; reboot"], '--istio-exclude-interfaces: "eth0; reboot" is not the name of a network interface'],
  [["-u", "1337 return"], '--proxy-uid: "1337 return" is not a number or a name'],
  [["-m", "MAGIC"], '--istio-inbound-interception-mode: "MAGIC" is not one of REDIRECT, TPROXY'],
  [["--probe-timeout", "soon"], '--probe-timeout: "soon" is not a duration'],
  [["extra"], 'unexpected argument "extra"'],
] as const) {
  test(`parseIptablesOptions() refuses ${argv.join(" ")}`, () => {
    const parsed = parseIptablesOptions(argv, {});
    assert.ok(!parsed.ok && parsed.problem.includes(problem), JSON.stringify(parsed));
  });
}

test("lists of settings are checked, cleaned and bounded", () => {
  assert.deepEqual(parsePorts(" 80, ,443,80"), { value: [80, 443] });
  assert.deepEqual(parseCidrs("10.1.2.3,::/0"), { value: ["10.1.2.3/32", "::/0"] });
  assert.deepEqual(parseInterfaces("veth+,br-0.5"), { value: ["veth+", "br-0.5"] });
  assert.ok("problem" in parsePorts(Array.from({ length: 2000 }, (_, i) => i + 1).join()));
});
