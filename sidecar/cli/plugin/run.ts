// The verb `plugin run`: one request through a plugin in the sidecar's own filter chain and plugin host, without sockets, and
// a transcript of every callback and host call. Exit 0 when the stream got through, however the plugin answered it; 1 when
// the plugin did not load, failed, held the stream for ever, or left what cannot be sent; 2 for wrong usage.

import { describeFlags } from "../flags.ts";
import type { CliIo, Verb } from "../verb.ts";
import { withProblems } from "./plugin-flags.ts";
import { RUN_FLAGS, runOptions } from "./run-options.ts";
import { failedStartText, reportJson, reportText } from "./run-report.ts";
import { runRequests } from "./run-request.ts";

const HELP = `outrigger plugin run FILE.wasm

Sends one request through a plugin, in the plugin host and filter chain of the sidecar, and prints every callback and host
call with arguments, answers, times and fuel, then the request and the response as they left the plugin.
The upstream and the clusters that the plugin calls are flags. Waiting takes no time: when the stream stands still, the clock
jumps to the next tick, answer or timeout.

  outrigger plugin run plugin.wasm --config '{"header":"x-a"}' --request 'GET /orders?id=1' -H 'cookie: a=b'
  outrigger plugin run plugin.wasm --request @request.http --response @response.http --chunk 1000
  outrigger plugin run plugin.wasm --callout 'auth=403 no' --property xds.route_name=web --json
  outrigger plugin run plugin.wasm --tcp --send 'hello' --receive 'hello yourself'

Exit codes: 0 the stream got through, however the plugin answered it; 1 the plugin did not load, failed, held the stream until
the time was up, or left a message that cannot be sent; 2 wrong usage. FILE may be an http(s):// or oci:// address too.

Flags:
`;

export const pluginRunVerb: Verb = {
  name: "run",
  usage: "plugin run FILE.wasm",
  summary: "sends a request through a plugin and shows every callback and host call",
  words: () => ({ flags: RUN_FLAGS, operands: "files" }),
  help: () => `${HELP}${describeFlags(RUN_FLAGS)}`,
  run: (argv, io) => withProblems("plugin run", io, () => run(argv, io)),
};

async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const options = runOptions(argv);
  const result = await runRequests(options, io, ({ entries }, logs) =>
    io.err(failedStartText(entries, logs, options.quiet)),
  );
  const { file } = options.plugin;
  io.out(options.json ? reportJson(file, result) : reportText(file, result, options.quiet));
  const bad = [...result.streams, ...result.connections].filter(
    ({ outcome }) => outcome === "failed" || outcome === "paused",
  );
  return bad.length > 0 ? 1 : 0;
}
