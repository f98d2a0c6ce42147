// bootstrap_extensions → the plugins that run by themselves (envoy.extensions.wasm.v3.WasmService). Called by bootstrap.ts.
// Other extensions are left out with a warning: they prepare what outrigger does not have.

import type { TypedExtensionConfig } from "../gen/envoy/config/core/v3/extension_pb.ts";
import type { WasmService } from "../gen/envoy/extensions/wasm/v3/wasm_pb.ts";
import type { PluginService } from "../model/plugin-config.ts";
import { unpackAny } from "./any.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodePluginConfig } from "./wasm.ts";

const SERVICE_TYPE = "envoy.extensions.wasm.v3.WasmService";

export function decodeServices(
  extensions: readonly TypedExtensionConfig[],
  path: string,
  findings: Findings,
): readonly PluginService[] {
  return extensions.flatMap((extension, index) => decodeExtension(extension, item(path, index), findings) ?? []);
}

function decodeExtension(
  { name, typedConfig }: TypedExtensionConfig,
  path: string,
  findings: Findings,
): PluginService | undefined {
  const configPath = child(path, "typed_config");
  if (typedConfig === undefined) {
    findings.issue(configPath, "is required");
    return undefined;
  }
  const { typeName, message, problem } = unpackAny(typedConfig);
  if (problem !== undefined) return undefined;
  if (typeName !== SERVICE_TYPE) {
    findings.warn("no_effect", configPath, typeName, `bootstrap extension ${typeName} is accepted without effect`);
    return undefined;
  }
  const { config, singleton } = message as WasmService;
  const plugin = decodePluginConfig(config, name, child(configPath, "config"), findings);
  return plugin === undefined ? undefined : { plugin, singleton };
}
