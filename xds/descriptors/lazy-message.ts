// A message of generated code: read when it is asked for something, its fields when they are.

import { Described, Places } from "./described.ts";
import { LazyEnum } from "./lazy-enum.ts";
import { LazyField } from "./lazy-field.ts";
import type { LazyFile } from "./lazy-file.ts";
import { camelName, propertyName } from "./names.ts";
import { nameOf, type RawMessage, readField, readMessage } from "./raw-descriptor.ts";

export interface Oneof {
  readonly kind: "oneof";
  readonly name: string;
  readonly localName: string;
  readonly parent: LazyMessage;
  readonly fields: LazyField[];
  readonly deprecated: false;
  toString(): string;
}

const NOTHING = Buffer.alloc(0);

interface Members {
  readonly fields: LazyField[];
  readonly field: Record<string, LazyField>;
  readonly oneofs: Oneof[];
  readonly members: (LazyField | Oneof)[];
}

export class LazyMessage extends Described {
  readonly kind = "message";
  readonly file: LazyFile;
  readonly parent: LazyMessage | undefined;
  readonly nestedExtensions: readonly never[] = [];
  readonly messagePlaces = new Places((index) => new LazyMessage(this.file, this, () => this.#read.nested[index]));
  readonly enumPlaces = new Places((index) => new LazyEnum(this.file, this, index));
  readonly #bytes: () => Buffer | undefined;
  #raw: RawMessage | undefined = undefined;
  #typeName: string | undefined = undefined;
  #entries: readonly LazyMessage[] | undefined = undefined;
  #members: Members | undefined = undefined;

  constructor(file: LazyFile, parent: LazyMessage | undefined, bytes: () => Buffer | undefined) {
    super();
    this.file = file;
    this.parent = parent;
    this.#bytes = bytes;
  }

  get name(): string {
    return this.#read.name;
  }

  get typeName(): string {
    return (this.#typeName ??= this.file.typeName(this.name, this.parent));
  }

  get nestedMessages(): LazyMessage[] {
    return this.messagePlaces.all(this.#read.nested.length);
  }

  get nestedEnums(): LazyEnum[] {
    return this.enumPlaces.all(this.#read.enums.length);
  }

  get fields(): readonly LazyField[] {
    return this.#all.fields;
  }

  /** By local name. */
  get field(): Readonly<Record<string, LazyField>> {
    return this.#all.field;
  }

  get oneofs(): readonly Oneof[] {
    return this.#all.oneofs;
  }

  /** Fields and oneofs in their order, fields of a oneof not apart. */
  get members(): readonly (LazyField | Oneof)[] {
    return this.#all.members;
  }

  /** What the entries of a map field are; undefined when the type is no such. */
  entryOf(typeName: string): LazyMessage | undefined {
    this.#entries ??= this.#read.entries.map((bytes) => new LazyMessage(this.file, this, () => bytes));
    return this.#entries.find((entry) => entry.typeName === typeName);
  }

  enumBytes(index: number): Buffer {
    return this.#read.enums[index] ?? NOTHING;
  }

  /** What is nested in it, by names. */
  find([name = "", ...nested]: readonly string[]): LazyMessage | LazyEnum | undefined {
    const index = this.#read.nested.findIndex((bytes) => nameOf(bytes) === name);
    if (index < 0) {
      return nested.length > 0 ? undefined : this.nestedEnums.find((each) => each.name === name);
    }
    const message = this.messagePlaces.at(index);
    return nested.length === 0 ? message : message.find(nested);
  }

  override toString(): string {
    return `message ${this.typeName}`;
  }

  get #read(): RawMessage {
    return (this.#raw ??= readMessage(this.#bytes() ?? NOTHING));
  }

  get #all(): Members {
    return (this.#members ??= membersOf(this, this.#read));
  }
}

function membersOf(message: LazyMessage, raw: RawMessage): Members {
  const all: Members = { fields: [], field: {}, oneofs: [], members: [] };
  const oneofs = raw.oneofs.map((name) => newOneof(name, message));
  for (const bytes of raw.fields) {
    const rawField = readField(bytes);
    const oneof = rawField.isOptional || rawField.oneof === undefined ? undefined : oneofs[rawField.oneof];
    const field = new LazyField(rawField, message, oneof);
    all.fields.push(field);
    all.field[field.localName] = field;
    if (oneof === undefined) {
      all.members.push(field);
    } else if (oneof.fields.push(field) === 1) {
      all.members.push(oneof);
    }
  }
  all.oneofs.push(...oneofs.filter(({ fields }) => fields.length > 0));
  return all;
}

function newOneof(name: string, parent: LazyMessage): Oneof {
  return {
    kind: "oneof",
    name,
    localName: propertyName(camelName(name)),
    parent,
    fields: [],
    deprecated: false,
    toString: () => `oneof ${parent.typeName}.${name}`,
  };
}
