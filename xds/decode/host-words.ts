// The few fields of encoded routes that decide which virtual host answers a name; the rest is not decoded. For the control plane.

import { fromBinary } from "@bufbuild/protobuf";
import { VirtualHostSchema } from "../gen/envoy/config/route/v3/route_components_pb.ts";
import { RouteConfigurationSchema } from "../gen/envoy/config/route/v3/route_pb.ts";

/** VirtualHost.domains; throws when `bytes` are none. */
export function domainsOfHost(bytes: Uint8Array): readonly string[] {
  return fromBinary(VirtualHostSchema, bytes).domains;
}

/** RouteConfiguration.ignore_port_in_host_matching; throws when `bytes` are none. */
export function routesIgnorePort(bytes: Uint8Array): boolean {
  return fromBinary(RouteConfigurationSchema, bytes).ignorePortInHostMatching;
}
