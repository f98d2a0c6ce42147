// A whole HTTP exchange through one plugin, as an embedder runs it: headers, buffered bodies, trailers, pause and
// resume, local replies, log, close. Synchronous; what is paused goes on when the plugin says so.

import { HeaderList } from "../../../plugins/header-list.ts";
import type { HttpContext } from "../../../plugins/http-context.ts";
import type { Plugin } from "../../../plugins/plugin.ts";
import type { LocalReply } from "../../../plugins/ports.ts";
import type { PropertyValue } from "../../../plugins/property-value.ts";
import { FakeStream } from "./fake-stream.ts";

export interface ExchangeOptions {
  readonly path?: string;
  readonly headers?: readonly string[];
  readonly body?: readonly string[];
  readonly trailers?: readonly string[];
  readonly response?: readonly string[];
  readonly responseBody?: readonly string[];
  readonly responseTrailers?: readonly string[];
  readonly properties?: Readonly<Record<string, PropertyValue>>;
}

type Step = () => number;

export class Exchange {
  readonly stream: FakeStream;
  readonly context: HttpContext;
  /** Bodies as they left the plugin. */
  readonly sent: [string, string] = ["", ""];
  /** "waiting" while paused, "done" when the response has gone through, "reset" after a close. */
  state: "running" | "waiting" | "done" | "reset" = "running";
  #steps: Step[] = [];
  readonly #options: ExchangeOptions;
  #isRunning = false;

  constructor(plugin: Plugin, options: ExchangeOptions = {}) {
    this.#options = options;
    this.stream = new FakeStream([
      ":method",
      options.body === undefined ? "GET" : "POST",
      ":path",
      options.path ?? "/",
      ":authority",
      "example.com",
      ...(options.headers ?? []),
    ]);
    for (const [path, value] of Object.entries(options.properties ?? {})) this.stream.properties.set(path, value);
    this.context = plugin.createHttpContext(this.stream);
    this.stream.continueRequest = () => this.#resume("continue-request");
    this.stream.continueResponse = () => this.#resume("continue-response");
    this.stream.closeStream = () => {
      this.stream.journal.push("close");
      this.#steps = [];
      this.state = "reset";
    };
    this.stream.onReply = (reply) => this.#onReply(reply);
    this.#steps = [...this.#requestSteps(), () => this.#respond(), ...this.#responseSteps()];
    this.#run();
  }

  /** Ends the exchange: log, close. Answers the response header, for short tests. */
  end(name = ":status"): string | undefined {
    this.context.onLog();
    this.context.close();
    return this.stream.maps[2]?.get(name);
  }

  #requestSteps(): Step[] {
    const { body = [], trailers } = this.#options;
    const steps: Step[] = [
      () => this.context.onRequestHeaders(this.stream.map(0).size, body.length === 0 && trailers === undefined),
      ...this.#bodySteps(0, body, trailers === undefined),
    ];
    if (trailers !== undefined) steps.push(() => this.#trailers(1, trailers));
    return steps;
  }

  #responseSteps(): Step[] {
    const { responseBody = [], responseTrailers } = this.#options;
    const isBodiless = responseBody.length === 0 && responseTrailers === undefined;
    const steps: Step[] = [
      () => this.context.onResponseHeaders(this.stream.map(2).size, isBodiless),
      ...this.#bodySteps(1, responseBody, responseTrailers === undefined),
    ];
    if (responseTrailers !== undefined) steps.push(() => this.#trailers(3, responseTrailers));
    return steps;
  }

  #bodySteps(body: 0 | 1, chunks: readonly string[], endsWithBody: boolean): Step[] {
    return chunks.map((chunk, i) => () => {
      const isLast = i === chunks.length - 1;
      const { stream } = this;
      stream.bodies[body] = Buffer.concat([stream.bodies[body] ?? Buffer.alloc(0), Buffer.from(chunk)]);
      const size = stream.bodyLength(body);
      const end = isLast && endsWithBody;
      const status = body === 0 ? this.context.onRequestBody(size, end) : this.context.onResponseBody(size, end);
      if (status === 0) this.#flush(body);
      // Buffering: the next part arrives without anybody's continue.
      return status === 1 && !end ? 0 : status;
    });
  }

  #flush(body: 0 | 1): void {
    this.sent[body] += (this.stream.bodies[body] ?? Buffer.alloc(0)).toString();
    this.stream.bodies[body] = Buffer.alloc(0);
  }

  #trailers(map: 1 | 3, pairs: readonly string[]): number {
    this.stream.maps[map] = new HeaderList([...pairs]);
    const count = pairs.length / 2;
    return map === 1 ? this.context.onRequestTrailers(count) : this.context.onResponseTrailers(count);
  }

  #respond(): number {
    this.#flush(0);
    this.stream.respond(...(this.#options.response ?? []));
    return 0;
  }

  #onReply(reply: LocalReply): void {
    const isResponding = this.stream.maps[2] !== undefined;
    this.stream.maps[2] = new HeaderList([":status", String(reply.status), ...reply.headers]);
    this.sent[1] = Buffer.from(reply.body).toString();
    const hasBody = reply.body.length > 0;
    this.#steps = isResponding ? [] : [() => this.context.onResponseHeaders(this.stream.map(2).size, !hasBody)];
    if (this.#isRunning) return;
    this.#run();
  }

  #resume(what: string): void {
    this.stream.journal.push(what);
    this.#flush(what === "continue-request" ? 0 : 1);
    this.#run();
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.state = "running";
    for (let step = this.#steps.shift(); step !== undefined; step = this.#steps.shift()) {
      const replies = this.stream.replies.length;
      if (step() !== 0 && this.stream.replies.length === replies) {
        this.state = (this.state as string) === "reset" ? "reset" : "waiting";
        this.#isRunning = false;
        return;
      }
    }
    this.#isRunning = false;
    if ((this.state as string) === "reset") return;
    this.#flush(1);
    this.state = "done";
  }
}
