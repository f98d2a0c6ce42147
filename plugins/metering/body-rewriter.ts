// Writes one function's code with its charges. instrumenter.ts gives it what body-scan.ts and charge-plan.ts found; code between
// two edits is copied as it is. The guest's own locals, labels and indices keep their numbers.
//
//   mode Global                          mode Local
//   global -= cost                       local = global - cost
//   trap if global < 0                   trap if local < 0
//   …                                    block
//   global -= cost                         … local -= cost …
//   …                                      loop: local -= cost; trap if local < 0
//                                          call: global = local; call; local = global
//                                          return → br to the end of the block
//                                        end
//                                        global = local

import { type BodyScan, EditKind, NO_RESULT, RegionKind } from "./body-scan.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { ChargeMode } from "./charge-plan.ts";
import { Op } from "./opcodes.ts";

const I32 = 0x7f;
const I64 = 0x7e;
/** A branch that may be repeated, and an `end` after it. */
const BRANCH_BYTES = 2;
/** Longer loops stand there once: they gain less and would make modules grow by a tenth. */
const SMALL_LOOP_BYTES = 24;
const TIMES = 4;

/** One function to write. Ranges are in `bytes`. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly end: number;
  readonly scan: BodyScan;
  readonly charges: readonly number[];
  readonly mode: number;
  readonly parameters: number;
  readonly resultStart: number;
  readonly resultEnd: number;
}

export class BodyRewriter {
  readonly #out: ByteWriter;
  readonly #global: number;
  /** Index of the local with fuel, and of the one for a length. */
  #fuel = 0;
  #length = 0;

  /** Appends to `out`; `global` is the index of the fuel. */
  constructor(out: ByteWriter, global: number) {
    this.#out = out;
    this.#global = global;
  }

  /** The function's code with its size in front. */
  write(body: Body): void {
    const { scan, mode } = body;
    const out = this.#out;
    const place = out.open();
    this.#fuel = body.parameters + scan.locals;
    this.#length = this.#fuel + 1;
    out.u32(scan.localGroups + (scan.hasLengths ? 2 : 1));
    out.copy(body.bytes, scan.localsStart, scan.localsEnd);
    out.bytes(1, I64);
    if (scan.hasLengths) out.bytes(1, I32);
    this.#chargeEntry(body.charges[0] as number, mode);
    if (mode === ChargeMode.Local) this.#openBlock(body);
    this.#writeCode(body);
    if (mode === ChargeMode.Local) {
      this.#flush();
      out.byte(Op.End);
    }
    out.close(place);
  }

  #openBlock({ bytes, resultStart, resultEnd }: Body): void {
    this.#out.byte(Op.Block);
    if (resultStart === resultEnd) this.#out.byte(NO_RESULT);
    else this.#out.copy(bytes, resultStart, resultEnd);
  }

  #writeCode(body: Body): void {
    const { scan } = body;
    const edits = scan.editAt.length;
    let from = scan.localsEnd;
    let edit = 0;
    while (edit < edits) {
      const region = scan.editArgument[edit] as number;
      const times = scan.editKind[edit] === EditKind.Loop && body.mode === ChargeMode.Local ? repeats(scan, edit) : 1;
      if (times > 1) {
        this.#out.copy(body.bytes, from, scan.editAt[edit] as number);
        from = this.#writeLoop(body, edit, scan.regionBack[region] as number, times);
        while (edit < edits && (scan.editAt[edit] as number) < from) edit++;
      } else from = this.#writeEdit(body, edit++, from, 0);
    }
    this.#out.copy(body.bytes, from, body.end);
  }

  /** Writes what stands before an edit, from `from` on, and the edit; answers where to go on. `deeper`: in so many blocks more. */
  #writeEdit({ bytes, scan, charges, mode }: Body, edit: number, from: number, deeper: number): number {
    const kind = scan.editKind[edit] as number;
    const argument = scan.editArgument[edit] as number;
    const at = scan.editAt[edit] as number;
    if (kind === EditKind.Loop || (kind === EditKind.Outward && deeper === 0)) return from;
    if (kind === EditKind.Charge) {
      if (argument === 0 || charges[argument] === 0) return from;
    } else if (mode === ChargeMode.Global && kind !== EditKind.ChargeLength) return from;
    this.#out.copy(bytes, from, at);
    switch (kind) {
      case EditKind.Charge:
        this.#charge(charges[argument] as number, mode, scan.regionKind[argument] === RegionKind.Loop);
        return at;
      case EditKind.Flush:
        this.#flush();
        return at;
      case EditKind.Reload:
        this.#reload();
        return at;
      case EditKind.ChargeLength:
        this.#chargeLength(argument, mode);
        return at;
      case EditKind.Outward:
        this.#out.op(bytes[at] as number, argument + deeper);
        return at + 2;
      default:
        this.#out.op(Op.Br, argument + deeper);
        return at + 1;
    }
  }

  /**
   * A loop whose code stands there several times. Each turn is charged, but only the first of them is checked. Answers where
   * the code goes on after the loop's end.
   *
   *   loop                    block                                loop
   *     …          becomes      loop                or               …
   *     br_if 0                   … i32.eqz br_if 1                  …
   *   end                         … br_if 0                          br 0
   *                           end end                              end
   */
  #writeLoop(body: Body, edit: number, back: number, times: number): number {
    const { bytes, scan, charges, mode } = body;
    const out = this.#out;
    const cost = charges[scan.editArgument[edit] as number] as number;
    const start = scan.editAt[edit + 1] as number;
    const isAsked = bytes[back] === Op.BrIf;
    const deeper = isAsked ? 1 : 0;
    if (isAsked) out.bytes(Op.Block, NO_RESULT);
    out.bytes(Op.Loop, NO_RESULT);
    for (let time = 1; time <= times; time++) {
      this.#charge(cost, mode, time === 1);
      let from = start;
      for (let next = edit + 2; (scan.editAt[next] ?? Number.POSITIVE_INFINITY) <= back; next++) {
        from = this.#writeEdit(body, next, from, deeper);
      }
      out.copy(bytes, from, back);
      if (isAsked && time < times) {
        out.byte(Op.I32IsZero);
        out.op(Op.BrIf, 1);
      }
    }
    const end = back + BRANCH_BYTES + 1;
    out.copy(bytes, back, end);
    if (isAsked) out.byte(Op.End);
    return end;
  }

  #chargeEntry(cost: number, mode: number): void {
    const out = this.#out;
    out.op(Op.GlobalGet, this.#global);
    this.#subtract(cost);
    out.op(Op.LocalTee, this.#fuel);
    if (mode === ChargeMode.Global) {
      out.op(Op.GlobalSet, this.#global);
      out.op(Op.LocalGet, this.#fuel);
    }
    this.#trapIfNegative(mode);
  }

  #charge(cost: number, mode: number, isLoop: boolean): void {
    const out = this.#out;
    const isGlobal = mode === ChargeMode.Global;
    if (isGlobal) out.op(Op.GlobalGet, this.#global);
    else out.op(Op.LocalGet, this.#fuel);
    this.#subtract(cost);
    if (isGlobal && !isLoop) out.op(Op.GlobalSet, this.#global);
    else if (!isLoop) out.op(Op.LocalSet, this.#fuel);
    else this.#keepAndCheck(mode);
  }

  /** The length is on the stack and stays there. */
  #chargeLength(power: number, mode: number): void {
    const out = this.#out;
    out.op(Op.LocalTee, this.#length);
    if (mode === ChargeMode.Global) out.op(Op.GlobalGet, this.#global);
    else out.op(Op.LocalGet, this.#fuel);
    out.op(Op.LocalGet, this.#length);
    out.bytes(Op.I64ExtendI32, Op.I64Const);
    out.positive(Math.abs(power));
    out.bytes(power < 0 ? Op.I64ShiftRight : Op.I64ShiftLeft, Op.I64Sub);
    this.#keepAndCheck(mode);
  }

  /** The new amount of fuel is on the stack. */
  #keepAndCheck(mode: number): void {
    const out = this.#out;
    out.op(Op.LocalTee, this.#fuel);
    if (mode === ChargeMode.Global) {
      out.op(Op.GlobalSet, this.#global);
      out.op(Op.LocalGet, this.#fuel);
    }
    this.#trapIfNegative(mode);
  }

  /** The amount is on the stack; the host finds the global negative after the trap. */
  #trapIfNegative(mode: number): void {
    const out = this.#out;
    out.bytes(Op.I64Const, 0, Op.I64LessThan, Op.If, NO_RESULT);
    if (mode === ChargeMode.Local) this.#flush();
    out.bytes(Op.Unreachable, Op.End);
  }

  #subtract(cost: number): void {
    this.#out.byte(Op.I64Const);
    this.#out.positive(cost);
    this.#out.byte(Op.I64Sub);
  }

  #flush(): void {
    this.#out.op(Op.LocalGet, this.#fuel);
    this.#out.op(Op.GlobalSet, this.#global);
  }

  #reload(): void {
    this.#out.op(Op.GlobalGet, this.#global);
    this.#out.op(Op.LocalSet, this.#fuel);
  }
}

/** How often the loop that begins at an edit stands there. */
function repeats(scan: BodyScan, edit: number): number {
  const back = scan.regionBack[scan.editArgument[edit] as number] ?? 0;
  if (back === 0) return 1;
  const bytes = back - (scan.editAt[edit] as number);
  return bytes <= SMALL_LOOP_BYTES ? TIMES : 1;
}
