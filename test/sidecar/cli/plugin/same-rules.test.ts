// The test API and the sidecar's filter chain treat a paused, buffered or answered message alike: the same guest and messages
// through plugins/testing and through `plugin run`, every raw answer of every callback of the guest `actions`, and the guests
// that change bodies and trailers or answer themselves.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { loadPlugin } from "../../../../plugins/testing/index.ts";
import { pluginRunVerb } from "../../../../sidecar/cli/plugin/run.ts";
import { printed } from "../../../support/cli-printer.ts";

const guest = (name: string): string => join(import.meta.dirname, `../../../guests/wasm/${name}.wasm`);
const REQUEST_BODY = ["requ", "est ", "body"];
/** A length that no longer fits would end the stream beyond the filters. */
const CHUNKED = { "transfer-encoding": "chunked" };
const RESPONSE_BODY = ["resp", "onse"];

interface Seen {
  /** Of the stream: 'proxy_on_request_body {"body_size":4,"end_of_stream":false} "pause"'. */
  readonly callbacks: readonly string[];
  readonly request: { readonly body: string; readonly trailers: object } | null;
  readonly response: { readonly status: number; readonly body: string; readonly trailers: object } | null;
}

const describe = (name: string, args: Readonly<Record<string, unknown>>, result: unknown): string =>
  `${name} ${JSON.stringify(args)} ${JSON.stringify(result ?? null)}`;

/** A stream's own callbacks, without those of its end: a stream that is paused for ever ends otherwise in either. */
const isOfStream = (name: string): boolean => /^proxy_on_(?:request|response)_/.test(name);

function inTestApi(name: string, configuration: string, path: string): Seen {
  using plugin = loadPlugin(guest(name), { configuration });
  const stream = plugin.stream();
  stream.sendRequest({
    path,
    method: "POST",
    body: REQUEST_BODY,
    trailers: { "x-request": "1" },
    headers: CHUNKED,
  });
  const respond = (): void => {
    if (stream.response.headers.size > 0 || stream.localReply !== undefined || !stream.request.isComplete) return;
    stream.respond({ body: RESPONSE_BODY, trailers: { "x-response": "1" }, headers: CHUNKED });
  };
  respond();
  for (let ticks = 0; ticks < 5; ticks++) {
    plugin.clock.advance(100);
    respond();
  }
  const { request, response } = stream;
  const callbacks = plugin.callbacks
    .filter((callback) => isOfStream(callback.name))
    .map((callback) => describe(callback.name, callback.arguments, callback.result));
  const pairs = (trailers: { entries(): [string, string][] } | undefined): object =>
    trailers === undefined ? [] : trailers.entries();
  return {
    callbacks,
    request: request.headersPassed
      ? { body: request.body.toString(), trailers: pairs(request.isComplete ? request.trailers : undefined) }
      : null,
    response: response.headersPassed
      ? {
          status: stream.status,
          body: response.body.toString(),
          trailers: pairs(response.isComplete ? response.trailers : undefined),
        }
      : null,
  };
}

async function inFilterChain(name: string, configuration: string, path: string): Promise<Seen> {
  const { io, out } = printed();
  const trailers = ["--trailer", "x-request: 1", "--response-trailer", "x-response: 1"];
  const chunked = ["-H", "transfer-encoding: chunked", "--response-header", "transfer-encoding: chunked"];
  const bodies = [
    "-r",
    `POST ${path}`,
    "-d",
    REQUEST_BODY.join(""),
    "--response-body",
    RESPONSE_BODY.join(""),
    "--chunk",
    "4",
  ];
  await pluginRunVerb.run(
    [guest(name), "--config", configuration, ...bodies, ...chunked, ...trailers, "--timeout-ms", "500", "--json"],
    io,
  );
  const report = JSON.parse(out()) as {
    readonly streams: readonly [{ readonly request: Seen["request"]; readonly response: Seen["response"] }];
    readonly transcript: readonly { name?: string; arguments?: Record<string, unknown>; result?: unknown }[];
  };
  const [{ request, response }] = report.streams;
  return {
    callbacks: report.transcript
      .filter((entry) => isOfStream(entry.name ?? ""))
      .map((entry) => describe(entry.name ?? "", entry.arguments ?? {}, entry.result)),
    request: request === null ? null : { body: request.body, trailers: request.trailers },
    response: response === null ? null : { status: response.status, body: response.body, trailers: response.trailers },
  };
}

const CASES: (readonly [guest: string, configuration: string, path: string])[] = [
  ["body-buffer", "request replace new\nresponse append !", "/"],
  ["body-buffer", "request reverse", "/"],
  ["body-chunk", "request response grow", "/"],
  ["trailers", "request add x-a 1\nresponse remove x-response", "/"],
  ["pause-resume", "50", "/request-headers"],
  ["pause-resume", "50", "/response-headers"],
];
for (const reply of [
  "request-headers",
  "request-body",
  "request-trailers",
  "response-headers",
  "continue",
  "twice",
  "reset",
]) {
  CASES.push(["local-reply", "", `/reply/${reply}`]);
}
for (const phase of ["headers", "body", "trailers"]) {
  for (const status of [1, 2, 3, 4]) {
    CASES.push(["actions", "", `/request-${phase}/${status}`], ["actions", "", `/response-${phase}/${status}`]);
    CASES.push(["actions", "", `/request-${phase}/${status}/stay`]);
  }
}

for (const [name, configuration, path] of CASES) {
  test(`${name} ${configuration.replaceAll("\n", "; ")} ${path}: the test API does what the filter chain does`, async () => {
    assert.deepEqual(inTestApi(name, configuration, path), await inFilterChain(name, configuration, path));
  });
}
