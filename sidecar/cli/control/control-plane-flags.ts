// The flags of the verb `control-plane` and its help: words to settings, or what is wrong with them.

import type { CanaryOptions, TlsFiles } from "../../../xds/server/index.ts";
import { isLoopbackHost } from "../../admin/foreign-request.ts";
import { canaryOptions } from "../../control/canary-settings.ts";
import { CANARY_FLAGS } from "./config.ts";
import { describeFlags, parseFlags } from "../flags.ts";
import type { Flag, FlagValues } from "../flags.ts";

const USAGE = "control-plane -f PATH [--port PORT] [--address ADDRESS]";

const DEFAULT_PORT = 18_000;
const DEFAULT_ADDRESS = "127.0.0.1";
const DEFAULT_MAX_CLIENTS = 5_000;

export const CONTROL_PLANE_FLAGS: readonly Flag[] = [
  {
    name: "file",
    short: "f",
    kind: "string",
    value: "PATH",
    help: "YAML or JSON file of resources, or a folder of them",
    repeats: true,
  },
  {
    name: "port",
    kind: "number",
    value: "PORT",
    defaultText: String(DEFAULT_PORT),
    help: "port for sidecars; 0 takes a free one",
  },
  { name: "address", kind: "string", value: "ADDRESS", defaultText: DEFAULT_ADDRESS, help: "IP address to listen on" },
  { name: "tls-cert", kind: "string", value: "FILE", help: "PEM certificate chain; read again when it changes" },
  { name: "tls-key", kind: "string", value: "FILE", help: "PEM key of the certificate" },
  {
    name: "tls-client-ca",
    kind: "string",
    value: "FILE",
    help: "PEM CAs: a sidecar must show a certificate that one of them signed",
  },
  {
    name: "allow-spiffe-id",
    kind: "string",
    value: "PATTERN",
    help: "a sidecar must have a SPIFFE id like this, * is any part without /; needs --tls-client-ca",
    repeats: true,
  },
  {
    name: "allow-plaintext",
    kind: "boolean",
    help: "listen without TLS on an address that is not loopback",
    defaultText: "false",
  },
  {
    name: "admin-address",
    kind: "string",
    value: "ADDRESS",
    defaultText: DEFAULT_ADDRESS,
    help: "IP address of the admin port: status, statistics",
  },
  {
    name: "admin-port",
    kind: "number",
    value: "PORT",
    defaultText: "--port and 1",
    help: "the admin port; 0 takes a free one",
  },
  {
    name: "admin-allow-changes",
    kind: "boolean",
    help: "let configuration be pushed through an admin address that is not loopback",
    defaultText: "false",
  },
  ...CANARY_FLAGS.map((flag) => ({
    ...flag,
    help: `${flag.help}${flag.name === "canary" ? "; of changes and pushes" : ""}`,
  })),
  {
    name: "max-clients",
    kind: "number",
    value: "NUMBER",
    defaultText: String(DEFAULT_MAX_CLIENTS),
    help: "streams at once; more are refused",
  },
  { name: "quiet", short: "q", kind: "boolean", help: "print no line for each sidecar and push", defaultText: "false" },
];

export type ControlPlaneSettings = Readonly<{
  paths: readonly string[];
  port: number;
  address: string;
  tls: TlsFiles | undefined;
  allowSpiffeIds: readonly string[];
  admin: Readonly<{ address: string; port: number; allowChanges: boolean }>;
  maxClients: number;
  isQuiet: boolean;
  /** How changes go out; undefined: to every sidecar at once. */
  canary: CanaryOptions | undefined;
}>;

export function controlPlaneHelp(): string {
  return `outrigger ${USAGE}

Serves Envoy v3 resources to sidecars over ADS and the services of each type, state of the
world and delta. A change of a file is pushed; a bad file is refused with file, line and
column, and the last good version stays in force.

A file holds resources with "@type", or static_resources, or YAML documents (---) of groups:
  selector:                        # all that is given must hold; absent: every sidecar
    node_id: "shop-*"              # or a list; * is any text
    cluster: shop
    locality: { region: eu, zone: a, sub_zone: b }
    labels: { app: shop }          # node metadata LABELS
    metadata: { NAMESPACE: shop }
  spiffe_ids: ["spiffe://example.org/ns/shop/sa/*"]   # who is selected must be one of these
  on_demand: true                  # virtual hosts (VHDS) and clusters for sidecars that ask for a domain or name
  resources: [ ... ]
Where two groups have a resource of one name, the later counts: files by name, then documents.

${describeFlags(CONTROL_PLANE_FLAGS)}`;
}

/** A text says what is wrong. */
export function parseControlPlaneFlags(argv: readonly string[]): ControlPlaneSettings | string {
  const parsed = parseFlags(CONTROL_PLANE_FLAGS, argv);
  if (!parsed.ok) return parsed.problem;
  const { values, lists, positionals } = parsed;
  if (positionals.length > 0) return `unexpected argument "${positionals[0]}"`;
  const paths = lists["file"] ?? [];
  if (paths.length === 0) return "needs a file or a folder of resources: -f PATH";
  const port = numberOf(values, "port", DEFAULT_PORT);
  const adminPort = numberOf(values, "admin-port", port === 0 ? 0 : port + 1);
  for (const [flag, number] of Object.entries({ port, "admin-port": adminPort })) {
    if (number > 65_535) return `flag --${flag} got "${number}": must be 0 to 65535`;
  }
  const tls = tlsOf(values);
  if (typeof tls === "string") return tls;
  const allowSpiffeIds = lists["allow-spiffe-id"] ?? [];
  if (allowSpiffeIds.length > 0 && tls?.clientCa === undefined) return "--allow-spiffe-id needs --tls-client-ca";
  const address = textOf(values, "address") ?? DEFAULT_ADDRESS;
  if (!isLoopbackHost(address) && tls === undefined && values["allow-plaintext"] !== true) {
    return `${address} is not loopback: give --tls-cert and --tls-key, or --allow-plaintext if only sidecars reach the port`;
  }
  const canary = canaryOptions((name) => textOf(values, name.replaceAll("_", "-")), undefined);
  if (typeof canary === "string") return canary;
  return {
    canary,
    paths,
    port,
    address,
    tls,
    allowSpiffeIds,
    admin: {
      address: textOf(values, "admin-address") ?? DEFAULT_ADDRESS,
      port: adminPort,
      allowChanges: values["admin-allow-changes"] === true,
    },
    maxClients: numberOf(values, "max-clients", DEFAULT_MAX_CLIENTS),
    isQuiet: values["quiet"] === true,
  };
}

function tlsOf(values: FlagValues): TlsFiles | undefined | string {
  const certificate = textOf(values, "tls-cert");
  const key = textOf(values, "tls-key");
  const clientCa = textOf(values, "tls-client-ca");
  if (certificate === undefined && key === undefined) {
    return clientCa === undefined ? undefined : "--tls-client-ca needs --tls-cert and --tls-key";
  }
  if (certificate === undefined || key === undefined) return "--tls-cert and --tls-key go together";
  return { certificate, key, ...(clientCa === undefined ? {} : { clientCa }) };
}

function textOf(values: FlagValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

function numberOf(values: FlagValues, name: string, fallback: number): number {
  const value = values[name];
  return typeof value === "number" ? value : fallback;
}
