// One AdmissionReview v1 (k8s.io/api/admission/v1): its bytes in, the answer out. Pure; webhook-server.ts brings the bytes.

import { injectPod } from "../inject/inject-pod.ts";
import { isObject, type JsonObject, wireForm } from "../inject/json-patch.ts";
import type { InjectSettings } from "../inject/settings.ts";

/** What happened, for counters: `injected`, a reason of a skip, `refused`, or what was wrong with the review. */
export interface Review {
  readonly outcome: string;
  /** 200 with an AdmissionReview, 400 with a text. */
  readonly status: 200 | 400;
  readonly body: string;
}

/** Kubernetes shows at most 256 characters of a warning, and drops what goes beyond 4096 in all. */
const MAX_WARNING = 256;
const MAX_WARNINGS = 10;

export function review(bytes: Buffer, settings: InjectSettings): Review {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    return bad(`the body is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(parsed) || parsed["kind"] !== "AdmissionReview" || parsed["apiVersion"] !== "admission.k8s.io/v1") {
    return bad("the body is no AdmissionReview of admission.k8s.io/v1");
  }
  const { request } = parsed;
  if (!isObject(request) || typeof request["uid"] !== "string" || request["uid"] === "") {
    return bad("the review has no request with a uid");
  }
  return answer(request, request["uid"], settings);
}

function answer(request: JsonObject, uid: string, settings: InjectSettings): Review {
  const { kind, operation, object, namespace } = request;
  const isPod = isObject(kind) && kind["kind"] === "Pod" && (kind["group"] ?? "") === "" && kind["version"] === "v1";
  if (!isPod || operation !== "CREATE" || (request["subResource"] ?? "") !== "") {
    return allowed(uid, "not-a-new-pod", { reason: "not a pod that is being created" });
  }
  if (!isObject(object)) {
    return denied(uid, ["the review has no object"]);
  }
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  // The namespace of a pod that a controller makes may be in the request only.
  const place = [namespace, metadata["namespace"]].find((each) => typeof each === "string" && each !== "");
  const injection = injectPod(object, settings, { namespace: typeof place === "string" ? place : "default" });
  switch (injection.kind) {
    case "skipped":
      return allowed(uid, injection.code, { reason: injection.reason });
    case "refused":
      return denied(uid, injection.problems);
    case "patched":
      return allowed(uid, "injected", {
        reason: injection.because,
        patch: JSON.stringify(wireForm(injection.operations)),
        warnings: injection.remarks,
      });
  }
}

interface Allowance {
  readonly reason: string;
  readonly patch?: string;
  readonly warnings?: readonly string[];
}

function allowed(uid: string, outcome: string, { reason, patch, warnings = [] }: Allowance): Review {
  const response = {
    uid,
    allowed: true,
    // In the API server's audit log, under the webhook's name.
    auditAnnotations: { outcome, reason },
    ...(patch === undefined ? {} : { patchType: "JSONPatch", patch: Buffer.from(patch).toString("base64") }),
    ...(warnings.length === 0
      ? {}
      : { warnings: warnings.slice(0, MAX_WARNINGS).map((warning) => `outrigger: ${warning}`.slice(0, MAX_WARNING)) }),
  };
  return { outcome, status: 200, body: reviewOf(response) };
}

function denied(uid: string, problems: readonly string[]): Review {
  const message = `the sidecar cannot be injected: ${problems.join("; ")}`;
  return {
    outcome: "refused",
    status: 200,
    body: reviewOf({ uid, allowed: false, status: { code: 400, reason: "BadRequest", message } }),
  };
}

function bad(problem: string): Review {
  return { outcome: "bad-review", status: 400, body: `${problem}\n` };
}

function reviewOf(response: object): string {
  return JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response });
}
