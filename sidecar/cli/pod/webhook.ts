// What the verb `webhook` does: serves AdmissionReviews over TLS until a signal, with certificates of its own. cli/webhook.ts loads it.
// Exit codes: 0 a clean stop, 1 a bad settings file, a port that is taken, or no way to keep certificates, 2 wrong usage.

import type { InjectSettings } from "../../inject/settings.ts";
import { type CertificateStore, FolderStore, SecretStore } from "../../webhook/certificate-store.ts";
import { CertificateKeeper, type KeeperEvent } from "../../webhook/certificate-keeper.ts";
import { accessFromEnvironment, KubernetesApi } from "../../webhook/kubernetes-api.ts";
import { publishCaBundle } from "../../webhook/trust-bundle.ts";
import { WebhookMetrics } from "../../webhook/webhook-metrics.ts";
import { WebhookServer } from "../../webhook/webhook-server.ts";
import { parseLogLevel } from "../../telemetry/log-level.ts";
import { RootLog } from "../../telemetry/log.ts";
import { describeFlags, type Flag } from "../flags.ts";
import { LOG_LEVELS } from "../run-flags.ts";
import { type CliIo, type VerbAction, wrongUsage } from "../verb.ts";
import { followSettings } from "./live-settings.ts";
import { parseSettings, refuseSettings, SETTING_FLAGS, SETTING_FLAGS_HELP } from "./inject-flags.ts";

const DEFAULTS = {
  port: 15017,
  metricsPort: 15014,
  address: "::",
  service: "outrigger-webhook",
  secret: "outrigger-webhook-certs",
  configuration: "outrigger-sidecar-injector",
  drainSeconds: 5,
};

const FLAGS: readonly Flag[] = [
  {
    name: "port",
    kind: "number",
    value: "PORT",
    defaultText: String(DEFAULTS.port),
    help: "TLS: POST /inject; 0 takes a free one",
  },
  {
    name: "metrics-port",
    kind: "number",
    value: "PORT",
    defaultText: String(DEFAULTS.metricsPort),
    help: "plain HTTP: /metrics, /ready, /healthz",
  },
  { name: "address", kind: "string", value: "ADDRESS", defaultText: DEFAULTS.address, help: "of both ports" },
  {
    name: "service",
    kind: "string",
    value: "NAME",
    defaultText: DEFAULTS.service,
    help: "the Service under which the API server calls it",
  },
  {
    name: "service-namespace",
    kind: "string",
    value: "NAME",
    defaultText: "the pod's, or outrigger-system",
    help: "of the Service and the Secret",
  },
  {
    name: "dns-name",
    kind: "string",
    value: "NAME",
    repeats: true,
    help: "another name or IPv4 address for the certificate",
  },
  {
    name: "secret",
    kind: "string",
    value: "NAME",
    defaultText: DEFAULTS.secret,
    help: "in a cluster: where the certificates are kept",
  },
  {
    name: "cert-dir",
    kind: "string",
    value: "DIR",
    help: "keep them there instead (needed outside a cluster); without a ca.key they are others' to renew",
  },
  {
    name: "webhook-config",
    kind: "string",
    value: "NAME",
    defaultText: DEFAULTS.configuration,
    help: "in a cluster: MutatingWebhookConfiguration that gets the CA bundle; empty: none",
  },
  {
    name: "drain-time-s",
    kind: "number",
    value: "SECONDS",
    defaultText: String(DEFAULTS.drainSeconds),
    help: "how long it still answers after SIGTERM",
  },
  {
    name: "log-level",
    short: "l",
    kind: "string",
    value: "LEVEL",
    allowed: LOG_LEVELS,
    defaultText: "info",
    help: "of the webhook itself",
  },
];

export const WEBHOOK: VerbAction = {
  words: { flags: [...FLAGS, ...SETTING_FLAGS] },
  help: () => `outrigger webhook

Serves a mutating admission webhook (AdmissionReview v1) that adds the sidecar to pods as they are created. It makes,
keeps and renews its own certificate, and writes the CA bundle into its MutatingWebhookConfiguration. When the file of
--settings changes, pods from then on get the new settings; while it cannot be used, those before.

Flags:
${describeFlags(FLAGS)}
Settings, which "inject" has too:
${SETTING_FLAGS_HELP}`,
  run,
};

async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseSettings(FLAGS, argv);
  if (!parsed.ok) {
    return refuseSettings(io, "webhook", parsed);
  }
  const { values, lists, given } = parsed;
  const text = (name: string, fallback: string): string => String(values[name] ?? fallback);
  const number = (name: string, fallback: number): number => Number(values[name] ?? fallback);
  const access = accessFromEnvironment(io.env);
  const folder = values["cert-dir"];
  if (access === undefined && typeof folder !== "string") {
    return wrongUsage(io, "webhook", "this is no pod of a cluster: --cert-dir DIR says where to keep the certificates");
  }
  if (typeof folder === "string") {
    const problem = await new FolderStore(folder).problem();
    if (problem !== undefined) {
      io.err(`outrigger webhook: cannot keep certificates in --cert-dir ${folder}: ${problem}\n`);
      return 1;
    }
  }
  const log = new RootLog({
    level: parseLogLevel(text("log-level", "info")) ?? "info",
    format: "json",
    path: undefined,
  });
  const api = access === undefined ? undefined : new KubernetesApi(access);
  const isNative = await hasNativeSidecars(api, log);
  const adapt = (settings: InjectSettings, said: ReadonlySet<string>): InjectSettings =>
    isNative || said.has("native-sidecar") ? settings : { ...settings, nativeSidecar: false };
  const settings = adapt(parsed.settings, given);
  const namespace = text("service-namespace", "") || (await ownNamespace(api)) || "outrigger-system";
  const metrics = new WebhookMetrics();
  const store: CertificateStore =
    typeof folder === "string" || api === undefined
      ? new FolderStore(String(folder))
      : new SecretStore(api, namespace, text("secret", DEFAULTS.secret));
  const configuration = text("webhook-config", DEFAULTS.configuration);
  const first = Promise.withResolvers<void>();
  const keeper = new CertificateKeeper({
    store,
    names: [
      ...serviceNames(text("service", DEFAULTS.service), namespace, settings.clusterDomain),
      ...(lists["dns-name"] ?? []),
    ],
    nowMs: Date.now,
    onServing: (serving) => {
      server.serve(serving);
      first.resolve();
    },
    publishTrust: async (caBundle) => {
      if (api !== undefined && configuration !== "") {
        await publishCaBundle(api, configuration, caBundle);
      }
    },
    onEvent: (event) => {
      metrics.certificateEvent(event.kind === "failed" ? `failed-${event.step}` : event.kind);
      report(log, event);
    },
  });
  const server = new WebhookServer(settings, { metrics, certificateExpiresMs: () => keeper.expiresAtMs });
  const address = text("address", DEFAULTS.address);
  const path = values["settings"];
  const unfollow =
    typeof path === "string"
      ? followSettings({
          path,
          flags: FLAGS,
          argv,
          settings,
          adapt,
          onEvent: (event) => {
            metrics.settingsEvent(event.kind);
            if (event.kind === "taken") {
              server.useSettings(event.settings);
              log.info({ path, changed: event.changed }, "the settings are read again");
            } else {
              log.warn({ problem: event.problem }, "the settings cannot be used, those before stay in use");
            }
          },
        })
      : (): void => undefined;
  try {
    // Probes and scrapes are answered while the certificates are still waited for.
    const metricsPort = number("metrics-port", DEFAULTS.metricsPort);
    const plain = await server
      .listenPlain({ address, port: metricsPort })
      .catch((error: unknown) => cannotListen("metrics-port", metricsPort, error));
    await keeper.start();
    const stopped = new Promise<void>((resolve) => {
      io.stop.addEventListener("abort", () => resolve(), { once: true });
      if (io.stop.aborted) {
        resolve();
      }
    });
    await Promise.race([first.promise, stopped]);
    if (!io.stop.aborted) {
      const wanted = number("port", DEFAULTS.port);
      const port = await server
        .listen({ address, port: wanted })
        .catch((error: unknown) => cannotListen("port", wanted, error));
      log.info({ port, metrics_port: plain, image: settings.image, control_plane: settings.controlPlane }, "serving");
      await stopped;
    }
    server.drain();
    log.info({ seconds: number("drain-time-s", DEFAULTS.drainSeconds) }, "draining");
    await pause(number("drain-time-s", DEFAULTS.drainSeconds) * 1_000, io.kill);
    return 0;
  } catch (error) {
    io.err(`outrigger webhook: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    unfollow();
    keeper.stop();
    server.close();
  }
}

/** The first version of Kubernetes in which an init container can stay; before it such a pod would wait for its sidecar to end. */
const NATIVE_SIDECARS_SINCE = 29;

/** Whether the cluster has native sidecars; where it does not, pods get classic containers. Unknown: it has. */
async function hasNativeSidecars(api: KubernetesApi | undefined, log: RootLog): Promise<boolean> {
  try {
    const minor = await api?.minorVersion();
    if (minor !== undefined && minor < NATIVE_SIDECARS_SINCE) {
      log.info({ version: `1.${minor}` }, "this cluster has no native sidecars: classic containers are injected");
      return false;
    }
  } catch (error) {
    log.warn(
      { problem: error instanceof Error ? error.message : String(error) },
      "cannot ask for the cluster's version",
    );
  }
  return true;
}

/** Every form in which a cluster calls a Service. */
function serviceNames(service: string, namespace: string, domain: string): string[] {
  return [
    `${service}.${namespace}.svc`,
    `${service}.${namespace}`,
    service,
    `${service}.${namespace}.svc.${domain}`,
    "localhost",
  ];
}

async function ownNamespace(api: KubernetesApi | undefined): Promise<string> {
  try {
    return (await api?.namespace()) ?? "";
  } catch {
    return "";
  }
}

function report(log: RootLog, event: KeeperEvent): void {
  switch (event.kind) {
    case "issued":
      log.info({ why: event.why, expires: event.expires }, "a new certificate was made");
      return;
    case "loaded":
      log.info({ expires: event.expires }, "certificate in use");
      return;
    case "failed":
      log.warn(
        { problem: event.problem },
        event.step === "trust" ? "cannot publish the CA bundle" : "cannot keep certificates",
      );
  }
}

/** Says which flag is to blame. */
function cannotListen(flag: string, port: number, error: unknown): never {
  const text = error instanceof Error ? error.message : String(error);
  const reason = text.includes("EADDRINUSE")
    ? "the port is taken"
    : text.includes("EACCES")
      ? "permission denied; choose a port above 1023"
      : /ENOTFOUND|EADDRNOTAVAIL|EAI_AGAIN/.test(text)
        ? `--address is none of this machine (${text})`
        : text;
  throw new Error(`cannot listen at --${flag} ${port}: ${reason}`, { cause: error });
}

/** Until the time is over, or somebody cannot wait. */
function pause(ms: number, end: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    end.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
