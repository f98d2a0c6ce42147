// The bootstrap of an injected sidecar, as the text of `run --config-yaml`: who it is, and where its control plane is. The kubelet puts
// the pod's own values in (`$(POD_NAME)`), so that no agent and no ConfigMap is needed. Node id and metadata are what istiod reads.

import type { JsonObject } from "./json-patch.ts";
import type { Pod } from "./pod.ts";
import type { PodSettings } from "./pod-settings.ts";
import { PORTS } from "./settings.ts";

export interface Identity {
  /** The Deployment (or Job, …) that the pod is of, or the pod. */
  readonly workload: string;
  /** `service.istio.io/canonical-name`. */
  readonly service: string;
  readonly owner: string | undefined;
}

/** Who the sidecar is, without where its control plane is: merged over a bootstrap of the user's. */
export function nodeOf(pod: Pod, settings: PodSettings, identity: Identity): JsonObject {
  const ports = pod.containers.flatMap(({ ports: declared }) =>
    declared.map(({ name, containerPort }) => ({ ...(name === undefined ? {} : { name }), containerPort })),
  );
  return {
    id: `sidecar~$(INSTANCE_IP)~$(POD_NAME).$(POD_NAMESPACE)~$(POD_NAMESPACE).svc.${settings.clusterDomain}`,
    cluster: `${identity.service}.$(POD_NAMESPACE)`,
    metadata: {
      NAME: "$(POD_NAME)",
      NAMESPACE: "$(POD_NAMESPACE)",
      INSTANCE_IPS: "$(INSTANCE_IPS)",
      NODE_NAME: "$(NODE_NAME)",
      SERVICE_ACCOUNT: "$(SERVICE_ACCOUNT)",
      CLUSTER_ID: settings.clusterId,
      INTERCEPTION_MODE: settings.interceptionMode,
      WORKLOAD_NAME: identity.workload,
      ...(identity.owner === undefined ? {} : { OWNER: identity.owner }),
      ...(settings.meshId === "" ? {} : { MESH_ID: settings.meshId }),
      ...(settings.network === "" ? {} : { NETWORK: settings.network }),
      // Istio keeps these two as text.
      APP_CONTAINERS: pod.containers.map(({ name }) => name).join(","),
      POD_PORTS: JSON.stringify(ports),
      LABELS: { ...pod.labels, "service.istio.io/canonical-name": identity.service },
    },
  };
}

export function bootstrapOf(pod: Pod, settings: PodSettings, identity: Identity): JsonObject {
  const colon = settings.controlPlane.lastIndexOf(":");
  const address = settings.controlPlane.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return {
    node: nodeOf(pod, settings, identity),
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: PORTS.admin } } },
    dynamic_resources: {
      ads_config: {
        api_type: "GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "xds-grpc" } }],
      },
      lds_config: { ads: {}, resource_api_version: "V3" },
      cds_config: { ads: {}, resource_api_version: "V3" },
    },
    static_resources: {
      clusters: [
        {
          name: "xds-grpc",
          type: "STRICT_DNS",
          connect_timeout: "1s",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: "xds-grpc",
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: {
                      address: {
                        socket_address: { address, port_value: Number(settings.controlPlane.slice(colon + 1)) },
                      },
                    },
                  },
                ],
              },
            ],
          },
        },
      ],
    },
  };
}
