// What metering knows of each instruction: how its immediates are laid out, and what it costs. Data only, but for the
// prefixed ones. body-scan.ts reads code by it. An opcode that is not here refuses the module: garbage collection (0xfb), whose
// heap no limit reaches, and proposals that are not finished.
// Source: WebAssembly Core Specification 3.0, §5.4 and appendix A.5; the threads and legacy exception proposals.

/** Layout of an instruction's immediates. */
export const Immediate = {
  Unknown: 0,
  None: 1,
  BlockType: 2,
  Index: 3,
  TwoIndices: 4,
  Memory: 5,
  Leb: 6,
  FourBytes: 7,
  EightBytes: 8,
  BranchTable: 9,
  ValueTypes: 10,
  TryTable: 11,
  MiscPrefix: 12,
  VectorPrefix: 13,
  AtomicPrefix: 14,
} as const;

export const Op = {
  Unreachable: 0x00,
  Block: 0x02,
  Loop: 0x03,
  If: 0x04,
  Else: 0x05,
  Try: 0x06,
  Catch: 0x07,
  Throw: 0x08,
  Rethrow: 0x09,
  ThrowRef: 0x0a,
  End: 0x0b,
  Br: 0x0c,
  BrIf: 0x0d,
  BrTable: 0x0e,
  Return: 0x0f,
  Call: 0x10,
  CallIndirect: 0x11,
  ReturnCall: 0x12,
  ReturnCallIndirect: 0x13,
  CallRef: 0x14,
  ReturnCallRef: 0x15,
  Delegate: 0x18,
  CatchAll: 0x19,
  TryTable: 0x1f,
  LocalGet: 0x20,
  LocalSet: 0x21,
  LocalTee: 0x22,
  GlobalGet: 0x23,
  GlobalSet: 0x24,
  MemoryGrow: 0x40,
  I64Const: 0x42,
  I32IsZero: 0x45,
  I64LessThan: 0x53,
  I64Sub: 0x7d,
  I64ShiftLeft: 0x86,
  I64ShiftRight: 0x88,
  I64ExtendI32: 0xad,
  I64FromF64: 0xb0,
  F64FromI64: 0xb9,
  BrOnNull: 0xd5,
  BrOnNonNull: 0xd6,
  MiscPrefix: 0xfc,
} as const;

/** Sub-opcodes of 0xfc whose cost depends on a length, which is the i32 on top of the stack. */
export const MiscOp = {
  MemoryInit: 8,
  MemoryCopy: 10,
  MemoryFill: 11,
  TableInit: 12,
  TableCopy: 14,
  TableGrow: 15,
  TableFill: 17,
} as const;

export const IMMEDIATES: Uint8Array = new Uint8Array(256);
/** Fuel of one instruction: about a machine instruction each; what costs none there costs none here. */
export const COSTS: Uint16Array = new Uint16Array(256);
/** Of memory.grow and table.grow, which leave the guest's code. */
export const GROWTH_COST = 5_000;

function define(from: number, to: number, immediate: number, cost: number): void {
  IMMEDIATES.fill(immediate, from, to + 1);
  COSTS.fill(cost, from, to + 1);
}

define(0x00, 0x01, Immediate.None, 0);
define(Op.Block, Op.Loop, Immediate.BlockType, 0);
define(Op.If, Op.If, Immediate.BlockType, 1);
define(Op.Else, Op.Else, Immediate.None, 0);
define(Op.Try, Op.Try, Immediate.BlockType, 0);
define(Op.Catch, Op.Catch, Immediate.Index, 0);
define(Op.Throw, Op.Rethrow, Immediate.Index, 100);
define(Op.ThrowRef, Op.ThrowRef, Immediate.None, 100);
define(Op.End, Op.End, Immediate.None, 0);
define(Op.Br, Op.BrIf, Immediate.Index, 1);
define(Op.BrTable, Op.BrTable, Immediate.BranchTable, 3);
define(Op.Return, Op.Return, Immediate.None, 1);
define(Op.Call, Op.Call, Immediate.Index, 4);
define(Op.CallIndirect, Op.CallIndirect, Immediate.TwoIndices, 16);
define(Op.ReturnCall, Op.ReturnCall, Immediate.Index, 4);
define(Op.ReturnCallIndirect, Op.ReturnCallIndirect, Immediate.TwoIndices, 16);
define(Op.CallRef, Op.ReturnCallRef, Immediate.Index, 10);
define(Op.Delegate, Op.Delegate, Immediate.Index, 0);
define(Op.CatchAll, Op.CatchAll, Immediate.None, 0);
define(0x1a, 0x1a, Immediate.None, 0); // drop
define(0x1b, 0x1b, Immediate.None, 1); // select
define(0x1c, 0x1c, Immediate.ValueTypes, 1);
define(Op.TryTable, Op.TryTable, Immediate.TryTable, 0);
define(Op.LocalGet, Op.LocalTee, Immediate.Index, 0);
define(Op.GlobalGet, Op.GlobalSet, Immediate.Index, 1);
define(0x25, 0x26, Immediate.Index, 4); // table.get, table.set
define(0x28, 0x3e, Immediate.Memory, 1); // loads and stores
define(0x3f, 0x3f, Immediate.Index, 1); // memory.size
define(Op.MemoryGrow, Op.MemoryGrow, Immediate.Index, GROWTH_COST);
define(0x41, 0x42, Immediate.Leb, 0); // i32.const, i64.const
define(0x43, 0x43, Immediate.FourBytes, 0);
define(0x44, 0x44, Immediate.EightBytes, 0);
define(0x45, 0xc4, Immediate.None, 1); // comparisons, arithmetic, conversions
define(0x6d, 0x70, Immediate.None, 8); // i32.div, i32.rem
define(0x7f, 0x82, Immediate.None, 12); // i64.div, i64.rem
define(0x92, 0x94, Immediate.None, 3); // f32.add, sub, mul
define(0xa0, 0xa2, Immediate.None, 3); // f64.add, sub, mul
define(0x91, 0x91, Immediate.None, 6); // f32.sqrt
define(0x95, 0x95, Immediate.None, 4); // f32.div
define(0x9f, 0x9f, Immediate.None, 8); // f64.sqrt
define(0xa3, 0xa3, Immediate.None, 5); // f64.div
define(0xd0, 0xd0, Immediate.Leb, 0); // ref.null
define(0xd1, 0xd1, Immediate.None, 1); // ref.is_null
define(0xd2, 0xd2, Immediate.Index, 1); // ref.func
define(0xd3, 0xd4, Immediate.None, 1); // ref.eq, ref.as_non_null
define(Op.BrOnNull, Op.BrOnNonNull, Immediate.Index, 1);
define(0xfc, 0xfc, Immediate.MiscPrefix, 2);
define(0xfd, 0xfd, Immediate.VectorPrefix, 1);
define(0xfe, 0xfe, Immediate.AtomicPrefix, 10);

/** Indices after each sub-opcode of 0xfc; undefined: unknown. 0 to 7 saturate floats, 19 to 22 are wide arithmetic. */
const MISC_INDICES: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1];

export function miscIndices(sub: number): number | undefined {
  return sub >= 19 && sub <= 22 ? 0 : MISC_INDICES[sub];
}

/** Immediates of a vector instruction (0xfd). `lane`: one byte after the rest. */
export function vectorImmediate(sub: number): { readonly memory: boolean; readonly bytes: number } | undefined {
  if (sub <= 11 || sub === 92 || sub === 93) return MEMORY_ONLY;
  if (sub === 12 || sub === 13) return SIXTEEN_BYTES;
  if (sub >= 21 && sub <= 34) return LANE;
  if (sub >= 84 && sub <= 91) return MEMORY_AND_LANE;
  return sub < 0x114 ? NOTHING : undefined;
}

const MEMORY_ONLY = { memory: true, bytes: 0 };
const SIXTEEN_BYTES = { memory: false, bytes: 16 };
const LANE = { memory: false, bytes: 1 };
const MEMORY_AND_LANE = { memory: true, bytes: 1 };
const NOTHING = { memory: false, bytes: 0 };

/** Whether an atomic instruction (0xfe) is known; 3 is the fence, all others address memory. */
export function isAtomic(sub: number): boolean {
  return sub <= 3 || (sub >= 0x10 && sub <= 0x4e);
}
