// The foreign functions "expr_create", "expr_evaluate" and "expr_delete": CEL over the property catalogue, as Envoy's.
//
//   expr_create    source text      → u32 LE, the expression's number     BadArgument: no expression
//   expr_evaluate  u32 LE           → the value as proxy_get_property     NotFound: no such number; InternalFailure: no value
//   expr_delete    u32 LE           → nothing

import { Buffer } from "node:buffer";
import { Status } from "../abi/constants.ts";
import { type CelScope, compileCel } from "../cel/expression.ts";
import type { ForeignAnswer } from "../ports.ts";
import type { Vm } from "../vm.ts";
import { encodePropertyValue, propertyOf } from "./properties.ts";

/** What a byte of source and a step of an evaluation cost the host, in fuel of the guest. */
const PARSE_WORK = 200;
const STEP_WORK = 50;

export function createExpression(argument: Uint8Array, vm: Vm): ForeignAnswer {
  vm.memory.work += argument.length * PARSE_WORK;
  const compiled = compileCel(Buffer.from(argument).toString("latin1"));
  if (!compiled.ok) {
    vm.warn(`the foreign function expr_create was given no expression: ${compiled.problem}`);
    return { status: Status.BadArgument };
  }
  const token = vm.effective.root.expressions.add(compiled.expression);
  if (token === undefined) return { status: Status.InternalFailure };
  const result = new Uint8Array(4);
  new DataView(result.buffer).setUint32(0, token, true);
  return { status: Status.Ok, result };
}

export function evaluateExpression(argument: Uint8Array, vm: Vm): ForeignAnswer {
  const token = tokenOf(argument);
  if (token === undefined) return { status: Status.BadArgument };
  const expression = vm.effective.root.expressions.get(token);
  if (expression === undefined) return { status: Status.NotFound };
  const { value, steps } = expression.evaluate(scopeOf(vm));
  vm.memory.work += steps * STEP_WORK;
  if (value === undefined) return { status: Status.InternalFailure };
  const result = encodePropertyValue(value);
  return result === undefined ? { status: Status.SerializationFailure } : { status: Status.Ok, result };
}

export function deleteExpression(argument: Uint8Array, vm: Vm): ForeignAnswer {
  const token = tokenOf(argument);
  if (token === undefined) return { status: Status.BadArgument };
  vm.effective.root.expressions.delete(token);
  return { status: Status.Ok };
}

function tokenOf(argument: Uint8Array): number | undefined {
  return argument.length === 4 ? Buffer.from(argument).readUInt32LE() : undefined;
}

function scopeOf(vm: Vm): CelScope {
  return {
    variable: (name) => propertyOf(vm, vm.host.propertyPath(name)),
    matches: (text, pattern) => vm.host.ports.matches?.(text, pattern),
  };
}
