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

import { type BodyScan, EditKind, RegionKind } from "./body-scan.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { ChargeMode } from "./charge-plan.ts";
import { Op } from "./opcodes.ts";

const I32 = 0x7f;
const I64 = 0x7e;
const NO_RESULT = 0x40;

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

  #writeCode({ bytes, end, scan, charges, mode }: Body): void {
    const edits = scan.editAt.length;
    let from = scan.localsEnd;
    for (let edit = 0; edit < edits; edit++) {
      const kind = scan.editKind[edit];
      const argument = scan.editArgument[edit] as number;
      const isCharge = kind === EditKind.Charge;
      if (isCharge && (argument === 0 || charges[argument] === 0)) continue;
      if (!isCharge && mode === ChargeMode.Global && kind !== EditKind.ChargeLength) continue;
      const at = scan.editAt[edit] as number;
      this.#out.copy(bytes, from, at);
      from = at;
      if (isCharge) this.#charge(charges[argument] as number, mode, scan.regionKind[argument] === RegionKind.Loop);
      else if (kind === EditKind.Flush) this.#flush();
      else if (kind === EditKind.Reload) this.#reload();
      else if (kind === EditKind.ChargeLength) this.#chargeLength(argument, mode);
      else {
        this.#out.op(Op.Br, argument);
        from++;
      }
    }
    this.#out.copy(bytes, from, end);
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
