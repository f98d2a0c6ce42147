// Secrets in the real process: what /certs, /config_dump and /stats say of them, as Envoy does with the same bootstrap; and that
// nothing that asks for TLS is ever spoken to in the clear.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, suite, test } from "node:test";
import { bootstrap, cluster, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeControlPlane } from "../support/fake-control-plane.ts";
import { within } from "../support/fake-upstream.ts";
import { folderWith, launchIn } from "../support/launcher.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

const folder = mkdtempSync(join(tmpdir(), "outrigger-secrets-"));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const authority = new CertificateAuthority();
const issued = authority.issue({
  commonName: "a",
  dns: ["a.test", "*.b.test"],
  uris: ["spiffe://cluster.local/ns/a/sa/b"],
  ips: ["10.0.0.1", "::1"],
  emails: ["a@b.test"],
});
const CHAIN = file("tls.crt", issued.certificate);
const KEY = file("tls.key", issued.key);
const CA = file("ca.crt", authority.certificate);

const TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
const SECRET = `${TYPE}.Secret`;

function tls(side: "Upstream" | "Downstream", context: object): object {
  return {
    transport_socket: {
      name: "tls",
      typed_config: { "@type": `${TYPE}.${side}TlsContext`, common_tls_context: context },
    },
  };
}

const PAIR = { certificate_chain: { filename: CHAIN }, private_key: { filename: KEY } };

/** One secret a file, as Envoy wants it. */
function overFile(name: string, content: object): object {
  const resources = [{ "@type": SECRET, name, ...content }];
  const path = file(`${name}.json`, JSON.stringify({ version_info: `${name}-1`, resources }));
  return { name, sds_config: { path_config_source: { path } } };
}

const inlinePair = {
  certificate_chain: { inline_string: issued.certificate },
  private_key: { inline_string: issued.key },
};

const DISCOVERED = {
  tls_certificate_sds_secret_configs: [overFile("client", { tls_certificate: inlinePair })],
  validation_context_sds_secret_config: overFile("ca", {
    validation_context: { trusted_ca: { inline_string: authority.certificate } },
  }),
};

/** A server that never answers. */
const SILENT = {
  initial_fetch_timeout: "0.2s",
  api_config_source: {
    api_type: "GRPC",
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: "sds" } }],
  },
};

const silent = new FakeControlPlane();
after(() => silent.close());

const CONFIG = bootstrap({
  clusters: [
    http2Cluster("sds", await silent.listen()),
    cluster("discovered", [1], tls("Upstream", DISCOVERED)),
    cluster(
      "files",
      [1],
      tls("Upstream", { tls_certificates: [PAIR], validation_context: { trusted_ca: { filename: CA } } }),
    ),
    cluster(
      "missing",
      [1],
      tls("Upstream", { tls_certificate_sds_secret_configs: [{ name: "none", sds_config: SILENT }] }),
    ),
    cluster("static", [1], tls("Upstream", { tls_certificate_sds_secret_configs: [{ name: "kept" }] })),
  ],
  listeners: [],
});
(CONFIG as { static_resources: Record<string, unknown> }).static_resources["secrets"] = [
  { name: "kept", tls_certificate: { ...PAIR, password: { inline_string: "never used" } } },
  { name: "hush", generic_secret: { secret: { inline_string: "hush" } } },
  { name: "tickets", session_ticket_keys: { keys: [{ inline_string: "k".repeat(80) }] } },
];

type Dump = Readonly<Record<string, readonly { readonly name: string }[]>>;

interface Answers {
  readonly certificates: string[];
  readonly secrets: string;
  readonly stats: string[];
  /** Names of /xds, which Envoy does not have. */
  readonly inUse: string[];
}

interface XdsAnswer {
  readonly servers: readonly {
    readonly types: readonly {
      readonly type_url: string;
      readonly resources: readonly { readonly name: string; readonly in_use_at?: string }[];
    }[];
  }[];
}

function secretsInUse(answer: string): string[] {
  const types = (JSON.parse(answer) as XdsAnswer).servers.flatMap((server) => server.types);
  const secrets = types.filter((type) => type.type_url.endsWith(".Secret")).flatMap(({ resources }) => resources);
  return secrets.flatMap(({ name, in_use_at }) => (in_use_at === undefined ? [] : [name])).toSorted();
}

async function answersOf(binary: string | undefined): Promise<Answers> {
  await using proxy = await ProxyProcess.start(binary, CONFIG);
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${proxy.adminPort}${path}`)).text();
  const dump = await get("/config_dump");
  const { configs } = JSON.parse(dump) as { configs: ({ "@type": string } & Dump)[] };
  assert.ok(!dump.includes("PRIVATE KEY") && !dump.includes('hush"}'), "no secret is shown");
  const section = configs.find((config) => config["@type"].endsWith("SecretsConfigDump"));
  const { "@type": _type, ...lists } = section ?? { "@type": "" };
  const sorted = Object.entries(lists as Dump).map(([key, list]) => [
    key,
    list.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  ]);
  const { certificates } = JSON.parse(await get("/certs")) as { certificates: unknown[] };
  const stats = await get("/stats?filter=^sds");
  return {
    inUse: binary === undefined ? secretsInUse(await get("/xds")) : [],
    certificates: certificates.map((each) => JSON.stringify(each)).toSorted(),
    secrets: JSON.stringify(Object.fromEntries(sorted), undefined, 1).replaceAll(/"\d{4}-[^"]*Z"/g, '"TIME"'),
    stats: stats
      .split("\n")
      .flatMap((line) => /^(sds\.(?:ca|client)\.\S+): (?!No)(.*)$/.exec(line)?.slice(1, 3).join(" ") ?? []),
  };
}

suite("what the admin port says of secrets", { timeout: 60_000 }, () => {
  const ours = lazily(() => answersOf(undefined));

  test("is all there, and no key", async () => {
    const { certificates, secrets, inUse } = await ours();
    assert.deepEqual(inUse, ["ca", "client", "hush", "kept", "tickets"]);
    // Three contexts have what they need: discovered, files, static.
    assert.equal(certificates.length, 3);
    assert.match(certificates.join("\n"), /"path":".*ca.crt","serial_number":"[0-9a-f]{18}"/);
    const dump = JSON.parse(secrets) as Dump;
    assert.deepEqual(
      Object.entries(dump).map(([key, list]) => [key, list.map(({ name }) => name)]),
      [
        ["static_secrets", ["hush", "kept", "tickets"]],
        ["dynamic_active_secrets", ["ca", "client"]],
        ["dynamic_warming_secrets", ["none"]],
      ],
    );
  });

  test("is what Envoy says", { skip: findEnvoy() === undefined ? ENVOY_MISSING : false }, async () => {
    const [mine, envoys] = await Promise.all([ours(), answersOf(findEnvoy())]);
    assert.deepEqual(mine.certificates, envoys.certificates);
    assert.equal(mine.secrets, envoys.secrets);
    // Envoy has a hash of the version, too, and when it changed.
    const comparable = (lines: readonly string[]) =>
      lines.filter((line) => !/\.(?:version|update_time) /.test(line)).toSorted();
    assert.deepEqual(comparable(mine.stats), comparable(envoys.stats));
  });
});

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

test("nothing that asks for TLS is spoken to in the clear", { timeout: 60_000 }, async (t) => {
  await using origin = await RecordingOrigin.start(() => undefined);
  const secure = tls("Upstream", { validation_context: { trusted_ca: { filename: CA } } });
  const raw = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
  const plain = { transport_socket: { name: "envoy.transport_sockets.raw_buffer", typed_config: { "@type": raw } } };
  const matched = {
    transport_socket_matches: [
      { name: "istio", match: { tlsMode: "istio" }, ...secure },
      { name: "plain", match: {}, ...plain },
    ],
  };
  const istio = { filter_metadata: { "envoy.transport_socket_match": { tlsMode: "istio" } } };
  const endpoint = { address: { socket_address: { address: "127.0.0.1", port_value: origin.port } } };
  const withMetadata = {
    load_assignment: { cluster_name: "istio", endpoints: [{ lb_endpoints: [{ endpoint, metadata: istio }] }] },
  };
  const route = (name: string) => ({ match: { prefix: `/${name}` }, route: { cluster: name } });
  const served = listener("served") as { filter_chains: object[] };
  served.filter_chains = served.filter_chains.map((chain) => ({
    ...chain,
    ...tls("Downstream", { tls_certificates: [PAIR] }),
  }));
  await using sidecar = await SidecarProcess.start(
    bootstrap({
      listeners: [listener("main", { routes: ["secure", "matched", "istio"].map(route) }), served],
      clusters: [
        cluster("origin", [origin.port]),
        cluster("secure", [origin.port], secure),
        cluster("matched", [origin.port], matched),
        cluster("istio", [origin.port], { ...matched, ...withMetadata }),
      ],
    }),
  );

  await t.test("a cluster answers 503, and its host hears nothing; matches choose by the host's metadata", async () => {
    const statusOf = async (path: string) => (await fetch(sidecar.url("main", path))).status;
    assert.deepEqual(
      [await statusOf("/secure"), await statusOf("/istio"), await statusOf("/matched")],
      [503, 503, 200],
    );
    assert.equal(origin.requests.length, 1);
    assert.equal(await sidecar.stat("cluster.secure.upstream_cx_none_healthy"), 1);
    assert.match(sidecar.log, /TLS is in effect for control planes only so far; other requests to this cluster fail/);
  });

  await t.test("connections of a filter chain are closed", async () => {
    const socket = connect(sidecar.port("served"), "127.0.0.1");
    const heard: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => heard.push(chunk));
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await within(new Promise((resolve) => socket.once("close", resolve)), "the end of the connection");
    assert.equal(Buffer.concat(heard).toString(), "");
  });
});

test("validate names the certificates that cannot be used, in the bootstrap and in the files that it names", async (t) => {
  const other = file("other.key", authority.issue({ commonName: "x" }).key);
  const mixed = { tls_certificates: [{ ...PAIR, private_key: { filename: other } }] };
  const gone = { tls_certificates: [{ ...PAIR, certificate_chain: { filename: "/does/not/exist" } }] };
  const discovered = {
    tls_certificate_sds_secret_configs: [
      overFile("broken", { tls_certificate: { ...PAIR, private_key: { inline_string: "junk" } } }),
    ],
  };
  const unnamed = { tls_certificate_sds_secret_configs: [{ name: "nowhere" }] };
  const clusters = [mixed, gone, discovered, unnamed].map((context, index) =>
    cluster(`c${index}`, [1], tls("Upstream", context)),
  );
  const folder = folderWith(t, { "b.json": JSON.stringify(bootstrap({ clusters })) });
  const program = launchIn(t, folder, "validate", "-c", "b.json");
  assert.equal((await program.untilEnded()).code, 1);
  const problems = program.stderr.all.filter((line) => !line.endsWith("(warning)"));
  assert.deepEqual(
    problems.map((line) => line.replace(/^.*?:\d+:\d+: /, "").replaceAll(/\/tmp\/\S+\//g, "")),
    [
      "resources[0].tls_certificate: the private key in <inline> cannot be used: it is no PEM key of a known kind",
      "static_resources.clusters[0].transport_socket: the private key in other.key is not the key of the certificate in tls.crt",
      'static_resources.clusters[1].transport_socket.typed_config.common_tls_context.tls_certificates[0].certificate_chain.filename: "/does/not/exist" cannot be read: the file does not exist',
      'static_resources.clusters[3].transport_socket: no static secret "nowhere" is a tls_certificate',
    ],
  );
});
