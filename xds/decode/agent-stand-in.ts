// What Istio's agent puts in a plugin's place when it cannot have the plugin's code: an RBAC filter that lets everything pass or
// nothing, by the plugin's failure policy. It is the plugin without code here, so that its policy holds as it would if we had
// fetched the code ourselves. Any other RBAC filter is refused. Called by http-filter.ts. Source: Istio's pkg/wasm/convert.go.

import type { Any } from "@bufbuild/protobuf/wkt";
import type { PluginConfig } from "../model/plugin-config.ts";
import { typeNameOf } from "./any.ts";

export const RBAC_TYPE = "envoy.extensions.filters.http.rbac.v3.RBAC";

const NOTHING = new Uint8Array(0);
/** RBAC.rules_stat_prefix, field 6, as the agent writes it; before it an empty RBAC.rules, field 1, when nothing may pass. */
const ALLOW = message(0x32, "wasm-default-allow");
const DENY = Buffer.concat([Buffer.from([0x0a, 0]), message(0x32, "wasm-default-deny")]);

function message(tag: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]);
}

/** undefined: it is no stand-in of the agent's. */
export function decodeStandIn(any: Any, name: string): PluginConfig | undefined {
  const isAllow = ALLOW.equals(any.value);
  if (typeNameOf(any.typeUrl) !== RBAC_TYPE || (!isAllow && !DENY.equals(any.value))) return undefined;
  return {
    name,
    rootId: "",
    vmId: "",
    code: { kind: "missing", problem: `Istio's agent could not have the code of plugin "${name}"` },
    vmConfiguration: NOTHING,
    configuration: NOTHING,
    failurePolicy: isAllow ? "open" : "closed",
    failOpenDeprecated: false,
    reloadBackoffMs: 0,
    hostEnvironmentKeys: [],
    environment: {},
    allowedCapabilities: undefined,
    allowOnHeadersStopIteration: false,
    nackOnCodeCacheMiss: false,
  };
}
