// /xds: for each source of configuration, what came and what became of it: received, acknowledged or refused, and in use on
// each worker. Gathered by admin-state.ts from the xDS client's status and the workers' reports. Pure.

import type { XdsStatus } from "../xds/client.ts";
import type { ResourceView } from "../xds/resource-store.ts";
import {
  CLUSTER_TYPE,
  ENDPOINTS_TYPE,
  EXTENSION_CONFIG_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  SCOPED_ROUTE_TYPE,
  SECRET_TYPE,
} from "../xds/type-urls.ts";
import type { XdsResourceView, XdsTypeView, XdsView } from "./admin/ports.ts";
import type { ResourceUse } from "./usage-clock.ts";

/** Names of a snapshot's parts, which the usage clock counts by. */
const PARTS: Readonly<Record<string, string>> = {
  [LISTENER_TYPE]: "listeners",
  [ROUTE_TYPE]: "routes",
  [SCOPED_ROUTE_TYPE]: "scopes",
  [CLUSTER_TYPE]: "clusters",
  [ENDPOINTS_TYPE]: "endpoints",
  [EXTENSION_CONFIG_TYPE]: "plugins",
};

export interface XdsFacts {
  readonly status: Pick<XdsStatus, "resources" | "servers" | "files">;
  readonly useOf: (key: string) => ResourceUse | undefined;
  /** Since when a secret is in use, ms since the epoch. The main thread uses them, no worker does. */
  readonly secretUsedSince: (name: string) => number | undefined;
  /** Why a resource that was accepted could not be brought into use, by its name. */
  readonly failureOf: (name: string) => { readonly problem: string; readonly at: number } | undefined;
}

/** One view for each source: static configuration, control planes (with or without resources), watched files. */
export function xdsViews(facts: XdsFacts): XdsView[] {
  const { resources, servers } = facts.status;
  const sources = new Set([...resources.map(({ source }) => source), ...servers.map(({ name }) => name)]);
  return [...sources].map((source) => sourceView(source, facts));
}

function sourceView(source: string, facts: XdsFacts): XdsView {
  const { resources, servers, files } = facts.status;
  const server = servers.find(({ name }) => name === source);
  const file = files.find(({ path }) => source.startsWith(`path:${path} `));
  const own = resources.filter((resource) => resource.source === source);
  const lastError = server?.lastError ?? file?.lastError ?? "";
  const types = new Set([
    ...own.map(({ typeUrl }) => typeUrl),
    ...(server?.latest.map(({ typeUrl }) => typeUrl) ?? []),
  ]);
  return {
    server: server === undefined ? source : `${server.name} ${server.target}`,
    connected: server?.isConnected ?? true,
    ...(server?.since === undefined ? {} : { since: time(server.since) }),
    ...(server === undefined || server.controlPlane === "" ? {} : { controlPlane: server.controlPlane }),
    ...(lastError === "" ? {} : { lastError }),
    types: [...types].map((typeUrl) =>
      typeView(
        typeUrl,
        own.filter((each) => each.typeUrl === typeUrl),
        server,
        facts,
      ),
    ),
  };
}

function typeView(
  typeUrl: string,
  own: readonly ResourceView[],
  server: XdsStatus["servers"][number] | undefined,
  facts: XdsFacts,
): XdsTypeView {
  const resources = own.map((each) => resourceView(each, facts));
  const latest = server?.latest.find((each) => each.typeUrl === typeUrl);
  if (latest === undefined) {
    return { typeUrl, version: own[0]?.version ?? "", nonce: "", resources };
  }
  const { version, nonce, receivedAt, answeredAt, error } = latest;
  return {
    typeUrl,
    version,
    nonce,
    receivedAt: time(receivedAt),
    ...(answeredAt === undefined || error !== "" ? {} : { acknowledgedAt: time(answeredAt) }),
    ...(error === "" ? {} : { refused: { version, at: time(answeredAt ?? receivedAt), reason: error } }),
    resources,
  };
}

function resourceView(resource: ResourceView, { useOf, secretUsedSince, failureOf }: XdsFacts): XdsResourceView {
  const { typeUrl, name, version, receivedAt, ackedAt, error, state } = resource;
  const use = useOf(`${PARTS[typeUrl] ?? typeUrl} ${name}`);
  const failure = typeUrl === LISTENER_TYPE || typeUrl === EXTENSION_CONFIG_TYPE ? failureOf(name) : undefined;
  const refused =
    error !== undefined
      ? { version: error.version, at: time(error.at), reason: error.details }
      : failure !== undefined
        ? { version, at: time(failure.at), reason: failure.problem }
        : undefined;
  const inUseAt = typeUrl === SECRET_TYPE ? secretUsedSince(name) : use?.inUseAt;
  const workers = use?.byWorker.map((at) => (at === undefined ? "" : time(at))) ?? [];
  return {
    name,
    version,
    state,
    ...(receivedAt === undefined ? {} : { receivedAt: time(receivedAt) }),
    ...(ackedAt === undefined ? {} : { acknowledgedAt: time(ackedAt) }),
    ...(inUseAt === undefined || inUseAt === 0 ? {} : { inUseAt: time(inUseAt) }),
    ...(workers.length === 0 ? {} : { inUseOnWorkers: workers }),
    ...(refused === undefined ? {} : { refused }),
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
