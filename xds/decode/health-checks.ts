// envoy.config.core.v3.HealthCheck of a cluster: they have no effect yet, but what Envoy would refuse is refused. Called by cluster.ts.
// Source: Envoy's health_checker_impl.cc and upstream_impl.cc.

import type { Cluster as ClusterMessage } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type {
  HealthCheck,
  HealthCheck_HttpHealthCheck as HttpHealthCheck,
  HealthCheck_Payload as Payload,
} from "../gen/envoy/config/core/v3/health_check_pb.ts";
import { RequestMethod } from "../gen/envoy/config/core/v3/base_pb.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";

const BODY_METHODS: ReadonlySet<RequestMethod> = new Set([
  RequestMethod.POST,
  RequestMethod.PUT,
  RequestMethod.PATCH,
  RequestMethod.OPTIONS,
]);

/** `speaksHttp2`: the cluster does, so that it can be asked by gRPC. `path` is the cluster's. */
export function checkHealthChecks(
  { healthChecks }: ClusterMessage,
  speaksHttp2: boolean,
  path: string,
  findings: Findings,
): void {
  const names = new Set<string>();
  for (const [index, check] of healthChecks.entries()) {
    const at = item(child(path, "health_checks"), index);
    checkKind(check, speaksHttp2, at, findings);
    // Envoy tells several checks apart by their names.
    if (healthChecks.length < 2) continue;
    if (check.name === "") findings.issue(child(at, "name"), "must not be empty where there are several health checks");
    else if (names.has(check.name)) {
      findings.issue(child(at, "name"), `${quoted(check.name)} is already the name of another`);
    }
    names.add(check.name);
  }
}

function checkKind({ healthChecker }: HealthCheck, speaksHttp2: boolean, path: string, findings: Findings): void {
  switch (healthChecker.case) {
    case "grpcHealthCheck":
      if (!speaksHttp2) findings.issue(child(path, "grpc_health_check"), "needs a cluster that speaks HTTP/2");
      return;
    case "httpHealthCheck":
      checkHttp(healthChecker.value, child(path, "http_health_check"), findings);
      return;
    case "tcpHealthCheck": {
      const at = child(path, "tcp_health_check");
      checkPayload(healthChecker.value.send, child(at, "send"), findings);
      const receive = child(at, "receive");
      for (const [index, each] of healthChecker.value.receive.entries()) {
        checkPayload(each, item(receive, index), findings);
      }
      return;
    }
    case "customHealthCheck":
    case undefined:
      return;
  }
}

function checkHttp(check: HttpHealthCheck, path: string, findings: Findings): void {
  checkPayload(check.send, child(path, "send"), findings);
  if (check.send !== undefined && !BODY_METHODS.has(check.method)) {
    findings.issue(child(path, "send"), "needs a method that has a body: POST, PUT, PATCH or OPTIONS");
  }
  const receive = child(path, "receive");
  for (const [index, each] of check.receive.entries()) checkPayload(each, item(receive, index), findings);
  const ranges = { expected_statuses: check.expectedStatuses, retriable_statuses: check.retriableStatuses };
  for (const [field, list] of Object.entries(ranges)) {
    for (const [index, { start, end }] of list.entries()) {
      if (start >= 100n && end <= 600n && start < end) continue;
      findings.issue(
        item(child(path, field), index),
        `is ${start} to ${end}, must be of 100 to 600, and start below end`,
      );
    }
  }
}

function checkPayload(message: Payload | undefined, path: string, findings: Findings): void {
  if (message?.payload.case !== "text" || /^(?:[0-9a-f]{2})*$/i.test(message.payload.value)) return;
  findings.issue(child(path, "text"), `${quoted(message.payload.value)} must be bytes in hexadecimal digits`);
}
