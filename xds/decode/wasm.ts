// envoy.extensions.wasm.v3.PluginConfig → model. Called by http-filter.ts and, for ECDS, by resource.ts.
// Code is named, not loaded: the main thread fetches and compiles it later, so a module that is missing is not a NACK.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { BytesValue, StringValue } from "@bufbuild/protobuf/wkt";
import type { AsyncDataSource, RemoteDataSource } from "../gen/envoy/config/core/v3/base_pb.ts";
import {
  FailurePolicy as FailurePolicyMessage,
  type CapabilityRestrictionConfig,
  type EnvironmentVariables,
  type PluginConfig as PluginConfigMessage,
  type VmConfig,
} from "../gen/envoy/extensions/wasm/v3/wasm_pb.ts";
import type { FailurePolicy, PluginCode, PluginConfig } from "../model/plugin-config.ts";
import { typeNameOf, unpackAny } from "./any.ts";
import { quoted } from "./constraint.ts";
import { decodeDataSource } from "./data-source.ts";
import { durationMs } from "./duration.ts";
import { child, item, type Findings } from "./issues.ts";

/** Runtime names that mean outrigger's own host. */
const RUNTIMES: ReadonlySet<string> = new Set(["", "envoy.wasm.runtime.v8"]);
/** Envoy's default backoff of FAIL_RELOAD. */
const DEFAULT_RELOAD_BACKOFF_MS = 1_000;
/** Envoy's defaults for fetching code: RemoteAsyncDataProvider. */
const DEFAULT_FETCH_RETRIES = 1;
const DEFAULT_FETCH_BACKOFF_MS = 1_000;
const NO_BYTES = new Uint8Array();
const SHA256 = /^[0-9a-fA-F]{64}$/;

/** `fallbackName` is the filter's own name. Undefined when there is no VM or no code, which is then reported. */
export function decodePluginConfig(
  message: PluginConfigMessage | undefined,
  fallbackName: string,
  path: string,
  findings: Findings,
): PluginConfig | undefined {
  const vm = message?.vm.value;
  if (message === undefined || vm === undefined) {
    findings.issue(child(path, "vm_config"), "is required");
    return undefined;
  }
  const vmPath = child(path, "vm_config");
  if (!RUNTIMES.has(vm.runtime)) {
    findings.issue(
      child(vmPath, "runtime"),
      `wasm runtime ${quoted(vm.runtime)} is not available; use "envoy.wasm.runtime.v8" or leave it out`,
    );
  }
  const environment = decodeEnvironment(vm.environmentVariables, child(vmPath, "environment_variables"), findings);
  const code = decodeCode(vm.code, child(vmPath, "code"), findings);
  if (code === undefined) return undefined;
  checkFailurePolicy(message, path, findings);
  return {
    name: message.name === "" ? fallbackName : message.name,
    rootId: message.rootId,
    vmId: vm.vmId,
    code,
    vmConfiguration: configurationBytes(vm.configuration),
    configuration: configurationBytes(message.configuration),
    failurePolicy: FAILURE_POLICIES[message.failurePolicy] ?? "closed",
    failOpenDeprecated: message.failOpen,
    reloadBackoffMs: durationMs(message.reloadConfig?.backoff?.baseInterval, DEFAULT_RELOAD_BACKOFF_MS),
    ...environment,
    allowedCapabilities: decodeCapabilities(message, vm),
    allowOnHeadersStopIteration: message.allowOnHeadersStopIteration ?? false,
    nackOnCodeCacheMiss: vm.nackOnCodeCacheMiss,
  };
}

const FAILURE_POLICIES: Readonly<Record<number, FailurePolicy>> = {
  [FailurePolicyMessage.UNSPECIFIED]: "closed",
  [FailurePolicyMessage.FAIL_RELOAD]: "reload",
  [FailurePolicyMessage.FAIL_CLOSED]: "closed",
  [FailurePolicyMessage.FAIL_OPEN]: "open",
};

function checkFailurePolicy(message: PluginConfigMessage, path: string, findings: Findings): void {
  if (FAILURE_POLICIES[message.failurePolicy] === undefined) {
    findings.issue(
      child(path, "failure_policy"),
      `${message.failurePolicy} is not one of FAIL_RELOAD, FAIL_CLOSED, FAIL_OPEN`,
    );
  }
  if (message.failOpen && message.failurePolicy !== FailurePolicyMessage.UNSPECIFIED) {
    findings.issue(child(path, "failure_policy"), "cannot be set together with the deprecated fail_open");
  }
}

/** What the guest reads: the text or bytes of a StringValue or BytesValue, else the message's serialised form. */
export function configurationBytes(any: Any | undefined): Uint8Array {
  if (any === undefined) return NO_BYTES;
  switch (typeNameOf(any.typeUrl)) {
    case "google.protobuf.StringValue": {
      const inner = unpackAny(any).message as StringValue | undefined;
      return Buffer.from(inner?.value ?? "");
    }
    case "google.protobuf.BytesValue": {
      const inner = unpackAny(any).message as BytesValue | undefined;
      return inner?.value ?? NO_BYTES;
    }
    default:
      return any.value;
  }
}

function decodeCode(message: AsyncDataSource | undefined, path: string, findings: Findings): PluginCode | undefined {
  const specifier = message?.specifier;
  switch (specifier?.case) {
    case undefined:
      findings.issue(path, "is required: local (a file or inline bytes) or remote");
      return undefined;
    case "local":
      return decodeDataSource(specifier.value);
    case "remote":
      return decodeRemoteCode(specifier.value, child(path, "remote"), findings);
  }
}

function decodeRemoteCode(message: RemoteDataSource, path: string, findings: Findings): PluginCode {
  const { httpUri, sha256, retryPolicy } = message;
  if (sha256 !== "" && !SHA256.test(sha256)) {
    findings.issue(child(path, "sha256"), `${quoted(sha256)} must be 64 hexadecimal digits`);
  }
  const backoff = retryPolicy?.retryBackOff;
  const retryBaseMs = durationMs(backoff?.baseInterval, DEFAULT_FETCH_BACKOFF_MS);
  const retryMaxMs = durationMs(backoff?.maxInterval, 10 * retryBaseMs);
  if (retryMaxMs < retryBaseMs) {
    findings.issue(child(path, "retry_policy.retry_back_off.max_interval"), "must be at least base_interval");
  }
  return {
    kind: "remote",
    uri: httpUri?.uri ?? "",
    cluster: httpUri?.httpUpstreamType.value ?? "",
    timeoutMs: durationMs(httpUri?.timeout, 0),
    sha256: sha256.toLowerCase(),
    retries: retryPolicy?.numRetries ?? DEFAULT_FETCH_RETRIES,
    retryBaseMs,
    retryMaxMs,
  };
}

function decodeEnvironment(
  message: EnvironmentVariables | undefined,
  path: string,
  findings: Findings,
): Pick<PluginConfig, "hostEnvironmentKeys" | "environment"> {
  const hostEnvironmentKeys = message?.hostEnvKeys ?? [];
  const environment = message?.keyValues ?? {};
  const seen = new Set<string>();
  for (const [index, key] of hostEnvironmentKeys.entries()) {
    if (seen.has(key) || Object.hasOwn(environment, key)) {
      findings.issue(item(child(path, "host_env_keys"), index), `${quoted(key)} is given twice`);
    }
    seen.add(key);
  }
  return { hostEnvironmentKeys, environment };
}

/** The restriction moved from the plugin to its VM; both are read, and the VM's wins. An empty map allows everything. */
function decodeCapabilities(message: PluginConfigMessage, vm: VmConfig): readonly string[] | undefined {
  const names = capabilityNames(vm.capabilityRestrictionConfig);
  return names.length > 0 ? names : orUndefined(capabilityNames(message.capabilityRestrictionConfig));
}

function capabilityNames(message: CapabilityRestrictionConfig | undefined): readonly string[] {
  return Object.keys(message?.allowedCapabilities ?? {});
}

function orUndefined(names: readonly string[]): readonly string[] | undefined {
  return names.length > 0 ? names : undefined;
}
