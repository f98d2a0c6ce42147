// An enum of generated code, read when it is asked for something.

import { Described } from "./described.ts";
import type { LazyFile } from "./lazy-file.ts";
import type { LazyMessage } from "./lazy-message.ts";
import { propertyName } from "./names.ts";
import { type RawEnum, readEnum } from "./raw-descriptor.ts";

interface EnumValue {
  readonly kind: "enum_value";
  readonly parent: LazyEnum;
  readonly name: string;
  readonly localName: string;
  readonly jsonName: string;
  readonly number: number;
  readonly deprecated: false;
  toString(): string;
}

export class LazyEnum extends Described {
  readonly kind = "enum";
  readonly open = true;
  readonly file: LazyFile;
  readonly parent: LazyMessage | undefined;
  readonly #index: number;
  #raw: RawEnum | undefined = undefined;
  #values: EnumValue[] | undefined = undefined;
  #byNumber: Record<number, EnumValue> | undefined = undefined;

  constructor(file: LazyFile, parent: LazyMessage | undefined, index: number) {
    super();
    this.file = file;
    this.parent = parent;
    this.#index = index;
  }

  get name(): string {
    return this.#read.name;
  }

  get typeName(): string {
    return this.file.typeName(this.name, this.parent);
  }

  /** `my_enum_` for `enum MyEnum { MY_ENUM_A = 0; }`, when each value's name begins so and goes on with no digit. */
  get sharedPrefix(): string | undefined {
    const prefix = `${this.name.replace(/(?!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase()}_`;
    const isShared = this.#read.values.every(
      ({ name }) => name.toLowerCase().startsWith(prefix) && /^\D/.test(name.slice(prefix.length)),
    );
    return isShared ? prefix : undefined;
  }

  get values(): readonly EnumValue[] {
    if (this.#values === undefined) {
      const cut = this.sharedPrefix?.length ?? 0;
      this.#values = this.#read.values.map(({ name, number }) => ({
        kind: "enum_value",
        parent: this,
        name,
        localName: propertyName(name.slice(cut)),
        jsonName: name,
        number,
        deprecated: false,
        toString: () => `enum value ${this.typeName}.${name}`,
      }));
    }
    return this.#values;
  }

  /** By number; the first of those with the same. */
  get value(): Readonly<Record<number, EnumValue>> {
    return (this.#byNumber ??= Object.fromEntries(this.values.toReversed().map((value) => [value.number, value])));
  }

  override toString(): string {
    return `enum ${this.typeName}`;
  }

  get #read(): RawEnum {
    return (this.#raw ??= readEnum((this.parent ?? this.file).enumBytes(this.#index)));
  }
}
