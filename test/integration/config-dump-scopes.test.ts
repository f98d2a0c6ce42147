// Scoped routes in /config_dump: with the same bootstrap, which has scopes inline and from a file, Envoy and outrigger print the same.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ROUTE_TYPE, SCOPED_ROUTE_TYPE } from "../../xds/type-urls.ts";
import { bootstrap, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";

const routesOf = (name: string) => ({
  name,
  virtual_hosts: [
    { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, direct_response: { status: 200 } }] },
  ],
});
const scope = (name: string, value: string) => ({ name, key: { fragments: [{ string_key: value }] } });
const builder = { fragments: [{ header_value_extractor: { name: "x-tenant", index: 0 } }] };

const QUERIES = [
  "",
  "?resource=inline_scoped_route_configs",
  "?resource=dynamic_scoped_route_configs",
  "?resource=dynamic_scoped_route_configs&mask=name,scoped_route_configs",
  "?mask=dynamic_scoped_route_configs",
  "?mask=inline_scoped_route_configs.name",
  "?name_regex=one",
];

/** Files in `folder` hold the scopes and their routes. */
function scopedListeners(folder: string): readonly object[] {
  const file = (name: string, type: string, version_info: string, resources: readonly object[]) => {
    const path = join(folder, name);
    writeFileSync(
      path,
      JSON.stringify({ version_info, resources: resources.map((each) => ({ "@type": type, ...each })) }),
    );
    return { path_config_source: { path }, resource_api_version: "V3" };
  };
  const rds_config_source = file("routes.json", ROUTE_TYPE, "1", [routesOf("shop")]);
  const scoped_rds_config_source = file("scopes.json", SCOPED_ROUTE_TYPE, "v7", [
    { ...scope("two", "b"), route_configuration_name: "shop", on_demand: true },
    { ...scope("one", "a"), route_configuration_name: "shop" },
  ]);
  const inline = {
    scoped_route_configurations_list: {
      scoped_route_configurations: [
        { ...scope("z", "a"), route_configuration: routesOf("inline-z") },
        { ...scope("b", "b"), route_configuration: routesOf("inline-b") },
      ],
    },
  };
  const dynamic = { rds_config_source, scoped_rds: { scoped_rds_config_source } };
  return [["inline", inline] as const, ["dynamic", dynamic] as const].map(([name, scopes]) =>
    listener(name, {
      manager: { route_config: undefined, scoped_routes: { name, scope_key_builder: builder, ...scopes } },
    }),
  );
}

async function dumps(envoy: string | undefined): Promise<readonly unknown[]> {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-scopes-"));
  try {
    await using proxy = await ProxyProcess.start(envoy, bootstrap({ listeners: scopedListeners(folder) }));
    const ask = async (query: string): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump${query}`);
      return `${response.status} ${await response.text()}`;
    };
    await until(
      "scopes and routes are there",
      () => ask(""),
      (text) => text.includes('"version_info": "v7"') && text.includes('"name": "shop"'),
    );
    if (!proxy.isEnvoy) {
      await until(
        "/xds says since when a scope is in use",
        async () => (await fetch(`http://127.0.0.1:${proxy.adminPort}/xds`)).text(),
        (text) => /"name":\s*"one"[^}]*"in_use_at"/.test(text),
      );
    }
    const answers: unknown[] = [];
    for (const query of QUERIES) {
      const [status, text] = split(await ask(query));
      const body: unknown = text.startsWith("{") ? JSON.parse(text, withoutTimes) : text;
      answers.push([query, status, isDump(body) ? body.configs.filter(isOfRoutes) : body]);
    }
    return answers;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function split(text: string): readonly [string, string] {
  const at = text.indexOf(" ");
  return [text.slice(0, at), text.slice(at + 1).trim()];
}

function withoutTimes(key: string, value: unknown): unknown {
  return key === "last_updated" ? "then" : value;
}

function isDump(body: unknown): body is { readonly configs: readonly { readonly "@type": string }[] } {
  return typeof body === "object" && body !== null && "configs" in body;
}

function isOfRoutes(config: { readonly "@type": string }): boolean {
  return /Scoped|RoutesConfigDump/.test(config["@type"]);
}

const envoy = findEnvoy();

test("scoped routes are dumped as by Envoy", { skip: envoy === undefined ? ENVOY_MISSING : false }, async () => {
  const [ours, theirs] = await Promise.all([dumps(undefined), dumps(envoy)]);
  for (const [index, answer] of ours.entries()) {
    assert.deepEqual(answer, theirs[index]);
  }
});
