/**
 * What capture costs: CPU time of the proxy for each new connection that rules have redirected to it, beside one that came to a listener
 * directly, ours and Envoy's with the same bootstrap in equal pods of network namespaces. Each connection carries one request that is
 * answered directly. Rounds are interleaved. Needs root, nft, ip and wrk.
 * Run: node test/bench/capture.ts [--rounds 5] [--seconds 2]; exit code 1 when the aim (README.md) is missed.
 */
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findEnvoy } from "../support/envoy-binary.ts";
import { Launched } from "../support/launcher.ts";
import { NetworkNamespace, namespacesMissing } from "../support/network-namespace.ts";
import { cpuSpent, cpuTimes } from "./machine.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "2" } },
});
const ROUNDS = Number(values.rounds);
const SECONDS = Number(values.seconds);
/** Of one connection, more than without capture. */
const AIM_US = 10;

const LAUNCHER = join(import.meta.dirname, "../../outrigger");
const EXTENSIONS = "type.googleapis.com/envoy.extensions";
const POD = "10.77.0.2";
const OUTSIDE = "10.77.0.1";

/** Where wrk connects to, and from where. */
const CASES = [
  { name: "in, direct", from: "outside", url: `http://${POD}:8081/`, base: undefined },
  { name: "in, captured", from: "outside", url: `http://${POD}:8080/`, base: "in, direct" },
  { name: "out, direct", from: "pod", url: "http://127.0.0.1:8082/", base: undefined },
  { name: "out, captured", from: "pod", url: `http://${OUTSIDE}:80/`, base: "out, direct" },
] as const;
type CaseName = (typeof CASES)[number]["name"];

function at(address: string, port: number): object {
  return { address: { socket_address: { address, port_value: port } } };
}

function listener(name: string, address: object, more: object, match?: object): object {
  const typed = {
    "@type": `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    http_filters: [{ name: "router", typed_config: { "@type": `${EXTENSIONS}.filters.http.router.v3.Router` } }],
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "ok" } } }],
        },
      ],
    },
  };
  const chain = {
    filters: [{ name: "http", typed_config: typed }],
    ...(match === undefined ? {} : { filter_chain_match: match }),
  };
  return { name, ...address, filter_chains: [chain], ...more };
}

const BOOTSTRAP = {
  admin: at("127.0.0.1", 15_000),
  static_resources: {
    listeners: [
      listener("direct-in", at("0.0.0.0", 8081), {}, { destination_port: 8081 }),
      listener("direct-out", at("127.0.0.1", 8082), {}),
      listener(
        "virtualInbound",
        at("0.0.0.0", 15_006),
        {
          listener_filters: [
            {
              name: "original_dst",
              typed_config: { "@type": `${EXTENSIONS}.filters.listener.original_dst.v3.OriginalDst` },
            },
          ],
        },
        { destination_port: 8080 },
      ),
      listener("virtualOutbound", at("0.0.0.0", 15_001), { use_original_dst: true }, { destination_port: 1 }),
      listener("0.0.0.0_80", at("0.0.0.0", 80), { bind_to_port: false }),
    ],
  },
};

class Subject {
  readonly name: string;
  readonly samples = new Map<CaseName, number[]>(CASES.map(({ name }) => [name, []]));
  readonly #namespaces: { readonly pod: NetworkNamespace; readonly outside: NetworkNamespace };
  readonly #pid: number;

  private constructor(name: string, namespaces: { pod: NetworkNamespace; outside: NetworkNamespace }, pid: number) {
    this.name = name;
    this.#namespaces = namespaces;
    this.#pid = pid;
  }

  static async start(name: string, program: string, args: readonly string[], folder: string): Promise<Subject> {
    const owner = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) };
    const [pod, outside] = [await NetworkNamespace.create(owner), await NetworkNamespace.create(owner)];
    const ports = "echo '1024 65000' > /proc/sys/net/ipv4/ip_local_port_range\n";
    await pod.sh(`${ports}ip link add e0 type veth peer name e1 netns ${outside.pid}
ip addr add ${POD}/24 dev e0; ip link set e0 up`);
    await outside.sh(`${ports}ip addr add ${OUTSIDE}/24 dev e1; ip link set e1 up`);
    const applied = await pod.run(LAUNCHER, ["iptables", "apply", "-d", "8081"]);
    if (applied.code !== 0) throw new Error(applied.stderr);
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(BOOTSTRAP));
    const words = ["-c", "0", program, ...args, "-c", file, "--concurrency", "1", "-l", "warning"];
    const child = pod.spawn("taskset", words, { uid: 1337 });
    const launched = new Launched(child as never);
    cleanUps.push(() => launched.end("SIGKILL"));
    const subject = new Subject(name, { pod, outside }, child.pid as number);
    for (let tries = 0; !(await subject.#answers()); tries++) {
      if (tries > 200 || launched.hasEnded)
        throw new Error(`${name} did not start:\n${launched.stderr.all.join("\n")}`);
    }
    return subject;
  }

  async #answers(): Promise<boolean> {
    const { code, stdout } = await this.#namespaces.pod.run("curl", [
      "-s",
      "--max-time",
      "1",
      "http://127.0.0.1:15000/ready",
    ]);
    return code === 0 && stdout.startsWith("LIVE");
  }

  async measure(name: CaseName, seconds: number): Promise<number> {
    const { from, url } = CASES.find((each) => each.name === name) as (typeof CASES)[number];
    const words = ["-c", "1", "wrk", "-t1", "-c8", `-d${seconds}s`, "-H", "Connection: close", url];
    const before = cpuTimes(this.#pid);
    const { stdout, stderr } = await this.#namespaces[from].run("taskset", words);
    const spent = cpuSpent(before, cpuTimes(this.#pid));
    const [, count] = /(\d+) requests in/.exec(stdout) ?? [];
    if (count === undefined || /Socket errors: connect [1-9]|Non-2xx/.test(stdout)) {
      throw new Error(`${this.name}, ${name}: ${stdout}${stderr}`);
    }
    return spent / 1_000 / Number(count);
  }
}

const cleanUps: (() => unknown)[] = [];

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The median over the rounds of what `captured` costs more than its direct case. */
function added(subject: Subject, captured: CaseName, direct: CaseName): number {
  const [more, less] = [subject.samples.get(captured) ?? [], subject.samples.get(direct) ?? []];
  return median(more.map((value, round) => value - (less[round] ?? Number.NaN)));
}

async function main(): Promise<number> {
  const missing = namespacesMissing();
  if (missing !== false) {
    console.log(missing);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), "outrigger-capture-"));
  chmodSync(folder, 0o755);
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  const subjects = [await Subject.start("outrigger", LAUNCHER, ["run"], folder)];
  const envoy = findEnvoy();
  if (envoy === undefined) {
    console.log("no Envoy to compare with");
  } else {
    // The package may be where only root may look.
    const copy = join(folder, "envoy");
    copyFileSync(envoy, copy);
    chmodSync(copy, 0o755);
    subjects.push(await Subject.start("envoy", copy, ["--base-id", "771"], folder));
  }
  for (const subject of subjects) {
    for (const { name } of CASES) await subject.measure(name, 1);
  }
  for (let round = 0; round < ROUNDS; round++) {
    // What is compared stands next to each other.
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      for (const { name } of round % 2 === 0 ? CASES : CASES.toReversed()) {
        subject.samples.get(name)?.push(await subject.measure(name, SECONDS));
      }
    }
  }
  console.log(
    `CPU µs of the proxy for each connection, medians of ${ROUNDS} rounds; "adds": median of the rounds' differences`,
  );
  let isMet = true;
  for (const subject of subjects) {
    for (const { name, base } of CASES) {
      const cost = median(subject.samples.get(name) ?? []).toFixed(1);
      const more = base === undefined ? undefined : added(subject, name, base);
      const text = more === undefined ? "" : `  adds ${more.toFixed(1)}`;
      console.log(`${subject.name.padEnd(10)} ${name.padEnd(14)} ${cost.padStart(7)}${text}`);
      if (subject.name === "outrigger" && more !== undefined) isMet &&= more <= AIM_US;
    }
  }
  console.log(`at most ${AIM_US} µs more: ${isMet ? "met" : "MISSED"}`);
  return isMet ? 0 : 1;
}

try {
  process.exitCode = await main();
} finally {
  for (const cleanUp of cleanUps.toReversed()) await cleanUp();
}
