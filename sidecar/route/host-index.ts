// Finds a virtual host by authority: exact domain, then the longest `*.suffix`, then the longest `prefix.*`, then `*`.
// Source: envoy.config.route.v3.VirtualHost.domains. Built by route-table.ts when routes arrive.
// Hot path: one hash lookup for exact domains; a wildcard costs one per distinct length whose border character fits.

/** Wildcards of one length. */
interface LengthBucket<Value> {
  readonly length: number;
  /** Char code that all of them have beside the `*`, nearly always a dot; -1 when they differ. */
  border: number;
  readonly byText: Map<string, Value>;
}

export class HostIndex<Value> {
  readonly #ignorePort: boolean;
  readonly #exact = new Map<string, Value>();
  readonly #suffixes: LengthBucket<Value>[] = [];
  readonly #prefixes: LengthBucket<Value>[] = [];
  #any: Value | undefined = undefined;
  #onlyAny = true;

  constructor(ignorePort: boolean) {
    this.#ignorePort = ignorePort;
  }

  /** `domain` as configured. False when it is there already, which Envoy refuses; the first one stays. */
  add(domain: string, value: Value): boolean {
    if (domain === "*") {
      if (this.#any !== undefined) {
        return false;
      }
      this.#any = value;
      return true;
    }
    this.#onlyAny = false;
    const lower = domain.toLowerCase();
    if (lower.startsWith("*")) {
      const text = lower.slice(1);
      return addWildcard(this.#suffixes, text, text.charCodeAt(0), value);
    }
    if (lower.endsWith("*")) {
      const text = lower.slice(0, -1);
      return addWildcard(this.#prefixes, text, text.charCodeAt(text.length - 1), value);
    }
    if (this.#exact.has(lower)) {
      return false;
    }
    this.#exact.set(lower, value);
    return true;
  }

  find(authority: string): Value | undefined {
    if (this.#onlyAny || authority === "") {
      return this.#onlyAny ? this.#any : undefined;
    }
    const host = (this.#ignorePort ? withoutPort(authority) : authority).toLowerCase();
    return this.#exact.get(host) ?? this.#suffix(host) ?? this.#prefix(host) ?? this.#any;
  }

  #suffix(host: string): Value | undefined {
    const buckets = this.#suffixes;
    for (let i = 0; i < buckets.length; i++) {
      const bucket = buckets[i] as LengthBucket<Value>;
      const start = host.length - bucket.length;
      // `*` stands for at least one character: `*.example.com` does not match `.example.com`.
      if (start > 0 && (bucket.border < 0 || host.charCodeAt(start) === bucket.border)) {
        const found = bucket.byText.get(host.slice(start));
        if (found !== undefined) {
          return found;
        }
      }
    }
    return undefined;
  }

  #prefix(host: string): Value | undefined {
    const buckets = this.#prefixes;
    for (let i = 0; i < buckets.length; i++) {
      const bucket = buckets[i] as LengthBucket<Value>;
      const length = bucket.length;
      if (length < host.length && (bucket.border < 0 || host.charCodeAt(length - 1) === bucket.border)) {
        const found = bucket.byText.get(host.slice(0, length));
        if (found !== undefined) {
          return found;
        }
      }
    }
    return undefined;
  }
}

function addWildcard<Value>(buckets: LengthBucket<Value>[], text: string, border: number, value: Value): boolean {
  let bucket = buckets.find(({ length }) => length === text.length);
  if (bucket === undefined) {
    bucket = { length: text.length, border, byText: new Map() };
    buckets.push(bucket);
    buckets.sort((a, b) => b.length - a.length);
  }
  if (bucket.border !== border) {
    bucket.border = -1;
  }
  if (bucket.byText.has(text)) {
    return false;
  }
  bucket.byText.set(text, value);
  return true;
}

/** Cuts the port off; an IPv6 address without one keeps its brackets' inside. */
export function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(":");
  return colon < 0 || authority.lastIndexOf("]") > colon ? authority : authority.slice(0, colon);
}
