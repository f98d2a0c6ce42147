// A field of generated code: of any kind, and what a kind does not have is undefined. The type that it names is looked for when it is asked for.

import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { Described } from "./described.ts";
import type { AnyType } from "./lazy-file.ts";
import type { LazyMessage, Oneof } from "./lazy-message.ts";
import { camelName, propertyName } from "./names.ts";
import type { RawField } from "./raw-descriptor.ts";

type Kind = "scalar" | "enum" | "message";

/** FieldDescriptorProto.Type, of which there are more. */
const TYPE = { message: 11, enum: 14, string: 9, bytes: 12 } as const;
/** FieldDescriptorProto.Label. */
const REPEATED = 3;
/** FeatureSet.FieldPresence. */
const PRESENCE = { explicit: 1, implicit: 2 } as const;
const NOT_PACKED: ReadonlySet<number> = new Set([TYPE.string, TYPE.bytes, TYPE.message]);

export class LazyField extends Described {
  readonly kind = "field";
  readonly name: string;
  readonly number: number;
  readonly localName: string;
  readonly jsonName: string;
  readonly parent: LazyMessage;
  readonly oneof: Oneof | undefined;
  readonly presence: number;
  readonly utf8Validation = true;
  readonly longAsString = false;
  readonly fieldKind: DescField["fieldKind"];
  readonly scalar: number | undefined;
  readonly listKind: Kind | undefined;
  readonly mapKind: Kind | undefined;
  readonly mapKey: number | undefined;
  readonly delimitedEncoding: false | undefined;
  readonly packed: boolean | undefined;
  readonly #kind: Kind;
  readonly #typeName: string;
  #found: AnyType | DescMessage | DescEnum | undefined = undefined;

  constructor(raw: RawField, parent: LazyMessage, oneof: Oneof | undefined) {
    super();
    const name = camelName(raw.name);
    const isRepeated = raw.label === REPEATED;
    const [key, value] = (isRepeated && raw.type === TYPE.message && parent.entryOf(raw.typeName)?.fields) || [];
    const kind = raw.type === TYPE.message ? "message" : raw.type === TYPE.enum ? "enum" : "scalar";
    this.name = raw.name;
    this.number = raw.number;
    this.localName = oneof === undefined ? propertyName(name) : name;
    this.jsonName = raw.jsonName ?? name;
    this.parent = parent;
    this.oneof = oneof;
    this.#kind = value === undefined ? kind : value.#kind;
    this.#typeName = value === undefined ? raw.typeName : value.#typeName;
    this.fieldKind = value !== undefined ? "map" : isRepeated ? "list" : kind;
    this.scalar = value !== undefined ? value.scalar : kind === "scalar" ? raw.type : undefined;
    this.mapKind = value === undefined ? undefined : value.#kind;
    this.mapKey = key?.scalar;
    this.listKind = this.fieldKind === "list" ? kind : undefined;
    this.packed = this.fieldKind === "list" ? !NOT_PACKED.has(raw.type) : undefined;
    this.delimitedEncoding = this.#kind === "message" || value !== undefined ? false : undefined;
    const tracks = !isRepeated && (oneof !== undefined || raw.isOptional || kind === "message");
    this.presence = tracks ? PRESENCE.explicit : PRESENCE.implicit;
  }

  get message(): AnyType | DescMessage | DescEnum | undefined {
    return this.#kind === "message" ? this.#type : undefined;
  }

  get enum(): AnyType | DescMessage | DescEnum | undefined {
    return this.#kind === "enum" ? this.#type : undefined;
  }

  /** Only proto2 has any. */
  getDefaultValue(): undefined {
    return undefined;
  }

  override toString(): string {
    return `field ${this.parent.typeName}.${this.name}`;
  }

  get #type(): AnyType | DescMessage | DescEnum {
    return (this.#found ??= this.parent.file.find(this.#typeName));
  }
}
