// Runs a route configuration on the real Envoy, for comparison: writes the model back as Envoy's JSON, starts the binary
// on ports of its own, asks it. Used by envoy-agreement.test.ts.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";

import type { RegexRewrite, StringMatcher } from "../../../xds/model/matcher.ts";
import type {
  ForwardAction,
  HeaderMatcher,
  HeaderMutations,
  HeaderToAdd,
  QueryParameterMatcher,
  RedirectAction,
  Route,
  RouteConfiguration,
} from "../../../xds/model/route.ts";

export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface RunningEnvoy extends AsyncDisposable {
  ask(target: string, authority: string, headers: Readonly<Record<string, string>>): Promise<Answer>;
}

const TYPE = "type.googleapis.com/envoy.extensions.filters";

/** Ready when it returns. Cluster `c` answers with the request's target and fields as JSON. */
export async function startEnvoy(binary: string, config: RouteConfiguration): Promise<RunningEnvoy> {
  await using stack = new AsyncDisposableStack();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-envoy-"));
  stack.defer(() => fs.rmSync(folder, { recursive: true }));
  const echo = http.createServer((request, response) => {
    response.setHeader("x-c", "upstream");
    response.end(JSON.stringify({ target: request.url, headers: pairs(request.rawHeaders) }));
  });
  await once(echo.listen(0, "127.0.0.1"), "listening");
  stack.defer(() => {
    echo.close().closeAllConnections();
  });
  const file = path.join(folder, "envoy.json");
  const adminFile = path.join(folder, "admin");
  fs.writeFileSync(file, JSON.stringify(bootstrap(config, (echo.address() as AddressInfo).port)));
  const args = [
    "-c",
    file,
    "-l",
    "info",
    "--disable-hot-restart",
    "--concurrency",
    "1",
    "--admin-address-path",
    adminFile,
  ];
  const child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "close");
  stack.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  let log = "";
  for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
    log += String(chunk);
    if (log.includes("starting workers")) {
      break;
    }
  }
  child.stderr.resume();
  if (!fs.existsSync(adminFile)) {
    throw new Error(`Envoy did not start: ${log.slice(-2_000)}`);
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  stack.defer(() => agent.destroy());
  const admin = Number(fs.readFileSync(adminFile, "utf8").split(":")[1]);
  const listeners = await ask(agent, admin, "/listeners", "admin", {});
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(listeners.body)?.[1]);
  const owned = stack.move();
  return {
    ask: (target, authority, headers) => ask(agent, port, target, authority, headers),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function ask(
  agent: http.Agent,
  port: number,
  target: string,
  authority: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { agent, port, host: "127.0.0.1", path: target, headers: { Host: authority, ...headers } };
  const request = http.request(options, (response) => {
    let body = "";
    response.setEncoding("latin1");
    response.on("data", (chunk: string) => (body += chunk));
    response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: pairs(response.rawHeaders), body }));
  });
  request.on("error", reject);
  request.end();
  return promise;
}

function pairs(raw: readonly string[]): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    fields.push([(raw[at] ?? "").toLowerCase(), raw[at + 1] ?? ""]);
  }
  return fields;
}

function bootstrap(config: RouteConfiguration, upstreamPort: number): object {
  const address = (port: number): object => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  const manager = {
    "@type": `${TYPE}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "s",
    generate_request_id: false,
    http_filters: [{ name: "router", typed_config: { "@type": `${TYPE}.http.router.v3.Router` } }],
    route_config: routeConfig(config),
  };
  const endpoint = { endpoint: { address: address(upstreamPort) } };
  return {
    admin: { address: address(0) },
    static_resources: {
      listeners: [
        { name: "l", address: address(0), filter_chains: [{ filters: [{ name: "h", typed_config: manager }] }] },
      ],
      clusters: [
        {
          name: "c",
          type: "STATIC",
          load_assignment: { cluster_name: "c", endpoints: [{ lb_endpoints: [endpoint] }] },
        },
      ],
    },
  };
}

function routeConfig(config: RouteConfiguration): object {
  return {
    ...mutations(config.headers),
    most_specific_header_mutations_wins: config.mostSpecificHeaderMutationsWins,
    virtual_hosts: config.virtualHosts.map(({ name, domains, headers, routes }) => ({
      name,
      domains,
      ...mutations(headers),
      routes: routes.map(route),
    })),
  };
}

function route({ name, match, action, headers }: Route): object {
  const { path: matcher } = match;
  const specifier =
    matcher.kind === "connect"
      ? { connect_matcher: {} }
      : matcher.kind === "regex"
        ? { safe_regex: { regex: matcher.value } }
        : { [matcher.kind]: matcher.value, case_sensitive: matcher.caseSensitive };
  return {
    name,
    match: {
      ...specifier,
      headers: match.headers.map(headerMatcher),
      query_parameters: match.queryParameters.map(queryMatcher),
    },
    ...mutations(headers),
    ...(action.kind === "forward" ? { route: forward(action) } : {}),
    ...(action.kind === "redirect" ? { redirect: redirect(action) } : {}),
    ...(action.kind === "direct_response" ? { direct_response: { status: 200, body: { inline_string: name } } } : {}),
  };
}

function headerMatcher(matcher: HeaderMatcher): object {
  const base = {
    name: matcher.name,
    invert_match: matcher.invert,
    treat_missing_header_as_empty: matcher.treatMissingAsEmpty,
  };
  switch (matcher.kind) {
    case "present":
      return { ...base, present_match: matcher.present };
    case "range":
      return { ...base, range_match: { start: matcher.start, end: matcher.end } };
    case "string":
      return { ...base, string_match: stringMatcher(matcher.matcher) };
  }
}

function queryMatcher(matcher: QueryParameterMatcher): object {
  return matcher.kind === "present"
    ? { name: matcher.name, present_match: matcher.present }
    : { name: matcher.name, string_match: stringMatcher(matcher.matcher) };
}

function stringMatcher(matcher: StringMatcher): object {
  return matcher.kind === "regex"
    ? { safe_regex: { regex: matcher.value } }
    : { [matcher.kind]: matcher.value, ignore_case: matcher.ignoreCase };
}

function mutations(headers: HeaderMutations): object {
  return {
    request_headers_to_add: headers.requestToAdd.map(headerToAdd),
    request_headers_to_remove: headers.requestToRemove,
    response_headers_to_add: headers.responseToAdd.map(headerToAdd),
    response_headers_to_remove: headers.responseToRemove,
  };
}

function headerToAdd({ name, value, action, keepEmptyValue }: HeaderToAdd): object {
  return { header: { key: name, value }, append_action: action, keep_empty_value: keepEmptyValue };
}

function regexRewrite(rewrite: RegexRewrite): object {
  return { pattern: { regex: rewrite.regex }, substitution: rewrite.substitution };
}

function pathRewrite(action: ForwardAction | RedirectAction): object {
  if (action.prefixRewrite !== "") {
    return { prefix_rewrite: action.prefixRewrite };
  }
  return action.regexRewrite === undefined ? {} : { regex_rewrite: regexRewrite(action.regexRewrite) };
}

function forward(action: ForwardAction): object {
  const { cluster, hostRewrite } = action;
  const host = {
    ...(hostRewrite?.kind === "literal" ? { host_rewrite_literal: hostRewrite.value } : {}),
    ...(hostRewrite?.kind === "header" ? { host_rewrite_header: hostRewrite.header } : {}),
    ...(hostRewrite?.kind === "path_regex" ? { host_rewrite_path_regex: regexRewrite(hostRewrite.rewrite) } : {}),
  };
  const clusters =
    cluster.kind !== "weighted"
      ? { cluster: "c" }
      : {
          weighted_clusters: {
            clusters: cluster.clusters.map(({ name, weight, hostRewrite: literal, headers }) => ({
              name,
              weight,
              ...(literal === "" ? {} : { host_rewrite_literal: literal }),
              ...mutations(headers),
            })),
          },
        };
  const timeout = `${action.timeoutMs / 1_000}s`;
  return {
    ...clusters,
    timeout,
    ...pathRewrite(action),
    ...host,
    append_x_forwarded_host: action.appendXForwardedHost,
  };
}

const REDIRECT_CODES = {
  301: "MOVED_PERMANENTLY",
  302: "FOUND",
  303: "SEE_OTHER",
  307: "TEMPORARY_REDIRECT",
  308: "PERMANENT_REDIRECT",
} as const;

function redirect(action: RedirectAction): object {
  return {
    response_code: REDIRECT_CODES[action.status],
    strip_query: action.stripQuery,
    host_redirect: action.hostRedirect,
    port_redirect: action.portRedirect,
    ...(action.httpsRedirect ? { https_redirect: true } : {}),
    ...(action.pathRedirect === "" ? pathRewrite(action) : { path_redirect: action.pathRedirect }),
  };
}
