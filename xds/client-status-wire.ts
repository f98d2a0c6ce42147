// The messages of the Client Status Discovery Service as protobuf bytes; server/client-status.ts speaks them. Decoding never
// throws. Source: envoy/service/status/v3/csds.proto.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Parsed } from "./discovery-wire.ts";
import { parse, parseNode } from "./discovery-wire.ts";
import { ClientResourceStatus } from "./gen/envoy/admin/v3/config_dump_shared_pb.ts";
import {
  ClientConfig_GenericXdsConfigSchema,
  ClientStatusRequestSchema,
  ClientStatusResponseSchema,
} from "./gen/envoy/service/status/v3/csds_pb.ts";
import type { ClientConfig_GenericXdsConfig } from "./gen/envoy/service/status/v3/csds_pb.ts";
import type { ResourceView } from "./resource-store.ts";
import { SECRET_TYPE } from "./type-urls.ts";

export type ClientStatusRequest = Readonly<{ hasNodeMatchers: boolean; withoutContents: boolean }>;

export type ClientStatus = Readonly<{
  /** envoy.config.core.v3.Node, serialised. */
  nodeBytes: Uint8Array;
  resources: readonly ResourceView[];
}>;

export function decodeStatusRequest(bytes: Uint8Array): Parsed<ClientStatusRequest> {
  return parse(() => {
    const { nodeMatchers, excludeResourceContents } = fromBinary(ClientStatusRequestSchema, bytes);
    return { hasNodeMatchers: nodeMatchers.length > 0, withoutContents: excludeResourceContents };
  });
}

export function encodeStatusResponse(status: ClientStatus, { withoutContents }: ClientStatusRequest): Uint8Array {
  const response = create(ClientStatusResponseSchema, {
    config: [
      {
        node: parseNode(status.nodeBytes),
        genericXdsConfigs: status.resources.map((resource) => resourceStatus(resource, withoutContents)),
      },
    ],
  });
  return toBinary(ClientStatusResponseSchema, response);
}

/** A cluster or listener with an inline key. */
function holdsKey(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes("PRIVATE KEY-----");
}

function resourceStatus(resource: ResourceView, withoutContents: boolean): ClientConfig_GenericXdsConfig {
  const { typeUrl, name, isStatic, version, receivedAt, error, value } = resource;
  // Who may ask for a client's state may not have its keys.
  const isHidden = withoutContents || typeUrl === SECRET_TYPE;
  const contents = (bytes: Uint8Array | undefined) =>
    isHidden || bytes === undefined || holdsKey(bytes) ? undefined : { typeUrl, value: bytes };
  const xdsConfig = contents(value);
  const failed = contents(error?.bytes);
  return create(ClientConfig_GenericXdsConfigSchema, {
    typeUrl,
    name,
    versionInfo: isStatic ? "" : version,
    clientStatus: ClientResourceStatus[resource.state],
    isStaticResource: isStatic,
    ...(xdsConfig === undefined ? {} : { xdsConfig }),
    ...(receivedAt === undefined ? {} : { lastUpdated: timestampFromMs(receivedAt) }),
    ...(error === undefined
      ? {}
      : {
          errorState: {
            details: error.details,
            versionInfo: error.version,
            lastUpdateAttempt: timestampFromMs(error.at),
            ...(failed === undefined ? {} : { failedConfiguration: failed }),
          },
        }),
  });
}
