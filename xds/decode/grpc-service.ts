// envoy.config.core.v3.GrpcService → model: a server behind a bootstrap cluster, or a target with its credentials.
// Called by config-source.ts. Source: Envoy's google_grpc_creds_impl.cc for what the credentials mean.

import type { HeaderValue } from "../gen/envoy/config/core/v3/base_pb.ts";
import type {
  GrpcService,
  GrpcService_GoogleGrpc as GoogleGrpc,
  GrpcService_GoogleGrpc_CallCredentials as CallCredentials,
  GrpcService_GoogleGrpc_SslCredentials as SslCredentials,
} from "../gen/envoy/config/core/v3/grpc_service_pb.ts";
import type { FileBasedMetadataConfig } from "../gen/envoy/config/grpc_credential/v3/file_based_metadata_pb.ts";
import type { CallCredential, GrpcTarget, KeepAlive } from "../model/config-source.ts";
import type { DataSource } from "../model/plugin-config.ts";
import type { UpstreamTls } from "../model/tls.ts";
import { unpackAny } from "./any.ts";
import { quoted } from "./constraint.ts";
import { decodeDataSource } from "./data-source.ts";
import { durationMs } from "./duration.ts";
import { child, item, type Findings } from "./issues.ts";

const FACTORIES: ReadonlySet<string> = new Set([
  "",
  "envoy.grpc_credentials.default",
  "envoy.grpc_credentials.file_based_metadata",
]);

const FILE_BASED = "envoy.config.grpc_credential.v3.FileBasedMetadataConfig";

/** Undefined when it names no server, which inspection has already reported. */
export function decodeGrpcService(message: GrpcService, path: string, findings: Findings): GrpcTarget | undefined {
  const base = {
    initialMetadata: decodeMetadata(message.initialMetadata, child(path, "initial_metadata"), findings),
    timeoutMs: durationMs(message.timeout, 0),
  };
  const target = message.targetSpecifier;
  switch (target.case) {
    case undefined:
      return undefined;
    case "envoyGrpc": {
      const { clusterName: name, authority } = target.value;
      return { kind: "cluster", name, authority, ...base, tls: undefined, keepAlive: undefined, callCredentials: [] };
    }
    case "googleGrpc": {
      const google = decodeGoogleGrpc(target.value, child(path, "google_grpc"), findings);
      return { kind: "target", name: target.value.targetUri, ...base, ...google };
    }
  }
}

function decodeMetadata(
  headers: readonly HeaderValue[],
  path: string,
  findings: Findings,
): GrpcTarget["initialMetadata"] {
  return headers.map(({ key, value, rawValue }, index) => {
    if (key.startsWith(":") || key.toLowerCase() === "host") {
      findings.issue(child(item(path, index), "key"), `${quoted(key)} may not be set; use authority`);
    }
    findings.format(child(item(path, index), "value"), value);
    const text = rawValue.length > 0 ? Buffer.from(rawValue).toString("latin1") : value;
    return { key, value: text };
  });
}

type Google = Pick<GrpcTarget, "authority" | "tls" | "keepAlive" | "callCredentials">;

function decodeGoogleGrpc(message: GoogleGrpc, path: string, findings: Findings): Google {
  if (!FACTORIES.has(message.credentialsFactoryName)) {
    const known = [...FACTORIES].filter((name) => name !== "").join(" and ");
    const problem = `${quoted(message.credentialsFactoryName)} is not supported; ${known} are`;
    findings.issue(child(path, "credentials_factory_name"), problem);
  }
  const args = decodeArgs(message, child(path, "channel_args.args"), findings);
  const override = args.texts.get("grpc.ssl_target_name_override") ?? "";
  const credentials = message.channelCredentials?.credentialSpecifier;
  const callPath = child(path, "call_credentials");
  const isSsl = credentials?.case === "sslCredentials";
  return {
    authority: args.texts.get("grpc.default_authority") ?? override,
    keepAlive: args.keepAlive,
    tls: isSsl ? sslContext(credentials.value, override === "" ? hostOf(message.targetUri) : override) : undefined,
    callCredentials: message.callCredentials.flatMap((each, index) =>
      decodeCallCredential(each, item(callPath, index), findings),
    ),
  };
}

/** Arguments that have a meaning here. */
const TEXT_ARGS = ["grpc.ssl_target_name_override", "grpc.default_authority"];
const NUMBER_ARGS = ["grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms"];
/** gRPC's own default. */
const KEEPALIVE_TIMEOUT_MS = 20_000;

type Args = Readonly<{ texts: ReadonlyMap<string, string>; keepAlive: KeepAlive | undefined }>;

function decodeArgs(message: GoogleGrpc, path: string, findings: Findings): Args {
  const texts = new Map<string, string>();
  const numbers = new Map<string, number>();
  for (const [name, { valueSpecifier: value }] of Object.entries(message.channelArgs?.args ?? {})) {
    if (value.case === "stringValue" && TEXT_ARGS.includes(name)) texts.set(name, value.value);
    else if (value.case === "intValue" && NUMBER_ARGS.includes(name)) numbers.set(name, Number(value.value));
    else {
      const field = `envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelArgs.args.${name}`;
      findings.warn("no_effect", item(path, name), field, "accepted without effect: the gRPC library decides");
    }
  }
  const intervalMs = numbers.get("grpc.keepalive_time_ms");
  const timeoutMs = numbers.get("grpc.keepalive_timeout_ms") ?? KEEPALIVE_TIMEOUT_MS;
  return { texts, keepAlive: intervalMs === undefined ? undefined : { intervalMs, timeoutMs } };
}

/** gRPC verifies the chain, and that the certificate is for the name that it connects to. */
function sslContext(message: SslCredentials, serverName: string): UpstreamTls {
  const trustedCa = decodeDataSource(message.rootCerts);
  const certificateChain = decodeDataSource(message.certChain);
  const privateKey = decodeDataSource(message.privateKey);
  const hasCertificate = certificateChain !== undefined || privateKey !== undefined;
  return {
    minTlsVersion: undefined,
    maxTlsVersion: undefined,
    cipherSuites: [],
    ecdhCurves: [],
    signatureAlgorithms: [],
    alpnProtocols: [],
    certificates: hasCertificate ? [{ certificateChain, privateKey, password: undefined, watchedDirectory: "" }] : [],
    certificateSecrets: [],
    validation: {
      trustedCa,
      systemRoots: trustedCa === undefined,
      crl: undefined,
      watchedDirectory: "",
      spkiHashes: [],
      certificateHashes: [],
      sanMatchers: [],
      allowExpired: false,
      acceptUntrusted: false,
      maxVerifyDepth: 100,
    },
    validationSecret: undefined,
    sni: serverName,
    autoHostSni: false,
    autoSanValidation: true,
  };
}

/** The host of a target such as `dns:///host:port`, `host:port` or `ipv4:1.2.3.4:5`. */
function hostOf(target: string): string {
  const authority = target.replace(/^[a-z0-9]+:(\/\/[^/]*\/)?(?!\d+$)/i, "");
  return authority.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

function decodeCallCredential(message: CallCredentials, path: string, findings: Findings): readonly CallCredential[] {
  const specifier = message.credentialSpecifier;
  switch (specifier.case) {
    case undefined:
      return [];
    case "accessToken":
      return [{ key: "authorization", prefix: "Bearer ", token: inline(specifier.value) }];
    case "googleIam": {
      const { authorizationToken, authoritySelector } = specifier.value;
      return [
        { key: "x-goog-iam-authorization-token", prefix: "", token: inline(authorizationToken) },
        { key: "x-goog-iam-authority-selector", prefix: "", token: inline(authoritySelector) },
      ];
    }
    case "fromPlugin": {
      const any = specifier.value.configType.value;
      const inner = any === undefined ? undefined : unpackAny(any);
      if (inner?.typeName === FILE_BASED && inner.message !== undefined) {
        return fileBased(inner.message as FileBasedMetadataConfig);
      }
      const problem = `${quoted(inner?.typeName ?? specifier.value.name)} is not supported; ${FILE_BASED} is`;
      findings.issue(child(path, "from_plugin.typed_config"), problem);
      return [];
    }
    // The table of fields refuses these.
    case "googleComputeEngine":
    case "googleRefreshToken":
    case "serviceAccountJwtAccess":
    case "stsService":
      return [];
  }
}

function fileBased({ secretData, headerKey, headerPrefix }: FileBasedMetadataConfig): readonly CallCredential[] {
  const token = decodeDataSource(secretData);
  return token === undefined
    ? []
    : [{ key: headerKey === "" ? "authorization" : headerKey, prefix: headerPrefix, token }];
}

function inline(text: string): DataSource {
  return { kind: "bytes", bytes: Buffer.from(text) };
}
