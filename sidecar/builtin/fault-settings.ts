// What a fault is for one request: the configuration, as runtime keys and the request's own headers change it.
// Used by fault-filter.ts. Source: Envoy's fault_config.cc and "Fault Injection" page. Headers come from peers: what is no
// number, or out of range, is as if it were not there.

import type { Runtime } from "../../xds/model/bootstrap.ts";
import type { Fault } from "../../xds/model/builtin-filter.ts";
import type { RuntimeFraction } from "../../xds/model/matcher.ts";
import type { RequestHead } from "../http/message.ts";
import { probabilityOf } from "../route/matchers.ts";

/** Node's timers hold 31 bits. */
const MAX_DELAY_MS = 2_147_483_647;

export interface AbortStatus {
  readonly status: number;
  /** -1: that of the HTTP status. */
  readonly grpcStatus: number;
}

export class FaultSettings {
  readonly #fault: Fault;
  readonly #runtime: () => Runtime;
  readonly #random: () => number;

  constructor(fault: Fault, runtime: () => Runtime, random: () => number) {
    this.#fault = fault;
    this.#runtime = runtime;
    this.#random = random;
  }

  /** Milliseconds, 0 for none. `cluster`: the caller's, empty when it does not say. */
  delayMs(head: RequestHead, cluster: string): number {
    const { delay, delayDurationKey } = this.#fault;
    if (delay === undefined) {
      return 0;
    }
    const lowered = delay.by === "header" ? headerNumber(head, "x-envoy-fault-delay-request-percentage") : undefined;
    if (!this.#isChosen(delay.percentage, lowered, keyOf(cluster, "delay.fixed_delay_percent"))) {
      return 0;
    }
    const asked = delay.by === "header" ? headerNumber(head, "x-envoy-fault-delay-request") : delay.delayMs;
    if (asked === undefined) {
      return 0;
    }
    const common = this.#number(delayDurationKey) ?? asked;
    return Math.min(this.#number(keyOf(cluster, "delay.fixed_duration_ms")) ?? common, MAX_DELAY_MS);
  }

  abortStatus(head: RequestHead, cluster: string): AbortStatus | undefined {
    const { abort, abortHttpStatusKey, abortGrpcStatusKey } = this.#fault;
    if (abort === undefined) {
      return undefined;
    }
    const isByHeader = abort.by === "header";
    const lowered = isByHeader ? headerNumber(head, "x-envoy-fault-abort-request-percentage") : undefined;
    if (!this.#isChosen(abort.percentage, lowered, keyOf(cluster, "abort.abort_percent"))) {
      return undefined;
    }
    const http = isByHeader ? headerNumber(head, "x-envoy-fault-abort-request") : abort.httpStatus;
    if (http !== undefined && isStatus(http)) {
      const common = statusOr(http, this.#number(abortHttpStatusKey));
      return { status: statusOr(common, this.#number(keyOf(cluster, "abort.http_status"))), grpcStatus: -1 };
    }
    const grpc = isByHeader ? headerNumber(head, "x-envoy-fault-abort-grpc-request") : abort.grpcStatus;
    if (grpc === undefined) {
      return undefined;
    }
    const common = this.#number(abortGrpcStatusKey) ?? grpc;
    return { status: 200, grpcStatus: this.#number(keyOf(cluster, "abort.grpc_status")) ?? common };
  }

  /** KiB a second for the response's body; 0 for as fast as it comes. */
  kibPerSecond(head: RequestHead): number {
    const { rateLimit } = this.#fault;
    if (rateLimit === undefined) {
      return 0;
    }
    const isByHeader = rateLimit.by === "header";
    const asked = isByHeader ? (headerNumber(head, "x-envoy-fault-throughput-response") ?? 0) : rateLimit.kibPerSecond;
    const lowered = isByHeader ? headerNumber(head, "x-envoy-fault-throughput-response-percentage") : undefined;
    return asked > 0 && this.#isChosen(rateLimit.percentage, lowered, "") ? asked : 0;
  }

  /** How many faults may be under way at once. */
  get maxActiveFaults(): number {
    const { maxActiveFaults, maxActiveFaultsKey } = this.#fault;
    return this.#number(maxActiveFaultsKey) ?? maxActiveFaults ?? Number.POSITIVE_INFINITY;
  }

  /** `lowered`: the header's numerator, which cannot raise the percentage. `own`: the key of the caller's cluster, chosen besides. */
  #isChosen(percentage: RuntimeFraction, lowered: number | undefined, own: string): boolean {
    const numerator = Math.min(lowered ?? percentage.numerator, percentage.numerator);
    const runtime = this.#runtime();
    const fraction = { ...percentage, numerator };
    return (
      this.#random() < probabilityOf(fraction, runtime) ||
      (runtime[own] !== undefined && this.#random() < probabilityOf({ ...fraction, runtimeKey: own }, runtime))
    );
  }

  #number(key: string): number | undefined {
    const value = key === "" ? undefined : this.#runtime()[key];
    return typeof value === "number" && value >= 0 ? Math.floor(value) : undefined;
  }
}

/** Runtime keys of the caller's cluster; none when it does not say. */
function keyOf(cluster: string, what: string): string {
  return cluster === "" ? "" : `fault.http.${cluster}.${what}`;
}

function isStatus(value: number): boolean {
  return value >= 200 && value < 600;
}

function statusOr(status: number, override: number | undefined): number {
  return override !== undefined && isStatus(override) ? override : status;
}

/** The first value of the header as a whole number. */
function headerNumber({ headers }: RequestHead, name: string): number | undefined {
  const text = headers.get(name);
  return text !== undefined && /^\s*\+?\d{1,15}\s*$/.test(text) ? Number(text) : undefined;
}
