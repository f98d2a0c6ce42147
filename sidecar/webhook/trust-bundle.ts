// The API server's trust in the webhook: `caBundle` of every entry of a MutatingWebhookConfiguration, written when it is another one.

import type { KubernetesApi } from "./kubernetes-api.ts";

interface Configuration {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly webhooks?: readonly { readonly clientConfig?: { readonly caBundle?: string } }[];
}

/** Throws an ApiError when the configuration is not there, or was changed at the same moment (the next round tries again). */
export async function publishCaBundle(api: KubernetesApi, name: string, pem: string): Promise<void> {
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${encodeURIComponent(name)}`;
  const { metadata, webhooks = [] } = (await api.get(path)) as Configuration;
  const caBundle = Buffer.from(pem).toString("base64");
  const stale = webhooks.flatMap(({ clientConfig }, index) => (clientConfig?.caBundle === caBundle ? [] : [index]));
  if (stale.length === 0) {
    return;
  }
  await api.patch(path, "application/json-patch+json", [
    { op: "test", path: "/metadata/resourceVersion", value: metadata?.resourceVersion },
    ...stale.map((index) => ({ op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle })),
  ]);
}
