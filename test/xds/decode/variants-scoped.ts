// Variants of scoped routes in a connection manager.

import type { Row } from "./variant-row.ts";

const KEY = "scope_key_builder: {fragments: [{header_value_extractor: {name: x-scope, index: 0}}]}";
const ROUTES = "{name: r, virtual_hosts: []}";
const scope = (name: string, key: string, more = `route_configuration: ${ROUTES}`): string =>
  `{name: ${name}, key: {fragments: [{string_key: ${key}}]}, ${more}}`;
const list = (...scopes: readonly string[]): string =>
  `name: s, ${KEY}, scoped_route_configurations_list: {scoped_route_configurations: [${scopes.join(", ")}]}`;
const extractor = (text: string): string =>
  `name: s, scope_key_builder: {fragments: [{header_value_extractor: {${text}}}]}, scoped_route_configurations_list: {scoped_route_configurations: [${scope("a", "a")}]}`;

export const SCOPED: readonly Row[] = [
  [list(scope("a", "a"), scope("b", "b"))],
  [list(), "has 0 items"],
  [
    `${KEY}, scoped_route_configurations_list: {scoped_route_configurations: [${scope("a", "a")}]}`,
    "name: must not be",
  ],
  [`name: s, ${KEY}`, "no config_specifier set"],
  ["name: s, scoped_rds: {}", "scope_key_builder: is required"],
  [`name: s, ${KEY}, scoped_rds: {}`, "scoped_rds_config_source: is required"],
  [list(scope("''", "a")), "name: must not be empty"],
  [list("{name: a, route_configuration: {name: r}}"), "key: is required"],
  [list("{name: a, key: {}, route_configuration: {name: r}}"), "fragments: has 0 items"],
  [list("{name: a, key: {fragments: [{}]}, route_configuration: {name: r}}"), "no type set"],
  [list(scope("a", "a", "route_configuration_name: r")), "route_configuration_name: is only for scopes"],
  [list("{name: a, key: {fragments: [{string_key: a}]}}"), "route_configuration: is required"],
  ["name: s, scope_key_builder: {}", "fragments: has 0 items"],
  [extractor("name: x, index: 0")],
  [extractor("name: x"), "needs index or element"],
  [extractor("name: '', index: 0"), "name: must not be empty"],
  [extractor("name: x, index: 1"), "must be 0 without element_separator"],
  [extractor("name: x, index: 1, element_separator: ';'")],
  [extractor("name: x, element: {separator: '=', key: k}, element_separator: ';'")],
  [extractor("name: x, element: {separator: '', key: k}"), "separator: must not be empty"],
  [extractor("name: x, element: {separator: '=', key: ''}"), "key: must not be empty"],
  [list(scope("a", "same"), scope("b", "same"))],
  [list(scope("a", "one"), scope("a", "two"))],
];
