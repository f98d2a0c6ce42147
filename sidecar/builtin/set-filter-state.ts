// envoy.filters.http.set_filter_state: keeps values on the stream under names, for access logs, plugins and header values.
// Source: Envoy's set_filter_state filter. Kinds of objects are those of filter/state-objects.ts; a value that is none for its
// kind is left out, as in Envoy.

import type { FilterStateValue } from "../../xds/model/builtin-filter.ts";
import { type FilterCallbacks, type FilterFactory, HeadersStatus, type StreamFilter } from "../filter/filter.ts";
import { STATE_OBJECTS } from "../filter/state-objects.ts";
import type { RequestHead } from "../http/message.ts";
import { compileFormat, type TextFormat } from "../telemetry/format.ts";
import type { BuiltinDeps, BuiltinStream } from "./builtin-stream.ts";
import { PassFilter } from "../filter/pass-filter.ts";

type Compiled = FilterStateValue & { readonly format: TextFormat };

export class SetFilterStateFactory implements FilterFactory<BuiltinStream> {
  readonly name: string;
  readonly clearsRoute: boolean;
  readonly #values: readonly Compiled[];

  constructor(name: string, values: readonly FilterStateValue[], clearsRoute: boolean, deps: BuiltinDeps) {
    this.name = name;
    this.clearsRoute = clearsRoute;
    // The decoder has refused formats that do not compile.
    this.#values = values.flatMap((value): Compiled[] => {
      const compiled = compileFormat(value.text, deps.format, value.omitEmptyValues ? "" : "-");
      return compiled.ok ? [{ ...value, format: compiled.format }] : [];
    });
  }

  create(stream: BuiltinStream, callbacks: FilterCallbacks): StreamFilter {
    return new SetFilterState(this, stream, callbacks);
  }

  apply({ facts }: BuiltinStream): void {
    for (const { factory, format, key, skipIfEmpty } of this.#values) {
      const text = format.constant ?? format.render(facts);
      const object = skipIfEmpty && text === "" ? undefined : STATE_OBJECTS.get(factory)?.(text);
      if (object !== undefined) {
        facts.filterState.setObject(key, Buffer.from(object.text, "latin1"), "filter_chain", object.form);
      }
    }
  }
}

class SetFilterState extends PassFilter {
  readonly #factory: SetFilterStateFactory;
  readonly #stream: BuiltinStream;
  readonly #callbacks: FilterCallbacks;

  constructor(factory: SetFilterStateFactory, stream: BuiltinStream, callbacks: FilterCallbacks) {
    super();
    this.#callbacks = callbacks;
    this.#factory = factory;
    this.#stream = stream;
  }

  override onRequestHeaders(_head: RequestHead, _end: boolean): HeadersStatus {
    this.#factory.apply(this.#stream);
    if (this.#factory.clearsRoute) {
      this.#callbacks.clearRouteCache();
    }
    return HeadersStatus.Continue;
  }
}
