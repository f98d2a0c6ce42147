// What came of `plugin run`, as text for people and as one JSON object. Times are milliseconds from the plugin's load.

import type { PluginModule } from "../../../plugins/plugin-module.ts";
import { type CallValues, describeBytes } from "../../../plugins/testing/host-call-reader.ts";
import type { TestCall } from "../../../plugins/testing/test-calls.ts";
import type { TestGrpcCall } from "../../../plugins/testing/test-grpc-calls.ts";
import type { LogLine, Metric } from "../../../plugins/testing/test-sinks.ts";
import type { HostCallEntry, TranscriptEntry } from "../../../plugins/testing/transcript.ts";
import { transcriptLines } from "../../../plugins/testing/transcript-text.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { messageLines } from "./http-text.ts";
import type { PassedData } from "./run-connection.ts";
import type { ConnectionResult, RunResult, StreamResult } from "./run-request.ts";
import type { OutMessage } from "./run-stream.ts";

interface Printed {
  readonly headers: readonly (readonly [string, string])[];
  readonly body: ReturnType<typeof describeBytes>;
  readonly trailers: readonly (readonly [string, string])[];
}

/** Lines for people. */
export function reportText(file: string, result: RunResult, quiet: boolean): string {
  const { entries, dropped } = result.transcript;
  const lines = [`${file}: ${moduleText(result.module)}`, ""];
  if (!quiet) {
    lines.push("callbacks and host calls, in ms:", ...transcriptLines(entries));
    lines.push(...(dropped > 0 ? [`(${dropped} more are not shown)`] : []), "");
  }
  for (const stream of result.streams) {
    lines.push(...streamLines(stream), "");
  }
  for (const connection of result.connections) {
    lines.push(...connectionLines(connection), "");
  }
  lines.push(
    ...callLines(result.calls),
    ...grpcLines(result.grpcCalls),
    ...metricLines(result.metrics),
    ...(quiet ? logLines(result.logs) : []),
  );
  if (result.fault !== undefined) {
    lines.push("the plugin failed:", ...faultLines(result), "");
  }
  lines.push(`memory of the plugin: ${mib(result.memoryBytes)}`);
  return `${lines.join("\n")}\n`;
}

/** What a plugin did that did not start. */
export function failedStartText(entries: readonly TranscriptEntry[], logs: readonly LogLine[], quiet: boolean): string {
  const lines = quiet ? logLines(logs) : transcriptLines(entries);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** The same for programs. */
export function reportJson(file: string, result: RunResult): string {
  const { module, transcript, calls, grpcCalls, logs, metrics, fault, memoryBytes } = result;
  const report = {
    file,
    module: { abi: module.abi, language: module.language, size_bytes: module.sizeBytes, sha256: module.digest },
    streams: result.streams.map(streamJson),
    connections: result.connections.map(connectionJson),
    transcript: transcript.entries.map(entryJson),
    transcript_dropped: transcript.dropped,
    calls: calls.map(({ id, cluster, headers, body, trailers, timeoutMs, state }) => ({
      id,
      cluster,
      headers: headers.entries(),
      body: describeBytes(body),
      trailers: trailers.entries(),
      timeout_ms: timeoutMs,
      state,
    })),
    grpc_calls: grpcCalls.map(({ id, cluster, path, metadata, messages, isStream, timeoutMs, state }) => ({
      id,
      cluster,
      path,
      metadata: metadata.entries(),
      messages: messages.map(describeBytes),
      is_stream: isStream,
      timeout_ms: timeoutMs,
      state,
    })),
    metrics: metrics.map(({ name, type, value, samples }) => ({
      name,
      type,
      value,
      ...(type === "histogram" ? { samples } : {}),
    })),
    logs,
    fault: fault ?? null,
    memory_bytes: memoryBytes,
  };
  return `${JSON.stringify(report, null, 1)}\n`;
}

function moduleText({ abi, language, sizeBytes }: PluginModule): string {
  return `ABI ${abi}, ${language}, ${sizeBytes} bytes`;
}

function streamLines({ pausedIn, stream }: StreamResult): string[] {
  const { upstream, client, replyDetails } = stream;
  const lines: string[] = [];
  if (upstream === undefined) {
    lines.push("no request went to the upstream", "");
  } else {
    lines.push(`request to the upstream${upstream.isComplete ? "" : ", of which the rest is held"}:`);
    lines.push(...requestLines(upstream), "");
  }
  if (client === undefined) {
    lines.push(
      pausedIn === undefined ? "no response: the stream was cut" : `no response: the plugin holds the ${pausedIn}`,
    );
  } else {
    const details = replyDetails === "" ? "" : ` (${replyDetails})`;
    const from = replyDetails === undefined ? "" : `, not the upstream's${details}`;
    lines.push(`response to the client${from}${client.isComplete ? "" : ", of which the rest is held"}:`);
    lines.push(...responseLines(client));
    if (stream.isReset) {
      lines.push("and then the stream was cut");
    }
  }
  if (stream.problem !== undefined) {
    lines.push("", stream.problem);
  }
  return lines;
}

function connectionLines({ outcome, pausedIn, connection }: ConnectionResult): string[] {
  const { toUpstream, toClient } = connection;
  const ending = outcome === "reset" ? ["", "and then the plugin closed the connection"] : [];
  return [
    ...dataLines("to the upstream", toUpstream),
    "",
    ...dataLines("to the client", toClient),
    ...(pausedIn === undefined ? ending : ["", `the plugin holds the ${pausedIn}`]),
  ];
}

function dataLines(where: string, { chunks, isEnded }: PassedData): string[] {
  const shown = describeBytes(Buffer.concat(chunks));
  const text = typeof shown === "string" ? shown : `0x${shown.hex}`;
  const lines = text === "" ? ["(nothing)"] : text.replace(/\n$/, "").split("\n");
  return [`${where}${isEnded ? "" : ", without its end"}:`, ...lines.map((line) => `  ${line}`)];
}

function connectionJson({ outcome, pausedIn, connection }: ConnectionResult): object {
  const dataOf = ({ chunks, isEnded }: PassedData): object => ({
    data: describeBytes(Buffer.concat(chunks)),
    is_ended: isEnded,
  });
  return {
    outcome,
    paused_in: pausedIn ?? null,
    is_admitted: connection.isAdmitted,
    to_upstream: dataOf(connection.toUpstream),
    to_client: dataOf(connection.toClient),
  };
}

function requestLines(message: OutMessage<RequestHead>): string[] {
  const { method, path } = message.head;
  const { headers, body, trailers } = printed(message);
  return messageLines(`${method} ${utf8(path)} HTTP/1.1`, headers, body, trailers);
}

function responseLines(message: OutMessage<ResponseHead>): string[] {
  const { status, reason } = message.head;
  const { headers, body, trailers } = printed(message);
  return messageLines(`HTTP/1.1 ${status} ${reason}`.trimEnd(), headers, body, trailers);
}

function printed<Head extends RequestHead | ResponseHead>({ head, body, trailers }: OutMessage<Head>): Printed {
  const texts = (fields: Iterable<readonly [string, string]>): [string, string][] =>
    Array.from(fields, ([name, value]) => [utf8(name), utf8(value)]);
  return { headers: texts(head.headers), body: describeBytes(Buffer.concat(body)), trailers: texts(trailers ?? []) };
}

function callLines(calls: readonly TestCall[]): string[] {
  const rows = calls.map(
    ({ id, cluster, method, path, body, state }) =>
      `  ${id}: ${method} ${path} to "${cluster}", ${body.length} bytes of body: ${state === "waiting" ? "no answer" : state}`,
  );
  return rows.length === 0 ? [] : ["HTTP calls of the plugin:", ...rows, ""];
}

function grpcLines(calls: readonly TestGrpcCall[]): string[] {
  const rows = calls.map(
    ({ id, cluster, path, messages, state }) =>
      `  ${id}: ${path} to "${cluster}", messages sent: ${messages.length}, ${state === "waiting" ? "no answer" : state}`,
  );
  return rows.length === 0 ? [] : ["gRPC calls of the plugin:", ...rows, ""];
}

function metricLines(metrics: readonly Metric[]): string[] {
  const rows = metrics.map(
    ({ name, type, value, samples }) => `  ${name} (${type}): ${type === "histogram" ? samples.join(", ") : value}`,
  );
  return rows.length === 0 ? [] : ["metrics:", ...rows, ""];
}

function logLines(logs: readonly LogLine[]): string[] {
  return logs.length === 0 ? [] : ["log:", ...logs.map(({ level, message }) => `  ${level}: ${message}`), ""];
}

function faultLines({ fault }: RunResult): string[] {
  if (fault === undefined) {
    return [];
  }
  return [`  ${fault.callback}: ${fault.kind}: ${fault.message}`, ...fault.frames.map((frame) => `    at ${frame}`)];
}

function streamJson({ outcome, pausedIn, stream }: StreamResult): object {
  const { upstream, client } = stream;
  return {
    outcome,
    paused_in: pausedIn ?? null,
    request:
      upstream === undefined
        ? null
        : {
            method: upstream.head.method,
            path: utf8(upstream.head.path),
            authority: upstream.head.authority,
            scheme: upstream.head.scheme,
            ...printed(upstream),
            is_complete: upstream.isComplete,
          },
    response:
      client === undefined ? null : { status: client.head.status, ...printed(client), is_complete: client.isComplete },
    problem: stream.problem ?? null,
    reply_details: stream.replyDetails ?? null,
    response_code_details: stream.facts.responseCodeDetails,
  };
}

function entryJson(entry: TranscriptEntry): object {
  if (entry.kind === "note") {
    return { kind: "note", at_ms: ms(entry.atMs), text: entry.text };
  }
  return {
    kind: "callback",
    name: entry.name,
    context_id: entry.contextId,
    at_ms: ms(entry.atMs),
    duration_ms: ms(entry.tookMs),
    arguments: entry.arguments,
    result: entry.result ?? null,
    fuel: entry.fuel,
    host_calls: entry.hostCalls.map(hostCallJson),
    fault: entry.fault ?? null,
  };
}

function hostCallJson({ name, atMs, tookMs, arguments: args, status, answers }: HostCallEntry): object {
  return {
    name,
    at_ms: ms(atMs),
    duration_ms: ms(tookMs),
    arguments: args,
    status: status ?? null,
    answers: answers satisfies CallValues,
  };
}

/** Microseconds are enough. */
function ms(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
}

/** Header maps have one char a byte; people read UTF-8. */
function utf8(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8");
}
