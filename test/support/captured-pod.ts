// A pod and a world outside it, in network namespaces: rules, a sidecar with the configuration that a mesh gives (as istiod makes it:
// virtual listeners at 15001 and 15006, passthrough clusters, a listener without a port for each service), an application.

import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { guest } from "./bootstrap-builder.ts";
import { folderWith, Launched, type Owner } from "./launcher.ts";
import { NamespaceApp } from "./namespace-app.ts";
import { NetworkNamespace, type User } from "./network-namespace.ts";

const LAUNCHER = join(import.meta.dirname, "../../outrigger");
const EXTENSIONS = "type.googleapis.com/envoy.extensions";

/** By IP version. The service has the outside's addresses; the application has one too, which leads back to the pod. */
export const ADDRESSES = {
  v4: { pod: "10.77.0.2", outside: "10.77.0.1", service: "10.96.0.10", own: "10.96.0.20", inbound: "127.0.0.6" },
  v6: { pod: "fd77::2", outside: "fd77::1", service: "fd96::10", own: "fd96::20", inbound: "::6" },
} as const;

/** Of the service, for one version each. The pod's name server is the outside. */
export const NAMES = { v4: "four.shop.test", v6: "six.shop.test" } as const;

export type Version = keyof typeof ADDRESSES;

const { v4, v6 } = ADDRESSES;

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

const LOG_FORMAT =
  "%START_TIME% chain=%FILTER_CHAIN_NAME% local=%DOWNSTREAM_LOCAL_ADDRESS% direct=%DOWNSTREAM_DIRECT_LOCAL_ADDRESS% " +
  "remote=%DOWNSTREAM_REMOTE_ADDRESS% upstream=%UPSTREAM_HOST% cluster=%UPSTREAM_CLUSTER% flags=%RESPONSE_FLAGS% path=%REQ(:PATH)%\n";

function logTo(path: string): object {
  const config = {
    "@type": `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`,
    path,
    log_format: { text_format_source: { inline_string: LOG_FORMAT } },
  };
  return { name: "file", typed_config: config };
}

function bootstrap(mode: "REDIRECT" | "TPROXY", log: string): object {
  const transparent = mode === "TPROXY";
  const logs = [logTo(log)];
  const watch = {
    name: "watch",
    root_id: "watch",
    vm_config: { vm_id: "watch", runtime: "envoy.wasm.runtime.v8", code: { local: { filename: guest("tcp") } } },
  };
  const tcp = (cluster: string): object[] => [
    { name: "watch", typed_config: { "@type": `${EXTENSIONS}.filters.network.wasm.v3.Wasm`, config: watch } },
    {
      name: "tcp",
      typed_config: {
        "@type": `${EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy`,
        stat_prefix: cluster,
        cluster,
        access_log: logs,
      },
    },
  ];
  const http = (cluster: string): object[] => [
    {
      name: "http",
      typed_config: {
        "@type": `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
        stat_prefix: cluster,
        access_log: logs,
        http_filters: [{ name: "router", typed_config: { "@type": `${EXTENSIONS}.filters.http.router.v3.Router` } }],
        route_config: {
          name: cluster,
          virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster } }] }],
        },
      },
    },
  ];
  const both = (port: number) => ({
    address: socketAddress("0.0.0.0", port),
    additional_addresses: [{ address: socketAddress("::", port) }],
  });
  const exact = (a: string, b: string, port: number) => ({
    address: socketAddress(a, port),
    additional_addresses: [{ address: socketAddress(b, port) }],
  });
  const filter = (name: string, config: object = {}): object => ({
    name,
    typed_config: { "@type": `${EXTENSIONS}.filters.listener.${name}.v3.${FILTER_TYPES[name]}`, ...config },
  });
  const outbound = { traffic_direction: "OUTBOUND", bind_to_port: false };
  const original = (name: string, more: object = {}): object => ({
    name,
    type: "ORIGINAL_DST",
    lb_policy: "CLUSTER_PROVIDED",
    cleanup_interval: "1s",
    ...more,
  });
  const bind = {
    upstream_bind_config: {
      source_address: { address: v4.inbound, port_value: 0 },
      extra_source_addresses: [{ address: { address: v6.inbound, port_value: 0 } }],
    },
  };
  const fixed = (name: string, address: string, port: number): object => ({
    name,
    type: "STATIC",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(address, port) } }] }],
    },
  });
  return {
    node: { id: "sidecar", cluster: "test" },
    admin: { address: socketAddress("127.0.0.1", 15_000) },
    static_resources: {
      clusters: [
        original("PassthroughCluster"),
        original("InboundPassthroughCluster", bind),
        original("inbound|8080||", bind),
        original("by-header", { original_dst_lb_config: { use_http_header: true, upstream_port_override: 80 } }),
        { name: "BlackHoleCluster", type: "STATIC" },
        fixed("own-v4", v4.pod, 8080),
        fixed("own-v6", v6.pod, 8080),
        fixed("moved", v4.service, 7001),
      ],
      listeners: [
        {
          name: "virtualOutbound",
          ...both(15_001),
          use_original_dst: true,
          traffic_direction: "OUTBOUND",
          filter_chains: [
            {
              name: "virtualOutbound-blackhole",
              filter_chain_match: { destination_port: 15_001 },
              filters: tcp("BlackHoleCluster"),
            },
            { name: "virtualOutbound-catchall-tcp", filters: tcp("PassthroughCluster") },
          ],
        },
        {
          name: "0.0.0.0_80",
          ...both(80),
          ...outbound,
          filter_chains: [{ name: "outbound-80", filters: http("PassthroughCluster") }],
        },
        {
          name: "headers",
          ...both(8888),
          ...outbound,
          filter_chains: [{ name: "by-header", filters: http("by-header") }],
        },
        {
          name: "service_7000",
          ...exact(v4.service, v6.service, 7000),
          ...outbound,
          filter_chains: [{ name: "service-7000", filters: tcp("moved") }],
        },
        {
          name: "own_80",
          ...exact(v4.own, v6.own, 80),
          ...outbound,
          filter_chains: [
            {
              name: "own-v4",
              filter_chain_match: { prefix_ranges: [{ address_prefix: v4.own, prefix_len: 32 }] },
              filters: http("own-v4"),
            },
            {
              name: "own-v6",
              filter_chain_match: { prefix_ranges: [{ address_prefix: v6.own, prefix_len: 128 }] },
              filters: http("own-v6"),
            },
          ],
        },
        {
          name: "virtualInbound",
          ...both(15_006),
          traffic_direction: "INBOUND",
          ...(transparent ? { transparent } : {}),
          listener_filters: [filter("original_dst"), ...(transparent ? [filter("original_src", { mark: 1337 })] : [])],
          filter_chains: [
            {
              name: "inbound-8080",
              filter_chain_match: { destination_port: 8080 },
              filters: http("inbound|8080||"),
            },
            { name: "virtualInbound", filters: tcp("InboundPassthroughCluster") },
          ],
        },
      ],
    },
  };
}

const FILTER_TYPES: Readonly<Record<string, string>> = { original_dst: "OriginalDst", original_src: "OriginalSrc" };

export interface Flow {
  readonly chain: string;
  readonly local: string;
  readonly direct: string;
  readonly remote: string;
  readonly upstream: string;
  readonly cluster: string;
  readonly flags: string;
  readonly path: string;
}

export class CapturedPod {
  readonly pod: NetworkNamespace;
  readonly outside: NetworkNamespace;
  /** In the pod, and outside. */
  readonly app: NamespaceApp;
  readonly world: NamespaceApp;
  readonly sidecar: Launched;
  readonly #log: string;

  private constructor(parts: Pick<CapturedPod, "pod" | "outside" | "app" | "world" | "sidecar">, log: string) {
    this.pod = parts.pod;
    this.outside = parts.outside;
    this.app = parts.app;
    this.world = parts.world;
    this.sidecar = parts.sidecar;
    this.#log = log;
  }

  static async start(t: Owner, mode: "REDIRECT" | "TPROXY", backend: "nft" | "iptables"): Promise<CapturedPod> {
    const [pod, outside] = await Promise.all([NetworkNamespace.create(t), NetworkNamespace.create(t)]);
    await pod.sh(`ip link add e0 type veth peer name e1 netns ${outside.pid}
ip addr add ${v4.pod}/24 dev e0; ip -6 addr add ${v6.pod}/64 dev e0 nodad; ip link set e0 up`);
    await outside.sh(`echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
ip addr add ${v4.outside}/24 dev e1; ip -6 addr add ${v6.outside}/64 dev e1 nodad; ip link set e1 up
ip addr add ${v4.service}/32 dev lo; ip -6 addr add ${v6.service}/128 dev lo nodad`);
    await pod.sh(`ip route add default via ${v4.outside}; ip -6 route add default via ${v6.outside}`);
    const flags = ["-m", mode, "--backend", backend, "-d", "15020,15021,15090,8090", "-o", "3306"];
    const applied = await pod.run(LAUNCHER, ["iptables", "apply", ...flags]);
    if (applied.code !== 0) throw new Error(applied.stderr);

    const folder = folderWith(t, {});
    chmodSync(folder, 0o777);
    const log = join(folder, "access.log");
    writeFileSync(log, "");
    chmodSync(log, 0o666);
    writeFileSync(join(folder, "bootstrap.json"), JSON.stringify(bootstrap(mode, log)));
    const user: User = mode === "TPROXY" ? { uid: 1337, capability: "net_admin" } : { uid: 1337 };
    const args = ["run", "-c", join(folder, "bootstrap.json"), "--concurrency", "1", "-l", "warning"];
    const sidecar = new Launched(pod.spawn(LAUNCHER, [...args, "--file-flush-interval-msec", "50"], user) as never);
    t.after(() => sidecar.end("SIGKILL"));
    const [app, world] = await Promise.all([
      NamespaceApp.start(t, pod, "app", v4.outside),
      NamespaceApp.start(t, outside, "outside"),
    ]);
    await app.serve("http", 8080, 8090);
    await app.serve("tcp", 9000);
    await world.serve("http", 80);
    await world.serve("tcp", 7001, 9998, 9999, 3306);
    await world.serveNames({ [NAMES.v4]: [v4.service], [NAMES.v6]: [v6.service] });
    const captured = new CapturedPod({ pod, outside, app, world, sidecar }, log);
    await captured.#untilReady();
    return captured;
  }

  async #untilReady(): Promise<void> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const answer = await this.admin("/ready");
      if (answer.startsWith("LIVE")) return;
      if (performance.now() > deadline || this.sidecar.hasEnded) {
        throw new Error(`The sidecar is not ready: ${answer}\n${this.sidecar.stderr.all.join("\n")}`);
      }
    }
  }

  admin(path: string): Promise<string> {
    return this.app.ask({ do: "http", host: "127.0.0.1", port: 15_000, path });
  }

  /** Lines of the access log so far. */
  flows(): readonly Flow[] {
    const lines = readFileSync(this.#log, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    return lines.map((line) => {
      const fields = Object.fromEntries(Array.from(line.matchAll(/(\w+)=(\S*)/g), ([, name, value]) => [name, value]));
      return fields as unknown as Flow;
    });
  }

  /** The first line that `test` accepts, now or soon: lines are written when the connection is over. */
  async flow(what: string, test: (flow: Flow) => boolean): Promise<Flow> {
    const deadline = performance.now() + 8_000;
    for (;;) {
      const found = this.flows().find(test);
      if (found !== undefined) return found;
      if (performance.now() > deadline) {
        throw new Error(`no line of ${what} in\n${readFileSync(this.#log, "utf8")}`);
      }
      // A turn of the sidecar between two looks.
      await this.admin("/ready");
    }
  }
}
