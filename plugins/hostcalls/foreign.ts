// proxy_call_foreign_function: named functions of the host. A few of Envoy's are here; the embedder may add its own
// (RuntimePorts.foreign). Adding one: an entry in OWN, a test. ABI section "Foreign function interface".

import { Buffer } from "node:buffer";
import { deflateSync, inflateSync } from "node:zlib";
import { Status } from "../abi/constants.ts";
import type { ForeignAnswer, ForeignCall } from "../ports.ts";
import { readFields } from "../proto-fields.ts";
import type { Vm } from "../vm.ts";
import { createExpression, deleteExpression, evaluateExpression } from "./expressions.ts";
import type { HostFunctions } from "./host-function.ts";
import { signText, verifySignature } from "./signatures.ts";
import { Work } from "./work.ts";

/** A small argument must not unpack into all of the process's memory. */
const MAX_UNCOMPRESSED_BYTES = 16 * 1024 * 1024;

/** What a byte costs the host, in fuel of the guest. */
const COMPRESS_WORK = 100;
const UNCOMPRESS_WORK = 16;

/** WasmType and LifeSpan of Envoy's declare_property.proto. */
const STATE_TYPES = ["bytes", "string", "flatbuffers", "protobuf"] as const;
const LIFE_SPANS = ["filter_chain", "request", "connection"] as const;

type OwnFunction = (argument: Uint8Array, vm: Vm) => ForeignAnswer;

const OWN: Readonly<Record<string, OwnFunction>> = {
  /** Makes the router look for the route again. */
  clear_route_cache: (_argument, vm) => {
    vm.effective.http?.stream.clearRouteCache();
    return { status: Status.Ok };
  },
  /** DeclarePropertyArguments. BadArgument: declared before. */
  declare_property: (argument, vm) => {
    const fields = readFields(argument);
    if (fields === undefined) return { status: Status.BadArgument };
    vm.memory.work += Work.DeclareProperty;
    const text = (field: number): string => Buffer.from(fields.bytes.get(field) ?? "").toString("latin1");
    const isNew = vm.effective.root.declareProperty(text(1), {
      isReadOnly: (fields.numbers.get(2) ?? 0) !== 0,
      type: STATE_TYPES[fields.numbers.get(3) ?? 0] ?? "bytes",
      schema: text(4),
      span: LIFE_SPANS[fields.numbers.get(5) ?? 0] ?? "filter_chain",
    });
    if (!isNew) vm.hit("properties");
    return { status: isNew ? Status.Ok : Status.BadArgument };
  },
  expr_create: createExpression,
  expr_evaluate: evaluateExpression,
  expr_delete: deleteExpression,
  sign: (argument, vm) => signText(argument, vm.memory),
  verify_signature: (argument, vm) => verifySignature(argument, vm.memory),
  /** zlib, as Envoy's. */
  compress: (argument, vm) => {
    vm.memory.work += argument.length * COMPRESS_WORK;
    return { status: Status.Ok, result: deflateSync(argument) };
  },
  uncompress: (argument, vm) => {
    try {
      const result = inflateSync(argument, { maxOutputLength: MAX_UNCOMPRESSED_BYTES });
      vm.memory.work += result.length * UNCOMPRESS_WORK;
      return { status: Status.Ok, result };
    } catch {
      vm.memory.work += MAX_UNCOMPRESSED_BYTES;
      return { status: Status.SerializationFailure };
    }
  },
};

export function foreignFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  return {
    /** NotFound: unknown name. Otherwise what the function answers; either result pointer may be 0. */
    proxy_call_foreign_function(
      name: number,
      nameLength: number,
      argument: number,
      argumentLength: number,
      resultOut: number,
      sizeOut: number,
    ): number {
      const text = memory.latin1(name >>> 0, nameLength >>> 0);
      const bytes = memory.copy(argument >>> 0, argumentLength >>> 0);
      if (text === undefined || bytes === undefined) return Status.InvalidMemoryAccess;
      const embedders = vm.host.ports.foreign?.get(text);
      const own = Object.hasOwn(OWN, text) ? OWN[text] : undefined;
      const answer = embedders === undefined ? own?.(bytes, vm) : embedders(foreignCall(vm, bytes));
      if (answer === undefined) return Status.NotFound;
      const { status, result } = answer;
      if (status !== Status.Ok || resultOut === 0 || sizeOut === 0) return status;
      return vm.returnBytes(result ?? new Uint8Array(0), resultOut >>> 0, sizeOut >>> 0);
    },
  };
}

function foreignCall(vm: Vm, argument: Uint8Array): ForeignCall {
  const { root, properties } = vm.effective;
  return {
    plugin: root.plugin.identity,
    argument,
    target: properties,
    spend: (work) => {
      vm.memory.work += work;
    },
    notify: (functionId, bytes) => {
      vm.host.ports.clock.startTimer(0, () => root.onForeign(functionId >>> 0, bytes));
    },
  };
}
