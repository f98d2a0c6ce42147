// What `outrigger explain` and /explain say of a request: plain values, with names of one word, so that JSON has them as they are.

/** A request as somebody asks for it. */
export interface Question {
  readonly method: string;
  /** `http://host:port/path?query`, without the scheme too, or only a path. */
  readonly url: string;
  /** `name: value`; a Host takes the place of the URL's. */
  readonly headers: readonly string[];
  /** Empty: the one at the URL's port, or the only one. */
  readonly listener: string;
  /** The client's address. */
  readonly from: string;
}

export interface Explanation {
  /** As routes see it: after the codec and Envoy's own fields, before filters. Absent when nothing came so far. */
  readonly request?: {
    readonly method: string;
    readonly scheme: string;
    readonly authority: string;
    readonly path: string;
    readonly headers: readonly string[];
  };
  readonly listener: { readonly name: string; readonly address: string; readonly why: string };
  readonly chain?: { readonly name: string; readonly why: string };
  /** Why it comes to no route. */
  readonly end?: string;
  /** Of a TCP proxy. */
  readonly tcp?: readonly { readonly share: number; readonly cluster: Target }[];
  readonly routes?: { readonly name: string; readonly source: string };
  readonly host?: { readonly name: string; readonly domain: string; readonly routes: number };
  /** Routes before the one that is taken for certain, and why each is passed by. */
  readonly passed: readonly PassedRoute[];
  /** How many more were passed by. */
  readonly more: number;
  /** What can become of it; one with share 1 but where chance has a say. */
  readonly outcomes: readonly Outcome[];
}

export interface PassedRoute {
  /** From 1 on. */
  readonly place: number;
  readonly name: string;
  readonly match: string;
  readonly why: readonly string[];
}

export interface Outcome {
  /** Of requests like this one, in [0, 1]. */
  readonly share: number;
  /** Absent: no route matches, or (`action` says so) the virtual host wants TLS. */
  readonly route?: { readonly place: number; readonly name: string; readonly match: string };
  readonly action: string;
  readonly cluster?: Target;
  /** What the cluster is asked, where it is not what came. */
  readonly upstream?: string;
  readonly filters: readonly ExplainedFilter[];
}

export interface Target {
  readonly name: string;
  /** Empty, or why there is none. */
  readonly problem: string;
  readonly policy: string;
  readonly hosts: readonly ExplainedHost[];
  /** All of them; `hosts` has the first. */
  readonly total: number;
}

export interface ExplainedHost {
  readonly address: string;
  readonly health: string;
  readonly weight: number;
  readonly priority: number;
}

export interface ExplainedFilter {
  readonly name: string;
  /** `plugin NAME`, `cors`, … */
  readonly kind: string;
  readonly active: boolean;
  /** Which level of the routes has a say in it; empty: none. */
  readonly by: string;
  /** Of a plugin, cut when it is long; of another level than its own when `by` says so. */
  readonly configuration?: string;
}
