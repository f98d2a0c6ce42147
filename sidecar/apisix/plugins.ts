// APISIX's plugins of a route → what an Envoy route says: its action, its headers, and its filters. Plugins without a counterpart are
// findings; a route whose plugin protects it must not be served without. Source: apisix docs, plugins/*.md.

import type { PlainJson } from "../../xds/decode/yaml-document.ts";
import type { Section } from "./section.ts";
import type { Plain } from "./yaml-writer.ts";

type Fields = { [key: string]: Plain };

/** What plugins make of a route. */
export interface RouteParts {
  /** Instead of forwarding. */
  redirect?: Plain;
  /** Of the forwarding action. */
  readonly action: Fields;
  /** Of the route itself. */
  readonly route: Fields;
  /** typed_per_filter_config, by the filter's name. */
  readonly perFilter: Fields;
  /** WebAssembly plugins by name, with their configuration. */
  readonly wasm: { readonly plugin: string; readonly configuration: PlainJson }[];
  /** A plugin that may protect the route is lost. */
  isUnprotected: boolean;
}

export function emptyParts(): RouteParts {
  return { action: {}, route: {}, perFilter: {}, wasm: [], isUnprotected: false };
}

const TYPE = "type.googleapis.com/envoy.extensions.filters.http";
export const CORS_FILTER = "envoy.filters.http.cors";
export const FAULT_FILTER = "envoy.filters.http.fault";

/** Those that only watch: a route does without them. */
const WATCHERS =
  /^(?:prometheus|zipkin|skywalking|opentelemetry|node-status|request-id|server-info|echo|gzip|brotli|.*-logger|.*-logging|log-rotate|datadog|loggly|sls-logger|public-api)$/;

/** `plugins`: all that a route has, its own before its service's. */
export function translatePlugins(
  plugins: ReadonlyMap<string, Section>,
  isWasm: (name: string) => boolean,
  parts: RouteParts,
): void {
  for (const [name, section] of plugins) {
    if (isDisabled(section)) {
      continue;
    }
    if (isWasm(name)) {
      parts.wasm.push({ plugin: name, configuration: section.plain("conf") ?? "" });
      section.rest();
      continue;
    }
    const translate = Object.hasOwn(TRANSLATORS, name) ? TRANSLATORS[name] : undefined;
    if (translate !== undefined) {
      translate(section, parts);
      section.rest();
    } else if (WATCHERS.test(name)) {
      section.lost("this plugin is not translated; it only watches, so the route is served without it");
    } else {
      section.lost(
        name.startsWith("ext-plugin-")
          ? "external plugins are not translated: build them as WebAssembly modules; the route answers 501"
          : "this plugin has no counterpart; the route answers 501, because it may protect",
      );
      parts.isUnprotected = true;
    }
  }
}

function isDisabled(section: Section): boolean {
  if (!section.has("_meta")) {
    return false;
  }
  const meta = section.section("_meta");
  const disable = meta?.flag("disable") === true;
  meta?.rest();
  return disable;
}

const TRANSLATORS: Readonly<Record<string, (section: Section, parts: RouteParts) => void>> = {
  "proxy-rewrite": proxyRewrite,
  "response-rewrite": responseRewrite,
  redirect,
  cors,
  "fault-injection": faultInjection,
};

function proxyRewrite(section: Section, { action, route }: RouteParts): void {
  const uri = section.text("uri");
  const regexUri = section.texts("regex_uri");
  if (uri !== undefined) {
    if (uri.includes("$")) {
      section.lost("a path with variables is not translated", "uri");
    } else {
      action["regex_rewrite"] = { pattern: { regex: "^/.*$" }, substitution: substitution(uri) };
    }
  } else if (regexUri !== undefined) {
    const rewrite = regexRewrite(section, regexUri);
    if (rewrite !== undefined) {
      action["regex_rewrite"] = rewrite;
    }
  }
  const host = section.text("host");
  if (host !== undefined) {
    if (host.includes("$")) {
      section.lost("a host with variables is not translated", "host");
    } else {
      delete action["auto_host_rewrite"];
      action["host_rewrite_literal"] = host;
    }
  }
  changeHeaders(section, "request", route);
}

function responseRewrite(section: Section, { route }: RouteParts): void {
  changeHeaders(section, "response", route);
}

/** `regex_uri`: pairs of a pattern and what takes the place of its first match. */
function regexRewrite(section: Section, [pattern, template, ...more]: readonly string[]): Plain | undefined {
  if (pattern === undefined || template === undefined || more.length > 0) {
    section.lost("must be one pattern and one template: more are not translated", "regex_uri");
    return undefined;
  }
  if (!pattern.startsWith("^")) {
    section.lost("a pattern without ^ is not translated: Envoy replaces every match, APISIX the first", "regex_uri");
    return undefined;
  }
  return { pattern: { regex: pattern }, substitution: substitution(template).replaceAll(/\$(\d)/g, "\\$1") };
}

function substitution(text: string): string {
  return text.replaceAll("\\", "\\\\");
}

/** `headers` with `set`, `add` and `remove`, or the old form: set all. */
function changeHeaders(section: Section, of: "request" | "response", route: Fields): void {
  const headers = section.section("headers");
  if (headers === undefined) {
    return;
  }
  const toAdd: Plain[] = [];
  const add = (from: Section, name: string, value: string, action: string): void => {
    const format = formatOf(value);
    if (format === undefined) {
      from.lost("a value with this variable is not translated", name);
    } else {
      toAdd.push({ header: { key: name, value: format }, append_action: action });
    }
  };
  const isNewForm = ["set", "add", "remove"].some((key) => headers.has(key) && !headers.isText(key));
  if (isNewForm) {
    const set = headers.section("set");
    for (const name of set?.keys ?? []) {
      add(set as Section, name, set?.text(name) ?? "", "OVERWRITE_IF_EXISTS_OR_ADD");
    }
    if (headers.isList("add")) {
      for (const line of headers.texts("add") ?? []) {
        const colon = line.indexOf(":");
        add(headers, line.slice(0, colon), line.slice(colon + 1).trim(), "APPEND_IF_EXISTS_OR_ADD");
      }
    } else {
      const added = headers.section("add");
      for (const name of added?.keys ?? []) {
        add(added as Section, name, added?.text(name) ?? "", "APPEND_IF_EXISTS_OR_ADD");
      }
    }
    const removed = headers.texts("remove");
    if (removed !== undefined && removed.length > 0) {
      route[`${of}_headers_to_remove`] = removed;
    }
  } else {
    for (const name of headers.keys) {
      add(headers, name, headers.text(name) ?? "", "OVERWRITE_IF_EXISTS_OR_ADD");
    }
  }
  headers.rest();
  if (toAdd.length > 0) {
    route[`${of}_headers_to_add`] = toAdd;
  }
}

const VARIABLES: Readonly<Record<string, string>> = {
  remote_addr: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  host: "%REQ(:AUTHORITY)%",
  request_uri: "%REQ(:PATH)%",
  request_method: "%REQ(:METHOD)%",
  scheme: "%REQ(:SCHEME)%",
  status: "%RESPONSE_CODE%",
};

/** A value with nginx variables as an Envoy format; undefined: one has no counterpart. */
function formatOf(value: string): string | undefined {
  let isKnown = true;
  const format = value.replaceAll("%", "%%").replaceAll(/\$\{?(\w+)\}?/g, (_all, name: string) => {
    const header = /^http_(\w+)$/.exec(name)?.[1];
    if (header !== undefined) {
      return `%REQ(${header.replaceAll("_", "-")})%`;
    }
    const known = Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined;
    isKnown &&= known !== undefined;
    return known ?? "";
  });
  return isKnown ? format : undefined;
}

const CODES: Readonly<Record<number, string>> = {
  301: "MOVED_PERMANENTLY",
  302: "FOUND",
  303: "SEE_OTHER",
  307: "TEMPORARY_REDIRECT",
  308: "PERMANENT_REDIRECT",
};

function redirect(section: Section, parts: RouteParts): void {
  const toHttps = section.flag("http_to_https") === true;
  const uri = section.text("uri");
  const regexUri = section.texts("regex_uri");
  const code = section.number("ret_code") ?? (toHttps ? 301 : 302);
  const response = CODES[code];
  const keepsQuery = toHttps || section.flag("append_query_string") === true;
  section.ignore("append_query_string");
  if (response === undefined) {
    section.lost(`the code ${code} is not translated`, "ret_code");
    return;
  }
  const common = { response_code: response, ...(keepsQuery ? {} : { strip_query: true }) };
  if (toHttps) {
    section.differs("other methods than GET and HEAD get 301 too, not 308", "http_to_https");
    parts.redirect = { https_redirect: true, ...common };
  } else if (regexUri !== undefined) {
    const rewrite = regexRewrite(section, regexUri);
    if (rewrite !== undefined) {
      parts.redirect = { regex_rewrite: rewrite, ...common };
    }
  } else if (uri !== undefined) {
    const target = redirectTarget(uri);
    if (target === undefined) {
      section.lost("a target with variables is not translated", "uri");
    } else {
      parts.redirect = { ...target, ...common };
    }
  }
  // A redirect that is lost must not become a forward.
  parts.isUnprotected ||= parts.redirect === undefined;
}

function redirectTarget(uri: string): Fields | undefined {
  if (uri.includes("$")) {
    return undefined;
  }
  const url = /^https?:\/\//.test(uri) ? URL.parse(uri) : null;
  if (url === null) {
    return { path_redirect: uri };
  }
  return {
    scheme_redirect: url.protocol.slice(0, -1),
    host_redirect: url.hostname,
    ...(url.port === "" ? {} : { port_redirect: Number(url.port) }),
    path_redirect: `${url.pathname}${url.search}`,
  };
}

function cors(section: Section, { perFilter }: RouteParts): void {
  const origins = section.text("allow_origins") ?? "*";
  const regexes = section.texts("allow_origins_by_regex") ?? [];
  const exact =
    origins === "*" || origins === "**"
      ? [{ safe_regex: { regex: ".*" } }]
      : origins.split(",").map((origin) => ({ exact: origin.trim() }));
  const allowed = regexes.length > 0 ? regexes.map((regex) => ({ safe_regex: { regex: `.*(?:${regex}).*` } })) : exact;
  const list = (key: string): string => {
    const text = section.text(key) ?? "*";
    return text === "**" ? "*" : text;
  };
  const expose = section.text("expose_headers");
  const credentials = section.flag("allow_credential") ?? section.flag("allow_credentials") ?? false;
  section.ignore("allow_credential", "allow_credentials");
  perFilter[CORS_FILTER] = {
    "@type": `${TYPE}.cors.v3.CorsPolicy`,
    allow_origin_string_match: allowed,
    allow_methods: list("allow_methods"),
    allow_headers: list("allow_headers"),
    ...(expose === undefined || expose === "" ? {} : { expose_headers: expose }),
    max_age: String(section.number("max_age") ?? 5),
    ...(credentials ? { allow_credentials: true } : {}),
  };
}

function faultInjection(section: Section, { perFilter }: RouteParts): void {
  const fault: Fields = {};
  const abort = section.section("abort");
  if (abort !== undefined) {
    const status = abort.number("http_status") ?? 500;
    fault["abort"] = { http_status: status, percentage: percentageOf(abort) };
    refuseVars(abort);
    abort.rest();
  }
  const delay = section.section("delay");
  if (delay !== undefined) {
    fault["delay"] = { fixed_delay: `${delay.number("duration") ?? 0}s`, percentage: percentageOf(delay) };
    refuseVars(delay);
    delay.rest();
  }
  perFilter[FAULT_FILTER] = { "@type": `${TYPE}.fault.v3.HTTPFault`, ...fault };
}

function percentageOf(section: Section): Plain {
  return { numerator: section.number("percentage") ?? 100, denominator: "HUNDRED" };
}

function refuseVars(section: Section): void {
  if (section.has("vars")) {
    section.lost("conditions of a fault are not translated: it would befall every request of the route", "vars");
  }
}
