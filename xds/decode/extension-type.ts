// Is an extension one that Envoy 1.40 has at its place? Asked of those without effect here, by the type of their configuration: a
// mistake must not wait for the day when they have one. Called by inspect.ts; the types are data in constraints/.

import type { Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { unpackAny } from "./any.ts";
import { child, type Findings } from "./issues.ts";

interface Extension {
  /** Of a TypedExtensionConfig. */
  readonly typedConfig?: Any | undefined;
  /** Of a message whose oneof has typed_config for its only member. */
  readonly configType?: { readonly case: string | undefined; readonly value?: Any };
}

/** `extension` has the field `typed_config`. */
export function checkExtension(extension: Message, types: readonly string[], path: string, findings: Findings): void {
  const { typedConfig, configType } = extension as Message & Extension;
  const config = typedConfig ?? configType?.value;
  const known = types.length === 0 ? "Envoy has none for this field" : `Envoy has ${types.join(", ")}`;
  if (config === undefined) {
    findings.issue(path, `needs typed_config; ${known}`);
    return;
  }
  const { typeName } = unpackAny(config);
  if (!types.includes(typeName)) {
    findings.issue(child(path, "typed_config"), `${typeName} is not known here; ${known}`);
  }
}
