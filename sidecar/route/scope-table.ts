// Which routes serve a request, by a key that is built from its headers: scoped routes. live-routes.ts fills a table when scopes
// arrive; proxy.ts asks once for each request of a connection manager that has them.
// Source: envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes, and Envoy's scoped_config_impl.cc.

import type { ScopedRoute, ScopeKeyFragment } from "../../xds/model/scoped-routes.ts";
import type { RequestHead } from "../http/message.ts";

export interface ScopeEntry<Routes> {
  readonly scope: ScopedRoute;
  readonly routes: Routes;
}

/** Scopes by their key; `Routes` is what serves a scope. Of two scopes with one key the later counts. */
export class ScopeTable<Routes> {
  readonly #byKey = new Map<string, ScopeEntry<Routes>>();

  set(scope: ScopedRoute, routes: Routes): void {
    this.#byKey.set(scopeKey(scope.key), { scope, routes });
  }

  clear(): void {
    this.#byKey.clear();
  }

  find(key: string): ScopeEntry<Routes> | undefined {
    return this.#byKey.get(key);
  }

  get entries(): ScopeEntry<Routes>[] {
    return [...this.#byKey.values()];
  }

  get routes(): Routes[] {
    return [...this.#byKey.values()].map(({ routes }) => routes);
  }
}

/** A key as one text, the same for equal fragments only. */
export function scopeKey(fragments: readonly string[]): string {
  let key = "";
  for (const fragment of fragments) {
    key += `${fragment.length}:${fragment}`;
  }
  return key;
}

/** The key of a request as `scopeKey` gives it; undefined when one of its parts is not there, which finds no scope. */
export function requestScopeKey(fragments: readonly ScopeKeyFragment[], head: RequestHead): string | undefined {
  let key = "";
  for (const fragment of fragments) {
    const value = head.headers.get(fragment.header);
    const part = value === undefined ? undefined : partOf(value, fragment);
    if (part === undefined) {
      return undefined;
    }
    key += `${part.length}:${part}`;
  }
  return key;
}

function partOf(value: string, { elementSeparator, extract }: ScopeKeyFragment): string | undefined {
  const elements = elementSeparator === "" ? [value] : value.split(elementSeparator);
  if (extract.kind === "index") {
    return elements[extract.index];
  }
  const { key, separator } = extract;
  for (const element of elements) {
    const at = element.indexOf(separator);
    // Without a separator the element is all key, with an empty value.
    if ((at < 0 ? element : element.slice(0, at)) === key) {
      return at < 0 ? "" : element.slice(at + separator.length);
    }
  }
  return undefined;
}
