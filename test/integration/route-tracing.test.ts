// What routes say of tracing: the decorator's operation as the span's name and as a field for the other side, sampling and tags.
// Envoy and outrigger with the same bootstrap tell both sides the same, and their spans have the same names and tags.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, cluster, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { type CollectedSpan, OtlpCollector } from "../support/otlp-collector.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { rawAnswer } from "../support/raw-answer.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";

const FIELD = "x-envoy-decorator-operation";
const literal = (tag: string, value: string) => ({ tag, literal: { value } });
const header = (tag: string, name: string) => ({ tag, request_header: { name, default_value: "none" } });
const NEVER = { numerator: 0 };

const toOrigin = (prefix: string, more: object) => ({ match: { prefix }, route: { cluster: "origin" }, ...more });
const ROUTES = [
  toOrigin("/named", { decorator: { operation: "named-operation" } }),
  toOrigin("/kept", { decorator: { operation: "kept-operation", propagate: false } }),
  toOrigin("/never", { decorator: { operation: "never" }, tracing: { random_sampling: NEVER } }),
  toOrigin("/tags", {
    decorator: { operation: "tags" },
    tracing: { custom_tags: [literal("both", "route"), header("of-route", "x-tag")] },
  }),
  toOrigin("/", {}),
];

/** Path, field of the client, field of the origin. */
const SENT = [
  ["/named", "", ""],
  ["/named", "told by client", ""],
  ["/named", "", "told by origin"],
  ["/kept", "", ""],
  ["/kept", "told by client", "told by origin"],
  ["/never", "", ""],
  ["/tags", "", ""],
  ["/plain", "", ""],
] as const;

async function seen(collector: OtlpCollector, envoy: string | undefined, run: string): Promise<unknown> {
  await using origin = await RecordingOrigin.start(({ target }) => {
    const told = decodeURIComponent(target.split("told=")[1] ?? "");
    return `HTTP/1.1 200 OK\r\n${told === "" ? "" : `${FIELD}: ${told}\r\n`}content-length: 0\r\n\r\n`;
  });
  const tracing = {
    max_path_tag_length: 9,
    custom_tags: [literal("both", "manager"), literal("of-manager", "m")],
    provider: {
      name: "envoy.tracers.opentelemetry",
      typed_config: {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        service_name: run,
        grpc_service: { envoy_grpc: { cluster_name: "collector" }, timeout: "1s" },
      },
    },
  };
  const directions = { inbound: "INBOUND", outbound: "OUTBOUND" } as const;
  const config = bootstrap({
    listeners: Object.entries(directions).map(([name, trafficDirection]) =>
      listener(name, { routes: ROUTES, trafficDirection, manager: { tracing } }),
    ),
    clusters: [cluster("origin", [origin.port]), http2Cluster("collector", collector.grpcPort)],
    runtime: { "tracing.opentelemetry.min_flush_spans": 1 },
  });
  await using proxy = await ProxyProcess.start(envoy, config);
  const all: unknown[] = [];
  for (const name of Object.keys(directions)) {
    for (const [path, byClient, byOrigin] of SENT) {
      const fields = `x-tag: t\r\n${byClient === "" ? "" : `${FIELD}: ${byClient}\r\n`}`;
      const target = `${path}?told=${encodeURIComponent(byOrigin)}`;
      const text = await rawAnswer(proxy.port(name), `GET ${target} HTTP/1.1\r\nhost: shop\r\n${fields}\r\n`);
      const arrived = origin.requests.at(-1)?.fields.filter(([field]) => field === FIELD);
      all.push([name, path, byClient, byOrigin, arrived, /x-envoy-decorator-operation: .*/i.exec(text)?.[0]]);
    }
  }
  const traced = (SENT.length - 1) * 2;
  const isOurs = ({ kind, resource }: CollectedSpan): boolean =>
    resource["service.name"] === run && /SERVER|CLIENT/.test(kind);
  await collector.spans.first(`spans of ${run}`, () => collector.spans.all.filter(isOurs).length >= traced);
  const spans = collector.spans.all.filter(isOurs).map(({ name, kind, attributes }) => [
    // Without an operation each names spans in its own way.
    /^(?:GET|POST|ingress|egress)/.test(name) ? "" : name,
    attributes["both"],
    attributes["of-manager"],
    attributes["of-route"],
    // OpenTelemetry's attribute of servers has no query and no host.
    kind.endsWith("CLIENT") ? (attributes["url.full"] ?? attributes["http.url"]) : undefined,
  ]);
  return { all, spans: spans.map((span) => JSON.stringify(span)).toSorted(byText) };
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const envoy = findEnvoy();

test(
  "routes name, sample and tag spans as in Envoy",
  { skip: envoy === undefined ? ENVOY_MISSING : false, timeout: 60_000 },
  async () => {
    await using collector = await OtlpCollector.start();
    const [ours, theirs] = await Promise.all([seen(collector, undefined, "ours"), seen(collector, envoy, "theirs")]);
    assert.deepEqual(ours, theirs);
  },
);
