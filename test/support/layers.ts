// The arrows of the code as data, for layers.test.ts. xds/ and plugins/ are libraries that know neither each other nor the
// proxy; sidecar/ joins them. Change a row when its reason no longer holds, not to make the test pass.
// Imports of types are looser: they couple words, not code.

export interface Layer {
  /** A file, or a folder with all in it. The first row that fits a file is its layer. */
  readonly at: string;
  /** What it may import besides its own folder. Ends with "/": the folder with all in it. */
  readonly code: readonly string[];
  /** What it may import by `import type` besides. */
  readonly types: readonly string[];
  readonly why: string;
}

const MODEL = "xds/model/";
/** Endpoints as bytes, which a worker reads without the decoders. */
const ENDPOINT_BYTES = "xds/endpoint-bytes.ts";
const EVERYTHING = ["sidecar/", "plugins/", "xds/"];
/** What every stage of a request speaks. */
const STREAM_WORDS = ["sidecar/http/", "sidecar/errors.ts"];

export const LAYERS: readonly Layer[] = [
  // ── xds/: configuration, bytes to value ──
  { at: "xds/descriptors/", code: [], types: [], why: "it knows only the protobuf runtime" },
  { at: "xds/gen/", code: ["xds/descriptors/"], types: [], why: "generated code stands alone" },
  { at: MODEL, code: [], types: [], why: "the model is the shared language and knows nobody" },
  {
    at: "xds/decode/",
    code: ["xds/gen/", "xds/descriptors/", "xds/type-urls.ts", "xds/fields.ts", ENDPOINT_BYTES],
    types: [MODEL],
    why: "decoding is bytes to value, without the protocol that brought the bytes",
  },
  {
    at: "xds/secrets/",
    code: ["xds/decode/file-problem.ts", "xds/decode/regex.ts", "xds/file-watch.ts", "xds/references.ts"],
    types: ["xds/"],
    why: "it reads and proves what configuration names, and knows nothing of streams",
  },
  { at: "xds/field-rows/", code: ["xds/fields.ts"], types: [], why: "the table of fields is data" },
  { at: ENDPOINT_BYTES, code: [], types: [MODEL], why: "bytes to the model for threads without the protobuf library" },
  // Protobuf ends at the wire: what else is in xds/ sees messages that discovery-wire.ts has taken apart.
  { at: "xds/discovery-wire.ts", code: ["xds/"], types: [], why: "xds/ knows neither plugins nor the proxy" },
  { at: "xds/load-report-wire.ts", code: ["xds/"], types: [], why: "xds/ knows neither plugins nor the proxy" },
  { at: "xds/client-status-wire.ts", code: ["xds/"], types: [], why: "xds/ knows neither plugins nor the proxy" },
  {
    at: "xds/server/",
    code: ["xds/"],
    types: [],
    why: "the control plane is a library that knows neither plugins nor the proxy",
  },
  {
    at: "xds/",
    code: ["xds/decode/", "xds/field-rows/", "xds/secrets/"],
    types: ["xds/gen/", MODEL],
    why: "protobuf stays in decode/ and discovery-wire.ts, and xds/ knows neither plugins nor the proxy",
  },

  // ── plugins/: the plugin host, a library ──
  {
    at: "plugins/abi/",
    code: ["plugins/memory.ts"],
    types: ["plugins/"],
    why: "the ABI is data about numbers and bytes",
  },
  {
    at: "plugins/testing/",
    code: ["plugins/"],
    types: [],
    why: "the test API sits on the host that production uses, and on nothing of the proxy",
  },
  { at: "plugins/", code: ["plugins/"], types: [], why: "a plugin host that could be a package of its own" },

  // ── sidecar/: from the bottom up ──
  { at: "sidecar/errors.ts", code: [], types: [], why: "errors are the bottom" },
  {
    at: "sidecar/random-id.ts",
    code: [],
    types: [],
    why: "random numbers and ids for whoever names a request or a trace",
  },
  { at: "sidecar/socket-options.ts", code: [], types: [MODEL], why: "calls to libc, for whoever has a socket" },
  {
    at: "sidecar/interception/",
    code: [],
    types: [],
    why: "rules of the kernel as data and text; who runs them is the verb iptables",
  },
  { at: "sidecar/version.ts", code: [], types: [], why: "a constant" },
  { at: "sidecar/linear-regex.ts", code: [], types: [], why: "a way to make regular expressions" },
  { at: "sidecar/stats/", code: ["sidecar/linear-regex.ts"], types: [], why: "statistics know nobody who counts" },
  {
    at: "sidecar/http/",
    code: ["sidecar/errors.ts", "sidecar/random-id.ts"],
    types: [MODEL],
    why: "HTTP is the bottom: no route, cluster, filter or plugin",
  },
  {
    at: "sidecar/listener/",
    code: [...STREAM_WORDS, "sidecar/socket-options.ts"],
    types: [MODEL, "sidecar/stats/"],
    why: "a listener is handed openStream(); it does not know the proxy or its siblings",
  },
  {
    at: "sidecar/upstream/",
    code: [...STREAM_WORDS, "sidecar/socket-options.ts"],
    types: [MODEL, "sidecar/stats/"],
    why: "the pool knows addresses and bytes, not clusters and routes",
  },
  {
    at: "sidecar/cluster/",
    code: [...STREAM_WORDS, "sidecar/upstream/", "sidecar/stats/families.ts"],
    types: [MODEL, "sidecar/stats/"],
    why: "clusters and routes are siblings, joined by the proxy",
  },
  {
    at: "sidecar/route/",
    code: [
      ...STREAM_WORDS,
      "sidecar/linear-regex.ts",
      "sidecar/telemetry/format.ts",
      "sidecar/telemetry/body-format.ts",
    ],
    types: [MODEL, "sidecar/telemetry/"],
    why: "a route decides by the request alone; format strings of headers are the access log's",
  },
  {
    at: "sidecar/messages/",
    code: ["plugins/property-value.ts"],
    types: [],
    why: "serialised messages as values, without generated code: a worker reads a handful of them",
  },
  {
    at: "sidecar/filter/",
    code: [...STREAM_WORDS, "sidecar/messages/", "plugins/property-value.ts"],
    types: [MODEL, "plugins/"],
    why: "filters act on streams only; a plugin is handed to them by live-config.ts",
  },
  {
    at: "sidecar/builtin/",
    code: [
      ...STREAM_WORDS,
      "plugins/property-value.ts",
      "sidecar/filter/",
      "sidecar/messages/",
      "sidecar/route/",
      "sidecar/stats/tags.ts",
      "sidecar/telemetry/format.ts",
    ],
    types: [
      MODEL,
      "sidecar/cluster/",
      "sidecar/stats/",
      "sidecar/telemetry/",
      "sidecar/stream-record.ts",
      "sidecar/live-demands.ts",
    ],
    why: "filters of the proxy's own: they act on streams, match as routes do, and count",
  },
  {
    at: "sidecar/telemetry/log-filter.ts",
    code: ["sidecar/route/matchers.ts"],
    types: [MODEL, "sidecar/http/", "sidecar/filter/", "sidecar/stats/"],
    why: "log filters match headers as routes do, and need nothing else of them",
  },
  {
    at: "sidecar/telemetry/",
    code: [
      "plugins/abi/callbacks.ts",
      "plugins/property-value.ts",
      "sidecar/filter/filter-state.ts",
      "sidecar/messages/",
      "sidecar/random-id.ts",
      "sidecar/stats/tags.ts",
    ],
    types: [MODEL, "plugins/", "sidecar/http/", "sidecar/filter/", "sidecar/stats/"],
    why: "telemetry watches: it records what it is given and starts nothing",
  },
  {
    at: "sidecar/admin/",
    code: ["sidecar/http/", "sidecar/stats/", "sidecar/node-http.ts", "sidecar/version.ts"],
    types: EVERYTHING,
    why: "the admin port is a window: what it shows and changes is handed to it (admin/ports.ts)",
  },
  {
    at: "sidecar/inject/",
    code: [],
    types: [],
    why: "a pod and settings in, a patch out: it knows nothing of the proxy that it injects",
  },
  {
    at: "sidecar/control/",
    code: [
      "sidecar/admin/foreign-request.ts",
      "sidecar/admin/reply.ts",
      "sidecar/node-http.ts",
      "sidecar/port-check.ts",
      "sidecar/stats/exposition.ts",
      "sidecar/version.ts",
      "xds/server/",
      "xds/type-urls.ts",
    ],
    types: EVERYTHING,
    why: "the control plane's admin port, and the client of admin ports: it knows nothing of the proxy",
  },
  {
    at: "sidecar/pod/",
    code: ["sidecar/node-http.ts"],
    types: ["sidecar/stats/", "sidecar/telemetry/"],
    why: "answers what a pod asks; what it tells of the sidecar is handed to it",
  },
  {
    at: "sidecar/webhook/",
    code: ["sidecar/folders.ts", "sidecar/inject/", "sidecar/node-http.ts"],
    types: [],
    why: "brings reviews to the injection and certificates to itself; it knows nothing of the proxy",
  },
  {
    at: "sidecar/tcp/",
    code: [
      ...STREAM_WORDS,
      "sidecar/upstream/",
      "sidecar/filter/stream-properties.ts",
      "sidecar/filter/filter-state.ts",
      "sidecar/telemetry/stream-trace.ts",
    ],
    types: [
      MODEL,
      "plugins/",
      "sidecar/access-logs.ts",
      "sidecar/cluster/",
      "sidecar/filter/",
      "sidecar/listener/",
      "sidecar/stats/",
      "sidecar/telemetry/",
    ],
    why: "bytes between two sockets: it knows neither HTTP requests nor who compiled it",
  },
  {
    at: "sidecar/forward.ts",
    code: [...STREAM_WORDS, "sidecar/upstream/address-text.ts"],
    types: ["sidecar/cluster/", "sidecar/upstream/", "sidecar/stream-record.ts"],
    why: "one request on its way to one host",
  },
  {
    at: "sidecar/stream-record.ts",
    code: [...STREAM_WORDS, "sidecar/upstream/address-text.ts", "sidecar/filter/filter-state.ts"],
    types: [MODEL, "sidecar/filter/", "sidecar/telemetry/", "sidecar/cluster/", "sidecar/route/"],
    why: "a record of facts",
  },
  {
    at: "sidecar/stream-answers.ts",
    code: [...STREAM_WORDS, "sidecar/route/strict-headers.ts"],
    types: ["sidecar/filter/", "sidecar/route/", "sidecar/local-replies.ts", "sidecar/stream-record.ts"],
    why: "makes messages, and sends nothing",
  },
  {
    at: "sidecar/local-replies.ts",
    code: [
      ...STREAM_WORDS,
      "sidecar/route/header-mutations.ts",
      "sidecar/telemetry/body-format.ts",
      "sidecar/telemetry/log-filter.ts",
    ],
    types: [MODEL, "sidecar/route/", "sidecar/stats/", "sidecar/telemetry/"],
    why: "changes messages, and sends nothing",
  },
  {
    at: "sidecar/refused-request.ts",
    code: [...STREAM_WORDS, "sidecar/stream-record.ts"],
    types: ["sidecar/http-serving.ts", "sidecar/listener/"],
    why: "makes a message, and sends nothing",
  },
  {
    at: "sidecar/stream-route.ts",
    code: [...STREAM_WORDS, "sidecar/route/"],
    types: [MODEL, "sidecar/cluster/", "sidecar/stream-record.ts", "sidecar/http-serving.ts"],
    why: "chooses, and forwards nothing",
  },
  { at: "sidecar/stream-timers.ts", code: STREAM_WORDS, types: [MODEL], why: "time alone" },
  {
    at: "sidecar/proxy.ts",
    code: [
      ...STREAM_WORDS,
      "sidecar/filter/",
      "sidecar/forward.ts",
      "sidecar/http-serving.ts",
      "sidecar/stream-answers.ts",
      "sidecar/stream-record.ts",
      "sidecar/stream-route.ts",
      "sidecar/stream-timers.ts",
    ],
    types: [MODEL, "sidecar/cluster/", "sidecar/route/", "sidecar/telemetry/"],
    why: "one story, no set-up: what a stream needs is in HttpServing",
  },
  {
    at: "sidecar/http-serving.ts",
    code: STREAM_WORDS,
    types: [MODEL, "sidecar/"],
    why: "the bundle of what a stream needs is a type, not code",
  },
  {
    at: "sidecar/live-config.ts",
    code: [
      "sidecar/builtin/",
      "sidecar/route/",
      "sidecar/cluster/",
      "sidecar/filter/",
      "sidecar/tcp/",
      "sidecar/http-serving.ts",
      "sidecar/http-filters.ts",
      "sidecar/live-routes.ts",
      "sidecar/network-filters.ts",
      "sidecar/named-filter.ts",
      "sidecar/node-names.ts",
      "sidecar/proxy-status.ts",
      "sidecar/publish/filter-plugins.ts",
    ],
    types: [MODEL, "sidecar/"],
    why: "model to live objects, and nothing else: no socket, no exporter",
  },
  { at: "sidecar/answer-data.ts", code: [], types: [MODEL], why: "of the file system alone" },
  { at: "sidecar/node-names.ts", code: ["sidecar/messages/"], types: ["sidecar/http/"], why: "reads one message" },
  { at: "sidecar/proxy-status.ts", code: [], types: [MODEL, "sidecar/"], why: "adds one field" },
  { at: "sidecar/folders.ts", code: [], types: [], why: "of the file system alone" },
  {
    at: "sidecar/live-demands.ts",
    code: [],
    types: [MODEL, "sidecar/worker-link.ts"],
    why: "who waits for what, and nothing of streams or sockets",
  },
  { at: "sidecar/apisix/", code: ["xds/decode/yaml-document.ts"], types: [], why: "foreign files in, a bootstrap out" },
  {
    at: "sidecar/explain/",
    code: ["sidecar/"],
    types: [MODEL],
    why: "asks the code of requests, by no rule of its own",
  },
  {
    at: "sidecar/live-routes.ts",
    code: ["sidecar/route/", "sidecar/http-filters.ts"],
    types: [MODEL, "sidecar/"],
    why: "the part of live-config.ts that compiles routes",
  },
  {
    at: "sidecar/network-filters.ts",
    code: ["sidecar/tcp/", "sidecar/plugin/plugin-settings.ts"],
    types: [MODEL, "sidecar/"],
    why: "the part of live-config.ts that compiles network filters",
  },
  {
    at: "sidecar/access-logs.ts",
    code: ["sidecar/filter/wasm-log-stream.ts", "sidecar/http-filters.ts", "sidecar/telemetry/access-log.ts"],
    types: [MODEL, "sidecar/"],
    why: "joins log files and plugins, which know nothing of each other",
  },
  {
    at: "sidecar/http-filters.ts",
    code: ["sidecar/builtin/", "sidecar/filter-slot.ts"],
    types: [MODEL, "sidecar/"],
    why: "models of filters to sets of factories; who starts plugins is handed to it",
  },
  {
    at: "sidecar/filter-slot.ts",
    code: ["sidecar/builtin/", "sidecar/filter/", "sidecar/plugin/plugin-settings.ts", "sidecar/publish/"],
    types: [MODEL, "sidecar/"],
    why: "the part of http-filters.ts that compiles one filter",
  },
  { at: "sidecar/named-filter.ts", code: [], types: [MODEL, "sidecar/plugin/"], why: "what is in use of it" },
  {
    at: "sidecar/code/",
    code: ["plugins/plugin-module.ts", "sidecar/folders.ts", "sidecar/node-http.ts", "sidecar/runtime-settings.ts"],
    types: [MODEL, "sidecar/stats/", "sidecar/telemetry/"],
    why: "it brings bytes and compiles them; who needs them and where clusters are is handed to it",
  },
  { at: "sidecar/node-http.ts", code: [], types: [], why: "it hands out a module of Node's" },
  {
    at: "sidecar/plugin/",
    code: [
      "plugins/",
      ...STREAM_WORDS,
      "sidecar/filter/",
      "sidecar/messages/",
      "sidecar/publish/",
      "sidecar/route/regex.ts",
      "sidecar/runtime-settings.ts",
      "sidecar/stats/",
      "sidecar/telemetry/",
      "sidecar/upstream/",
    ],
    types: [MODEL, "xds/decode/", "sidecar/"],
    why: "what the plugin host needs of a proxy, and nothing of its streams",
  },
  {
    at: "sidecar/publish/",
    code: [ENDPOINT_BYTES, "sidecar/route/outer-fields.ts"],
    types: [MODEL, "plugins/", "sidecar/"],
    why: "it compares models and sends; who loads and who receives is handed to it",
  },
  { at: "sidecar/worker-link.ts", code: [], types: EVERYTHING, why: "messages are types" },

  // ── sidecar/: the composition roots ──
  { at: "sidecar/main.ts", code: ["sidecar/cli/"], types: [], why: "the process edge picks a verb" },
  { at: "sidecar/cli/", code: EVERYTHING, types: [], why: "a verb joins what it needs" },
  { at: "sidecar/supervisor.ts", code: EVERYTHING, types: [], why: "the main thread's composition root" },
  {
    at: "sidecar/pod-services.ts",
    code: ["sidecar/pod/", "sidecar/stats/exposition.ts"],
    types: EVERYTHING,
    why: "joins the pod's ports with the sidecar that they are about",
  },
  { at: "sidecar/admin-state.ts", code: EVERYTHING, types: [], why: "gathers the admin's views on the main thread" },
  { at: "sidecar/xds-views.ts", code: EVERYTHING, types: [], why: "one of the admin's views on the main thread" },
  {
    at: "sidecar/",
    code: ["sidecar/", "plugins/"],
    types: [MODEL, "xds/log.ts"],
    why: "xds/ is the main thread's, through supervisor.ts",
  },
];
