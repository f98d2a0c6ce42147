// envoy.filters.http.cors: answers preflights and marks responses for browsers, by the policies of the route's levels.
// Source: Envoy's cors_filter.cc. A field that the most specific level leaves out comes from the next; whether the filter is
// enabled at all is said by the most specific alone.

import type { CorsPolicy } from "../../xds/model/builtin-filter.ts";
import type { RuntimeFraction } from "../../xds/model/matcher.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import {
  type FilterCallbacks,
  type FilterFactory,
  type FilterReply,
  HeadersStatus,
  type StreamFilter,
} from "../filter/filter.ts";
import { compileString, probabilityOf, type StringTest } from "../route/matchers.ts";
import { wireText } from "../route/request-value.ts";
import type { Counter } from "../stats/scope.ts";
import type { BuiltinDeps, BuiltinStream } from "./builtin-stream.ts";
import { PassFilter } from "../filter/pass-filter.ts";

const ALWAYS: RuntimeFraction = { numerator: 100, denominator: 100, runtimeKey: "" };
const NEVER: RuntimeFraction = { numerator: 0, denominator: 100, runtimeKey: "" };
const NO_BODY = new Uint8Array(0);

export class CorsFilterFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly deps: BuiltinDeps;
  readonly originValid: Counter;
  readonly originInvalid: Counter;
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  readonly allowPrivateNetworkAccess: boolean;
  readonly forwardNotMatchingPreflights: boolean;
  readonly #origins: readonly StringTest[];
  readonly #enabled: RuntimeFraction;
  readonly #shadow: RuntimeFraction;

  /** `policies`: the most specific first, at least one. */
  constructor(name: string, policies: readonly CorsPolicy[], deps: BuiltinDeps) {
    const text = (of: (policy: CorsPolicy) => string): string =>
      wireText(policies.map(of).find((value) => value !== "") ?? "");
    const flag = (of: (policy: CorsPolicy) => boolean | undefined, otherwise: boolean): boolean =>
      policies.map(of).find((value) => value !== undefined) ?? otherwise;
    this.name = name;
    this.deps = deps;
    this.originValid = deps.scope.counter(`${deps.statPrefix}cors.origin_valid`);
    this.originInvalid = deps.scope.counter(`${deps.statPrefix}cors.origin_invalid`);
    this.allowMethods = text((policy) => policy.allowMethods);
    this.allowHeaders = text((policy) => policy.allowHeaders);
    this.exposeHeaders = text((policy) => policy.exposeHeaders);
    this.maxAge = text((policy) => policy.maxAge);
    this.allowCredentials = flag((policy) => policy.allowCredentials, false);
    this.allowPrivateNetworkAccess = flag((policy) => policy.allowPrivateNetworkAccess, false);
    this.forwardNotMatchingPreflights = flag((policy) => policy.forwardNotMatchingPreflights, true);
    const origins = policies.map((policy) => policy.allowOrigins).find(({ length }) => length > 0) ?? [];
    // The decoder has refused patterns that do not compile.
    this.#origins = origins.flatMap((matcher) => compileString(matcher, []) ?? []);
    this.#enabled = policies[0]?.filterEnabled ?? ALWAYS;
    this.#shadow = policies[0]?.shadowEnabled ?? NEVER;
  }

  create(stream: BuiltinStream, callbacks: FilterCallbacks): StreamFilter | undefined {
    const origin = stream.facts.requestHead.headers.get("origin");
    return origin === undefined || origin === "" ? undefined : new CorsFilter(this, origin, callbacks);
  }

  allows(origin: string): boolean {
    return this.#origins.some((test) => test("*") || test(origin));
  }

  get isEnabled(): boolean {
    return this.#holds(this.#enabled);
  }

  get isShadow(): boolean {
    return this.#holds(this.#shadow);
  }

  #holds(fraction: RuntimeFraction): boolean {
    return this.deps.random() < probabilityOf(fraction, this.deps.runtime());
  }
}

class CorsFilter extends PassFilter {
  readonly #policy: CorsFilterFactory;
  readonly #origin: string;
  readonly #callbacks: FilterCallbacks;
  /** The response is to say that this origin may read it. */
  #marksResponse = false;

  constructor(policy: CorsFilterFactory, origin: string, callbacks: FilterCallbacks) {
    super();
    this.#policy = policy;
    this.#origin = origin;
    this.#callbacks = callbacks;
  }

  override onRequestHeaders(head: RequestHead, _end: boolean): HeadersStatus {
    const policy = this.#policy;
    const isEnabled = policy.isEnabled;
    if (!isEnabled && !policy.isShadow) {
      return HeadersStatus.Continue;
    }
    const isAllowed = policy.allows(this.#origin);
    (isAllowed ? policy.originValid : policy.originInvalid).inc();
    if (!isEnabled) {
      return HeadersStatus.Continue;
    }
    this.#marksResponse = isAllowed;
    const isPreflight = head.method === "OPTIONS" && (head.headers.get("access-control-request-method") ?? "") !== "";
    if (!isPreflight || (!isAllowed && policy.forwardNotMatchingPreflights)) {
      return HeadersStatus.Continue;
    }
    this.#callbacks.sendLocalReply(this.#preflightReply(head, isAllowed));
    return HeadersStatus.StopIteration;
  }

  override onResponseHeaders({ headers }: ResponseHead, _end: boolean): HeadersStatus {
    if (this.#marksResponse) {
      const policy = this.#policy;
      headers.set("access-control-allow-origin", this.#origin);
      if (policy.allowCredentials) {
        headers.set("access-control-allow-credentials", "true");
      }
      if (policy.exposeHeaders !== "") {
        headers.set("access-control-expose-headers", policy.exposeHeaders);
      }
    }
    return HeadersStatus.Continue;
  }

  #preflightReply({ headers: request }: RequestHead, isAllowed: boolean): FilterReply {
    const { allowCredentials, allowHeaders, allowMethods, allowPrivateNetworkAccess, maxAge } = this.#policy;
    const headers: (readonly [string, string])[] = [];
    const add = (name: string, value: string): void => {
      if (value !== "") {
        headers.push([`access-control-${name}`, value]);
      }
    };
    const asked = (what: string): string => request.get(`access-control-request-${what}`) ?? "";
    add("allow-origin", isAllowed ? this.#origin : "");
    add("allow-credentials", allowCredentials ? "true" : "");
    add("allow-methods", allowMethods === "*" ? asked("method") : allowMethods);
    add("allow-headers", allowHeaders === "*" ? asked("headers") : allowHeaders);
    add("max-age", maxAge);
    add("allow-private-network", allowPrivateNetworkAccess && asked("private-network") === "true" ? "true" : "");
    return { status: 200, details: "cors_response", body: NO_BODY, headers, grpcStatus: -1, flag: "", isWhole: true };
  }
}
