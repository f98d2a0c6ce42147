// Istio's own control plane on loopback, without Kubernetes: pilot-discovery, built once from its Go module, with kube-api.ts for
// its configuration. README.md says how; compare.ts uses it. By itself: node test/istio/istiod.ts

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { freePort, until } from "../support/sidecar-story.ts";
import { KubeApi, type KubeObject } from "./kube-api.ts";

/** The only version that the Go module proxy serves (Istio 1.31). */
const MODULE = "istio.io/istio/pilot/cmd/pilot-discovery@v0.0.0-20260827124520-eed52ebb66ad";
const ROOT = join(import.meta.dirname, "../..");
const START_MS = 60_000;

const ENVIRONMENT: Readonly<Record<string, string>> = {
  POD_NAMESPACE: "istio-system",
  POD_NAME: "istiod-1",
  CLUSTER_ID: "Kubernetes",
  REVISION: "default",
  ENABLE_CA_SERVER: "false",
  PILOT_CERT_PROVIDER: "none",
  PILOT_ENABLE_GATEWAY_API: "false",
  PILOT_ENABLE_ANALYSIS: "false",
  PILOT_ENABLE_IP_AUTOALLOCATE: "false",
  ENABLE_LEADER_ELECTION: "false",
  ISTIO_KUBE_CLIENT_CONTENT_TYPE: "json",
  KUBE_FEATURE_WatchListClient: "false",
  ENABLE_DEBUG_ENDPOINT_AUTH: "false",
};

/** Filters that Istio's build of Envoy has and Envoy itself lacks. */
const ONLY_ENVOY_FILTERS = { PILOT_ENABLE_METADATA_EXCHANGE: "false", PILOT_ENABLE_ALPN_FILTER: "false" };

export interface IstiodOptions {
  /** Values of `__NAME__` in mesh/. */
  readonly ports: Readonly<Record<string, number>>;
  /** True: only filters that Envoy has. False: what a default Istio sends. */
  readonly forEnvoy: boolean;
}

export class Istiod implements AsyncDisposable {
  /** ADS in plain text. */
  readonly port: number;
  readonly #owned: AsyncDisposableStack;

  private constructor(port: number, owned: AsyncDisposableStack) {
    this.port = port;
    this.#owned = owned;
  }

  static async start({ ports, forEnvoy }: IstiodOptions): Promise<Istiod> {
    const binary = findPilot();
    await using owned = new AsyncDisposableStack();
    const api = owned.use(await KubeApi.start(meshObjects({ ...ports, ROOT })));
    const folder = mkdtempSync(join(tmpdir(), "outrigger-istiod-"));
    owned.defer(() => rmSync(folder, { recursive: true, force: true }));
    const [port, http, monitoring] = [await freePort(), await freePort(), await freePort()];
    const kubeconfig = write(folder, "kubeconfig", {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "it",
      contexts: [{ name: "it", context: { cluster: "it", user: "it" } }],
      clusters: [{ name: "it", cluster: { server: api.url } }],
      users: [{ name: "it", user: {} }],
    });
    const mesh = write(folder, "mesh", {
      ingressControllerMode: "OFF",
      accessLogFile: "",
      enableTracing: false,
      enableAutoMtls: false,
      defaultConfig: { discoveryAddress: `127.0.0.1:${port}` },
      ...(forEnvoy
        ? {}
        : { extensionProviders: [{ name: "p", prometheus: {} }], defaultProviders: { metrics: ["p"] } }),
    });
    const flags = {
      registries: "Kubernetes",
      kubeconfig,
      meshConfig: mesh,
      httpAddr: `127.0.0.1:${http}`,
      httpsAddr: "",
      grpcAddr: `127.0.0.1:${port}`,
      secureGRPCAddr: "",
      monitoringAddr: `127.0.0.1:${monitoring}`,
      ctrlz_port: "0",
    };
    const args = ["discovery", ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
    const env = { ...process.env, ...ENVIRONMENT, ...(forEnvoy ? ONLY_ENVOY_FILTERS : {}) };
    const child = spawn(binary, args, { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    owned.defer(() => end(child));
    let log = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4_000)));
    }
    const ready = async (): Promise<boolean> => {
      if (child.exitCode !== null) return true;
      return (await fetch(`http://127.0.0.1:${http}/ready`)).ok;
    };
    const isUp = until("istiod is ready", ready, Boolean, START_MS);
    await isUp.catch((cause: unknown) => {
      throw new Error(`istiod does not start: ${log}`, { cause });
    });
    if (child.exitCode !== null) throw new Error(`istiod has ended: ${log}`);
    return new Istiod(port, owned.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

/** ISTIO_PILOT, or the binary in the cache, built when it is not there: about 8 minutes on two cores, 130 MB. */
function findPilot(): string {
  const named = process.env["ISTIO_PILOT"];
  if (named !== undefined) return named;
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "outrigger-istio");
  const binary = join(cache, "pilot-discovery");
  if (!existsSync(binary)) {
    mkdirSync(cache, { recursive: true });
    process.stderr.write(`building ${MODULE} into ${cache}, which takes minutes\n`);
    const env = { ...process.env, GOBIN: cache, GOFLAGS: "-mod=mod" };
    execFileSync("go", ["install", "-trimpath", "-ldflags", "-s -w", MODULE], { env, stdio: "inherit" });
  }
  return binary;
}

/** The objects of mesh/, with ports in them. */
function meshObjects(values: Readonly<Record<string, string | number>>): readonly KubeObject[] {
  const folder = join(import.meta.dirname, "mesh");
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => {
      const text = readFileSync(join(folder, name), "utf8").replace(/^#.*$/gm, "");
      const filled = text.replace(/__([A-Z]\w*?)__/g, (_, key: string) => String(values[key] ?? 1));
      return parseAllDocuments(filled).map((document) => document.toJS() as KubeObject);
    });
}

function write(folder: string, name: string, content: object): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(timer);
  }
}
