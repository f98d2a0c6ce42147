// The types of files by their names, looked for when they are asked for: createRegistry() of the runtime reads them all.

import { createRegistry, type DescEnum, type DescFile, type DescMessage, type Registry } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { LazyFile } from "./lazy-file.ts";

type Type = DescMessage | DescEnum;

/** Of files of generated code and of the runtime's own; without extensions and services. */
export function lazyRegistry(files: readonly DescFile[]): Registry {
  const lazy = files.filter((file) => file instanceof LazyFile);
  const others = createRegistry(...files.filter((file) => !(file instanceof LazyFile)));
  /** Only of types that there are: names come from outside. */
  const known = new Map<string, Type>();
  const get = (typeName: string): Type | undefined => {
    const type = known.get(typeName) ?? find(typeName);
    if (type !== undefined) {
      known.set(typeName, type);
    }
    return type;
  };
  const find = (typeName: string): Type | undefined => {
    for (const file of lazy) {
      const own = file.own(typeName);
      if (own !== undefined) {
        return own as unknown as Type;
      }
    }
    return others.getMessage(typeName) ?? others.getEnum(typeName);
  };
  return {
    kind: "registry",
    *[Symbol.iterator]() {
      for (const file of files) yield* nestedTypes(file);
    },
    get,
    getMessage: (typeName) => only("message", get(typeName)),
    getEnum: (typeName) => only("enum", get(typeName)),
    getExtension: () => undefined,
    getExtensionFor: () => undefined,
    getService: () => undefined,
  };
}

function only<Kind extends Type["kind"]>(
  kind: Kind,
  type: Type | undefined,
): Extract<Type, { kind: Kind }> | undefined {
  return type?.kind === kind ? (type as Extract<Type, { kind: Kind }>) : undefined;
}
