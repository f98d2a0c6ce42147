/**
 * Load and correctness client on raw sockets: N requests, or S seconds, at C keep-alive connections, every
 * response checked. Closed loop (as fast as the answers come) or, with a rate, open loop: requests are due at fixed
 * times and a late proxy makes them wait, which counts. Used by tests through runLoad() and from the command line.
 */
import { parseArgs } from "node:util";

import { LoadConnection, type Outcome } from "./load-connection.ts";
import { headerValue } from "./response-reader.ts";

export interface LoadOptions {
  readonly host?: string;
  readonly port: number;
  /** Default `/`. */
  readonly path?: string;
  /** Default 50. */
  readonly connections?: number;
  /** Stop after this many requests; or see `seconds`. One of the two is needed. */
  readonly requests?: number;
  readonly seconds?: number;
  /** Requests per second, open loop. Absent: closed loop. */
  readonly rate?: number;
  /** Every response must have it: `Name: value`, or `Name` for any value. The name's case does not matter. */
  readonly expectHeader?: string;
  /** Default 200. */
  readonly expectStatus?: number;
  readonly method?: string;
  readonly body?: string | Uint8Array;
  /** More request fields, by name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 10,000. */
  readonly timeoutMs?: number;
  /** No new requests from then on; what is under way still counts. */
  readonly signal?: AbortSignal;
}

export interface LoadResult {
  /** Requests that ended, well or not. */
  readonly requests: number;
  readonly errors: number;
  /** How often each kind of error came. */
  readonly problems: Readonly<Record<string, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  /** Of the requests that went well. Milliseconds; 0 when there were none. */
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Times of many requests in one growing array: no object per request. */
class Times {
  #values = new Float64Array(1 << 14);
  #count = 0;

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const wider = new Float64Array(this.#values.length * 2);
      wider.set(this.#values);
      this.#values = wider;
    }
    this.#values[this.#count++] = ms;
  }

  sorted(): Float64Array {
    return this.#values.slice(0, this.#count).sort();
  }
}

/** A share between 0 and 1 of the sorted values, by nearest rank; 0 when there are none. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** How many requests may wait for a free connection in open loop before more are counted as errors. */
const MAX_WAITING = 100_000;

class LoadRun {
  readonly #options: LoadOptions;
  readonly #rate: number;
  readonly #limit: number;
  readonly #expected: { name: string; value: string | undefined } | undefined;
  readonly #connections: LoadConnection[] = [];
  readonly #times = new Times();
  readonly #problems: Record<string, number> = {};
  readonly #statuses: Record<string, number> = {};
  readonly #idle: LoadConnection[] = [];
  readonly #waiting: number[] = [];
  readonly #done = Promise.withResolvers<void>();
  #issued = 0;
  #ended = 0;
  #errors = 0;
  #startedAt = 0;
  #stopAt = Infinity;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#rate = options.rate ?? 0;
    this.#limit = options.requests ?? Infinity;
    const [name, ...value] = options.expectHeader?.split(":") ?? [];
    this.#expected =
      name === undefined
        ? undefined
        : { name: name.trim().toLowerCase(), value: value.length === 0 ? undefined : value.join(":").trim() };
    const target = {
      host: options.host ?? "127.0.0.1",
      port: options.port,
      request: requestBytes(options),
      isHead: options.method === "HEAD",
      timeoutMs: options.timeoutMs ?? 10_000,
    };
    for (let i = 0; i < (options.connections ?? 50); i++) {
      this.#connections.push(new LoadConnection(target, (...ended) => this.#onOutcome(...ended)));
    }
  }

  async run(): Promise<LoadResult> {
    this.#startedAt = performance.now();
    if (this.#options.seconds !== undefined) this.#stopAt = this.#startedAt + this.#options.seconds * 1000;
    this.#options.signal?.addEventListener("abort", () => (this.#stopAt = performance.now()));
    let ticker: NodeJS.Timeout | undefined;
    if (this.#rate > 0) {
      this.#idle.push(...this.#connections);
      ticker = setInterval(() => this.#tick(), 1);
    } else {
      for (const connection of this.#connections) this.#next(connection);
    }
    await this.#done.promise;
    clearInterval(ticker);
    const seconds = (performance.now() - this.#startedAt) / 1000;
    for (const connection of this.#connections) connection.close();
    return this.#result(seconds);
  }

  #result(seconds: number): LoadResult {
    const sorted = this.#times.sorted();
    return {
      requests: this.#ended,
      errors: this.#errors,
      problems: this.#problems,
      statuses: this.#statuses,
      seconds,
      requestsPerSecond: this.#ended / seconds,
      p50Ms: percentile(sorted, 0.5),
      p90Ms: percentile(sorted, 0.9),
      p99Ms: percentile(sorted, 0.99),
      maxMs: sorted.at(-1) ?? 0,
    };
  }

  /** Closed loop: the next request of a connection, unless the run is over. */
  #next(connection: LoadConnection): void {
    const now = performance.now();
    if (this.#issued < this.#limit && now < this.#stopAt) {
      this.#issued++;
      connection.send(now);
    } else if (this.#ended === this.#issued) this.#done.resolve();
  }

  /** Open loop: sends what is due by now. A request's time counts from here even when no connection is free. */
  #tick(): void {
    const now = performance.now();
    const until = Math.min(now, this.#stopAt);
    const due = Math.min(this.#limit, Math.floor(((until - this.#startedAt) * this.#rate) / 1000));
    while (this.#issued < due) {
      this.#issued++;
      const connection = this.#idle.shift();
      if (connection !== undefined) connection.send(now);
      else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(now);
      else this.#fail("not sent: too many requests waiting");
    }
    this.#endWhenOver(now);
  }

  #fail(problem: string): void {
    this.#ended++;
    this.#errors++;
    this.#problems[problem] = (this.#problems[problem] ?? 0) + 1;
  }

  #onOutcome(connection: LoadConnection, outcome: Outcome, startedAt: number): void {
    const problem = this.#problemOf(outcome);
    if (problem === undefined) {
      this.#ended++;
      this.#times.add(performance.now() - startedAt);
    } else this.#fail(problem);
    if (this.#rate === 0) {
      this.#next(connection);
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) connection.send(waiting);
    else this.#idle.push(connection);
    this.#endWhenOver(performance.now());
  }

  #endWhenOver(now: number): void {
    const isOver = now >= this.#stopAt || this.#issued >= this.#limit;
    if (isOver && this.#ended === this.#issued) this.#done.resolve();
  }

  #problemOf(outcome: Outcome): string | undefined {
    if ("error" in outcome) return outcome.error;
    const { reply } = outcome;
    if (reply.problem !== undefined) return reply.problem;
    this.#statuses[reply.status] = (this.#statuses[reply.status] ?? 0) + 1;
    if (reply.status !== (this.#options.expectStatus ?? 200)) return `status ${reply.status}`;
    if (this.#expected === undefined) return undefined;
    const found = headerValue(reply.head, this.#expected.name);
    if (found === undefined) return `no header ${this.#expected.name}`;
    const isRight = this.#expected.value === undefined || found === this.#expected.value;
    return isRight ? undefined : `header ${this.#expected.name} is ${JSON.stringify(found.slice(0, 60))}`;
  }
}

function requestBytes(options: LoadOptions): Buffer {
  const body = Buffer.from(options.body ?? "");
  const fields = Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  if (body.length > 0) fields.push(`content-length: ${body.length}\r\n`);
  const host = `host: ${options.host ?? "127.0.0.1"}:${options.port}\r\n`;
  const head = `${options.method ?? "GET"} ${options.path ?? "/"} HTTP/1.1\r\n${host}${fields.join("")}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}

/** Runs the load to its end. Never rejects because of what the peer does: that is in `errors` and `problems`. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  if (options.requests === undefined && options.seconds === undefined) throw new Error("say requests or seconds");
  return new LoadRun(options).run();
}

const HELP = `usage: node test/bench/load.ts [flags] URL

  --connections N       keep-alive connections (50)
  --requests N          stop after N requests; or
  --seconds S           stop after S seconds (5)
  --rate N              N requests per second, open loop; without it as fast as the answers come
  --expect-header H     every response must have it: 'Name: value' or 'Name'
  --expect-status N     (200)
  --method M  --body B  --header 'Name: value' (may be repeated)
  --timeout-ms N        a request without an answer is an error after this long (10000)
  --json                print the result as one JSON line
Ctrl-C ends it early, with its result. Exit code 1 when a request failed.
`;

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      connections: text,
      requests: text,
      seconds: text,
      rate: text,
      "expect-header": text,
      "expect-status": text,
      method: text,
      body: text,
      header: { type: "string", multiple: true },
      "timeout-ms": text,
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  const [address] = positionals;
  if (values.help === true || address === undefined) {
    process.stdout.write(HELP);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const url = new URL(address);
  const number = (value: string | undefined): number | undefined => (value === undefined ? undefined : Number(value));
  const seconds = number(values.seconds) ?? (values.requests === undefined ? 5 : undefined);
  const given = {
    connections: number(values.connections),
    requests: number(values.requests),
    seconds,
    rate: number(values.rate),
    expectHeader: values["expect-header"],
    expectStatus: number(values["expect-status"]),
    method: values.method,
    body: values.body,
    timeoutMs: number(values["timeout-ms"]),
    headers: Object.fromEntries((values.header ?? []).map((line) => line.split(/:\s*(.*)/s).slice(0, 2))),
  };
  const options = Object.fromEntries(Object.entries(given).filter((entry) => entry[1] !== undefined));
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  const result = await runLoad({
    ...options,
    signal: interrupted.signal,
    host: url.hostname,
    port: Number(url.port === "" ? 80 : url.port),
    path: url.pathname + url.search,
  });
  process.stdout.write(values.json === true ? `${JSON.stringify(result)}\n` : describe(result));
  if (result.errors > 0) process.exitCode = 1;
}

function describe(result: LoadResult): string {
  const lines = [
    `${result.requests} requests in ${result.seconds.toFixed(2)} s: ${result.requestsPerSecond.toFixed(0)}/s`,
    `errors ${result.errors}`,
    ...Object.entries(result.problems).map(([problem, count]) => `  ${count} × ${problem}`),
    `ms: p50 ${result.p50Ms.toFixed(2)}  p90 ${result.p90Ms.toFixed(2)}  p99 ${result.p99Ms.toFixed(2)}  max ${result.maxMs.toFixed(2)}`,
  ];
  return `${lines.join("\n")}\n`;
}

if (import.meta.main) await main();
