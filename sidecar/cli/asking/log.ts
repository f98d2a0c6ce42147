// The verb `log`: shows the levels of a running sidecar's log by component, and changes them, through POST /logging.
// Exit codes: 0 shown or changed, 1 the sidecar did not answer or has no such component, 2 wrong usage.

import { textTable } from "../../control/text-table.ts";
import { LOG_LEVELS, type LogLevel, parseLogLevel } from "../../telemetry/log-level.ts";
import { describeFlags, type Flag, nearest, parseFlags } from "../flags.ts";
import { type CliIo, type VerbAction, wrongUsage } from "../verb.ts";
import { ADMIN_FLAG, SidecarAdmin } from "./sidecar-admin.ts";

const FLAGS: readonly Flag[] = [ADMIN_FLAG];
const PATH = "/logging";

export const LOG: VerbAction = {
  words: { flags: FLAGS, operands: LOG_LEVELS },
  help: () => `outrigger log [[COMPONENT=]LEVEL …]

Shows the levels of the running sidecar's log, by component. With a LEVEL it changes all of them, with COMPONENT=LEVEL one, and
shows what holds then; a change lasts until the sidecar ends. LEVEL: ${LOG_LEVELS.join(", ")}.

  outrigger log
  outrigger log wasm=debug
  outrigger log warning xds=debug       all, but one

The same as POST /logging on its admin port.

Flags:
${describeFlags(FLAGS)}`,
  run: log,
};

interface Changes {
  /** For all components. */
  readonly level?: LogLevel;
  readonly components: ReadonlyMap<string, LogLevel>;
}

async function log(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseFlags(FLAGS, argv);
  if (!parsed.ok) {
    return wrongUsage(io, "log", parsed.problem);
  }
  const changes = changesOf(parsed.positionals);
  if (typeof changes === "string") {
    return wrongUsage(io, "log", changes);
  }
  const admin = SidecarAdmin.of("log", parsed.values, io);
  if (typeof admin === "number") {
    return admin;
  }
  // Asked first, so that all changes are made or none.
  let levels = await levelsOf(admin, PATH);
  if (levels === undefined) {
    return 1;
  }
  const unknown = [...changes.components.keys()].find((name) => levels?.has(name) === false);
  if (unknown !== undefined) {
    const known = [...levels.keys()];
    const meant = nearest(known, unknown);
    const hint = meant === undefined ? `; it has ${known.join(", ")}` : `, did you mean ${meant}?`;
    io.err(`outrigger log: the sidecar has no component "${unknown}"${hint}\n`);
    return 1;
  }
  const { level, components } = changes;
  if (level !== undefined) {
    levels = await levelsOf(admin, `${PATH}?level=${level}`);
  }
  if (levels !== undefined && components.size > 0) {
    const pairs = [...components].map(([name, each]) => `${encodeURIComponent(name)}:${each}`);
    levels = await levelsOf(admin, `${PATH}?paths=${pairs.join(",")}`);
  }
  if (levels === undefined) {
    return 1;
  }
  io.out(textTable([...levels].toSorted(([a], [b]) => (a < b ? -1 : 1))));
  return 0;
}

/** Of `LEVEL` and `COMPONENT=LEVEL`, or what is wrong with them. */
function changesOf(words: readonly string[]): Changes | string {
  let level: LogLevel | undefined;
  const components = new Map<string, LogLevel>();
  for (const word of words) {
    const equals = word.lastIndexOf("=");
    const name = word.slice(equals + 1);
    const parsed = parseLogLevel(name);
    if (parsed === undefined) {
      const meant = nearest(LOG_LEVELS, name);
      return `unknown level "${name}"${meant === undefined ? `: one of ${LOG_LEVELS.join(", ")}` : `, did you mean ${meant}?`}`;
    }
    const component = word.slice(0, Math.max(0, equals));
    if (equals === 0 || /[:,]/.test(component)) {
      return `"${word}" names no component: must be COMPONENT=LEVEL`;
    }
    if (equals < 0) {
      if (level !== undefined) {
        return `two levels for all components: ${level} and ${name}`;
      }
      level = parsed;
    } else {
      components.set(component, parsed);
    }
  }
  return level === undefined ? { components } : { level, components };
}

/** Envoy's text: `active loggers:`, then `  name: level`. */
async function levelsOf(admin: SidecarAdmin, path: string): Promise<ReadonlyMap<string, string> | undefined> {
  const text = await admin.text(path, "POST");
  if (text === undefined) {
    return undefined;
  }
  const lines = text.startsWith("active loggers:\n") ? text.matchAll(/^ {2}(\S+): (\w+)$/gm) : [];
  const levels = new Map(Array.from(lines, ([, name = "", level = ""]) => [name, level]));
  return levels.size > 0 ? levels : admin.unlike(path, text);
}
