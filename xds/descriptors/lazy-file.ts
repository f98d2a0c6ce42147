// What messages look like, for the protobuf runtime: a stand-in for the three functions of @bufbuild/protobuf/codegenv2 that generated
// code calls (generate.sh points it here). Those build every message of a file when the file is loaded, with all of the file's
// dependencies again: a third of a start's CPU, for the fifty messages that a configuration has. Here a file is read when the first of its
// messages is asked for something, and a message's fields when it is used. What they say is the same (test/xds/descriptors compares
// all), but for what nobody here asks for: options, and the descriptors' own messages (`proto`).
//
//   fileDesc(base64) ─▶ LazyFile ─▶ LazyMessage ─(fields)─▶ LazyField ─(message, enum)─▶ a type of this file or of what it imports
//
// Only what protoc-gen-es writes from xds/proto is read: syntax proto3, no extensions, no services.

import type { DescEnum, DescFile, DescMessage, Message } from "@bufbuild/protobuf";
import type { GenEnum, GenFile, GenMessage } from "@bufbuild/protobuf/codegenv2";
import { Described, Places } from "./described.ts";
import { LazyEnum } from "./lazy-enum.ts";
import { LazyMessage } from "./lazy-message.ts";
import { nameOf, type RawFile, readFile } from "./raw-descriptor.ts";

export type AnyType = LazyMessage | LazyEnum;

/** google.protobuf.Edition. */
const EDITION_PROTO3 = 999;

/** Generated code for one .proto file, unread. */
export function fileDesc(base64: string, imports: readonly DescFile[] = []): GenFile {
  return new LazyFile(base64, imports) as unknown as GenFile;
}

/** The message at `path`: its index in the file, then the indexes of nested ones. */
export function messageDesc<T extends Message>(file: GenFile, ...path: number[]): GenMessage<T> {
  return lazy(file).messageAt(path) as unknown as GenMessage<T>;
}

/** The enum at `path`: the indexes of the messages that it is nested in, if any, and its own. */
export function enumDesc<T extends number>(file: GenFile, ...path: number[]): GenEnum<T> {
  return lazy(file).enumAt(path) as unknown as GenEnum<T>;
}

function lazy(file: GenFile): LazyFile {
  if (file instanceof LazyFile) return file;
  throw new TypeError("a file that fileDesc() did not make");
}

export class LazyFile extends Described {
  readonly kind = "file";
  readonly edition: number = EDITION_PROTO3;
  readonly extensions: readonly never[] = [];
  readonly services: readonly never[] = [];
  readonly dependencies: readonly DescFile[];
  readonly #base64: string;
  readonly #messages = new Places((index) => new LazyMessage(this, undefined, () => this.#read.messages[index]));
  readonly #enums = new Places((index) => new LazyEnum(this, undefined, index));
  #raw: RawFile | undefined = undefined;
  /** What is not nested, by name. */
  #names: Map<string, AnyType> | undefined = undefined;

  constructor(base64: string, imports: readonly DescFile[]) {
    super();
    this.#base64 = base64;
    this.dependencies = imports;
  }

  get name(): string {
    return this.#read.name.replace(/\.proto$/, "");
  }

  /** All that a registry of the runtime asks of it. */
  override get proto(): { readonly name: string } {
    return { name: this.#read.name };
  }

  get messages(): LazyMessage[] {
    return this.#messages.all(this.#read.messages.length);
  }

  get enums(): LazyEnum[] {
    return this.#enums.all(this.#read.enums.length);
  }

  messageAt([first = 0, ...nested]: readonly number[]): LazyMessage {
    return nested.reduce((message, index) => message.messagePlaces.at(index), this.#messages.at(first));
  }

  enumAt(path: readonly number[]): LazyEnum {
    const index = path.at(-1) ?? 0;
    return path.length > 1 ? this.messageAt(path.slice(0, -1)).enumPlaces.at(index) : this.#enums.at(index);
  }

  enumBytes(index: number): Buffer {
    return this.#read.enums[index] ?? Buffer.alloc(0);
  }

  typeName(name: string, parent: LazyMessage | undefined): string {
    const holder = parent?.typeName ?? this.#read.packageName;
    return holder === "" ? name : `${holder}.${name}`;
  }

  /** A type of this file, or of those that it imports. Throws when there is none. */
  find(typeName: string): AnyType | DescMessage | DescEnum {
    const found = this.own(typeName);
    if (found !== undefined) {
      return found;
    }
    for (const file of this.dependencies) {
      const theirs =
        file instanceof LazyFile
          ? file.own(typeName)
          : [...file.messages, ...file.enums].find((type) => type.typeName === typeName);
      if (theirs !== undefined) {
        return theirs;
      }
    }
    throw new Error(`${this.name}: there is no ${typeName}`);
  }

  /** A type of this file; nothing but names is read to find it. */
  own(typeName: string): AnyType | undefined {
    const { packageName, messages, enums } = this.#read;
    const before = packageName === "" ? 0 : packageName.length + 1;
    if (before > 0 && !typeName.startsWith(`${packageName}.`)) {
      return undefined;
    }
    if (this.#names === undefined) {
      this.#names = new Map();
      for (const [index, bytes] of messages.entries()) this.#names.set(nameOf(bytes), this.#messages.at(index));
      for (const [index, bytes] of enums.entries()) this.#names.set(nameOf(bytes), this.#enums.at(index));
    }
    const [name = "", ...nested] = typeName.slice(before).split(".");
    const type = this.#names.get(name);
    if (nested.length === 0) {
      return type;
    }
    return type?.kind === "message" ? type.find(nested) : undefined;
  }

  override toString(): string {
    return `file ${this.#read.name}`;
  }

  get #read(): RawFile {
    return (this.#raw ??= readFile(Buffer.from(this.#base64, "base64")));
  }
}
