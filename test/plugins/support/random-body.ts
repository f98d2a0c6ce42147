// Writes one function of a random module (random-module.ts), always valid: by types, from the outermost instruction inwards.

import {
  ALL_TYPES,
  type Choices,
  type FunctionType,
  GLOBALS,
  IMPORTS,
  LOCALS,
  SIGNATURES,
  TAG,
  TURNS,
  type TypeTable,
} from "./random-choices.ts";
import {
  OPERATIONS,
  signed,
  STORES,
  TYPE_CODES,
  unsigned,
  type ValueType,
  vectorOf,
  zero,
} from "./random-operations.ts";

const MAX_DEPTH = 7;
/** A body is at most about this long. */
const MAX_BODY_BYTES = 1_500;

/** One function's code. `value` leaves one value of a type, `effect` nothing; either may leave the code behind it unreachable. */
export class Body {
  readonly #from: Choices;
  readonly #types: TypeTable;
  readonly #type: FunctionType;
  readonly #isLegacy: boolean;
  readonly #locals: readonly ValueType[];
  readonly #out: number[] = [];
  /** What a branch to each label takes, the innermost last. */
  readonly #labels: (readonly ValueType[])[] = [];
  #depth = 0;

  constructor(from: Choices, types: TypeTable, type: FunctionType, isLegacy: boolean) {
    this.#from = from;
    this.#types = types;
    this.#type = type;
    this.#isLegacy = isLegacy;
    this.#locals = [...type.parameters, ...LOCALS];
  }

  finish(): number[] {
    this.#labels.push(this.#type.results);
    this.#countTurn();
    do {
      this.#effect();
    } while (!this.#isFull && this.#from.pick(4) !== 0);
    this.#values(this.#type.results);
    const locals = vectorOf(LOCALS.map((type) => [1, TYPE_CODES[type]]));
    return [...locals, ...this.#out, 0x0b];
  }

  get #isFull(): boolean {
    return this.#depth > MAX_DEPTH || this.#from.isUsedUp || this.#out.length > MAX_BODY_BYTES;
  }

  #emit(...bytes: readonly number[]): void {
    this.#out.push(...bytes);
  }

  /** Returns with zeros when there are no turns left. */
  #countTurn(): void {
    this.#emit(0x23, TURNS, 0x41, 1, 0x6b, 0x24, TURNS, 0x23, TURNS, 0x41, 0, 0x48, 0x04, 0x40);
    for (const type of this.#type.results) this.#emit(...zero(type));
    this.#emit(0x0f, 0x0b);
  }

  #values(types: readonly ValueType[]): void {
    for (const type of types) this.#value(type);
  }

  #value(type: ValueType): void {
    if (this.#isFull) {
      this.#leaf(type);
      return;
    }
    this.#depth++;
    switch (this.#from.pick(14)) {
      case 0:
      case 1:
        this.#leaf(type);
        break;
      case 2:
      case 3:
      case 4:
      case 5:
        this.#operation(type);
        break;
      case 6:
        this.#block([type]);
        break;
      case 7:
        this.#call([type]);
        break;
      case 8:
        this.#values([type, type, "i32"]);
        if (type === "v128") this.#emit(0x1c, 1, TYPE_CODES.v128);
        else this.#emit(0x1b);
        break;
      case 9: {
        this.#value(type);
        this.#local(0x22, type);
        break;
      }
      case 10:
        this.#effect();
        this.#value(type);
        break;
      case 11:
        this.#branchIf(type);
        break;
      case 12:
        this.#value(type);
        this.#effect();
        break;
      default:
        this.#leave();
        // What follows is never reached; without it the stack is polymorphic, which is as valid.
        if (this.#from.pick(2) === 1) this.#value(type);
    }
    this.#depth--;
  }

  #leaf(type: ValueType): void {
    const kind = this.#from.pick(3);
    const global = GLOBALS.indexOf(type);
    if (kind === 1) this.#local(0x20, type);
    else if (kind === 2 && global >= 0) this.#emit(0x23, global);
    else this.#emit(...this.#constant(type));
  }

  #constant(type: ValueType): number[] {
    const small = this.#from.pick(256);
    switch (type) {
      case "i32":
        return [0x41, ...signed(SPECIAL[small % SPECIAL.length] as number)];
      case "i64":
        return [0x42, ...signed((SPECIAL[small % SPECIAL.length] as number) * (small > 128 ? 65_537 : 1))];
      case "f32":
        return [0x43, ...new Uint8Array(Float32Array.of(FLOATS[small % FLOATS.length] as number).buffer)];
      case "f64":
        return [0x44, ...new Uint8Array(Float64Array.of(FLOATS[small % FLOATS.length] as number).buffer)];
      case "v128":
        return [0xfd, 12, ...Array.from({ length: 16 }, (_, i) => (small * (i + 1)) & 0xff)];
    }
  }

  #operation(type: ValueType): void {
    const { takes, code } = this.#from.of(OPERATIONS_BY_TYPE[type]);
    this.#values(takes);
    this.#emit(...code);
  }

  #local(opcode: number, type: ValueType): void {
    const fitting = this.#locals.flatMap((each, i) => (each === type ? [i] : []));
    this.#emit(opcode, this.#from.of(fitting));
  }

  /** A block, loop, if or try that leaves `results`. */
  #block(results: readonly ValueType[]): void {
    const kind = this.#from.pick(5);
    const parameters = Array.from({ length: this.#from.pick(3) }, () => this.#from.of(ALL_TYPES));
    this.#values(parameters);
    if (kind === 3) this.#value("i32");
    if (kind === 4) {
      this.#try(parameters, results);
      return;
    }
    this.#emit([0x02, 0x03, 0x03, 0x04][kind] as number, ...this.#blockType(parameters, results));
    const isLoop = kind === 1 || kind === 2;
    this.#labels.push(isLoop ? parameters : results);
    if (isLoop) this.#countTurn();
    this.#inside(parameters, results);
    if (kind === 3) {
      this.#emit(0x05);
      this.#inside(parameters, results);
    }
    this.#labels.pop();
    this.#emit(0x0b);
  }

  #blockType(parameters: readonly ValueType[], results: readonly ValueType[]): number[] {
    if (parameters.length === 0 && results.length === 0) return [0x40];
    if (parameters.length === 0 && results.length === 1) return [TYPE_CODES[results[0] as ValueType]];
    return unsigned(this.#types.indexOf({ parameters, results }));
  }

  /** What takes the parameters from the stack, does something, and leaves the results. */
  #inside(parameters: readonly ValueType[], results: readonly ValueType[]): void {
    for (const type of parameters.toReversed()) {
      if (this.#from.pick(2) === 0) this.#emit(0x1a);
      else this.#local(0x21, type);
    }
    if (!this.#isFull && this.#from.pick(2) === 1) this.#effect();
    this.#values(results);
  }

  #try(parameters: readonly ValueType[], results: readonly ValueType[]): void {
    const type = this.#blockType(parameters, results);
    if (!this.#isLegacy) {
      // (block (result i32) (try_table (catch 0 0) (catch_all …) …) (br 1)): caught values go to the block around it.
      this.#catchAround(parameters, results, type);
      return;
    }
    this.#emit(0x06, ...type);
    this.#labels.push(results);
    this.#inside(parameters, results);
    if (this.#from.pick(3) !== 1) {
      this.#emit(0x07, 0);
      this.#inside(TAG, results);
    }
    if (this.#from.pick(2) === 1) {
      this.#emit(0x19);
      if (this.#from.pick(3) === 1) this.#emit(0x09, 0);
      else this.#inside([], results);
    }
    this.#labels.pop();
    this.#emit(0x0b);
  }

  #catchAround(parameters: readonly ValueType[], results: readonly ValueType[], type: readonly number[]): void {
    this.#emit(0x02, ...type);
    this.#labels.push(results);
    for (const each of parameters.toReversed()) this.#local(0x21, each);
    this.#emit(0x02, TYPE_CODES.i32);
    this.#labels.push(TAG);
    const catchesAll = results.length === 0 && this.#from.pick(2) === 1;
    this.#emit(0x1f, ...this.#blockType([], results), ...(catchesAll ? [2, 0, 0, 0, 2, 1] : [1, 0, 0, 0]));
    this.#labels.push(results);
    this.#inside([], results);
    this.#labels.pop();
    this.#emit(0x0b, 0x0c, 1, 0x0b);
    this.#labels.pop();
    this.#inside(TAG, results);
    this.#labels.pop();
    this.#emit(0x0b);
  }

  /** A call of an import, a function, or through the table, that leaves `results`, if there is one. */
  #call(results: readonly ValueType[]): void {
    const fitting = CALLABLE.filter(({ type }) => results.every((each, i) => type.results[i] === each));
    if (fitting.length === 0) {
      this.#values(results);
      return;
    }
    const { type, index } = this.#from.of(fitting);
    this.#values(type.parameters);
    if (index >= IMPORTS.length && this.#from.pick(3) === 1) this.#indirect(0x11, type);
    else this.#emit(0x10, index);
    for (let extra = type.results.length - results.length; extra > 0; extra--) this.#emit(0x1a);
  }

  #indirect(opcode: number, type: FunctionType): void {
    this.#value("i32");
    if (this.#from.pick(4) !== 1) this.#emit(0x41, 7, 0x71);
    this.#emit(opcode, ...unsigned(this.#types.indexOf(type)), 0);
  }

  /** A branch that may be taken; leaves a value of `type`. */
  #branchIf(type: ValueType): void {
    const label = this.#from.pick(this.#labels.length);
    const takes = this.#labels[this.#labels.length - 1 - label] ?? [];
    this.#values(takes);
    this.#value("i32");
    this.#emit(0x0d, label);
    for (let i = 0; i < takes.length; i++) this.#emit(0x1a);
    this.#value(type);
  }

  /** Code that goes elsewhere. */
  #leave(): void {
    const label = this.#from.pick(this.#labels.length);
    const takes = this.#labels[this.#labels.length - 1 - label] ?? [];
    switch (this.#from.pick(7)) {
      case 0:
      case 1:
        this.#values(takes);
        this.#emit(0x0c, label);
        break;
      case 2: {
        const same = this.#labels.flatMap((each, i) =>
          each.join() === takes.join() ? [this.#labels.length - 1 - i] : [],
        );
        this.#values(takes);
        this.#value("i32");
        this.#emit(0x0e, ...vectorOf(same.map(unsigned)), label);
        break;
      }
      case 3:
        this.#values(this.#type.results);
        this.#emit(0x0f);
        break;
      case 4:
        this.#values(TAG);
        this.#emit(0x08, 0);
        break;
      case 5:
        this.#values(this.#type.parameters);
        if (this.#from.pick(2) === 1) this.#indirect(0x13, this.#type);
        else this.#emit(0x12, this.#sameTyped());
        break;
      default:
        this.#emit(0x00);
    }
  }

  /** The function itself, so that a tail call of it has the results that it needs. */
  #sameTyped(): number {
    return IMPORTS.length + SIGNATURES.indexOf(this.#type);
  }

  #effect(): void {
    if (this.#isFull) return;
    this.#depth++;
    switch (this.#from.pick(10)) {
      case 0:
        break;
      case 1:
      case 2: {
        const type = this.#from.of(ALL_TYPES);
        this.#value(type);
        this.#local(0x21, type);
        break;
      }
      case 3: {
        const global = this.#from.pick(GLOBALS.length);
        this.#value(GLOBALS[global] as ValueType);
        this.#emit(0x24, global);
        break;
      }
      case 4:
      case 5: {
        const { takes, code } = this.#from.of(STORES);
        this.#store(takes, code);
        break;
      }
      case 6:
        this.#block([]);
        break;
      case 7:
        this.#loop();
        break;
      case 8:
        this.#call([]);
        break;
      default:
        this.#value(this.#from.of(ALL_TYPES));
        this.#emit(0x1a);
    }
    this.#depth--;
  }

  /** Addresses and lengths are mostly made small. */
  #store(takes: readonly ValueType[], code: readonly number[]): void {
    for (const type of takes) {
      this.#value(type);
      if (type === "i32" && this.#from.pick(4) !== 1) this.#emit(0x41, ...signed(1023), 0x71);
    }
    this.#emit(...code);
  }

  /** (loop … (br_if 0 …)): what goes round. */
  #loop(): void {
    this.#emit(0x03, 0x40);
    this.#labels.push([]);
    this.#countTurn();
    this.#effect();
    this.#effect();
    this.#value("i32");
    this.#emit(0x0d, 0);
    this.#labels.pop();
    this.#emit(0x0b);
  }
}

const OPERATIONS_BY_TYPE = Object.fromEntries(
  ALL_TYPES.map((type) => [type, OPERATIONS.filter(({ gives }) => gives === type)]),
) as Readonly<Record<ValueType, (typeof OPERATIONS)[number][]>>;

const CALLABLE: readonly { readonly type: FunctionType; readonly index: number }[] = [...IMPORTS, ...SIGNATURES].map(
  (type, index) => ({ type, index }),
);

const SPECIAL: readonly number[] = [
  0, 1, 2, 3, 7, 8, 16, 31, 64, 100, 255, 1000, 65_530, 65_536, 131_000, 0x7fff_ffff, -1, -2, -8, -0x8000_0000,
];
const FLOATS: readonly number[] = [0, 1, -1, 0.5, 1e10, -1e20, Infinity, -Infinity, Number.NaN, -0, 2 ** 31, 2 ** 63];
