// The part of WASI (preview 1) that the SDKs' language runtimes use: output to the log, clock, random bytes, the
// environment, exit. There are no files, sockets or arguments. Registered for every wasi_* module name.
//
// Two answers keep Go alive: fd_prestat_get says EBADF (its runtime looks for preopened folders from 3 up until then),
// and poll_oneoff succeeds (its scheduler sleeps with it). Nothing here ever waits.

import { randomFillSync } from "node:crypto";
import { Errno, MAX_RANDOM_BYTES } from "../abi/constants.ts";
import { GuestExit } from "../call-window.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { putNanoseconds } from "./time.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const STDOUT = 1;
const STDERR = 2;
const RIGHT_FD_WRITE = 64;
const MAX_IOVECS = 1024;
const MAX_LINE_BYTES = 64 * 1024;
const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;

export function wasiFunctions(vm: Vm): HostFunctions {
  return {
    ...outputFunctions(vm),
    ...clockFunctions(vm),
    ...environmentFunctions(vm),
    ...descriptorFunctions(vm),
    ...refusals(),
  };
}

function isOutput(fd: number): boolean {
  return fd === STDOUT || fd === STDERR;
}

function outputFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const write = (fd: number, iovecs: number, count: number, writtenOut: number): number => {
    if (!isOutput(fd)) return Errno.BadF;
    const length = count >>> 0;
    const start = iovecs >>> 0;
    if (length > MAX_IOVECS) return Errno.Inval;
    if (!memory.contains(start, length * 8) || !memory.contains(writtenOut >>> 0, 4)) return Errno.Fault;
    let written = 0;
    let text = "";
    for (let i = 0; i < length; i++) {
      const size = memory.u32(start + i * 8 + 4);
      const part = memory.latin1(memory.u32(start + i * 8), Math.min(size, MAX_LINE_BYTES));
      if (part === undefined) return Errno.Fault;
      if (text.length < MAX_LINE_BYTES) text += part;
      written += size;
    }
    vm.output.write(vm.effective.root.plugin.identity, fd === STDOUT ? 0 : 1, text);
    memory.putU32(writtenOut >>> 0, written);
    return Errno.Success;
  };
  return {
    fd_write: write,
    fd_pwrite: (fd: number, iovecs: number, count: number, _offset: bigint, writtenOut: number) =>
      write(fd, iovecs, count, writtenOut),
  };
}

function clockFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const clock = vm.host.ports.clock;
  return {
    clock_time_get(id: number, _precision: bigint, timeOut: number): number {
      if (id !== CLOCK_REALTIME && id !== CLOCK_MONOTONIC) return Errno.NotSup;
      const ms = id === CLOCK_REALTIME ? clock.wallMs() : clock.monotonicMs();
      return putNanoseconds(memory, timeOut >>> 0, ms) ? Errno.Success : Errno.Fault;
    },
    clock_res_get(id: number, resolutionOut: number): number {
      if (id !== CLOCK_REALTIME && id !== CLOCK_MONOTONIC) return Errno.NotSup;
      return memory.putU64(resolutionOut >>> 0, 1, 0) ? Errno.Success : Errno.Fault;
    },
    /** Every subscription has happened at once: a callback must not sleep. */
    poll_oneoff(subscriptions: number, events: number, count: number, eventsOut: number): number {
      const wanted = count >>> 0;
      const from = subscriptions >>> 0;
      const to = events >>> 0;
      const areInside = memory.contains(from, wanted * SUBSCRIPTION_BYTES) && memory.contains(to, wanted * EVENT_BYTES);
      if (!areInside || !memory.contains(eventsOut >>> 0, 4)) return Errno.Fault;
      for (let i = 0; i < wanted; i++) {
        const event = to + i * EVENT_BYTES;
        const subscription = from + i * SUBSCRIPTION_BYTES;
        // userdata u64 | errno u16 | type u8 | padding, nbytes, flags
        memory.bytes.copyWithin(event, subscription, subscription + 8);
        memory.bytes.fill(0, event + 8, event + EVENT_BYTES);
        memory.bytes[event + 10] = memory.bytes[subscription + 8] as number;
      }
      memory.putU32(eventsOut >>> 0, wanted);
      return Errno.Success;
    },
    sched_yield: () => Errno.Success,
    random_get(buffer: number, length: number): number {
      const size = length >>> 0;
      if (size > MAX_RANDOM_BYTES) return Errno.Inval;
      if (!memory.contains(buffer >>> 0, size)) return Errno.Fault;
      memory.work += size;
      randomFillSync(memory.bytes, buffer >>> 0, size);
      return Errno.Success;
    },
    proc_exit(code: number): number {
      throw new GuestExit(code);
    },
  };
}

function environmentFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const variables = vm.environment.map((entry) => Buffer.from(`${entry}\0`, "utf8"));
  const total = variables.reduce((sum, entry) => sum + entry.length, 0);
  const sizes = (countOut: number, sizeOut: number, count: number, size: number): number =>
    memory.putU32(countOut >>> 0, count) && memory.putU32(sizeOut >>> 0, size) ? Errno.Success : Errno.Fault;
  return {
    environ_sizes_get: (countOut: number, sizeOut: number) => sizes(countOut, sizeOut, variables.length, total),
    environ_get(pointers: number, buffer: number): number {
      const table = pointers >>> 0;
      let at = buffer >>> 0;
      if (!memory.contains(table, variables.length * 4) || !memory.contains(at, total)) return Errno.Fault;
      for (const [i, entry] of variables.entries()) {
        memory.putU32(table + i * 4, at);
        memory.bytes.set(entry, at);
        at += entry.length;
      }
      return Errno.Success;
    },
    args_sizes_get: (countOut: number, sizeOut: number) => sizes(countOut, sizeOut, 0, 0),
    args_get: (_pointers: number, _buffer: number) => Errno.Success,
  };
}

function descriptorFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const onlyOutput = (fd: number): number => (isOutput(fd) ? Errno.Success : Errno.BadF);
  return {
    fd_close: (_fd: number) => Errno.Success,
    fd_seek: (_fd: number, _offset: bigint, _whence: number, _out: number) => Errno.Success,
    fd_advise: (_fd: number, _offset: bigint, _length: bigint, _advice: number) => Errno.Success,
    fd_fdstat_get(fd: number, statOut: number): number {
      if (!isOutput(fd)) return Errno.BadF;
      const at = statOut >>> 0;
      if (!memory.contains(at, 24)) return Errno.Fault;
      memory.bytes.fill(0, at, at + 24);
      memory.putU32(at + 8, RIGHT_FD_WRITE);
      return Errno.Success;
    },
    fd_fdstat_set_rights: (fd: number, _base: bigint, _inheriting: bigint) => onlyOutput(fd),
    fd_allocate: (fd: number, _offset: bigint, _length: bigint) => onlyOutput(fd),
    fd_datasync: (fd: number) => onlyOutput(fd),
    fd_sync: (fd: number) => onlyOutput(fd),
    fd_filestat_set_size: (fd: number, _size: bigint) => onlyOutput(fd),
    fd_filestat_set_times: (fd: number, _access: bigint, _change: bigint, _flags: number) => onlyOutput(fd),
    fd_tell(fd: number, offsetOut: number): number {
      if (!isOutput(fd)) return Errno.BadF;
      return memory.putU64(offsetOut >>> 0, 0, 0) ? Errno.Success : Errno.Fault;
    },
    fd_renumber: (fd: number, _to: number) => (isOutput(fd) ? Errno.NotSup : Errno.BadF),
    fd_readdir: (_fd: number, _buffer: number, _length: number, _cookie: bigint, usedOut: number) =>
      memory.putU32(usedOut >>> 0, 0) ? Errno.NotDir : Errno.Fault,
  };
}

/** Functions that have one answer whatever they are asked. */
export const REFUSED: Readonly<Record<string, number>> = {
  fd_prestat_get: Errno.BadF,
  fd_filestat_get: Errno.BadF,
  fd_read: Errno.NoSys,
  fd_pread: Errno.NoSys,
  fd_fdstat_set_flags: Errno.NoSys,
  fd_prestat_dir_name: Errno.NoSys,
  path_open: Errno.NoEnt,
  path_filestat_get: Errno.NotSup,
  path_filestat_set_times: Errno.NotSup,
  path_create_directory: Errno.NotSup,
  path_link: Errno.NotSup,
  path_readlink: Errno.NotSup,
  path_remove_directory: Errno.NotSup,
  path_rename: Errno.NotSup,
  path_symlink: Errno.NotSup,
  path_unlink_file: Errno.NotSup,
  sock_accept: Errno.NotSup,
  sock_recv: Errno.NotSup,
  sock_send: Errno.NotSup,
  sock_shutdown: Errno.NotSup,
};

function refusals(): HostFunctions {
  return Object.fromEntries(Object.entries(REFUSED).map(([name, errno]) => [name, () => errno]));
}
