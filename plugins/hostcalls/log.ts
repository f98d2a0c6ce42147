// proxy_log and proxy_get_log_level. ABI section "Logging".

import { LogLevel, Status } from "../abi/constants.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";

/** Longer lines are cut: a plugin must not fill the disk with one call. */
const MAX_MESSAGE_BYTES = 64 * 1024;
/** What writing a line costs the host, in fuel of the guest. */
const LINE_WORK = 4096;

export function logFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const log = vm.host.ports.log;
  return {
    /** Ok; BadArgument for an unknown level; InvalidMemoryAccess. The message is UTF-8. */
    proxy_log(level: number, pointer: number, length: number): number {
      if (level >>> 0 > LogLevel.Critical) return Status.BadArgument;
      const start = pointer >>> 0;
      const size = length >>> 0;
      if (!memory.contains(start, size)) return Status.InvalidMemoryAccess;
      const plugin = vm.effective.root.plugin.identity;
      if (level < log.level(plugin)) return Status.Ok;
      memory.work += LINE_WORK;
      log.write(plugin, level, memory.utf8(start, Math.min(size, MAX_MESSAGE_BYTES)) ?? "");
      return Status.Ok;
    },

    /** Writes the level of plugin lines that are written at all, u32. */
    proxy_get_log_level(levelOut: number): number {
      const level = log.level(vm.effective.root.plugin.identity);
      return memory.putU32(levelOut >>> 0, level) ? Status.Ok : Status.InvalidMemoryAccess;
    },
  };
}
