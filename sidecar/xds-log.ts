// The program's log as xds/ wants it: xds/ says the message first, ours the fields. Made by supervisor.ts.

import type { XdsLog } from "../xds/log.ts";
import type { Log } from "./telemetry/log-level.ts";

export function xdsLog(log: Log): XdsLog {
  return {
    debug: (message, fields) => log.debug(fields, message),
    info: (message, fields) => log.info(fields, message),
    warn: (message, fields) => log.warn(fields, message),
  };
}
