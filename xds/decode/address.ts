// Addresses, prefixes and header names of configuration → model. Called by the listener, endpoint and bootstrap decoders.
// Source: envoy.config.core.v3 Address, CidrRange, Metadata.

import { isIP } from "node:net";
import { toBinary } from "@bufbuild/protobuf";
import type {
  Address as AddressMessage,
  CidrRange as CidrRangeMessage,
} from "../gen/envoy/config/core/v3/address_pb.ts";
import { MetadataSchema, type Metadata } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { Address, CidrRange } from "../model/address.ts";
import { quoted } from "./constraint.ts";
import { child, type Findings } from "./issues.ts";

/** Longer Unix socket paths do not fit the kernel's sockaddr_un. */
const MAX_PIPE_PATH_BYTES = 107;

/** Whether a DNS name may stand where an IP address can. */
export type HostKind = "ip" | "ip_or_name";

/** Undefined when it is missing or broken, which is then reported. */
export function decodeAddress(
  message: AddressMessage | undefined,
  hostKind: HostKind,
  path: string,
  findings: Findings,
): Address | undefined {
  const address = message?.address;
  switch (address?.case) {
    case undefined:
    case "envoyInternalAddress":
      return undefined;
    case "pipe": {
      const pipe = address.value;
      if (Buffer.byteLength(pipe.path) > MAX_PIPE_PATH_BYTES) {
        findings.issue(child(path, "pipe.path"), `is longer than ${MAX_PIPE_PATH_BYTES} bytes`);
      }
      return { kind: "pipe", path: pipe.path, mode: pipe.mode };
    }
    case "socketAddress": {
      const socket = address.value;
      if (hostKind === "ip" && socket.address !== "" && isIP(socket.address) === 0) {
        findings.issue(
          child(path, "socket_address.address"),
          `${quoted(socket.address)} is not an IP address; a name needs a STRICT_DNS or LOGICAL_DNS cluster`,
        );
      }
      const port = socket.portSpecifier.case === "portValue" ? socket.portSpecifier.value : 0;
      return { kind: "tcp", host: socket.address, port };
    }
  }
}

/** Envoy's own message or that of xds. */
export function decodeCidrRange(
  message: Pick<CidrRangeMessage, "addressPrefix" | "prefixLen">,
  path: string,
  findings: Findings,
): CidrRange | undefined {
  const family = isIP(message.addressPrefix);
  if (family === 0) {
    if (message.addressPrefix !== "") {
      findings.issue(child(path, "address_prefix"), `${quoted(message.addressPrefix)} is not an IP address`);
    }
    return undefined;
  }
  const bits = family === 4 ? 32 : 128;
  const prefixLength = message.prefixLen ?? 0;
  return { address: message.addressPrefix, prefixLength: Math.min(prefixLength, bits) };
}

/** Serialised Metadata, which property access reads; undefined when absent. */
export function metadataBytes(metadata: Metadata | undefined): Uint8Array | undefined {
  return metadata === undefined ? undefined : toBinary(MetadataSchema, metadata);
}
