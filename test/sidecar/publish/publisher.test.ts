// Plugin code and publication: what waits for code holds nothing else up. How deltas come into use is for integration tests.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CodeWarming } from "../../../sidecar/code/code-warming.ts";
import type { CodeResult } from "../../../sidecar/code/code-loader.ts";
import { Publisher, type PublishFailure } from "../../../sidecar/publish/publisher.ts";
import type { ConfigDelta } from "../../../sidecar/worker-link.ts";
import type { DiscoveredFilter, Listener } from "../../../xds/model/listener.ts";
import type { PluginConfig, PluginService } from "../../../xds/model/plugin-config.ts";
import type { RouteConfiguration } from "../../../xds/model/route.ts";
import type { Snapshot } from "../../../xds/model/snapshot.ts";

const remote = (name: string): PluginConfig =>
  ({ name, code: { kind: "remote", uri: `http://a/${name}` }, environment: {} }) as unknown as PluginConfig;
const good = (digest: string): CodeResult => ({ ok: true, module: { digest, key: digest } }) as unknown as CodeResult;
const bad: CodeResult = { ok: false, problem: "away" };

function listener(name: string, filter?: object): Listener {
  const httpFilters = filter === undefined ? [] : [filter];
  return {
    name,
    filterChains: [
      {
        networkFilters: [],
        filter: { kind: "http", httpFilters, accessLogs: [], routes: { kind: "rds", name: "none" } },
      },
    ],
    accessLogs: [],
    defaultFilterChain: undefined,
  } as unknown as Listener;
}

const inline = (plugin: PluginConfig): object => ({ name: plugin.name, config: { kind: "wasm", plugin } });
const discovered = (name: string): object => ({ name, config: { kind: "discovered", defaultFilter: undefined } });
/** As it comes by ECDS. */
const arriving = (plugin: PluginConfig): DiscoveredFilter => ({
  name: plugin.name,
  typeName: "",
  matcher: undefined,
  config: { kind: "wasm", plugin },
});
const pluginIn = (filter: DiscoveredFilter | undefined): PluginConfig | undefined =>
  filter?.config.kind === "wasm" ? filter.config.plugin : undefined;

/** A publisher over code that is there, is not there, or is on its way, by plugin name. */
function setUp(services: readonly PluginService[] = []) {
  const code = new Map<string, CodeResult | Promise<CodeResult>>();
  const sent: ConfigDelta[] = [];
  const failures: PublishFailure[] = [];
  const outcomes: string[] = [];
  let published = Promise.withResolvers<void>();
  const publisher = new Publisher({
    services,
    createWarming: (onChanged) =>
      new CodeWarming({
        code: { poll: ({ name }) => code.get(name) ?? bad, environmentOf: () => ({}) },
        onChanged,
        schedule: () => () => undefined,
      }),
    send: (delta) => sent.push(delta),
    onFailures: (each) => failures.push(...each),
    onPublished: () => {
      published.resolve();
      published = Promise.withResolvers();
    },
    onWarming: (key, outcome) => outcomes.push(`${key} ${outcome}`),
    bindable: (each) => Promise.resolve(each),
  });
  let version = 0;
  const publish = async (
    parts: Partial<Record<keyof Snapshot, ReadonlyMap<string, unknown>>>,
  ): Promise<ConfigDelta> => {
    const empty = new Map();
    const done = published.promise;
    publisher.publish({
      version: ++version,
      listeners: empty, routes: empty, scopes: empty, clusters: empty, endpoints: empty, plugins: empty,
      runtime: {}, settled: new Set(),
      ...parts,
    } as unknown as Snapshot); // prettier-ignore
    await done;
    return sent[sent.length - 1] as ConfigDelta;
  };
  return { code, sent, failures, outcomes, publisher, publish, next: () => published.promise };
}

const noRoutes = () => ({ name: "r", perFilterConfig: {}, virtualHosts: [] }) as unknown as RouteConfiguration;

const names = (changes: { readonly set: readonly (readonly [string, unknown])[] }): string[] =>
  changes.set.map(([name]) => name);

suite("Publisher", () => {
  test("leaves out what waits for code, sends the rest, and sends it when the code is there", async () => {
    const { code, outcomes, publisher, publish, next, sent } = setUp();
    const loading = Promise.withResolvers<CodeResult>();
    code.set("p", loading.promise);
    const listeners = new Map([
      ["a", listener("a", inline(remote("p")))],
      ["b", listener("b")],
    ]);
    const first = await publish({ listeners });
    assert.deepEqual(names(first.listeners), ["b"]);
    assert.deepEqual([...publisher.warming], ["listeners a"]);
    const routes = new Map([["r", noRoutes()]]);
    assert.deepEqual(names((await publish({ listeners, routes })).routes), ["r"], "later snapshots go on");
    const again = next();
    code.set("p", good("d"));
    loading.resolve(good("d"));
    await again;
    const last = sent[sent.length - 1] as ConfigDelta;
    assert.deepEqual([names(last.listeners), last.modules.map(({ digest }) => digest)], [["a"], ["d"]]);
    assert.deepEqual([last.version > 2, last.version < 3], [true, true]);
    assert.deepEqual(outcomes, ["listeners a warming", "listeners a sent"]);
  });

  test("keeps the previous version while the next one's code is on its way, and when it cannot be had", async () => {
    const { code, failures, publish, publisher } = setUp();
    code.set("old", good("1"));
    await publish({ plugins: new Map([["p", arriving(remote("old"))]]) });
    code.set("new", new Promise(() => undefined));
    const next = remote("new");
    assert.deepEqual(names((await publish({ plugins: new Map([["p", arriving(next)]]) })).plugins), []);
    code.set("new", bad);
    assert.deepEqual(names((await publish({ plugins: new Map([["p", arriving(next)]]) })).plugins), []);
    assert.deepEqual(failures, [{ resource: "plugin", name: "p", problem: "away" }]);
    assert.deepEqual(names(publisher.everything().plugins), ["p"], "a worker that starts gets the old one");
  });

  test("sends a stand-in where nothing older serves, once, and the plugin when its code can be had", async () => {
    const { code, failures, publish } = setUp();
    const config = remote("p");
    const plugins = new Map([["p", arriving(config)]]);
    const first = await publish({ plugins });
    assert.deepEqual(pluginIn(first.plugins.set[0]?.[1])?.code, { kind: "missing", problem: "away" });
    assert.deepEqual(failures, [{ resource: "plugin", name: "p", problem: "away", isPolicyApplied: true }]);
    assert.deepEqual(names((await publish({ plugins: new Map(plugins) })).plugins), []);
    code.set("p", good("d"));
    const last = await publish({ plugins: new Map(plugins) });
    assert.deepEqual(pluginIn(last.plugins.set[0]?.[1])?.code, { kind: "module", digest: "d" });
    assert.deepEqual(names((await publish({ plugins: new Map(plugins) })).plugins), []);
  });

  test("holds a listener until the plugin that it names is there for the first time", async () => {
    const { code, publish, publisher } = setUp();
    code.set("p", new Promise(() => undefined));
    const listeners = new Map([["a", listener("a", discovered("p"))]]);
    const config = remote("p");
    assert.deepEqual(names((await publish({ listeners, plugins: new Map([["p", arriving(config)]]) })).listeners), []);
    assert.deepEqual([...publisher.warming].toSorted(), ["listeners a", "plugins p"]);
    code.set("p", good("d"));
    assert.deepEqual(names((await publish({ listeners, plugins: new Map([["p", arriving(config)]]) })).listeners), [
      "a",
    ]);
    // A later version of the plugin is the plugin's matter alone.
    code.set("q", new Promise(() => undefined));
    const changed = new Map([["a", listener("a", discovered("p"))]]);
    assert.deepEqual(
      names((await publish({ listeners: changed, plugins: new Map([["p", arriving(remote("q"))]]) })).listeners),
      ["a"],
    );
  });

  test("forgets what is removed while it waits", async () => {
    const { code, publish, publisher } = setUp();
    code.set("p", new Promise(() => undefined));
    await publish({ listeners: new Map([["a", listener("a", inline(remote("p")))]]) });
    const removed = await publish({});
    assert.deepEqual([names(removed.listeners), [...publisher.warming]], [[], []]);
  });

  test("retires a module with the last resource that names it", async () => {
    const { code, publish } = setUp();
    code.set("p", good("1"));
    await publish({ plugins: new Map([["p", arriving(remote("p"))]]) });
    code.set("q", good("2"));
    const delta = await publish({ plugins: new Map([["p", arriving(remote("q"))]]) });
    assert.deepEqual([delta.modules.map(({ digest }) => digest), delta.retiredModules], [["2"], ["1"]]);
  });

  test("gives a worker that starts anew the version before one that workers could not bring into use", async () => {
    const { code, publisher, publish } = setUp();
    const versionOf = (name: string) =>
      pluginIn(publisher.everything().plugins.set.find(([each]) => each === name)?.[1]);
    for (const version of ["1", "2", "3"]) code.set(`p${version}`, good(version));
    const plugins = (version: string) => new Map([["p", arriving({ ...remote(`p${version}`), vmId: version })]]);
    publisher.onInUse((await publish({ plugins: plugins("1") })).version);
    const second = await publish({ plugins: plugins("2") });
    assert.equal(versionOf("p")?.vmId, "2", "nobody has said anything of it yet");
    publisher.onRejected([{ resource: "plugin", name: "p" }]);
    publisher.onInUse(second.version);
    assert.equal(versionOf("p")?.vmId, "1");
    assert.deepEqual(
      publisher.everything().modules.map(({ key }) => key),
      ["1", "2"],
    );
    const third = await publish({ plugins: plugins("3") });
    assert.equal(versionOf("p")?.vmId, "3");
    publisher.onInUse(third.version);
    await publish({ plugins: plugins("3") });
    assert.deepEqual(
      publisher.everything().modules.map(({ key }) => key),
      ["3"],
    );
  });

  test("sends a service once, when its code is there, and to every worker that starts", async () => {
    const service: PluginService = { plugin: remote("s"), singleton: true };
    const { code, sent, publish, publisher, outcomes, next } = setUp([service]);
    const late = Promise.withResolvers<CodeResult>();
    code.set("s", late.promise);
    assert.deepEqual((await publish({})).services, []);
    const again = next();
    code.set("s", good("m"));
    late.resolve(good("m"));
    await again;
    const [started] = sent.at(-1)?.services ?? [];
    assert.deepEqual([started?.plugin.code, started?.singleton], [{ kind: "module", digest: "m" }, true]);
    assert.deepEqual(outcomes, ["services s warming", "services s sent"]);
    assert.deepEqual((await publish({})).services, []);
    const { services, modules } = publisher.everything();
    assert.deepEqual([services, modules.length], [[started], 1]);
  });

  test("gives a worker that starts the routes before those that were rejected", async () => {
    const { publish, publisher } = setUp();
    const [first, second] = [noRoutes(), noRoutes()];
    const { version } = await publish({ routes: new Map([["r", first]]) });
    publisher.onInUse(version);
    await publish({ routes: new Map([["r", second]]) });
    publisher.onRejected([{ resource: "route", name: "r" }]);
    assert.equal(publisher.everything().routes.set[0]?.[1], first);
  });

  test("holds routes that bring a plugin, and the listener that names them, until its code is there", async () => {
    const { code, sent, publish, publisher, next } = setUp();
    const late = Promise.withResolvers<CodeResult>();
    code.set("p", late.promise);
    const perFilterConfig = { f: { disabled: false, configuration: undefined, plugin: remote("p") } };
    const routes = { name: "r", perFilterConfig, virtualHosts: [] };
    const named = listener("l");
    const [chain] = named.filterChains;
    Object.assign(chain?.filter ?? {}, { routes: { kind: "rds", name: "r" } });
    const first = await publish({ routes: new Map([["r", routes]]), listeners: new Map([["l", named]]) });
    assert.deepEqual([names(first.routes), names(first.listeners)], [[], []]);
    assert.deepEqual([...publisher.warming], ["routes r", "listeners l"]);
    const again = next();
    code.set("p", good("m"));
    late.resolve(good("m"));
    await again;
    const delta = sent.at(-1);
    assert.deepEqual([delta?.listeners.set.length, delta?.modules.length], [1, 1]);
    const plugin = delta?.routes.set[0]?.[1].perFilterConfig["f"]?.plugin;
    assert.deepEqual(plugin?.code, { kind: "module", digest: "m" });
    const gone = await publish({});
    assert.deepEqual(gone.retiredModules, ["m"]);
  });
});
