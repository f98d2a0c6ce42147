// Where the webhook's certificates are kept, so that replicas share them and a restart does not change them: a Secret in a cluster, a folder
// elsewhere. Both hold the same four texts under the names that Kubernetes and cert-manager use. Without `ca.key` somebody else issues
// the certificates, and they are only served.

import { constants } from "node:fs";
import { access, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../folders.ts";
import { isApiError, type KubernetesApi } from "./kubernetes-api.ts";

export interface StoredCertificates {
  readonly "ca.crt": string;
  readonly "ca.key": string;
  readonly "tls.crt": string;
  readonly "tls.key": string;
}

export const STORED_NAMES = [
  "ca.crt",
  "ca.key",
  "tls.crt",
  "tls.key",
] as const satisfies readonly (keyof StoredCertificates)[];

export interface Stored {
  /** What is missing is empty. */
  readonly certificates: StoredCertificates;
  /** Of this very state; undefined: nothing is stored yet. */
  readonly version: string | undefined;
}

export interface CertificateStore {
  read(): Promise<Stored>;
  /** False: the state is not `version` any more, because another replica was faster. */
  write(certificates: StoredCertificates, version: string | undefined): Promise<boolean>;
}

const NOTHING: StoredCertificates = { "ca.crt": "", "ca.key": "", "tls.crt": "", "tls.key": "" };

export class FolderStore implements CertificateStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(): Promise<Stored> {
    const certificates = { ...NOTHING };
    for (const name of STORED_NAMES) {
      try {
        certificates[name] = await readFile(join(this.#folder, name), "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
          throw error;
        }
      }
    }
    const isThere = certificates["tls.crt"] !== "";
    return { certificates, version: isThere ? certificates["tls.crt"] : undefined };
  }

  /** Why certificates cannot be kept here, where waiting would not help; undefined: they can, or are there already. */
  async problem(): Promise<string | undefined> {
    try {
      if ((await this.read()).version === undefined) {
        await makeFolder(this.#folder, 0o700);
        await access(this.#folder, constants.W_OK | constants.X_OK);
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async write(certificates: StoredCertificates): Promise<boolean> {
    await makeFolder(this.#folder, 0o700);
    for (const name of STORED_NAMES) {
      const path = join(this.#folder, name);
      await writeFile(`${path}.new`, certificates[name], { mode: 0o600 });
      await rename(`${path}.new`, path);
    }
    return true;
  }
}

interface Secret {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly data?: Readonly<Record<string, string>>;
}

export class SecretStore implements CertificateStore {
  readonly #api: KubernetesApi;
  readonly #collection: string;
  readonly #name: string;

  constructor(api: KubernetesApi, namespace: string, name: string) {
    this.#api = api;
    this.#collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
    this.#name = name;
  }

  async read(): Promise<Stored> {
    let secret: Secret;
    try {
      secret = (await this.#api.get(`${this.#collection}/${encodeURIComponent(this.#name)}`)) as Secret;
    } catch (error) {
      if (isApiError(error, 404)) {
        return { certificates: NOTHING, version: undefined };
      }
      throw error;
    }
    const text = (name: string): string => Buffer.from(secret.data?.[name] ?? "", "base64").toString("utf8");
    const certificates = {
      "ca.crt": text("ca.crt"),
      "ca.key": text("ca.key"),
      "tls.crt": text("tls.crt"),
      "tls.key": text("tls.key"),
    };
    return { certificates, version: secret.metadata?.resourceVersion };
  }

  async write(certificates: StoredCertificates, version: string | undefined): Promise<boolean> {
    const data = Object.fromEntries(
      STORED_NAMES.map((name) => [name, Buffer.from(certificates[name]).toString("base64")]),
    );
    try {
      if (version === undefined) {
        const metadata = { name: this.#name, labels: { "app.kubernetes.io/name": "outrigger-webhook" } };
        await this.#api.post(this.#collection, { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data });
      } else {
        // A merge, so that labels and owners that others set stay; the version makes it a compare-and-swap.
        const path = `${this.#collection}/${encodeURIComponent(this.#name)}`;
        await this.#api.patch(path, "application/merge-patch+json", { metadata: { resourceVersion: version }, data });
      }
      return true;
    } catch (error) {
      if (isApiError(error, 409)) {
        return false;
      }
      throw error;
    }
  }
}
