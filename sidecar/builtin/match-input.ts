// What a tree of matchers looks at, compiled: readers of a stream as far as it has come. Used by match-tree.ts.
// Source: the inputs of Envoy's common/http/matching and extensions/matching. A field that the message lacks is no value: no matcher
// takes it. A message that has not come yet is different: the answer waits for it.

import type { MatchInput } from "../../xds/model/match-tree.ts";
import { stateText } from "../filter/filter-state.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { responseField } from "../http/pseudo-headers.ts";
import { requestValue, wireText } from "../route/request-value.ts";
import type { StreamFacts } from "../telemetry/stream-facts.ts";
import { firstParameter } from "./query-parameters.ts";

/** What of a stream has come to the filter. */
export interface MatchData {
  readonly facts: StreamFacts;
  request: RequestHead | undefined;
  requestTrailers: HeaderMap | undefined;
  response: ResponseHead | undefined;
  responseTrailers: HeaderMap | undefined;
}

/** undefined: the message has no such field. */
export type Read = (data: MatchData) => string | undefined | typeof OPEN;

export const OPEN: unique symbol = Symbol("open");

/** The client as far as it is trusted. */
function isLocal({ connection: { localAddress }, remoteAddress }: StreamFacts): boolean {
  return remoteAddress === localAddress || remoteAddress.startsWith("127.") || remoteAddress === "::1";
}

function statusClass(status: number): string | undefined {
  return status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : undefined;
}

/** `environment`: the process's own, for variables of it. */
export function compileInput(
  { name, of }: MatchInput,
  environment: Readonly<Record<string, string | undefined>>,
): Read {
  switch (of) {
    case "request":
      return ({ request }) => (request === undefined ? OPEN : requestValue(request, name));
    case "response":
      return ({ response }) => (response === undefined ? OPEN : responseField(response, name));
    case "request_trailers":
      return ({ requestTrailers }) => (requestTrailers === undefined ? OPEN : requestTrailers.getJoined(name));
    case "response_trailers":
      return ({ responseTrailers }) => (responseTrailers === undefined ? OPEN : responseTrailers.getJoined(name));
    case "query_parameter": {
      const wireName = wireText(name);
      return ({ request }) => (request === undefined ? OPEN : firstParameter(request.path, wireName));
    }
    case "source_ip":
      return ({ facts }) => (facts.remoteAddress === "" ? undefined : facts.remoteAddress);
    case "source_port":
      return ({ facts }) => String(facts.remotePort);
    case "direct_source_ip":
      return ({ facts }) => facts.connection.remoteAddress;
    case "destination_ip":
      return ({ facts }) => facts.connection.localAddress;
    case "destination_port":
      return ({ facts }) => String(facts.connection.localPort);
    case "server_name":
      return ({ facts }) => (facts.requestedServerName === "" ? undefined : facts.requestedServerName);
    case "source_type":
      return ({ facts }) => (isLocal(facts) ? "local" : undefined);
    case "filter_state":
      return ({ facts }) => {
        const object = facts.filterState.get(name);
        return object === undefined ? undefined : stateText(object);
      };
    case "environment": {
      const variable = environment[name];
      const value = variable === undefined ? undefined : wireText(variable);
      return () => value;
    }
    // Nothing here sets dynamic metadata.
    case "dynamic_metadata":
    case "nothing":
      return () => undefined;
    case "certificate":
      return () => OPEN;
    case "status":
      return ({ response }) => (response === undefined ? OPEN : String(response.status));
    case "status_class":
      return ({ response }) => (response === undefined ? OPEN : statusClass(response.status));
  }
}
