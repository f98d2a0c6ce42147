// What a connection manager makes of the proxy's own answers (`local_reply_config`), as Envoy does: of failures, of plugins' and
// filters' replies, of direct responses and redirects, and of requests that are refused. Without that field there is none of this.
// Compiled by live-config.ts, asked by stream-answers.ts.

import type { LocalReplyConfig, LocalReplyMapper } from "../xds/model/local-reply.ts";
import type { DataSource } from "../xds/model/plugin-config.ts";
import { isGrpcRequest } from "./http/local-reply.ts";
import type { ResponseHead } from "./http/message.ts";
import { compileMutations, type MutationList } from "./route/header-mutations.ts";
import type { Counter } from "./stats/scope.ts";
import { type BodyFormatter, compileBodyFormat, type ReplyFacts } from "./telemetry/body-format.ts";
import type { FormatContext } from "./telemetry/format-operator.ts";
import { compileLogFilter, type LogFilter, type LogFilterDeps } from "./telemetry/log-filter.ts";

/** Facts that an answer changes: filters and formats are to see it. */
export interface AnsweredFacts extends ReplyFacts {
  status: number;
  responseHead: ResponseHead | undefined;
}

export interface LocalReplyDeps extends LogFilterDeps {
  readonly format: FormatContext;
  /** A body that is not inline; undefined: it cannot be read. */
  readonly readData: (source: DataSource) => Uint8Array | undefined;
  /** Of bodies that were not formatted, because they would have been too large. */
  readonly tooLarge: Counter;
}

interface Mapper {
  readonly accepts: LogFilter;
  readonly statusCode: number | undefined;
  readonly body: Uint8Array | undefined;
  readonly mutations: MutationList | undefined;
  readonly formatter: BodyFormatter | undefined;
}

const NO_MUTATIONS = { requestToAdd: [], requestToRemove: [], responseToAdd: [], responseToRemove: [] };

const NEWLINE = 10;
const EMPTY = new Uint8Array(0);

export class LocalReplies {
  readonly #mappers: readonly Mapper[];
  readonly #formatter: BodyFormatter | undefined;
  readonly #tooLarge: Counter;

  constructor(mappers: readonly Mapper[], formatter: BodyFormatter | undefined, tooLarge: Counter) {
    this.#mappers = mappers;
    this.#formatter = formatter;
    this.#tooLarge = tooLarge;
  }

  /** Changes `head`, which has no fields of its body yet but a filter's type, and returns the body that it then has. */
  rewrite(head: ResponseHead, body: Uint8Array, facts: AnsweredFacts): Uint8Array {
    const { headers } = head;
    const typeBefore = headers.get("content-type");
    facts.status = head.status;
    facts.responseHead = head;
    const mapper = this.#mappers.find(({ accepts }) => accepts(facts));
    mapper?.mutations?.apply(headers, facts);
    if (mapper?.statusCode !== undefined) {
      head.status = mapper.statusCode;
      head.reason = "";
      facts.status = head.status;
    }
    const type = headers.get("content-type");
    const formatter = mapper?.formatter ?? this.#formatter;
    const made = this.#format(formatter, mapper?.body ?? body, facts);
    const isSame = Buffer.compare(made, body) === 0;
    if (made.length > 0 && (type === undefined || (type === typeBefore && !isSame))) {
      headers.set("content-type", formatter?.contentType ?? "text/plain");
    }
    // Envoy sends the body with these too, which no client can read.
    const isBodiless = (head.status === 204 || head.status === 304) && !isGrpcRequest(facts.requestHead);
    return isBodiless ? EMPTY : made;
  }

  #format(formatter: BodyFormatter | undefined, body: Uint8Array, facts: AnsweredFacts): Uint8Array {
    if (formatter === undefined) {
      return body;
    }
    const made = formatter.render(facts, body);
    if (made === undefined) {
      this.#tooLarge.inc();
      return body;
    }
    // For gRPC it becomes a field, where JSON's newline would be in the way.
    const isField = formatter.contentType === "application/json" && isGrpcRequest(facts.requestHead);
    return isField && made.at(-1) === NEWLINE ? made.subarray(0, -1) : made;
  }
}

/** A text: what of it cannot be compiled. */
export function compileLocalReplies(config: LocalReplyConfig, deps: LocalReplyDeps): LocalReplies | string {
  const problems: string[] = [];
  const formatterOf = (format: LocalReplyMapper["bodyFormat"]): BodyFormatter | undefined => {
    const compiled = format && compileBodyFormat(format, deps.format);
    if (compiled?.ok === false) {
      problems.push(compiled.problem);
    }
    return compiled?.ok === true ? compiled.format : undefined;
  };
  const bodyOf = (source: DataSource): Uint8Array | undefined => {
    const body = source.kind === "bytes" ? source.bytes : deps.readData(source);
    if (body === undefined) {
      problems.push(`cannot read the body of a local reply from ${source.kind}`);
    }
    return body;
  };
  const mappers = config.mappers.map((mapper): Mapper => ({
    accepts: compileLogFilter(mapper.filter, deps, problems),
    statusCode: mapper.statusCode,
    body: mapper.body && bodyOf(mapper.body),
    mutations: compileMutations(
      [{ ...NO_MUTATIONS, responseToAdd: mapper.headersToAdd }],
      "response",
      deps.format,
      problems,
    ),
    formatter: formatterOf(mapper.bodyFormat),
  }));
  const formatter = formatterOf(config.bodyFormat);
  return problems.length > 0
    ? `local_reply_config: ${[...new Set(problems)].join("; ")}`
    : new LocalReplies(mappers, formatter, deps.tooLarge);
}
