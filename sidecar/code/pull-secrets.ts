// Docker's configuration JSON → user and password for a registry's host. Pure; secret-sources.ts reads where it comes from.
// Source: Kubernetes' kubernetes.io/dockerconfigjson secrets and docker's config.json. Credential helpers are not run.

/** `Basic …`'s content, or a token that a realm takes in a password's place. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

export type PullSecrets = ReadonlyMap<string, RegistryCredentials>;

export type ParsedSecrets =
  | { readonly ok: true; readonly secrets: PullSecrets }
  | { readonly ok: false; readonly problem: string };

const MAX_BYTES = 1024 * 1024;
const DOCKER_HUB: ReadonlySet<string> = new Set(["index.docker.io", "registry-1.docker.io"]);

/** Problems never quote what was read. */
export function parsePullSecrets(text: string): ParsedSecrets {
  if (text.length > MAX_BYTES) {
    return { ok: false, problem: `more than ${MAX_BYTES} bytes` };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, problem: "not JSON" };
  }
  const auths = isObject(value) ? (value["auths"] ?? value) : undefined;
  if (!isObject(auths)) {
    return { ok: false, problem: 'no object "auths"' };
  }
  const secrets = new Map<string, RegistryCredentials>();
  for (const [name, entry] of Object.entries(auths)) {
    const credentials = isObject(entry) ? credentialsOf(entry) : undefined;
    if (credentials !== undefined) {
      secrets.set(hostOf(name), credentials);
    }
  }
  return { ok: true, secrets };
}

/** `https://index.docker.io/v1/` and its like → `docker.io`; paths and schemes do not count. */
function hostOf(name: string): string {
  const host = (name.replace(/^https?:\/\//i, "").split("/")[0] ?? "").toLowerCase();
  return DOCKER_HUB.has(host) ? "docker.io" : host;
}

function credentialsOf(entry: Readonly<Record<string, unknown>>): RegistryCredentials | undefined {
  const { auth, username, password } = entry;
  if (typeof username === "string" && typeof password === "string" && username !== "") {
    return { username, password };
  }
  const pair = typeof auth === "string" ? Buffer.from(auth, "base64").toString("utf8") : "";
  const colon = pair.indexOf(":");
  return colon > 0
    ? { username: pair.slice(0, colon), password: pair.slice(colon + 1).replace(/\0+$/, "") }
    : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
