// The Proxy-Status field (RFC 9209) of responses that went wrong on the way, as Envoy writes it: what error a response flag stands for,
// and which status the RFC recommends for it. Compiled by live-config.ts where `proxy_status_config` is set, applied by proxy.ts.

import type { ProxyStatusConfig } from "../xds/model/listener.ts";
import type { ResponseHead } from "./http/message.ts";
import type { StreamRecord } from "./stream-record.ts";

/** By flag, in Envoy's order: the first that is set counts. Flags without an error, such as RL's opposite UAEX, are left out there too. */
const ERRORS: readonly (readonly [flag: string, error: string])[] = [
  ["LH", "destination_unavailable"],
  ["UH", "destination_unavailable"],
  ["UT", "http_response_timeout"],
  ["LR", "connection_timeout"],
  ["UR", "connection_terminated"],
  ["UF", "connection_refused"],
  ["UC", "connection_terminated"],
  ["UO", "connection_limit_reached"],
  ["NR", "destination_not_found"],
  ["RL", "connection_limit_reached"],
  ["RLSE", "connection_limit_reached"],
  ["URX", "destination_unavailable"],
  ["SI", "http_response_timeout"],
  ["IH", "http_request_error"],
  ["DPE", "http_request_error"],
  ["UMSDR", "http_response_timeout"],
  ["NFCF", "proxy_configuration_error"],
  ["UPE", "http_protocol_error"],
  ["NC", "destination_unavailable"],
  ["OM", "connection_limit_reached"],
  ["DF", "dns_error"],
];

const STATUSES: Readonly<Record<string, number>> = {
  destination_not_found: 500,
  proxy_configuration_error: 500,
  connection_refused: 502,
  connection_terminated: 502,
  dns_error: 502,
  http_protocol_error: 502,
  destination_unavailable: 503,
  connection_limit_reached: 503,
  connection_timeout: 504,
  http_response_timeout: 504,
};

type Outcome = Pick<StreamRecord, "responseFlags" | "responseCodeDetails">;

export class ProxyStatus {
  readonly #name: string;
  readonly #config: ProxyStatusConfig;

  constructor(config: ProxyStatusConfig, serverName: string, nodeId: string) {
    this.#config = config;
    const names = { server: serverName, node: nodeId, literal: config.literalName };
    this.#name = names[config.name];
  }

  /** Adds the field where a flag says that something went wrong, after those of proxies behind. */
  apply(head: ResponseHead, outcome: Outcome): void {
    if (outcome.responseFlags === "") {
      return;
    }
    const flags = outcome.responseFlags.split(",");
    const error = ERRORS.find(([flag]) => flags.includes(flag))?.[1];
    if (error === undefined) {
      return;
    }
    const details = this.#details(outcome);
    const value = `${this.#name}; error=${error}${details === "" ? "" : `; details="${details}"`}`;
    const before = head.headers.getJoined("proxy-status");
    head.headers.set("proxy-status", before === undefined || before === "" ? value : `${before}, ${value}`);
    const status = this.#config.setsRecommendedStatus ? STATUSES[error] : undefined;
    if (status !== undefined && status !== head.status) {
      head.status = status;
      head.reason = "";
    }
  }

  #details({ responseCodeDetails, responseFlags }: Outcome): string {
    const parts = [
      ...(this.#config.removesDetails || responseCodeDetails === "" ? [] : [responseCodeDetails]),
      ...(this.#config.removesDetails || this.#config.removesFlags ? [] : [responseFlags]),
    ];
    // Plugins choose details. In a string of structured fields these characters do not stand by themselves.
    return parts
      .join("; ")
      .replaceAll(/[^ -~]/g, "_")
      .replaceAll(/["\\]/g, String.raw`\$&`);
  }
}
