// An explanation for people. Pure. Whatever came from a peer or a configuration is printed without control characters.

import type { Explanation, ExplainedFilter, Outcome, Target } from "../../explain/explanation.ts";
import { printable, textTable } from "../../control/text-table.ts";
import type { Colour, Paint } from "./paint.ts";
import { type Fields, hasFields, isListOf, isObject } from "./shapes.ts";

const MAX_CONFIGURATION_CHARS = 120;

/** A line and its colour. */
type Line = readonly [text: string, colour?: Colour];

export function explanationText(explanation: Explanation, paint: Paint): string {
  const { request, listener, chain, routes, host, end, tcp, passed, more, outcomes } = explanation;
  const lines: Line[] = [];
  if (request !== undefined) {
    lines.push([`${request.method} ${request.scheme}://${request.authority}${request.path}`, "bold"]);
  }
  lines.push([`listener ${listener.name} at ${listener.address}: ${listener.why}`]);
  if (chain !== undefined) {
    lines.push([`filter chain ${chain.name}: ${chain.why}`]);
  }
  if (routes !== undefined) {
    lines.push([`routes${routes.name === "" ? "" : ` ${routes.name}`}, ${routes.source}`]);
  }
  if (host !== undefined) {
    lines.push([`virtual host ${host.name}: domain ${JSON.stringify(host.domain)}`]);
  }
  for (const { place, name, match, why } of passed) {
    lines.push([`  not route ${place}${named(name)} (${match}): ${why.join("; ")}`, "dim"]);
  }
  if (more > 0) {
    lines.push([`  not ${more} more routes`, "dim"]);
  }
  for (const outcome of outcomes) {
    lines.push(...outcomeLines(outcome, host?.routes ?? 0));
  }
  for (const { share, cluster } of tcp ?? []) {
    lines.push([`${percent(share)}TCP to ${targetText(cluster)}`, "green"], ...hostLines(cluster));
  }
  if (end !== undefined) {
    lines.push([end, "red"]);
  }
  // Colours are ours: they come after control characters are gone.
  const painted = lines.map(([text, colour]) =>
    colour === undefined ? printable(text) : paint(colour, printable(text)),
  );
  return `${painted.join("\n")}\n`;
}

function outcomeLines({ share, route, action, cluster, upstream, filters }: Outcome, count: number): readonly Line[] {
  const lines: Line[] = [];
  if (route === undefined) {
    lines.push([`${percent(share)}${action}`, "red"]);
  } else {
    lines.push([`${percent(share)}route ${route.place} of ${count}${named(route.name)}: ${route.match}`, "green"]);
    lines.push([`  ${action}`]);
  }
  if (cluster !== undefined) {
    lines.push([`  ${targetText(cluster)}`], ...hostLines(cluster));
  }
  if (upstream !== undefined) {
    lines.push([`  goes upstream with ${upstream}`]);
  }
  return [...lines, ...filterLines(filters)];
}

function filterLines(filters: readonly ExplainedFilter[]): readonly Line[] {
  if (filters.length === 0) {
    return [];
  }
  const rows = filters.map(({ name, kind, active, by, configuration }) => [
    `    ${active ? "" : "(off) "}${name}`,
    kind,
    by === "" ? "" : `by the ${by}`,
    configuration === undefined || !active ? "" : `configuration ${cut(configuration)}`,
  ]);
  return [["  through the filters"], ...tableLines(rows)];
}

function targetText({ name, problem, policy, total }: Target): string {
  const hosts = problem === "" ? `${policy}${total === 0 ? "" : `, ${total} host${total === 1 ? "" : "s"}`}` : problem;
  return `cluster ${name === "" ? "(none)" : name}: ${hosts}`;
}

function hostLines({ hosts, total }: Target): readonly Line[] {
  const isPlain = hosts.every(({ weight, priority }) => weight === 1 && priority === 0);
  const rows = hosts.map(({ address, health, weight, priority }) =>
    isPlain ? [`    ${address}`, health] : [`    ${address}`, health, `weight ${weight}`, `priority ${priority}`],
  );
  const lines = tableLines(rows);
  return total > hosts.length ? [...lines, [`    and ${total - hosts.length} more`]] : lines;
}

function tableLines(rows: readonly (readonly string[])[]): readonly Line[] {
  return rows.length === 0
    ? []
    : textTable(rows)
        .trimEnd()
        .split("\n")
        .map((line): Line => [line]);
}

function named(name: string): string {
  return name === "" ? "" : ` "${name}"`;
}

/** Nothing where there is no choice. */
function percent(share: number): string {
  return share > 0.999_999 ? "" : `${Number((share * 100).toFixed(4))} % of requests: `;
}

function cut(text: string): string {
  return text.length <= MAX_CONFIGURATION_CHARS ? text : `${text.slice(0, MAX_CONFIGURATION_CHARS)}…`;
}

const REQUEST: Fields = { method: "string", scheme: "string", authority: "string", path: "string" };
const TARGET: Fields = { name: "string", problem: "string", policy: "string", total: "number" };
const HOST: Fields = { address: "string", health: "string", weight: "number", priority: "number" };
const ROUTE: Fields = { place: "number", name: "string", match: "string" };
const FILTER: Fields = { name: "string", kind: "string", active: "boolean", by: "string", configuration: "string?" };

/** Whether an answer is an explanation. */
export function isExplanation(value: unknown): value is Explanation {
  return (
    isObject(value) &&
    hasFields(value, { more: "number", end: "string?" }) &&
    isPart(value["listener"], { name: "string", address: "string", why: "string" }) &&
    (value["request"] === undefined || isPart(value["request"], REQUEST)) &&
    (value["chain"] === undefined || isPart(value["chain"], { name: "string", why: "string" })) &&
    (value["routes"] === undefined || isPart(value["routes"], { name: "string", source: "string" })) &&
    (value["host"] === undefined || isPart(value["host"], { name: "string", domain: "string", routes: "number" })) &&
    (value["tcp"] === undefined || isListOf(value["tcp"], isTcp)) &&
    isListOf(value["passed"], isPassed) &&
    isListOf(value["outcomes"], isOutcome)
  );
}

function isPart(value: unknown, fields: Fields): value is Readonly<Record<string, unknown>> {
  return isObject(value) && hasFields(value, fields);
}

function isTcp(value: unknown): value is NonNullable<Explanation["tcp"]>[number] {
  return isPart(value, { share: "number" }) && isTarget(value["cluster"]);
}

function isTarget(value: unknown): value is Target {
  return (
    isPart(value, TARGET) && isListOf(value["hosts"], (host): host is Target["hosts"][number] => isPart(host, HOST))
  );
}

function isPassed(value: unknown): value is Explanation["passed"][number] {
  return isPart(value, ROUTE) && isListOf(value["why"], (each): each is string => typeof each === "string");
}

function isOutcome(value: unknown): value is Outcome {
  return (
    isPart(value, { share: "number", action: "string", upstream: "string?" }) &&
    (value["route"] === undefined || isPart(value["route"], ROUTE)) &&
    (value["cluster"] === undefined || isTarget(value["cluster"])) &&
    isListOf(value["filters"], (filter): filter is ExplainedFilter => isPart(filter, FILTER))
  );
}
