// POST /logging: shows levels by component and changes one, several or all. Source: Envoy's logs_handler.cc.

import type { AdminPorts } from "./ports.ts";
import { textReply } from "./reply.ts";
import type { AdminReply } from "./reply.ts";
import { LOGGING_USAGE, loggingText } from "./views.ts";

const LEVELS = new Set(["trace", "debug", "info", "warning", "error", "critical", "off"]);

type Change = readonly [component: string | undefined, level: string];

/** Applies what the query asks for, all or nothing, and answers with the levels. */
export function changeLogLevels(ports: AdminPorts, query: URLSearchParams): AdminReply {
  const problem = query.size === 0 ? "" : apply(ports, query);
  const levels = loggingText(ports.logLevels());
  return problem === "" ? textReply(levels) : textReply(`error: ${problem}\n\n${LOGGING_USAGE}${levels}`, 400);
}

function apply(ports: AdminPorts, query: URLSearchParams): string {
  const [parameter, ...others] = [...query];
  if (parameter === undefined || others.length > 0) {
    return "invalid number of parameters";
  }
  const [name, value] = parameter;
  const changes: Change[] = [];
  if (name === "paths") {
    for (const pair of value.split(",").filter((text) => text !== "")) {
      const colon = pair.lastIndexOf(":");
      if (colon <= 0 || colon === pair.length - 1) {
        return "empty logger name or empty logger level";
      }
      changes.push([pair.slice(0, colon).trim(), pair.slice(colon + 1).trim()]);
    }
  } else {
    changes.push([name === "level" ? undefined : name, value]);
  }
  const known = new Set(ports.logLevels().components.map((component) => component.name));
  for (const [component, level] of changes) {
    if (!LEVELS.has(level)) {
      return "unknown logger level";
    }
    if (component !== undefined && !known.has(component)) {
      return "unknown logger name";
    }
  }
  for (const [component, level] of changes) {
    ports.setLogLevel(component, level);
  }
  return "";
}
