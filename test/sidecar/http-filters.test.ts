import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { LiveDemands } from "../../sidecar/live-demands.ts";
import { FailingFilterFactory } from "../../sidecar/filter/failing-filter.ts";
import { WasmFilterFactory } from "../../sidecar/filter/wasm-filter.ts";
import {
  compileHttpFilters,
  type FilterSet,
  type HttpFilterDeps,
  type HttpFilters,
} from "../../sidecar/http-filters.ts";
import { TimerWheel } from "../../sidecar/http/timer-wheel.ts";
import { NamedFilter } from "../../sidecar/named-filter.ts";
import { StatsTable } from "../../sidecar/stats/table.ts";
import type { HttpFilter } from "../../xds/model/listener.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import type { FilterOverride } from "../../xds/model/route.ts";

const config = (name: string, more: object = {}): PluginConfig =>
  ({
    name,
    code: { kind: "module", digest: "d" },
    configuration: Buffer.from("own"),
    ...more,
  }) as unknown as PluginConfig;
const wasm = (name: string, plugin = config(name), disabled = false): HttpFilter => ({
  name,
  disabled,
  isOptional: false,
  config: { kind: "wasm", plugin },
});
const configured = (text: string): FilterOverride => ({ disabled: false, configuration: Buffer.from(text) });
const OFF: FilterOverride = { disabled: true, configuration: undefined };

/** Filters over a pool that starts everything but the configuration "bad", and knows what is in use. */
function setUp(filters: readonly HttpFilter[]) {
  const inUse: string[] = [];
  const plugins = {
    take: (plugin: PluginConfig) => {
      const text = `${plugin.name} ${Buffer.from(plugin.configuration).toString()}`;
      if (text.endsWith(" bad")) return { ok: false, problem: `${text} does not start` };
      inUse.push(text);
      return { ok: true, lease: { plugin: {}, config: plugin, release: () => inUse.splice(inUse.indexOf(text), 1) } };
    },
  } as unknown as HttpFilterDeps["plugins"];
  const property = (): undefined => undefined;
  const builtin: HttpFilterDeps["builtin"] = {
    scope: new StatsTable({ onDefine: () => undefined }),
    demands: new LiveDemands(() => undefined),
    wheel: new TimerWheel(),
    random: Math.random,
    runtime: () => ({}),
    statPrefix: "http.test.",
    format: { hostname: "", environment: {} },
    nodeBytes: new Uint8Array(),
  };
  const named = (name: string): NamedFilter => new NamedFilter(name);
  const compiled = compileHttpFilters(filters, { plugins, property, named, builtin });
  return { inUse, compiled };
}

function good(compiled: HttpFilters | string): HttpFilters {
  assert.ok(typeof compiled !== "string", "a plugin does not start");
  return compiled;
}

const names = (set: FilterSet): string[] =>
  set.factories.map((each) => (each instanceof FailingFilterFactory ? `failing ${each.name}` : each.name));

suite("HttpFilters", () => {
  test("gives back what routes no longer need, and everything in the end", () => {
    const { inUse, compiled } = setUp([wasm("a"), wasm("b")]);
    const filters = good(compiled);
    assert.deepEqual([filters.dependsOnRoute, names(filters.standard)], [false, ["a", "b"]]);
    const one = new Map([["a", configured("one")]]);
    const off = new Map([["b", OFF]]);
    filters.use(filters.prepare([one, off]));
    assert.deepEqual(inUse, ["a own", "b own", "a one"]);
    assert.deepEqual(
      [names(filters.of(one)), names(filters.of(off)), filters.dependsOnRoute],
      [["a", "b"], ["a"], true],
    );
    const two = new Map([["a", configured("two")]]);
    const abandoned = filters.prepare([two]);
    abandoned.leases.forEach((lease) => lease.release());
    filters.use(filters.prepare([two]));
    assert.deepEqual(inUse, ["a own", "b own", "a two"]);
    assert.equal(filters.of(one), filters.standard, "nothing is known of it any more");
    filters.release();
    assert.deepEqual(inUse, []);
  });

  test("starts disabled filters, which routes may switch on", () => {
    const { inUse, compiled } = setUp([wasm("a", config("a"), true)]);
    const filters = good(compiled);
    const on = new Map([["a", { disabled: false, configuration: undefined }]]);
    filters.use(filters.prepare([on]));
    assert.deepEqual([inUse, names(filters.standard), names(filters.of(on))], [["a own"], [], ["a"]]);
  });

  test("puts the failure policy in the place of a plugin that does not start for a route", () => {
    const { compiled } = setUp([wasm("a"), wasm("b", config("b", { failurePolicy: "open" }))]);
    const filters = good(compiled);
    const bad = new Map([
      ["a", configured("bad")],
      ["b", configured("bad")],
    ]);
    const prepared = filters.prepare([bad]);
    assert.deepEqual(prepared.problems, ["a bad does not start", "b bad does not start"]);
    filters.use(prepared);
    assert.deepEqual(names(filters.of(bad)), ["failing a"]);
  });

  test("takes a route's own plugin, and the policy of one that has no code", () => {
    const { inUse, compiled } = setUp([wasm("a")]);
    const filters = good(compiled);
    const missing = config("m", { code: { kind: "missing", problem: "away" } });
    const own = new Map([["a", { disabled: false, configuration: undefined, plugin: config("other") }]]);
    const away = new Map([["a", { disabled: false, configuration: undefined, plugin: missing }]]);
    filters.use(filters.prepare([own, away]));
    assert.deepEqual(inUse, ["a own", "other own"]);
    assert.ok(filters.of(own).factories[0] instanceof WasmFilterFactory);
    assert.deepEqual(names(filters.of(away)), ["failing a"]);
  });

  test("leaves nothing behind when one of its own plugins does not start", () => {
    const { inUse, compiled } = setUp([wasm("a"), wasm("b", config("b", { configuration: Buffer.from("bad") }))]);
    assert.deepEqual([compiled, inUse], ["b bad does not start", []]);
  });
});
