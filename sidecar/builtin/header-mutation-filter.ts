// envoy.filters.http.header_mutation: changes the fields of requests, responses and their trailers, and the query of the path.
// Source: Envoy's header_mutation.cc. Changes are applied one by one, each seeing the one before; the filter's own come first,
// then those of the route's levels. Trailers are changed where there are some; none are made. The route is that of the request as
// it came, as in Envoy.

import type { HeaderChange, Mutations, QueryChange } from "../../xds/model/builtin-filter.ts";
import { type FilterFactory, HeadersStatus, type StreamFilter, TrailersStatus } from "../filter/filter.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { PassFilter } from "../filter/pass-filter.ts";
import { type Addition, applyAddition, compileAddition } from "../route/header-mutations.ts";
import { compileString, type StringTest } from "../route/matchers.ts";
import { wireText } from "../route/request-value.ts";
import type { StreamRecord } from "../stream-record.ts";
import { compileFormat, type TextFormat } from "../telemetry/format.ts";
import type { BuiltinDeps, BuiltinStream } from "./builtin-stream.ts";
import { QueryParameters } from "./query-parameters.ts";

type Change =
  | { readonly kind: "append"; readonly addition: Addition }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "remove_on_match"; readonly matches: StringTest };

type ParameterChange = QueryChange & { readonly format: TextFormat | undefined };

interface Level {
  readonly request: readonly Change[];
  readonly query: readonly ParameterChange[];
}

/** `levels`: in the order in which they apply. undefined: they change nothing. */
export function compileHeaderMutation(
  name: string,
  levels: readonly Mutations[],
  deps: BuiltinDeps,
): FilterFactory<BuiltinStream> | undefined {
  const factory = new HeaderMutationFactory(name, levels, deps);
  return factory.isIdle ? undefined : factory;
}

class HeaderMutationFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly #request: readonly Level[];
  readonly #response: readonly Change[];
  readonly #requestTrailers: readonly Change[];
  readonly #responseTrailers: readonly Change[];

  constructor(name: string, levels: readonly Mutations[], deps: BuiltinDeps) {
    const compile = (changes: readonly HeaderChange[]) => changes.flatMap((change) => compileChange(change, deps));
    this.name = name;
    this.#request = levels
      .filter(({ query, request }) => query.length > 0 || request.length > 0)
      .map(({ query, request }) => ({
        request: compile(request),
        query: query.flatMap((change) => compileParameter(change, deps)),
      }));
    this.#response = levels.flatMap(({ response }) => compile(response));
    this.#requestTrailers = levels.flatMap(({ requestTrailers }) => compile(requestTrailers));
    this.#responseTrailers = levels.flatMap(({ responseTrailers }) => compile(responseTrailers));
  }

  get isIdle(): boolean {
    const lists = [this.#request, this.#response, this.#requestTrailers, this.#responseTrailers];
    return lists.every(({ length }) => length === 0);
  }

  create(stream: BuiltinStream): StreamFilter {
    return new HeaderMutationFilter(this, stream);
  }

  changeRequest(head: RequestHead, stream: BuiltinStream): void {
    if (this.#request.length === 0) {
      return;
    }
    stream.ensureRoute();
    for (const { query, request } of this.#request) {
      applyChanges(request, head.headers, stream.facts);
      // CONNECT has no path.
      if (query.length > 0 && head.path !== "") {
        head.path = withParameters(head.path, query, stream.facts);
      }
    }
  }

  changeResponse({ headers }: ResponseHead, facts: StreamRecord): void {
    applyChanges(this.#response, headers, facts);
  }

  changeRequestTrailers(trailers: HeaderMap, facts: StreamRecord): void {
    applyChanges(this.#requestTrailers, trailers, facts);
  }

  changeResponseTrailers(trailers: HeaderMap, facts: StreamRecord): void {
    applyChanges(this.#responseTrailers, trailers, facts);
  }
}

class HeaderMutationFilter extends PassFilter {
  readonly #factory: HeaderMutationFactory;
  readonly #stream: BuiltinStream;

  constructor(factory: HeaderMutationFactory, stream: BuiltinStream) {
    super();
    this.#factory = factory;
    this.#stream = stream;
  }

  override onRequestHeaders(head: RequestHead, _end: boolean): HeadersStatus {
    this.#factory.changeRequest(head, this.#stream);
    return HeadersStatus.Continue;
  }

  override onRequestTrailers(trailers: HeaderMap): TrailersStatus {
    this.#factory.changeRequestTrailers(trailers, this.#stream.facts);
    return TrailersStatus.Continue;
  }

  override onResponseHeaders(head: ResponseHead, _end: boolean): HeadersStatus {
    this.#factory.changeResponse(head, this.#stream.facts);
    return HeadersStatus.Continue;
  }

  override onResponseTrailers(trailers: HeaderMap): TrailersStatus {
    this.#factory.changeResponseTrailers(trailers, this.#stream.facts);
    return TrailersStatus.Continue;
  }
}

/** The decoder has refused what does not compile. */
function compileChange(change: HeaderChange, deps: BuiltinDeps): readonly Change[] {
  switch (change.kind) {
    case "append": {
      const header = { ...change.header, name: change.header.name.toLowerCase() };
      return compileAddition(header, deps.format, []).map((addition) => ({ kind: "append", addition }));
    }
    case "remove":
      return change.name === "host" ? [] : [change];
    case "remove_on_match": {
      const matches = compileString(change.matcher, []);
      return matches === undefined ? [] : [{ kind: "remove_on_match", matches }];
    }
  }
}

function applyChanges(changes: readonly Change[], headers: HeaderMap, facts: StreamRecord): void {
  for (const change of changes) {
    switch (change.kind) {
      case "append":
        applyAddition(change.addition, headers, facts);
        break;
      case "remove":
        headers.remove(change.name);
        break;
      case "remove_on_match":
        removeMatching(headers, change.matches);
        break;
    }
  }
}

function removeMatching(headers: HeaderMap, matches: StringTest): void {
  for (let index = headers.size - 1; index >= 0; index--) {
    const name = headers.nameAt(index).toLowerCase();
    if (name !== "host" && matches(name)) {
      headers.removeAt(index);
    }
  }
}

function compileParameter(change: QueryChange, deps: BuiltinDeps): readonly ParameterChange[] {
  const key = wireText(change.key);
  if (change.kind === "remove") {
    return [{ ...change, key, format: undefined }];
  }
  const compiled = compileFormat(change.value, deps.format, "");
  return compiled.ok ? [{ ...change, key, format: compiled.format }] : [];
}

function withParameters(path: string, changes: readonly ParameterChange[], facts: StreamRecord): string {
  const parameters = new QueryParameters(path);
  for (const change of changes) {
    const { format, key } = change;
    if (change.kind === "remove") {
      parameters.remove(key);
      continue;
    }
    const isThere = parameters.has(key);
    const { action } = change;
    if (action === "ADD_IF_ABSENT" ? isThere : action === "OVERWRITE_IF_EXISTS" && !isThere) {
      continue;
    }
    const value = format?.constant ?? format?.render(facts) ?? "";
    if (action === "OVERWRITE_IF_EXISTS" || action === "OVERWRITE_IF_EXISTS_OR_ADD") {
      parameters.overwrite(key, value);
    } else {
      parameters.add(key, value);
    }
  }
  return parameters.writeTo(path);
}
