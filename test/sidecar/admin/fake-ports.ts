// A program for the admin server to show: fixed views, and a list of what it was asked to do.

import type { AdminPorts, ClusterView, ConfigDumpView, TraceView } from "../../../sidecar/admin/ports.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";

export const CLUSTER: ClusterView = {
  name: "web",
  observabilityName: "web",
  edsServiceName: "web-eds",
  addedViaApi: true,
  thresholds: [
    { priority: "default", maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
    { priority: "high", maxConnections: 1, maxPendingRequests: 2, maxRequests: 3, maxRetries: 4 },
  ],
  hosts: [
    {
      address: "10.0.0.1:80",
      hostname: "h1",
      healthFlags: [],
      edsHealth: "UNKNOWN",
      weight: 1,
      priority: 0,
      region: "r",
      zone: "z",
      subZone: "",
      counters: { cxConnectFail: 0, cxTotal: 1, rqError: 0, rqSuccess: 4, rqTimeout: 0, rqTotal: 4 },
      gauges: { cxActive: 1, rqActive: 0, rqPendingActive: 2 },
    },
    {
      address: "[::1]:81",
      hostname: "",
      healthFlags: ["failed_eds_health"],
      edsHealth: "UNHEALTHY",
      weight: 2,
      priority: 1,
      region: "",
      zone: "",
      subZone: "",
      counters: { cxConnectFail: 0, cxTotal: 0, rqError: 0, rqSuccess: 0, rqTimeout: 0, rqTotal: 0 },
      gauges: { cxActive: 0, rqActive: 0, rqPendingActive: 0 },
    },
  ],
};

const AT = "2026-11-25T03:51:46.598Z";

export const DUMP: ConfigDumpView = {
  bootstrap: { value: { node: { id: "n1" }, admin: {} }, lastUpdated: AT },
  clusters: [
    {
      name: "local",
      versionInfo: "",
      lastUpdated: AT,
      state: "static",
      value: { "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", name: "local", type: "STATIC" },
    },
    {
      name: "web",
      versionInfo: "7",
      lastUpdated: AT,
      state: "active",
      value: { "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", name: "web", type: "EDS" },
      error: { details: "bad port", versionInfo: "8", lastAttempt: AT },
    },
  ],
  listeners: [
    {
      name: "in",
      versionInfo: "3",
      lastUpdated: AT,
      state: "active",
      value: { "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", name: "in" },
    },
    {
      name: "in",
      versionInfo: "4",
      lastUpdated: AT,
      state: "warming",
      value: { "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", name: "in" },
    },
  ],
  scopedRoutes: [],
  routes: [],
  endpoints: [
    {
      name: "web-eds",
      versionInfo: "1",
      lastUpdated: AT,
      state: "active",
      value: {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        cluster_name: "web-eds",
      },
    },
  ],
  secrets: [
    {
      name: "cert",
      versionInfo: "",
      lastUpdated: AT,
      state: "static",
      value: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        name: "cert",
        tls_certificate: {
          certificate_chain: { inline_string: "PUBLIC" },
          private_key: { inline_bytes: "SECRET", inline_string: "SECRET" },
        },
      },
    },
    {
      name: "token",
      versionInfo: "",
      lastUpdated: AT,
      state: "static",
      value: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        name: "token",
        generic_secret: {
          secret: { inline_string: "SECRET" },
          secrets: { user: { inline_string: "SECRET" } },
        },
      },
    },
  ],
  extensions: [],
};

export const TRACE: TraceView = {
  worker: 0,
  startedAt: 1_700_000_000_000,
  durationMs: 10,
  method: "GET",
  authority: "shop",
  path: '/<script>alert("x")</script>',
  status: 200,
  responseFlags: "",
  responseDetails: "via_upstream",
  cluster: "web",
  route: "r",
  upstreamHost: "10.0.0.1:80",
  requestId: "id",
  traceId: "",
  sampled: false,
  hooksDropped: 0,
  upstream: { sentMs: 6, firstByteMs: 8 },
  callouts: [
    {
      byHook: 0,
      rpc: "http",
      cluster: "authz",
      method: "POST",
      authority: "authz.example",
      path: '/check?<b>"',
      startMs: 2,
      durationMs: 3,
      status: 403,
    },
  ],
  hooks: [
    {
      plugin: "p",
      callback: "proxy_on_request_headers",
      contextId: 2,
      startMs: 1,
      durationMs: 2,
      action: "pause",
      pausedMs: 3,
      headersAdded: 2,
      hostCalls: 1,
    },
  ],
};

export interface FakeProgram extends AdminPorts {
  readonly asked: string[];
}

export function fakeProgram(overrides: Partial<AdminPorts> = {}): FakeProgram {
  const stats = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => stats.apply("main", update) });
  table.counter("cluster.web.upstream_rq_total").add(4);
  table.gauge("server.state").set(0);
  table.histogram("cluster.web.upstream_rq_time").record(3);
  table.flush();
  const asked: string[] = [];
  const levels = new Map([
    ["wasm", "info"],
    ["xds", "info"],
  ]);
  return {
    asked,
    stats,
    certificates: () => [],
    explain: async (question) => {
      asked.push(`explain ${JSON.stringify(question)}`);
      return { listener: { name: "in", address: "127.0.0.1:80", why: "" }, passed: [], more: 0, outcomes: [] };
    },
    readiness: () => ({ state: "LIVE", reasons: [] }),
    serverInfo: () => ({
      version: "abc/1.0.0/Clean/RELEASE/OpenSSL",
      uptimeSeconds: 3.7,
      hotRestartVersion: "disabled",
      commandLineOptions: { concurrency: 2 },
      node: { id: "n1" },
    }),
    configDump: () => DUMP,
    clusters: () => Promise.resolve([CLUSTER]),
    listeners: () => [
      { name: "in", addresses: ["127.0.0.1:9080", "[::1]:9080"], trafficDirection: "inbound", isDraining: false },
      { name: "uds", addresses: ["/run/x.sock"], trafficDirection: "inbound", isDraining: false },
    ],
    plugins: () => [
      {
        name: "p",
        rootId: "",
        vmId: "",
        source: "p.wasm",
        digest: "d",
        abiVersion: "0.2.1",
        state: "running",
        failurePolicy: "closed",
        vms: 2,
        memoryBytes: 1048576,
        memoryPeakBytes: 2097152,
        memoryLimitBytes: 134217728,
        restarts: 0,
        quarantines: 0,
        callbacks: [{ callback: "proxy_on_request_headers", calls: 4, faults: 0, totalMs: 1, meanMs: 0.25, fuel: 0 }],
      },
    ],
    traces: (limit) => Promise.resolve([TRACE].slice(0, limit)),
    xds: () => [{ server: "cp", connected: true, types: [] }],
    runtime: () => ({ layers: ["base"], entries: [{ key: "a.b", layerValues: ["1"], finalValue: "1" }] }),
    memory: () => ({ allocated: 10, heapSize: 30, physicalBytes: 40, details: { workers: [] } }),
    initDump: () => ["listener in"],
    logLevels: () => ({ components: [...levels].map(([name, level]) => ({ name, level })) }),
    setLogLevel: (component, level) => {
      for (const name of levels.keys()) {
        if (component === undefined || component === name) {
          levels.set(name, level);
        }
      }
      return true;
    },
    healthcheckFail: (fail) => asked.push(`healthcheck ${fail}`),
    drain: (options) => asked.push(`drain ${JSON.stringify(options)}`),
    reopenLogs: () => asked.push("reopen logs"),
    quit: () => asked.push("quit"),
    ...overrides,
  };
}
