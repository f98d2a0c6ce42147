// The control plane as a library: what a program that serves sidecars imports. README.md here has an example that a test
// runs.

export { createControlPlane } from "./control-plane.ts";
export type { ControlPlane, ControlPlaneEvent, ControlPlaneOptions } from "./control-plane.ts";
export type { ClientView } from "./connected-client.ts";
export type { ConfigDiff, ResourceChange } from "./config-diff.ts";
export { COUNTER_NAMES, GAUGES } from "./counters.ts";
export type { CounterName } from "./counters.ts";
export { readGroups } from "./group-files.ts";
export type { GroupFile, ReadGroups } from "./group-files.ts";
export type { Load } from "./load-reports.ts";
export type { PushOptions, ReleaseView } from "./releases.ts";
export type { ResourceGroup } from "./resource-groups.ts";
export { isSameContent } from "./resource-set.ts";
export type { ServedResource } from "./resource-set.ts";
export { DEFAULT_CANARY } from "./rollout.ts";
export type { CanaryOptions, RolloutView } from "./rollout.ts";
export type { Selector } from "./selector.ts";
export { findFiles, ServedFiles } from "./served-files.ts";
export type { ServedFilesDeps } from "./served-files.ts";
export type { Refusal, TypeView } from "./session.ts";
export type { TlsFiles } from "./tls-files.ts";
