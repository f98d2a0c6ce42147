// Reads one function's code once and notes where fuel may be charged and how much runs there. charge-plan.ts decides where it
// is charged; body-rewriter.ts writes it. One object is used for all functions of a module. Never throws.
//
// A region is code that runs as a whole or not at all. Its parent is a region that runs before it each time, in the same
// turn of the same loop, so a region's cost may be charged with its parent's.
//
//   entry ── if ┬─ then    parent: entry        loop header   charged each turn
//               └─ else    parent: entry        after `end`   parent: what ran when the block began
//               after end  parent: entry        after br_if   parent: what ran before it

import { ByteReader } from "./byte-reader.ts";
import { InnerLoops } from "./inner-loops.ts";
import {
  COSTS,
  GROWTH_COST,
  Immediate,
  IMMEDIATES,
  isAtomic,
  MiscOp,
  miscIndices,
  Op,
  vectorImmediate,
} from "./opcodes.ts";

export const RegionKind = { Entry: 0, Loop: 1, Plain: 2 } as const;

/** What the rewriter does at a place in the code, besides copying it. */
export const EditKind = {
  /** Charge a region here (its number is the argument). */
  Charge: 0,
  /** Before a call that uses fuel itself, or the end by a tail call. */
  Flush: 1,
  /** After such a call. */
  Reload: 2,
  /** A `return` of one byte; the argument is how many blocks are open. */
  Return: 3,
  /** Charge by the length on top of the stack, times two to the power of the argument. */
  ChargeLength: 4,
  /** A loop begins; the argument is its region. */
  Loop: 5,
  /** A `br` or `br_if` of a loop to a block around it; the argument is how many blocks out. */
  Outward: 6,
} as const;

/**
 * Fuel for each unit of length, as a power of two: a memory byte is half a unit, a table entry 8. Growing has a flat price: what
 * does not fit fails at once, and what fits is bounded by the limits of the memory and the table.
 */
const BYTE_POWER = -1;
const ENTRY_POWER = 3;
/** Of an instruction with a length, besides: it leaves the guest's code. */
const LENGTH_COST = 20;
const DEAD = -1;
/** The type of a block that takes and gives nothing. */
export const NO_RESULT = 0x40;

export class BodyScan {
  readonly regionCost: number[] = [];
  readonly regionParent: number[] = [];
  readonly regionKind: number[] = [];
  /** By the region of a loop, if its code may stand there several times: where its last instruction is, the branch back; else 0. */
  readonly regionBack: number[] = [];
  readonly editAt: number[] = [];
  readonly editKind: number[] = [];
  readonly editArgument: number[] = [];
  /** Range of the declarations of locals, without their count, and how many groups and locals they are. */
  localsStart = 0;
  localsEnd = 0;
  localGroups = 0;
  locals = 0;
  hasLoop = false;
  /** A loop that calls nothing that uses fuel. */
  hasQuietLoop = false;
  /** Functions that it calls by name; the same one several times when it calls it at several places. */
  readonly callees: number[] = [];
  /** Calls what is not known before it runs, or ends by a call. */
  hasOpenCalls = false;
  /** Calls after which the fuel may be another: all but those of functions that use none themselves. */
  calls = 0;
  hasExceptions = false;
  hasLengths = false;
  cost = 0;
  /** Why the code cannot be read. */
  problem: string | undefined = undefined;
  #region = DEAD;
  #depth = 0;
  readonly #blockCalls: number[] = [];
  readonly #blockOp: number[] = [];
  readonly #blockRegion: number[] = [];
  /** The region of a loop's turns. */
  readonly #blockLoop: number[] = [];
  /** Whether the code after the block's end is reached other than by running into it. */
  readonly #blockJoins: boolean[] = [];
  readonly #loops = new InnerLoops();
  #callCosts: Float64Array = new Float64Array(0);
  #free: Uint8Array = new Uint8Array(0);
  #reader = new ByteReader(new Uint8Array(0), 0, 0);

  /** By function index: what a call of it costs here, and whether (1) it uses no fuel itself. */
  setCallees(callCosts: Float64Array, free: Uint8Array): void {
    this.#callCosts = callCosts;
    this.#free = free;
  }

  /** Scans the body in that range of the bytes. False, with `problem` set, when it cannot be read. */
  scan(bytes: Uint8Array, start: number, end: number): boolean {
    const reader = new ByteReader(bytes, start, end);
    this.#reset(reader);
    this.#scanLocals(reader);
    this.#region = this.#newRegion(DEAD, RegionKind.Entry, reader.at);
    this.#open(Op.Block);
    while (this.#depth > 0 && !reader.failed && this.problem === undefined) this.#scanInstruction(reader);
    if (reader.failed || (this.problem === undefined && reader.at !== end)) this.problem ??= "its code is damaged";
    return this.problem === undefined;
  }

  #reset(reader: ByteReader): void {
    this.#reader = reader;
    for (const list of [this.regionCost, this.regionParent, this.regionKind, this.regionBack]) list.length = 0;
    this.#loops.reset();
    for (const list of [this.editAt, this.editKind, this.editArgument]) list.length = 0;
    this.hasLoop = false;
    this.hasQuietLoop = false;
    this.calls = 0;
    this.callees.length = 0;
    this.hasOpenCalls = false;
    this.hasExceptions = false;
    this.hasLengths = false;
    this.cost = 0;
    this.problem = undefined;
    this.#depth = 0;
  }

  #scanLocals(reader: ByteReader): void {
    this.localGroups = reader.count();
    this.localsStart = reader.at;
    this.locals = 0;
    for (let i = 0; i < this.localGroups && !reader.failed; i++) {
      this.locals += reader.u32();
      reader.skipValueType();
    }
    this.localsEnd = reader.at;
  }

  #scanInstruction(reader: ByteReader): void {
    const at = reader.at;
    const op = reader.byte();
    const cost = COSTS[op] as number;
    if (cost !== 0) this.#spend(cost);
    switch (IMMEDIATES[op] as number) {
      case Immediate.None:
        if (op <= Op.Return) this.#control(op, at, 0);
        else if (op === Op.CatchAll) this.#alternative();
        return;
      case Immediate.Index: {
        const index = reader.u32();
        if (op < Op.LocalGet || op >= Op.BrOnNull) this.#control(op, at, index);
        return;
      }
      case Immediate.BlockType:
        reader.skipLeb();
        return this.#enter(op, at);
      case Immediate.Memory:
        return this.#skipMemory(reader);
      case Immediate.Leb:
        return reader.skipLeb();
      default:
        this.#scanRare(reader, op, at);
    }
  }

  #scanRare(reader: ByteReader, op: number, at: number): void {
    switch (IMMEDIATES[op] as number) {
      case Immediate.TwoIndices:
        reader.u32();
        reader.u32();
        return this.#call(op, at, DEAD);
      case Immediate.FourBytes:
        return reader.skip(4);
      case Immediate.EightBytes:
        return reader.skip(8);
      case Immediate.BranchTable:
        for (let left = reader.count() + 1; left > 0 && !reader.failed; left--) this.#join(reader.u32());
        this.#loops.spoil();
        this.#region = DEAD;
        return;
      case Immediate.ValueTypes:
        for (let left = reader.count(); left > 0; left--) reader.skipValueType();
        return;
      case Immediate.TryTable:
        return this.#enterTryTable(reader);
      case Immediate.MiscPrefix:
        return this.#scanMisc(reader, at);
      case Immediate.VectorPrefix:
        return this.#scanVector(reader);
      case Immediate.AtomicPrefix:
        return this.#scanAtomic(reader);
      default:
        this.problem = `it uses the instruction 0x${op.toString(16).padStart(2, "0")}, which cannot be metered`;
    }
  }

  #scanMisc(reader: ByteReader, at: number): void {
    const sub = reader.u32();
    const indices = miscIndices(sub);
    if (indices === undefined) this.#refusePrefixed(0xfc, sub);
    else for (let i = 0; i < indices; i++) reader.u32();
    if (sub === MiscOp.MemoryCopy || sub === MiscOp.MemoryFill || sub === MiscOp.MemoryInit) {
      this.#chargeLength(at, BYTE_POWER);
    } else if (sub === MiscOp.TableInit || sub === MiscOp.TableCopy || sub === MiscOp.TableFill) {
      this.#chargeLength(at, ENTRY_POWER);
    } else if (sub === MiscOp.TableGrow) this.#spend(GROWTH_COST);
  }

  #scanVector(reader: ByteReader): void {
    const sub = reader.u32();
    const immediate = vectorImmediate(sub);
    if (immediate === undefined) return this.#refusePrefixed(0xfd, sub);
    if (immediate.memory) this.#skipMemory(reader);
    reader.skip(immediate.bytes);
  }

  #scanAtomic(reader: ByteReader): void {
    const sub = reader.u32();
    if (!isAtomic(sub)) return this.#refusePrefixed(0xfe, sub);
    if (sub === 3) reader.byte();
    else this.#skipMemory(reader);
  }

  #refusePrefixed(prefix: number, sub: number): void {
    const code = `0x${prefix.toString(16)} 0x${sub.toString(16).padStart(2, "0")}`;
    this.problem = `it uses the instruction ${code}, which cannot be metered`;
  }

  /** Alignment, the memory's number when bit 6 of that says so, offset. */
  #skipMemory(reader: ByteReader): void {
    const alignment = reader.u32();
    if ((alignment & 0x40) !== 0) reader.u32();
    reader.skipLeb();
  }

  #control(op: number, at: number, index: number): void {
    switch (op) {
      case Op.Else:
        return this.#alternative(Op.Else);
      case Op.End:
        return this.#leave();
      case Op.Br:
        this.#branch(index, at);
        this.#region = DEAD;
        return;
      case Op.BrIf:
        this.#branch(index, at);
        return this.#follow();
      case Op.BrOnNull:
      case Op.BrOnNonNull:
        this.#join(index);
        this.#loops.spoil();
        return this.#follow();
      case Op.Return:
        this.#edit(EditKind.Return, at, this.#depth - 1);
        this.#region = DEAD;
        return;
      case Op.Call:
      case Op.ReturnCall:
        return this.#call(op, at, index);
      case Op.CallRef:
      case Op.ReturnCallRef:
        return this.#call(op, at, DEAD);
      case Op.Unreachable:
        this.#region = DEAD;
        return;
      default:
        this.#exception(op);
    }
  }

  #exception(op: number): void {
    if (op === Op.Throw || op === Op.Rethrow || op === Op.ThrowRef) {
      this.hasExceptions = true;
      this.#region = DEAD;
    } else if (op === Op.Catch) this.#alternative();
    else if (op === Op.Delegate) this.#leave();
  }

  /** `callee` is DEAD when it is not known before it runs. */
  #call(op: number, at: number, callee: number): void {
    const returns = op === Op.Call || op === Op.CallIndirect || op === Op.CallRef;
    if (callee !== DEAD) {
      this.#spend(this.#callCosts[callee] ?? 0);
      this.callees.push(callee);
    }
    if (callee === DEAD || !returns) this.hasOpenCalls = true;
    const isFree = callee !== DEAD && this.#free[callee] === 1;
    if (!isFree || !returns) {
      this.calls++;
      this.#edit(EditKind.Flush, at, 0);
      if (returns) this.#edit(EditKind.Reload, this.#reader.at, 0);
    }
    if (!returns) this.#region = DEAD;
  }

  #chargeLength(at: number, power: number): void {
    this.hasLengths = true;
    this.#spend(LENGTH_COST);
    this.#edit(EditKind.ChargeLength, at, power);
  }

  #enter(op: number, at: number): void {
    if (op === Op.Loop) {
      this.hasLoop = true;
      this.#edit(EditKind.Loop, at, this.regionCost.length);
      // The type is one byte: nothing comes in or out.
      const isPlain = this.#region !== DEAD && this.#reader.at === at + 2 && this.#reader.bytes[at + 1] === NO_RESULT;
      this.#loops.enter(this.#depth, isPlain);
    }
    this.#open(op);
    if (op === Op.Try) {
      this.hasExceptions = true;
      this.#loops.spoil();
    }
    if (op === Op.If) {
      // Its end is reached by another way than its arm: without an else, without it.
      this.#join(0);
      this.#follow();
    } else if (op === Op.Loop && this.#region !== DEAD) {
      this.#region = this.#newRegion(this.#region, RegionKind.Loop, this.#reader.at);
      this.#blockLoop[this.#depth - 1] = this.#region;
    }
  }

  #enterTryTable(reader: ByteReader): void {
    reader.skipLeb();
    this.hasExceptions = true;
    this.#loops.spoil();
    for (let left = reader.count(); left > 0 && !reader.failed; left--) {
      const kind = reader.byte();
      if (kind < 2) reader.u32();
      this.#join(reader.u32());
    }
    this.#open(Op.TryTable);
  }

  #open(op: number): void {
    this.#blockOp[this.#depth] = op;
    this.#blockRegion[this.#depth] = this.#region;
    this.#blockCalls[this.#depth] = this.calls;
    this.#blockJoins[this.#depth] = op === Op.Try;
    this.#depth++;
  }

  /** A `br` or `br_if`. */
  #branch(level: number, at: number): void {
    this.#join(level);
    const leavesLoop = this.#loops.onBranch(this.#depth - 1 - level, at, this.#reader.at, this.#region !== DEAD);
    if (leavesLoop) this.#edit(EditKind.Outward, at, level);
  }

  /** A branch to the block that many levels out. */
  #join(level: number): void {
    const block = this.#depth - 1 - level;
    if (block >= 0) this.#blockJoins[block] = true;
    else this.#reader.failed = true;
  }

  /** The else or catch arm of the innermost block begins. */
  #alternative(op?: number): void {
    const block = this.#depth - 1;
    if (op === Op.Else) {
      if (this.#blockOp[block] !== Op.If) this.#reader.failed = true;
    } else this.hasExceptions = true;
    const before = this.#blockRegion[block] as number;
    this.#region = before === DEAD ? DEAD : this.#newRegion(before, RegionKind.Plain, this.#reader.at);
  }

  #leave(): void {
    const block = --this.#depth;
    if (block === 0) return;
    const before = this.#blockRegion[block] as number;
    const op = this.#blockOp[block];
    if (op === Op.Loop) {
      const isQuiet = this.#blockCalls[block] === this.calls;
      if (isQuiet) this.hasQuietLoop = true;
      const back = this.#loops.leave(block, this.#reader.at - 1);
      if (isQuiet && back !== 0) this.regionBack[this.#blockLoop[block] as number] = back;
    }
    const joins = op !== Op.Loop && this.#blockJoins[block] === true;
    if (before === DEAD || (!joins && this.#region === DEAD)) this.#region = DEAD;
    else if (joins || op === Op.Loop) this.#region = this.#newRegion(before, RegionKind.Plain, this.#reader.at);
  }

  /** What follows here runs only if a branch is not taken. */
  #follow(): void {
    if (this.#region !== DEAD) this.#region = this.#newRegion(this.#region, RegionKind.Plain, this.#reader.at);
  }

  #newRegion(parent: number, kind: number, at: number): number {
    const region = this.regionCost.length;
    this.regionCost.push(0);
    this.regionParent.push(parent);
    this.regionKind.push(kind);
    this.regionBack.push(0);
    this.editAt.push(at);
    this.editKind.push(EditKind.Charge);
    this.editArgument.push(region);
    return region;
  }

  #spend(cost: number): void {
    if (this.#region === DEAD) return;
    this.cost += cost;
    this.regionCost[this.#region] = (this.regionCost[this.#region] as number) + cost;
  }

  /** Code that never runs is copied as it is. */
  #edit(kind: number, at: number, argument: number): void {
    if (this.#region === DEAD) return;
    this.editAt.push(at);
    this.editKind.push(kind);
    this.editArgument.push(argument);
  }
}
