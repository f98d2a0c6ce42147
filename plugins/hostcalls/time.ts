// The clock and the tick timer. ABI sections "Time" and "Timers"; the WASI clock is in wasi.ts.

import { Status } from "../abi/constants.ts";
import type { GuestMemory } from "../memory.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { Work } from "./work.ts";

export function timeFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const clock = vm.host.ports.clock;
  return {
    /** Writes nanoseconds since the Unix epoch, u64. */
    proxy_get_current_time_nanoseconds(timeOut: number): number {
      return putNanoseconds(memory, timeOut >>> 0, clock.wallMs()) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    /** Period of proxy_on_tick on the caller's root context; 0 stops it. */
    proxy_set_tick_period_milliseconds(periodMs: number): number {
      memory.work += Work.TimerChange;
      vm.effective.root.setTickPeriod(periodMs >>> 0);
      return Status.Ok;
    },
  };
}

/**
 * Writes milliseconds (with fractions, not negative) as nanoseconds, u64. Exact without BigInt: 10^9 is 2^9 * 1953125,
 * and seconds * 1953125 stays below 2^53 until the year 2116.
 */
export function putNanoseconds(memory: GuestMemory, pointer: number, ms: number): boolean {
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = Math.floor((ms - seconds * 1000) * 1e6);
  const product = seconds * 1953125;
  let high = Math.floor(product / 2 ** 23);
  let low = (product - high * 2 ** 23) * 512 + nanoseconds;
  if (low >= 2 ** 32) {
    low -= 2 ** 32;
    high++;
  }
  return memory.putU64(pointer, low, high);
}
